"""Verdicts in words and tables: the one place where figures are rounded, for terminal, page and Markdown
alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from reports.inference.verdicts import Effect, Verdict
from reports.statistics.estimators import Interval, Proportion
from reports.statistics.significance import MOST_SEEDS, SeedsNeeded
from trainables.records import EQUIVALENT, POINTS, PlanRecord, Unit, unit_of

NARROW = 10
"""An interval below so many steps of the last decimal needs one decimal more."""


@dataclass(frozen=True)
class Row:
    """One line of the verdict table, ready to print. Effects are in the study's unit, percentage points or nats.

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


def headings(unit: Unit = POINTS) -> Row:
    """Return the headings of the verdict table."""
    return Row(
        condition="condition",
        method="method",
        against="against",
        verdict="verdict",
        effect=f"effect ({unit.many})",
        interval="95 % interval",
        matched="at the same settings",
        better="better in",
        seeds="seeds",
        notes="what weakens it",
    )


def verdict_table(verdicts: Sequence[Verdict]) -> list[Row]:
    """Return the verdicts as rows of text, in their order."""
    digits = digits_for(verdicts)
    return [_row(verdict, digits) for verdict in verdicts]


def _row(verdict: Verdict, digits: int) -> Row:
    unit = unit_of(verdict.metric)
    return Row(
        condition=verdict.condition,
        method=verdict.method,
        against=verdict.reference,
        verdict=label(verdict),
        effect=points(verdict.tuned.mean, digits, unit) if verdict.tuned else "",
        interval=interval(verdict.tuned.interval, digits, unit) if verdict.tuned else "",
        matched=effect(verdict.matched, digits, unit) if verdict.matched else "",
        better=chance(verdict.improvement) if verdict.improvement else "",
        seeds=f"{verdict.seeds}/{verdict.planned_seeds}",
        notes=" ".join(verdict.notes),
    )


def markdown_table(rows: Sequence[Row], unit: Unit = POINTS) -> str:
    """Return the rows as a Markdown table; names cannot break out of their cells."""
    first = astuple(headings(unit))
    lines = [first, ("---",) * len(first), *(astuple(row) for row in rows)]
    return "\n".join(f"| {' | '.join(markdown(cell) for cell in line)} |" for line in lines)


def row_sentence(row: Row, unit: Unit) -> str:
    """Return a line of the verdict table as a line of text."""
    found = f"; {row.effect} {unit.many}, 95 % interval {row.interval}" if row.effect else ""
    return f"{row.method} against {row.against}, {row.condition}: {row.verdict}{found}; {row.seeds} seeds"


def sentence(verdict: Verdict, plan: PlanRecord, digits: int) -> str:
    """Return the answer in one sentence, such as

    "mixup on resnet8 with 10 % of the data: undecided; +0.4 points, 95 % interval −0.9 to +1.7, 6 seeds."
    """
    return f"{subject(verdict, plan)}: {label(verdict)}{figures(verdict, plan, digits)}"


def subject(verdict: Verdict, plan: PlanRecord) -> str:
    """Return what is judged: `mixup on resnet8 with 10 % of the data`."""
    return f"{comparison(verdict, plan)} {plan.condition(verdict.condition).description}"


def comparison(verdict: Verdict, plan: PlanRecord) -> str:
    """Return the method, and what it is held against unless that is the condition's reference."""
    usual = plan.reference(verdict.condition) == verdict.reference
    return verdict.method if usual else f"{verdict.method} against {verdict.reference}"


def figures(verdict: Verdict, plan: PlanRecord, digits: int) -> str:
    """Return what follows the verdict in its sentence: effect, interval and seeds."""
    if verdict.tuned is None:
        return "; no seed is finished in both arms."
    unit = plan.unit
    parts = [f"{points(verdict.tuned.mean, digits, unit)} {unit.many}"]
    if verdict.tuned.interval:
        parts.append(f"95 % interval {interval(verdict.tuned.interval, digits, unit)}")
    parts.append("1 seed" if verdict.seeds == 1 else f"{verdict.seeds} seeds")
    apart = f", less than {magnitude(plan.smallest_effect, unit)} apart"
    return f"{apart if verdict.verdict == EQUIVALENT else ''}; {', '.join(parts)}."


def reach_sentence(verdict: Verdict, plan: PlanRecord, digits: int) -> str:
    """Return at which look a claim was decided, and what other searches would say; empty where there is neither."""
    sentences = []
    if verdict.look is not None and verdict.look < plan.seeds:
        sentences.append(f"Decided at the look at {verdict.look} of at most {plan.seeds} seeds.")
    if verdict.other_searches:
        found = interval(verdict.other_searches, digits, plan.unit)
        sentences.append(f"Over seeds and {verdict.searches} searches: {found} {plan.unit.many}.")
    return " ".join(sentences)


def seeds_sentence(verdict: Verdict, plan: PlanRecord) -> str:
    """Return how many seeds an undecided contrast would need, or an empty string while its runs still come."""
    needed = verdict.seeds_needed
    if needed is None or verdict.provisional:
        return ""
    goal = f"To find a true effect of {magnitude(plan.smallest_effect, plan.unit)} here would take"
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
    """Return the decimals that the effects of all verdicts of a study are shown with."""
    unit = unit_of(verdicts[0].metric) if verdicts else POINTS
    return decimals([verdict.tuned.interval for verdict in verdicts if verdict.tuned], unit)


def decimals(intervals: Iterable[Interval | None], unit: Unit = POINTS) -> int:
    """Return the decimals that show the narrowest of some intervals."""
    narrow = NARROW * 10**-unit.digits / unit.scale
    return unit.digits + any(found is not None and 0 < found.high - found.low < narrow for found in intervals)


def points(difference: float, digits: int, unit: Unit = POINTS) -> str:
    """Return a difference in its unit with its sign: `+0.4`, `−0.9`, `0.0`."""
    rounded = round(unit.scale * difference, digits)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return f"{sign}{abs(rounded):.{digits}f}"


def magnitude(difference: float, unit: Unit = POINTS) -> str:
    """Return a size in its unit, without sign and needless digits: `0.5 points`, `1 point`."""
    words = f"{unit.scale * difference:.3g}"
    return f"{words} {unit.one if words == '1' else unit.many}"


def values(verdict: Verdict) -> str:
    """Return the test figures of the method and its reference: `88.5 from 85.9 %`, or an empty string."""
    if verdict.value is None or verdict.reference_value is None:
        return ""
    unit = unit_of(verdict.metric)
    own, other = (f"{unit.scale * value:.{unit.digits}f}" for value in (verdict.value, verdict.reference_value))
    return f"{own} from {other} {'%' if unit.many == POINTS.many else unit.many}"


def interval(found: Interval | None, digits: int, unit: Unit = POINTS) -> str:
    """Return an interval in its unit: `−0.9 to +1.7`, or `none`."""
    return "none" if found is None else f"{points(found.low, digits, unit)} to {points(found.high, digits, unit)}"


def effect(found: Effect, digits: int, unit: Unit = POINTS) -> str:
    """Return an effect with its interval: `+0.4 (−0.9 to +1.7)`."""
    return f"{points(found.mean, digits, unit)} ({interval(found.interval, digits, unit)})"


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
