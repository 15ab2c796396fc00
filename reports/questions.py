"""The questions that a reader brings, the usual mistake, and what this study does instead, with its own
figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reports.overview import Audit
from reports.plan import Plan
from reports.text import magnitude
from reports.verdicts import Verdict
from trainables.records import EQUIVALENT, UNDECIDED

AUDIT_FROM = 10
"""Would-be stops below which the share of mistakes cannot be estimated."""


class Question(NamedTuple):
    """A question, the common mistake, and this study's answer."""

    question: str
    mistake: str
    answer: str


def questions(plan: Plan, verdicts: Sequence[Verdict], audits: Sequence[Audit]) -> tuple[Question, ...]:
    """Return the table that opens the report.

    Args:
        plan: the study's plan.
        verdicts: one an entry of the family.
        audits: one an arm.
    """
    return (
        Question(
            "Is the difference more than luck?",
            "One run each; the higher accuracy wins.",
            f"{_seeds(verdicts, plan)} per method. With the same seed both sides share split, first weights "
            "and order of the images, so only the method differs.",
        ),
        Question(
            "Did the baseline get the same chance?",
            "A tuned method against an untuned baseline.",
            _search(plan),
        ),
        Question(
            "Were slow starters stopped too early?",
            "All methods race in one early-stopping pool, where regularised runs lose.",
            f"Each method races only against itself. {_audit(audits)}",
        ),
        Question(
            "Could one of many comparisons look good by chance?",
            "Every comparison is tested as if it were the only one.",
            f"{_family(plan)} fixed before the first run; for all together, the chance of naming a "
            f"difference where there is none is at most {100 * plan.alpha:g} %.",
        ),
        Question(
            "Does “no difference found” mean that there is none?",
            "“Not significant” is read as “the same”.",
            f"Only “equivalent” says so: the effect is shown to be below {magnitude(plan.smallest_effect)}. "
            f"{_open(verdicts)}",
        ),
        Question(
            "Would it hold for other images?",
            "The test set is taken for the world.",
            f"A second interval also counts the luck of the test images. {_images(verdicts)}",
        ),
    )


def _seeds(verdicts: Sequence[Verdict], plan: Plan) -> str:
    """Return how many seeds were compared, as far as the study is."""
    seeds = sorted({verdict.seeds for verdict in verdicts})
    if seeds == [plan.seeds] or not seeds:
        return f"{plan.seeds} paired seeds"
    low, high = seeds[0], seeds[-1]
    return f"{low if low == high else f'{low} to {high}'} of {plan.seeds} planned seeds, paired,"


def _family(plan: Plan) -> str:
    count = len(plan.contrasts)
    return "1 claim was" if count == 1 else f"{count} claims were"


def _search(plan: Plan) -> str:
    if plan.trials_per_arm == 0:
        return "Nothing was tuned: all settings were fixed beforehand, alike for all."
    runs = "1 search run" if plan.trials_per_arm == 1 else f"{plan.trials_per_arm} search runs"
    start = f"Every method, the baseline too, had {runs}."
    return f"{start} Then every method runs at the same settings, the best that any of them found."


def _audit(audits: Sequence[Audit]) -> str:
    audited, would_stop = sum(one.audited for one in audits), sum(one.would_stop for one in audits)
    if audited == 0:
        return "No run was exempt from stopping, so this cannot be checked here."
    start = f"{audited} runs went to the end regardless; the rules would have stopped {would_stop} of them"
    if would_stop == 0:
        return f"{start}."
    if would_stop < AUDIT_FROM:
        return f"{start}, too few to say how often wrongly."
    wrong = sum(one.mistakes for one in audits)
    return f"{start}, {wrong} wrongly: these ended in the better half."


def _open(verdicts: Sequence[Verdict]) -> str:
    undecided = sum(verdict.verdict == UNDECIDED for verdict in verdicts)
    equivalent = sum(verdict.verdict == EQUIVALENT for verdict in verdicts)
    return f"Here {equivalent} of {len(verdicts)} claims are equivalent, and {undecided} are left open."


def _images(verdicts: Sequence[Verdict]) -> str:
    decided = [verdict for verdict in verdicts if verdict.verdict != UNDECIDED]
    if not decided:
        return "Here nothing is decided yet."
    narrow = sum(verdict.on_this_test_set for verdict in decided)
    if narrow == 0:
        return "Every decided claim here stands with it."
    return f"{narrow} of {len(decided)} decided claims do not stand with it, and say “on this test set”."
