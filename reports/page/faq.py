"""Frequently asked questions about a comparison: the common mistake, and how this study avoids it, with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reports.data.overview import SavedRuns, StoppingAudit
from reports.descriptive.fairness import audit_result
from reports.inference.contrasts import SEARCHES_TO_CLAIM
from reports.inference.verdicts import Verdict
from trainables.records import EQUIVALENT, UNDECIDED, PlanRecord, number_of, number_were


class Question(NamedTuple):
    """A question, the common mistake, and the answer of this study."""

    question: str
    mistake: str
    answer: str


def questions(
    plan: PlanRecord, verdicts: Sequence[Verdict], audits: Sequence[StoppingAudit], saved: SavedRuns
) -> tuple[Question, ...]:
    """Return the questions with the answers of a study.

    Args:
        plan: plan of the study.
        verdicts: verdicts of all contrasts of the plan.
        audits: early-stopping audits, one per arm.
        saved: confirmation runs that looks made unnecessary.
    """
    return (
        Question(
            "Could the difference be chance?",
            "Each method is run once, and the higher accuracy wins.",
            f"{_seeds(verdicts, plan)} per method. Runs with the same seed share the data split, the initial weights "
            f"and the order of the images, so that only the method differs.{_pairing(verdicts)}",
        ),
        Question(
            "Was the baseline tuned as carefully as the methods?",
            "A tuned method is compared with an untuned baseline.",
            _search(plan),
        ),
        Question(
            "Did early stopping discard methods that start slowly?",
            "All methods compete in one early-stopping pool, where regularised runs fall behind early.",
            _stopping(plan, audits),
        ),
        Question(
            "Is one of many comparisons significant by chance?",
            "Every comparison is tested as if it were the only one.",
            f"{_family(plan)}. Over all of them, the probability of claiming any difference that does not exist is at "
            f"most {100 * plan.alpha:g} %.{_added(plan)}{_looks(plan, saved)}",
        ),
        Question(
            "Does “no difference found” mean that there is none?",
            "“Not significant” is read as “equal”.",
            f"Only “equivalent” means that the effect is shown to be smaller than "
            f"{plan.unit.amount(plan.smallest_effect)}. {_open(verdicts)}",
        ),
        Question(
            "Does the result hold for other images?",
            "The test set is treated as if it were all possible images.",
            _images(verdicts, plan),
        ),
        Question(
            "Does the result hold after another hyperparameter search?",
            "The outcome of a single search is attributed to the method.",
            _searches(verdicts, plan),
        ),
    )


def _seeds(verdicts: Sequence[Verdict], plan: PlanRecord) -> str:
    """Return the number of seeds compared so far."""
    seeds = sorted({verdict.seeds for verdict in verdicts})
    if seeds == [plan.seeds] or not seeds:
        return f"{plan.seeds} paired seeds"
    low, high = seeds[0], seeds[-1]
    planned = f"at most {plan.seeds}" if len(plan.looks) > 1 else f"{plan.seeds} planned"
    return f"{low if low == high else f'{low} to {high}'} of {planned} paired seeds"


def _pairing(verdicts: Sequence[Verdict]) -> str:
    """Return the range of correlations between the two sides of a comparison, with a leading space."""
    known = sorted(verdict.correlation for verdict in verdicts if verdict.correlation is not None)
    if not known:
        return ""
    low, high = (f"{value:.2f}".replace("-", "−") for value in (known[0], known[-1]))
    between = low if low == high else f"{low} to {high}"
    return f" The correlation between the two sides over seeds is {between}; the higher it is, the more pairing helps."


def _family(plan: PlanRecord) -> str:
    count = len(plan.families[0]) if plan.families else 0
    return f"{number_were(count, 'claim')} fixed before the first run"


def _added(plan: PlanRecord) -> str:
    """Return how many claims were added later, with a leading space."""
    count = sum(map(len, plan.families[1:]))
    return f" {number_were(count, 'claim')} added later; each addition is corrected separately." if count else ""


def _looks(plan: PlanRecord, saved: SavedRuns) -> str:
    """Return when the study is evaluated and what that saved, with a leading space, if that is more than once."""
    if len(plan.looks) < 2:
        return ""
    if plan.open_ended:
        return f" The number of seeds is open: claims are {plan.stopping_rule}.{_saving(saved)}"
    *first, last = plan.looks
    return (
        f" The study is evaluated at {', '.join(map(str, first))} and {last} seeds, each time with a share of that "
        f"probability.{_saving(saved)}"
    )


def _saving(runs: SavedRuns) -> str:
    if not runs.saved:
        return ""
    return (
        f" Methods about which everything was decided early got no more seeds, which saved {runs.saved} of "
        f"{runs.planned} confirmation runs ({100 * runs.saved / runs.planned:.0f} %)."
    )


def _search(plan: PlanRecord) -> str:
    if plan.trials_per_arm == 0:
        return "Nothing was tuned: all methods use the same settings, fixed in advance."
    runs = number_of(plan.trials_per_arm, "search run")
    each = f" in each of {plan.replicates} searches" if plan.replicates > 1 else ""
    start = f"Every method, including the baseline, had {runs}{each}."
    return f"{start} All methods were then run at the same settings, the best ones found by any of them."


def _stopping(plan: PlanRecord, audits: Sequence[StoppingAudit]) -> str:
    if plan.trials_per_arm == 0:
        return "Nothing was searched, and confirmation runs are never stopped."
    if not any(condition.rungs for condition in plan.conditions):
        shorter = any(condition.trial_epochs for condition in plan.conditions)
        what = "trained a complete schedule of a third of the length" if shorter else "was trained to its end"
        return f"No run was stopped: each search run {what}."
    return f"Runs compete only with runs of the same method. {audit_result(audits)}"


def _open(verdicts: Sequence[Verdict]) -> str:
    undecided = sum(verdict.verdict == UNDECIDED for verdict in verdicts)
    equivalent = sum(verdict.verdict == EQUIVALENT for verdict in verdicts)
    return f"Here {equivalent} of {len(verdicts)} claims are equivalent and {undecided} are undecided."


def _images(verdicts: Sequence[Verdict], plan: PlanRecord) -> str:
    if not plan.judges_accuracy:
        return f"This cannot be answered for {plan.unit.figure}, which is not recorded for single images."
    decided = [verdict for verdict in verdicts if verdict.verdict != UNDECIDED]
    narrow = sum(verdict.on_this_test_set for verdict in decided)
    marked = "; they are marked “on this test set”" if narrow else ""
    return f"A second interval also includes the sampling of test images. {_standing(len(decided), narrow)}{marked}."


def _searches(verdicts: Sequence[Verdict], plan: PlanRecord) -> str:
    if plan.trials_per_arm == 0:
        return "Nothing was searched: all claims are about the settings of the study."
    if plan.replicates < SEARCHES_TO_CLAIM:
        searches = "was one search" if plan.replicates == 1 else f"were {plan.replicates} searches"
        return f"There {searches}, too few to generalise: all claims are about the configurations found here."
    decided = [verdict for verdict in verdicts if verdict.verdict != UNDECIDED]
    narrow = sum(verdict.for_these_searches for verdict in decided)
    marked = "; their notes say so" if narrow else ""
    start = f"A third interval includes the variation between {plan.replicates} searches."
    return f"{start} {_standing(len(decided), narrow)}{marked}."


def _standing(decided: int, narrow: int) -> str:
    """Return how many decided claims hold with a wider interval, as a sentence without its full stop."""
    if not decided:
        return "Nothing is decided yet"
    if narrow:
        return f"{narrow} of {decided} decided claims do not hold with it"
    return "All decided claims hold with it"
