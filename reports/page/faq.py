"""The questions that a reader brings, the usual mistake, and what this study does instead, with its own
figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reports.data.overview import Audit
from reports.inference.contrasts import SEARCHES_TO_CLAIM
from reports.inference.verdicts import Verdict
from reports.inference.wording import magnitude
from trainables.records import EQUIVALENT, TEST_ACCURACY, UNDECIDED, PlanRecord

AUDIT_FROM = 10
"""Would-be stops below which the share of mistakes cannot be estimated."""


class Question(NamedTuple):
    """A question, the common mistake, and this study's answer."""

    question: str
    mistake: str
    answer: str


def questions(plan: PlanRecord, verdicts: Sequence[Verdict], audits: Sequence[Audit]) -> tuple[Question, ...]:
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
            f"and order of the images, so only the method differs.{_pairing(verdicts)}",
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
            f"{_family(plan)} for all together, the chance of naming a difference where there is none is at most "
            f"{100 * plan.alpha:g} %.{_added(plan)}{_looks(plan)}",
        ),
        Question(
            "Does “no difference found” mean that there is none?",
            "“Not significant” is read as “the same”.",
            f"Only “equivalent” says so: the effect is shown to be below "
            f"{magnitude(plan.smallest_effect, plan.unit)}. "
            f"{_open(verdicts)}",
        ),
        Question(
            "Would it hold for other images?",
            "The test set is taken for the world.",
            _images(verdicts, plan),
        ),
        Question(
            "Would it hold after another search?",
            "The winner of one search is taken for the method.",
            _searches(verdicts, plan),
        ),
    )


def _seeds(verdicts: Sequence[Verdict], plan: PlanRecord) -> str:
    """Return how many seeds were compared, as far as the study is."""
    seeds = sorted({verdict.seeds for verdict in verdicts})
    if seeds == [plan.seeds] or not seeds:
        return f"{plan.seeds} paired seeds"
    low, high = seeds[0], seeds[-1]
    planned = f"at most {plan.seeds}" if len(plan.looks) > 1 else f"{plan.seeds} planned"
    return f"{low if low == high else f'{low} to {high}'} of {planned} seeds, paired,"


def _pairing(verdicts: Sequence[Verdict]) -> str:
    """Return how far both sides of the comparisons go together, with a space before."""
    known = sorted(verdict.correlation for verdict in verdicts if verdict.correlation is not None)
    if not known:
        return ""
    low, high = (f"{value:.2f}".replace("-", "−") for value in (known[0], known[-1]))
    between = low if low == high else f"{low} to {high}"
    return f" Over seeds the two sides correlate by {between}; the higher, the more pairing helps."


def _family(plan: PlanRecord) -> str:
    count = len(plan.families[0]) if plan.families else 0
    return f"{'1 claim was' if count == 1 else f'{count} claims were'} fixed before the first run;"


def _added(plan: PlanRecord) -> str:
    """Return how many claims came later, with a space before."""
    count = sum(map(len, plan.families[1:]))
    claims = "1 claim was" if count == 1 else f"{count} claims were"
    return f" {claims} added later, each addition with a correction of its own." if count else ""


def _looks(plan: PlanRecord) -> str:
    """Return when the study is judged, with a space before, where that is more than once."""
    if len(plan.looks) < 2:
        return ""
    *first, last = plan.looks
    return f" It is judged at {', '.join(map(str, first))} and {last} seeds, each time with a share of that chance."


def _search(plan: PlanRecord) -> str:
    if plan.trials_per_arm == 0:
        return "Nothing was tuned: all settings were fixed beforehand, alike for all."
    runs = "1 search run" if plan.trials_per_arm == 1 else f"{plan.trials_per_arm} search runs"
    each = f" in each of {plan.replicates} searches" if plan.replicates > 1 else ""
    start = f"Every method, the baseline too, had {runs}{each}."
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


def _images(verdicts: Sequence[Verdict], plan: PlanRecord) -> str:
    if plan.unit.metric != TEST_ACCURACY:
        return f"This cannot be said of {plan.unit.figure}: single images have none."
    start = "A second interval also counts the luck of the test images."
    decided = [verdict for verdict in verdicts if verdict.verdict != UNDECIDED]
    narrow = sum(verdict.on_this_test_set for verdict in decided)
    return f"{start} {_standing(len(decided), narrow)}{', and say “on this test set”.' if narrow else ''}"


def _searches(verdicts: Sequence[Verdict], plan: PlanRecord) -> str:
    if plan.trials_per_arm == 0:
        return "Nothing was searched: every claim is about the settings of the study."
    if plan.replicates < SEARCHES_TO_CLAIM:
        times = "once" if plan.replicates == 1 else f"{plan.replicates} times"
        return f"Searched {times}: every claim is about the configurations found here."
    decided = [verdict for verdict in verdicts if verdict.verdict != UNDECIDED]
    narrow = sum(verdict.for_these_searches for verdict in decided)
    start = f"A third interval counts the luck of {plan.replicates} searches."
    return f"{start} {_standing(len(decided), narrow)}{', and say so.' if narrow else ''}"


def _standing(decided: int, narrow: int) -> str:
    """Return how many decided claims do not stand with a wider interval; a sentence unless there are some."""
    if not decided:
        return "Here nothing is decided yet."
    return (
        f"{narrow} of {decided} decided claims do not stand with it"
        if narrow
        else "Every decided claim here stands with it."
    )
