"""Verdicts in words and tables: the one place where figures are rounded, for terminal, page and Markdown
alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from reports.estimators import Interval, Proportion
from reports.plan import Plan
from reports.significance import MOST_SEEDS, SeedsNeeded
from reports.verdicts import Effect, Verdict
from trainables.records import EQUIVALENT

NARROW = 0.01
"""An interval below one point of width needs a second decimal."""


@dataclass(frozen=True)
class Row:
    """One line of the verdict table, ready to print. Effects are in percentage points of test accuracy.

    Args:
        condition: name of the condition.
        method: what is judged.
        against: its reference.
        verdict: the verdict with its qualifications.
        effect: tuned effect, each arm at its own best point.
        interval: its 95 % interval.
        matched: effect at the same settings, with its interval.
        better: share of seeds in which the method is better, with its interval.
        seeds: pairs that count, of those planned.
        notes: what weakens the claim.
    """

    condition: str
    method: str
    against: str
    verdict: str
    effect: str
    interval: str
    matched: str
    better: str
    seeds: str
    notes: str


HEADINGS = Row(
    condition="condition",
    method="method",
    against="against",
    verdict="verdict",
    effect="effect (points)",
    interval="95 % interval",
    matched="at the same settings",
    better="better in",
    seeds="seeds",
    notes="what weakens it",
)


def verdict_table(verdicts: Sequence[Verdict]) -> list[Row]:
    """Return the verdicts as rows of text, in their order."""
    digits = digits_for(verdicts)
    return [
        Row(
            condition=verdict.condition,
            method=verdict.method,
            against=verdict.reference,
            verdict=label(verdict),
            effect=points(verdict.tuned.mean, digits) if verdict.tuned else "",
            interval=interval(verdict.tuned.interval, digits) if verdict.tuned else "",
            matched=effect(verdict.matched, digits) if verdict.matched else "",
            better=chance(verdict.improvement) if verdict.improvement else "",
            seeds=f"{verdict.seeds}/{verdict.planned_seeds}",
            notes=" ".join(verdict.notes),
        )
        for verdict in verdicts
    ]


def markdown_table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table; names cannot break out of their cells."""
    lines = [astuple(HEADINGS), ("---",) * len(astuple(HEADINGS)), *(astuple(row) for row in rows)]
    return "\n".join(f"| {' | '.join(markdown(cell) for cell in line)} |" for line in lines)


def sentence(verdict: Verdict, plan: Plan, digits: int) -> str:
    """Return the answer in one sentence, such as

    "mixup on resnet8 with 10 % of the data: undecided; +0.4 points, 95 % interval −0.9 to +1.7, 6 seeds."
    """
    return f"{subject(verdict, plan)}: {label(verdict)}{figures(verdict, plan, digits)}"


def subject(verdict: Verdict, plan: Plan) -> str:
    """Return what is judged: `mixup on resnet8 with 10 % of the data`."""
    return f"{comparison(verdict, plan)} {plan.condition(verdict.condition).description}"


def comparison(verdict: Verdict, plan: Plan) -> str:
    """Return the method, and what it is held against unless that is the condition's reference."""
    usual = plan.reference(verdict.condition) == verdict.reference
    return verdict.method if usual else f"{verdict.method} against {verdict.reference}"


def figures(verdict: Verdict, plan: Plan, digits: int) -> str:
    """Return what follows the verdict in its sentence: effect, interval and seeds."""
    if verdict.tuned is None:
        return "; no seed is finished in both arms."
    parts = [f"{points(verdict.tuned.mean, digits)} points"]
    if verdict.tuned.interval:
        parts.append(f"95 % interval {interval(verdict.tuned.interval, digits)}")
    parts.append("1 seed" if verdict.seeds == 1 else f"{verdict.seeds} seeds")
    apart = f", less than {magnitude(plan.smallest_effect)} apart"
    return f"{apart if verdict.verdict == EQUIVALENT else ''}; {', '.join(parts)}."


def seeds_sentence(verdict: Verdict, plan: Plan) -> str:
    """Return how many seeds an undecided contrast would need, or an empty string while its runs still come."""
    needed = verdict.seeds_needed
    if needed is None or verdict.provisional:
        return ""
    goal = f"To find a true effect of {magnitude(plan.smallest_effect)} here would take"
    if needed.low is None:
        return f"{goal} more than {MOST_SEEDS} seeds."
    return f"{goal} {seeds_range(needed)}."


def seeds_range(needed: SeedsNeeded) -> str:
    """Return the range of seeds: `29 to 381 seeds, likely about 67`."""
    high = f"more than {MOST_SEEDS}" if needed.high is None else str(needed.high)
    likely = "" if needed.likely is None else f", likely about {needed.likely}"
    return f"{needed.low} to {high} seeds{likely}"


def label(verdict: Verdict) -> str:
    """Return the verdict with its qualifications: `helps on this test set, so far`."""
    if verdict.tuned is None:
        return "no answer yet" if verdict.provisional else "no answer"
    qualified = f"{verdict.verdict} on this test set" if verdict.on_this_test_set else verdict.verdict
    return f"{qualified}, so far" if verdict.provisional else qualified


def digits_for(verdicts: Sequence[Verdict]) -> int:
    """Return the decimals of percentage points that all verdicts of a study are shown with."""
    intervals = [verdict.tuned.interval for verdict in verdicts if verdict.tuned and verdict.tuned.interval]
    return 2 if any(0 < found.high - found.low < NARROW for found in intervals) else 1


def points(fraction: float, digits: int) -> str:
    """Return a difference in percentage points with its sign: `+0.4`, `−0.9`, `0.0`."""
    rounded = round(100 * fraction, digits)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return f"{sign}{abs(rounded):.{digits}f}"


def magnitude(fraction: float) -> str:
    """Return a size in percentage points, without sign and needless digits: `0.5 points`, `1 point`."""
    words = f"{100 * fraction:.3g}"
    return f"{words} point" if words == "1" else f"{words} points"


def accuracies(verdict: Verdict) -> str:
    """Return the test accuracies of the method and its reference: `88.5 from 85.9 %`, or an empty string."""
    if verdict.accuracy is None or verdict.reference_accuracy is None:
        return ""
    return f"{100 * verdict.accuracy:.1f} from {100 * verdict.reference_accuracy:.1f} %"


def interval(found: Interval | None, digits: int) -> str:
    """Return an interval in percentage points: `−0.9 to +1.7`, or `none`."""
    return "none" if found is None else f"{points(found.low, digits)} to {points(found.high, digits)}"


def effect(found: Effect, digits: int) -> str:
    """Return an effect with its interval: `+0.4 (−0.9 to +1.7)`."""
    return f"{points(found.mean, digits)} ({interval(found.interval, digits)})"


def chance(found: Proportion) -> str:
    """Return a probability with its interval: `67 % (22 to 96)`."""
    return f"{share(found)} ({share_interval(found)})"


def share(found: Proportion) -> str:
    """Return a probability in percent: `67 %`."""
    return f"{100 * found.share:.0f} %"


def share_interval(found: Proportion) -> str:
    """Return the interval of a probability in percent: `22 to 96`."""
    return f"{100 * found.interval.low:.0f} to {100 * found.interval.high:.0f}"


def markdown(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    for mark, shown in (
        ("\\", "\\\\"),
        ("|", "\\|"),
        ("`", "\\`"),
        ("*", "\\*"),
        ("[", "\\["),
        ("&", "&amp;"),
    ):
        text = text.replace(mark, shown)
    return " ".join(text.replace("<", "&lt;").replace(">", "&gt;").split())


def verdict_records(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return the verdicts as flat records with unrounded figures, for CSV and JSON; effects in percentage
    points."""
    return [
        {
            "condition": verdict.condition,
            "method": verdict.method,
            "reference": verdict.reference,
            "verdict": verdict.verdict,
            "on_this_test_set": verdict.on_this_test_set,
            "provisional": verdict.provisional,
            "seeds": verdict.seeds,
            "planned_seeds": verdict.planned_seeds,
            "accuracy": verdict.accuracy,
            "reference_accuracy": verdict.reference_accuracy,
            **_effect_record("tuned", verdict.tuned),
            **_interval_record("tuned_images", verdict.images),
            **_effect_record("matched", verdict.matched),
            "sign_flip_p": verdict.sign_flip_p,
            "equivalence_p": verdict.equivalence_p,
            "equivalence_p_adjusted": verdict.equivalence_p_adjusted,
            "better": verdict.improvement.share if verdict.improvement else None,
            "better_low": verdict.improvement.interval.low if verdict.improvement else None,
            "better_high": verdict.improvement.interval.high if verdict.improvement else None,
            "seeds_needed_low": verdict.seeds_needed.low if verdict.seeds_needed else None,
            "seeds_needed_high": verdict.seeds_needed.high if verdict.seeds_needed else None,
            "notes": " ".join(verdict.notes),
        }
        for verdict in verdicts
    ]


def _effect_record(name: str, found: Effect | None) -> dict[str, float | None]:
    return {
        f"{name}_points": 100 * found.mean if found else None,
        **_interval_record(name, found.interval if found else None),
        **_interval_record(f"{name}_bca", found.bca if found else None),
        f"{name}_p": found.p if found else None,
        f"{name}_p_adjusted": found.p_adjusted if found else None,
    }


def _interval_record(name: str, found: Interval | None) -> dict[str, float | None]:
    return {
        f"{name}_low": 100 * found.low if found else None,
        f"{name}_high": 100 * found.high if found else None,
    }
