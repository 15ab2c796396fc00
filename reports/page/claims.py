"""Every verdict in all the forms in which the report shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.inference import wording as text
from reports.inference.verdicts import Verdict
from trainables.records import UNDECIDED, VERDICTS, PlanRecord

MOST_NAMED = 2
"""Of more conditions with one verdict a sentence gives the number."""
SIGNS: dict[str, str] = dict(zip(VERDICTS, ("▲", "▼", "≈", "○"), strict=True))


@dataclass(frozen=True)
class Claim:
    """One verdict in all the forms in which the page shows it.

    Args:
        verdict: the verdict itself.
        row: its line of the verdict table.
        comparison: what is judged ("mixup", "maxup against maxup_mean").
        description: the condition in words ("on resnet8 with 10 % of the data").
        sign: a sign for the verdict that needs no colour.
        label: the verdict in words.
        figures: the second half of the sentence.
        aside: at which look it was decided, what other searches would say, the seeds that it would need; or empty.
        images: interval over seeds and images.
        matched: effect at the same settings.
        matched_interval: its interval.
        better: share of seeds in which the method won.
        better_interval: its interval.
        values: test figures of the method and the reference.
        colour: the method's.
    """

    verdict: Verdict
    row: text.Row
    comparison: str
    description: str
    sign: str
    label: str
    figures: str
    aside: str
    images: str
    matched: str
    matched_interval: str
    better: str
    better_interval: str
    values: str
    colour: str


def claims(plan: PlanRecord, verdicts: Sequence[Verdict], colours: Mapping[str, str]) -> tuple[Claim, ...]:
    """Return one an entry of the family, in order.

    Args:
        plan: the study's plan.
        verdicts: one an entry of the family.
        colours: of every method.
    """
    digits = text.digits_for(verdicts)
    return tuple(
        Claim(
            verdict=verdict,
            row=row,
            comparison=text.comparison(verdict, plan),
            description=plan.condition(verdict.condition).description,
            sign=SIGNS[verdict.verdict],
            label=text.label(verdict),
            figures=text.figures(verdict, plan, digits),
            aside=" ".join(
                filter(None, (text.reach_sentence(verdict, plan, digits), text.seeds_sentence(verdict, plan)))
            ),
            images=text.interval(verdict.images, digits, plan.unit) if verdict.images else "",
            matched=text.points(verdict.matched.mean, digits, plan.unit) if verdict.matched else "",
            matched_interval=text.interval(verdict.matched.interval, digits, plan.unit) if verdict.matched else "",
            better=text.share(verdict.improvement) if verdict.improvement else "",
            better_interval=text.share_interval(verdict.improvement) if verdict.improvement else "",
            values=text.values(verdict),
            colour=colours[verdict.method],
        )
        for verdict, row in zip(verdicts, text.verdict_table(verdicts), strict=True)
    )


@dataclass(frozen=True)
class Comparison:
    """All claims of one comparison, under every condition.

    Args:
        name: what is judged ("mixup", "maxup against maxup_mean").
        method: display name of the method.
        colour: the method's.
        sentence: the verdicts of all conditions; empty where there is one condition, whose claim says it.
        claims: one a condition.
    """

    name: str
    method: str
    colour: str
    sentence: str
    claims: tuple[Claim, ...]


def comparisons(claims: Sequence[Claim]) -> tuple[Comparison, ...]:
    """Return the claims with those of one comparison together, in the order of first appearance."""
    groups: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        groups.setdefault((claim.verdict.method, claim.verdict.reference), []).append(claim)
    return tuple(
        Comparison(own[0].comparison, own[0].verdict.method, own[0].colour, _sentence(own), tuple(own))
        for own in groups.values()
    )


def _sentence(claims: Sequence[Claim]) -> str:
    """Return `helps on resnet8 with 10 % of the data; undecided in 2 of 3 conditions`, the decided verdicts first."""
    if len(claims) == 1:
        return ""
    parts = []
    for name in VERDICTS:
        own = [claim for claim in claims if claim.verdict.tuned and claim.verdict.verdict == name]
        if len(own) == len(claims):
            return f"{name} in all {len(claims)} conditions"
        if own and len(own) <= MOST_NAMED and name != UNDECIDED:
            parts.append(f"{name} {', '.join(claim.description for claim in own)}")
        elif own:
            parts.append(f"{name} in {len(own)} of {len(claims)} conditions")
    unanswered = sum(claim.verdict.tuned is None for claim in claims)
    if unanswered == len(claims):
        return f"no answer yet in all {len(claims)} conditions"
    if unanswered:
        parts.append(f"no answer yet in {unanswered} of {len(claims)} conditions")
    return "; ".join(parts)


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return how many claims got which verdict: `10 claims: helps in 1, undecided in 9.`"""
    if not verdicts:
        return "The study claims nothing: its plan has no contrasts."
    answered = [verdict for verdict in verdicts if verdict.tuned]
    counts = {name: sum(verdict.verdict == name for verdict in answered) for name in VERDICTS}
    parts = [f"{name} in {count}" for name, count in counts.items() if count]
    if len(answered) < len(verdicts):
        parts.append(f"no answer in {len(verdicts) - len(answered)}")
    return f"{len(verdicts)} {'claim' if len(verdicts) == 1 else 'claims'}: {', '.join(parts)}."
