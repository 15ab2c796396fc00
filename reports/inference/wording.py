"""Wording of verdicts: sentences, tables and rounded numbers, shared by terminal, page and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from reports.inference.verdicts import Effect, Verdict
from reports.statistics.estimators import Interval, Proportion
from reports.statistics.significance import MOST_SEEDS, SeedsNeeded
from trainables.records import EQUIVALENT, POINTS, PlanRecord, Unit, number_of
from trainables.records.characters import visible

NARROW = 10
"""If an interval is narrower than this many steps of the last decimal, one more decimal is shown."""


@dataclass(frozen=True)
class Row:
    """Row of the verdict table, as text. Effects are in the unit of the study, percentage points or nats.

    Args:
        condition: name of the condition.
        method: display name of the method.
        against: display name of the reference.
        verdict: the verdict with its qualifications.
        effect: effect with each arm at its own best point.
        interval: 95 % interval of the effect.
        matched: effect with both arms at the same points, with its interval.
        better: share of seeds in which the method is better, with its interval.
        seeds: number of pairs that count, and number planned.
        notes: caveats.
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
    """Return the headings of the verdict table, for effects in the given unit."""
    return Row(
        condition="condition",
        method="method",
        against="against",
        verdict="verdict",
        effect=f"effect ({unit.many})",
        interval="95 % interval",
        matched="at the same settings",
        better="better in (share of seeds)",
        seeds="seeds",
        notes="caveats",
    )


def verdict_table(verdicts: Sequence[Verdict]) -> list[Row]:
    """Return the verdicts as rows of the verdict table, in order."""
    digits = digits_for(verdicts)
    return [_row(verdict, digits) for verdict in verdicts]


def _row(verdict: Verdict, digits: int) -> Row:
    unit = verdict.unit
    return Row(
        condition=verdict.condition,
        method=verdict.method,
        against=verdict.reference,
        verdict=label(verdict),
        effect=signed(verdict.tuned.mean, digits, unit) if verdict.tuned else "",
        interval=interval(verdict.tuned.interval, digits, unit) if verdict.tuned else "",
        matched=effect_with_interval(verdict.matched, digits, unit) if verdict.matched else "",
        better=share_with_interval(verdict.improvement) if verdict.improvement else "",
        seeds=f"{verdict.seeds}/{verdict.planned_seeds}",
        notes=" ".join(verdict.notes),
    )


def markdown_table(rows: Sequence[Row], unit: Unit = POINTS) -> str:
    """Return the rows as a Markdown table, with special characters escaped."""
    first = astuple(headings(unit))
    lines = [first, ("---",) * len(first), *(astuple(row) for row in rows)]
    return "\n".join(f"| {' | '.join(escape_markdown(cell) for cell in line)} |" for line in lines)


def row_sentence(row: Row, unit: Unit) -> str:
    """Return a row of the verdict table as one line of text."""
    found = f"; {row.effect} {unit.many}, 95 % interval {row.interval}" if row.effect else ""
    seeds = "1 seed" if row.seeds == "1" else f"{row.seeds} seeds"
    return f"{row.method} against {row.against}, {row.condition}: {row.verdict}{found}; {seeds}"


def sentence(verdict: Verdict, plan: PlanRecord, digits: int) -> str:
    """Return the verdict in one sentence.

    Example: "mixup on resnet8 with 10 % of the data: undecided; +0.4 points, 95 % interval −0.9 to +1.7, 6 seeds."
    """
    return f"{subject(verdict, plan)}: {label(verdict)}{effect_summary(verdict, plan, digits)}"


def subject(verdict: Verdict, plan: PlanRecord) -> str:
    """Return the comparison and the condition: `mixup on resnet8 with 10 % of the data`."""
    return f"{comparison(verdict, plan)} {plan.condition(verdict.condition).description}"


def comparison(verdict: Verdict, plan: PlanRecord) -> str:
    """Return the method, followed by `against ...` unless it is compared with the reference of the condition."""
    usual = plan.reference(verdict.condition) == verdict.reference
    return verdict.method if usual else f"{verdict.method} against {verdict.reference}"


def effect_summary(verdict: Verdict, plan: PlanRecord, digits: int) -> str:
    """Return effect, interval and number of seeds, the second half of the sentence."""
    if verdict.tuned is None:
        return "; no seed has finished in both arms."
    unit = plan.unit
    parts = [f"{signed(verdict.tuned.mean, digits, unit)} {unit.many}"]
    if verdict.tuned.interval:
        parts.append(f"95 % interval {interval(verdict.tuned.interval, digits, unit)}")
    parts.append(number_of(verdict.seeds, "seed"))
    margin = f", less than {unit.amount(plan.smallest_effect)} apart" if verdict.verdict == EQUIVALENT else ""
    return f"{margin}; {', '.join(parts)}."


def reach_sentence(verdict: Verdict, plan: PlanRecord, digits: int) -> str:
    """Return the look at which a claim was decided early, and its interval over searches; empty if neither exists."""
    sentences = []
    if verdict.look is not None and verdict.look < plan.seeds:
        look = "" if plan.open_ended else " at the interim look"
        sentences.append(f"Decided{look} after {verdict.look} of at most {plan.seeds} seeds.")
    if verdict.other_searches:
        found = interval(verdict.other_searches, digits, plan.unit)
        sentences.append(f"95 % interval over seeds and {verdict.searches} searches: {found} {plan.unit.many}.")
    return " ".join(sentences)


def official_sentence(verdict: Verdict, plan: PlanRecord, digits: int) -> str:
    """Return the effect on the official test images alone; empty if they are all the test images."""
    if verdict.official is None:
        return ""
    unit, found = plan.unit, verdict.official.interval
    held = f", 95 % interval {interval(found, digits, unit)}" if found else ""
    return (
        "Based on test images and unused development images; on the official test images alone: "
        f"{signed(verdict.official.mean, digits, unit)} {unit.many}{held}."
    )


def seeds_sentence(verdict: Verdict, plan: PlanRecord) -> str:
    """Return how many seeds an undecided claim would need; empty if it is decided or still provisional."""
    needed = verdict.seeds_needed
    if needed is None or verdict.provisional:
        return ""
    goal = f"Detecting a true effect of {plan.unit.amount(plan.smallest_effect)} would require"
    if needed.low is None:
        return f"{goal} more than {MOST_SEEDS} seeds."
    return f"{goal} {seeds_range(needed)}."


def seeds_range(needed: SeedsNeeded) -> str:
    """Return the range of required seeds.

    >>> seeds_range(SeedsNeeded(low=29, likely=67, high=381))
    '29 to 381 seeds, probably about 67'
    """
    high = f"more than {MOST_SEEDS}" if needed.high is None else str(needed.high)
    likely = "" if needed.likely is None else f", probably about {needed.likely}"
    return f"{needed.low} to {high} seeds{likely}"


def label(verdict: Verdict) -> str:
    """Return the verdict with its qualifications, such as `helps on this test set, so far`."""
    if verdict.tuned is None:
        return "no answer yet" if verdict.provisional else "no answer"
    qualified = f"{verdict.verdict} on this test set" if verdict.on_this_test_set else verdict.verdict
    return f"{qualified}, so far" if verdict.provisional else qualified


def digits_for(verdicts: Sequence[Verdict]) -> int:
    """Return the number of decimals for the effects of all verdicts of a study."""
    unit = verdicts[0].unit if verdicts else POINTS
    return decimals([verdict.tuned.interval for verdict in verdicts if verdict.tuned], unit)


def decimals(intervals: Iterable[Interval | None], unit: Unit = POINTS) -> int:
    """Return the number of decimals that shows even the narrowest of several intervals."""
    narrow = NARROW * 10**-unit.digits / unit.scale
    return unit.digits + any(found is not None and 0 < found.high - found.low < narrow for found in intervals)


def signed(difference: float, digits: int, unit: Unit = POINTS) -> str:
    """Return a difference in its unit, rounded and with its sign.

    >>> signed(0.0042, 1), signed(-0.0091, 1), signed(-0.0004, 1)
    ('+0.4', '−0.9', '0.0')
    """
    rounded = round(unit.scale * difference, digits)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return f"{sign}{abs(rounded):.{digits}f}"


def values(verdict: Verdict) -> str:
    """Return the test metric of the method and of its reference: `88.5 from 85.9 %`; empty if unknown."""
    if verdict.value is None or verdict.reference_value is None:
        return ""
    unit = verdict.unit
    own, other = (f"{unit.scale * value:.{unit.digits}f}" for value in (verdict.value, verdict.reference_value))
    return f"{own} from {other} {'%' if unit.in_points else unit.many}"


def interval(found: Interval | None, digits: int, unit: Unit = POINTS) -> str:
    """Return an interval in its unit, or `none`.

    >>> interval(Interval(-0.009, 0.017), 1)
    '−0.9 to +1.7'
    """
    return "none" if found is None else f"{signed(found.low, digits, unit)} to {signed(found.high, digits, unit)}"


def effect_with_interval(found: Effect, digits: int, unit: Unit = POINTS) -> str:
    """Return an effect with its interval in its unit: `+0.4 (−0.9 to +1.7)`."""
    return f"{signed(found.mean, digits, unit)} ({interval(found.interval, digits, unit)})"


def share_with_interval(found: Proportion) -> str:
    """Return a proportion in percent with its interval: `67 % (22 to 96)`."""
    return f"{share(found)} ({share_interval(found)})"


def share(found: Proportion) -> str:
    """Return a proportion in percent: `67 %`."""
    return f"{100 * found.share:.0f} %"


def share_interval(found: Proportion) -> str:
    """Return the interval of a proportion in percent: `22 to 96`."""
    return f"{100 * found.interval.low:.0f} to {100 * found.interval.high:.0f}"


def p_value(p: float) -> str:
    """Return a p-value with three decimals.

    >>> p_value(0.0311), p_value(0.00002)
    ('0.031', '< 0.001')
    """
    return f"{p:.3f}" if p >= 0.0005 else "< 0.001"


def escape_markdown(text: str) -> str:
    """Return text on one line, escaped so that Markdown shows it unchanged.

    >>> print(escape_markdown("a|b <c>"))
    a\\|b &lt;c&gt;
    """
    for character, escaped in (
        ("\\", "\\\\"),
        ("|", "\\|"),
        ("`", "\\`"),
        ("*", "\\*"),
        ("[", "\\["),
        ("~", "\\~"),
        ("&", "&amp;"),
        ("@", "&#64;"),  # GitHub would notify whoever is called so
    ):
        text = text.replace(character, escaped)
    return " ".join(map(visible, text.replace("<", "&lt;").replace(">", "&gt;").split()))
