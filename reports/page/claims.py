"""Claims: the verdicts in all textual forms that the report uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.inference import wording as text
from reports.inference.verdicts import Verdict
from trainables.records import UNDECIDED, VERDICTS, PlanRecord, number_of

MOST_NAMED = 2
"""Up to this many conditions with the same verdict are named in a sentence; beyond, they are counted."""
SIGNS: dict[str, str] = dict(zip(VERDICTS, ("▲", "▼", "≈", "○"), strict=True))
"""Sign of each verdict, so that verdicts do not depend on colour."""


@dataclass(frozen=True)
class Claim:
    """One verdict in all textual forms.

    Args:
        verdict: the verdict.
        row: row of the verdict table.
        comparison: what is compared ("mixup", "maxup against maxup_mean").
        description: the condition in words ("on resnet8 with 10 % of the data").
        sign: sign of the verdict, one of `SIGNS`.
        label: the verdict in words.
        figures: effect, interval and seeds, the second half of the sentence.
        notes: caveats of this claim that not all claims share (see `common_notes`).
        aside: the deciding look, the interval over searches and the number of seeds needed; may be empty.
        images: interval over seeds and images.
        matched: effect at the same settings.
        matched_interval: interval of the effect at the same settings.
        better: share of seeds in which the method is better.
        better_interval: interval of that share.
        values: test metric of the method and the reference.
        colour: colour of the method.
    """

    verdict: Verdict
    row: text.Row
    comparison: str
    description: str
    sign: str
    label: str
    figures: str
    notes: tuple[str, ...]
    aside: str
    images: str
    matched: str
    matched_interval: str
    better: str
    better_interval: str
    values: str
    colour: str


def claims(plan: PlanRecord, verdicts: Sequence[Verdict], colours: Mapping[str, str]) -> tuple[Claim, ...]:
    """Return one claim per verdict, in order.

    Args:
        plan: plan of the study.
        verdicts: verdicts of all contrasts of the plan.
        colours: colour of every method.
    """
    digits, common = text.digits_for(verdicts), common_notes(verdicts)
    return tuple(
        Claim(
            verdict=verdict,
            row=row,
            comparison=text.comparison(verdict, plan),
            description=plan.condition(verdict.condition).description,
            sign=SIGNS[verdict.verdict],
            label=text.label(verdict),
            figures=text.effect_summary(verdict, plan, digits),
            notes=tuple(note for note in verdict.notes if note not in common),
            aside=" ".join(
                filter(
                    None,
                    (
                        text.reach_sentence(verdict, plan, digits),
                        text.official_sentence(verdict, plan, digits),
                        text.seeds_sentence(verdict, plan),
                    ),
                )
            ),
            images=text.interval(verdict.images, digits, plan.unit) if verdict.images else "",
            matched=text.signed(verdict.matched.mean, digits, plan.unit) if verdict.matched else "",
            matched_interval=text.interval(verdict.matched.interval, digits, plan.unit) if verdict.matched else "",
            better=text.share(verdict.improvement) if verdict.improvement else "",
            better_interval=text.share_interval(verdict.improvement) if verdict.improvement else "",
            values=text.values(verdict),
            colour=colours[verdict.method],
        )
        for verdict, row in zip(verdicts, text.verdict_table(verdicts), strict=True)
    )


def common_notes(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """Return the caveats that all of several verdicts have; a report states them once."""
    if len(verdicts) < 2:
        return ()
    return tuple(note for note in verdicts[0].notes if all(note in verdict.notes for verdict in verdicts))


@dataclass(frozen=True)
class Comparison:
    """All claims of one comparison, one per condition.

    Args:
        name: what is compared ("mixup", "maxup against maxup_mean").
        method: display name of the method.
        colour: colour of the method.
        sentence: summary of the verdicts; empty for a single condition, whose claim states the same.
        claims: claims of all conditions.
    """

    name: str
    method: str
    colour: str
    sentence: str
    claims: tuple[Claim, ...]


def comparisons(claims: Sequence[Claim]) -> tuple[Comparison, ...]:
    """Return the claims grouped by comparison, in the order of first appearance."""
    groups: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        groups.setdefault((claim.verdict.method, claim.verdict.reference), []).append(claim)
    return tuple(
        Comparison(own[0].comparison, own[0].verdict.method, own[0].colour, _sentence(own), tuple(own))
        for own in groups.values()
    )


def _sentence(claims: Sequence[Claim]) -> str:
    """Return a summary such as `helps on resnet8 with 10 % of the data; undecided in 2 of 3 conditions`."""
    if len(claims) == 1:
        return ""
    everywhere = "in both conditions" if len(claims) == 2 else f"in all {len(claims)} conditions"
    parts = []
    for name in VERDICTS:
        own = [claim for claim in claims if claim.verdict.tuned and claim.verdict.verdict == name]
        if len(own) == len(claims):
            return f"{name} {everywhere}"
        if own and len(own) <= MOST_NAMED and name != UNDECIDED:
            parts.append(f"{name} {', '.join(claim.description for claim in own)}")
        elif own:
            parts.append(f"{name} in {len(own)} of {len(claims)} conditions")
    unanswered = sum(claim.verdict.tuned is None for claim in claims)
    if unanswered == len(claims):
        return f"no answer yet {everywhere}"
    if unanswered:
        parts.append(f"no answer yet in {unanswered} of {len(claims)} conditions")
    return "; ".join(parts)


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return the number of claims by verdict: `10 claims: helps in 1, undecided in 9.`"""
    if not verdicts:
        return "The study makes no claims: its plan has no contrasts."
    answered = [verdict for verdict in verdicts if verdict.tuned]
    counts = {name: sum(verdict.verdict == name for verdict in answered) for name in VERDICTS}
    parts = [f"{name} in {count}" for name, count in counts.items() if count]
    if len(answered) < len(verdicts):
        parts.append(f"no answer in {len(verdicts) - len(answered)}")
    return f"{number_of(len(verdicts), 'claim')}: {', '.join(parts)}."
