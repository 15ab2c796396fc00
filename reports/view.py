"""What the page and the Markdown show, in their order. Everything is worded and rounded here; templates only
lay out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reports import text
from reports.curves import ArmCurves, arm_curves
from reports.figures import Figure, curve_ranges, effect_figure, effect_range, learning_figure
from reports.frames import Study
from reports.overview import ArmSummary, Audit, Pooled, audit, missing, pooled_points, summarise_arms
from reports.palette import method_colours
from reports.plan import Condition, Plan
from reports.questions import Question, questions
from reports.verdicts import Verdict
from trainables.records import VERDICTS

SIGNS: dict[str, str] = dict(zip(VERDICTS, ("▲", "▼", "≈", "○"), strict=True))


@dataclass(frozen=True)
class Picture:
    """A Plotly figure.

    Args:
        json: data and layout, safe inside a `script` element.
        height: pixels.
        label: what it shows, for those who cannot see it.
    """

    json: str
    height: int
    label: str


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
        aside: the seeds that it would need, or empty.
        images: interval over seeds and images.
        matched: effect at the same settings, and its interval.
        better: share of seeds in which the method won, and its interval.
        accuracies: of the method and the reference.
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
    accuracies: str
    colour: str


@dataclass(frozen=True)
class Panel:
    """The learning curves of one arm."""

    method: str
    colour: str
    source: str
    picture: Picture


@dataclass(frozen=True)
class ConditionView:
    """What is shown once a condition.

    Args:
        condition: the condition.
        effects: effects with intervals.
        panels: learning curves of its arms.
        reference: display name of the reference, or None.
        pool: the pooled points, None while they are not chosen.
        factors: names of the pooled settings, in the order of first appearance.
    """

    condition: Condition
    effects: Picture | None
    panels: tuple[Panel, ...]
    reference: str | None
    pool: tuple[Pooled, ...] | None
    factors: tuple[str, ...]


@dataclass(frozen=True)
class ArmView:
    """How an arm's runs ended, and the audit of its early stopping."""

    summary: ArmSummary
    audit: Audit
    colour: str
    plain_epochs: str
    time: str


@dataclass(frozen=True)
class View:
    """The whole report.

    Args:
        plan: the study's plan.
        updated: time of the newest entry, or empty.
        missing: what the study still lacks, in sentences.
        summary: how many claims got which verdict, in one sentence.
        smallest: the smallest effect of interest ("0.5 points").
        claims: one an entry of the family, in order.
        answers: the same, those of one method together.
        conditions: one a condition.
        questions: question, common mistake, our answer.
        arms: one an arm.
        facts: versions, machine and data, flat.
    """

    plan: Plan
    updated: str
    missing: tuple[str, ...]
    summary: str
    smallest: str
    claims: tuple[Claim, ...]
    answers: tuple[Claim, ...]
    conditions: tuple[ConditionView, ...]
    questions: tuple[Question, ...]
    arms: tuple[ArmView, ...]
    facts: tuple[tuple[str, str], ...]


def build_view(study: Study, verdicts: Sequence[Verdict]) -> View:
    """Return everything that the templates need.

    Args:
        study: the study.
        verdicts: what `judge` says about it.
    """
    plan = study.plan
    references = [arm.method for arm in plan.arms if arm.reference]
    colours = method_colours(plan.methods, references)
    arms = tuple(_arm(study, summary, colours) for summary in summarise_arms(study))
    claims = _claims(plan, verdicts, colours)
    return View(
        plan=plan,
        updated=_time(study.updated),
        missing=tuple(missing([arm.summary for arm in arms])),
        summary=_summary(verdicts),
        smallest=text.magnitude(plan.smallest_effect),
        claims=claims,
        answers=_by_comparison(claims),
        conditions=_conditions(study, verdicts, colours),
        questions=questions(plan, verdicts, [arm.audit for arm in arms]),
        arms=arms,
        facts=tuple(_flat(study.facts)),
    )


def _claims(plan: Plan, verdicts: Sequence[Verdict], colours: Mapping[str, str]) -> tuple[Claim, ...]:
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
            aside=text.seeds_sentence(verdict, plan),
            images=text.interval(verdict.images, digits) if verdict.images else "",
            matched=text.points(verdict.matched.mean, digits) if verdict.matched else "",
            matched_interval=text.interval(verdict.matched.interval, digits) if verdict.matched else "",
            better=text.share(verdict.improvement) if verdict.improvement else "",
            better_interval=text.share_interval(verdict.improvement) if verdict.improvement else "",
            accuracies=text.accuracies(verdict),
            colour=colours[verdict.method],
        )
        for verdict, row in zip(verdicts, text.verdict_table(verdicts), strict=True)
    )


def _by_comparison(claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """Return the claims with those of one comparison together, in the order of first appearance."""
    order = {pair: index for index, pair in enumerate(dict.fromkeys(map(_pair, claims)))}
    return tuple(sorted(claims, key=lambda claim: order[_pair(claim)]))


def _pair(claim: Claim) -> tuple[str, str]:
    return claim.verdict.method, claim.verdict.reference


def _summary(verdicts: Sequence[Verdict]) -> str:
    """Return how many claims got which verdict: `10 claims: helps in 1, undecided in 9.`"""
    if not verdicts:
        return "The study claims nothing: its plan has no contrasts."
    answered = [verdict for verdict in verdicts if verdict.tuned]
    counts = {name: sum(verdict.verdict == name for verdict in answered) for name in VERDICTS}
    parts = [f"{name} in {count}" for name, count in counts.items() if count]
    if len(answered) < len(verdicts):
        parts.append(f"no answer in {len(verdicts) - len(answered)}")
    return f"{len(verdicts)} {'claim' if len(verdicts) == 1 else 'claims'}: {', '.join(parts)}."


def _conditions(study: Study, verdicts: Sequence[Verdict], colours: Mapping[str, str]) -> tuple[ConditionView, ...]:
    plan = study.plan
    limits, digits = effect_range(verdicts, plan.smallest_effect), text.digits_for(verdicts)
    views = []
    for condition in plan.conditions:
        own = [verdict for verdict in verdicts if verdict.condition == condition.name]
        answered = any(verdict.tuned for verdict in own)
        figure = effect_figure(own, plan, colours, limits=limits, digits=digits) if answered else None
        pool = pooled_points(study, condition.name)
        views.append(
            ConditionView(
                condition=condition,
                effects=_picture(figure, f"Effects {condition.description}") if figure else None,
                panels=_panels(study, condition, colours),
                reference=plan.reference(condition.name),
                pool=pool,
                factors=tuple(dict.fromkeys(name for point in pool or () for name in point.values)),
            )
        )
    return tuple(views)


def _panels(study: Study, condition: Condition, colours: Mapping[str, str]) -> tuple[Panel, ...]:
    arms = [arm for arm in study.plan.arms if arm.condition == condition.name]
    found = [curves for curves in (arm_curves(study, arm) for arm in arms) if curves is not None]
    name = study.plan.reference(condition.name)
    reference = next((curves for curves in found if curves.method == name), None)
    ranges = curve_ranges(found)

    def panel(curves: ArmCurves) -> Panel:
        figure = learning_figure(curves, reference, ranges, colours)
        label = f"Learning curves of {curves.method} {condition.description}"
        return Panel(curves.method, colours[curves.method], curves.source, _picture(figure, label))

    return tuple(panel(curves) for curves in found)


def _arm(study: Study, summary: ArmSummary, colours: Mapping[str, str]) -> ArmView:
    return ArmView(
        summary=summary,
        audit=audit(study, summary.arm),
        colour=colours[summary.arm.method],
        plain_epochs=f"{summary.plain_epochs:,.0f}",
        time=_duration(summary.seconds),
    )


def _picture(figure: Figure, label: str) -> Picture:
    """Return the figure for embedding: nothing in it can end a `script` element."""
    content = json.dumps(figure, allow_nan=False, separators=(",", ":"))
    for mark in ("<", ">", "&", "\u2028", "\u2029"):
        content = content.replace(mark, f"\\u{ord(mark):04x}")
    return Picture(content, int(figure["layout"]["height"]), label)


def _flat(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested facts as pairs of dotted names and plain values."""
    pairs = []
    for key, value in facts.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            pairs.append((f"{prefix}{key}", ", ".join(str(entry) for entry in value)))
        else:
            pairs.append((f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)))
    return pairs


def _time(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _duration(seconds: float) -> str:
    """Return a duration in the two largest units: `1 h 20 min`, `3 min 5 s`."""
    total = round(seconds)
    hours, minutes = divmod(total // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {total % 60} s" if minutes else f"{total} s"
