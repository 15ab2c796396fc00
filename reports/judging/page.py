"""Page of judged runs: the sections of a study's report that the runs allow, and what the verdicts are based on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from reports.descriptive.lead_over_epochs import lead_over_epochs
from reports.descriptive.learning_curves import arm_curves
from reports.figures.plots import Curve, curves_figure
from reports.figures.style import shown
from reports.inference import wording as text
from reports.judging.judgement import JudgedRuns
from reports.page.claims import common_notes, summary
from reports.page.context import Context
from reports.page.layout import Block, Picture, Section
from reports.page.sections import answer, effects, factorial, moderation, runs
from reports.page.tables import Column, Number, Table, page_table
from reports.page.view import View
from trainables.records import ConditionRecord

PAIRED_ONLY: tuple[Callable[[Context], Section | None], ...] = (moderation.build, factorial.build)
MOST_POINTS = 200
"""Longer curves are thinned to this many points."""
CURVES = (
    "First figure: the mean over runs after each epoch; the band is one standard deviation on either side. Second "
    "figure, for paired runs: the lead over the reference with its pointwise 95 % interval. The curves describe the "
    "runs; they support no claims beyond the verdicts."
)


def judged_view(judged: JudgedRuns) -> View:
    """Return the content of the report."""
    context = Context(judged.study, judged.verdicts)
    found = [
        answer.build(context),
        _evidence(context, judged),
        effects.build(context),
        *(build(context) for build in (PAIRED_ONLY if judged.paired else ())),
        _curves(context, judged.paired),
        runs.build(context),
    ]
    plan = judged.study.plan
    return View(
        plan=plan,
        updated="",
        missing=(),
        summary=summary(judged.verdicts),
        smallest=plan.unit.amount(plan.smallest_effect),
        claims=context.claims,
        common_notes=common_notes(judged.verdicts),
        sections=tuple(section for section in found if section is not None),
    )


def _evidence(context: Context, judged: JudgedRuns) -> Section:
    """Return which runs were used and left out, what they cannot support, and the values of every arm."""
    evidence = judged.evidence
    parts = {
        "Used": evidence.used,
        "Left out": evidence.left_out or ("Nothing.",),
        "What the runs cannot support": evidence.limits,
    }
    blocks = [Block(heading, sentences=sentences) for heading, sentences in parts.items()]
    values = arm_values(context)
    frame = pd.DataFrame(
        [(kind, line) for kind, lines in parts.items() for line in lines], columns=pd.Index(["kind", "sentence"])
    )
    return Section(
        "evidence",
        "What are the verdicts based on?",
        blocks=(*blocks, Block("Values of every arm", table=_values_table(context, values))),
        data={"evidence": frame, "values": values},
    )


def arm_values(context: Context) -> pd.DataFrame:
    """Return the distribution of the judged metric over the usable runs of every arm, unrounded."""
    metric = context.plan.unit.metric
    grouped = context.study.runs.groupby(["condition", "method"], sort=False)[metric]
    found = grouped.agg(["size", "mean", "std", "min", "max"]).reset_index()
    return found.rename(columns={"size": "runs", "std": "standard_deviation", "min": "lowest", "max": "highest"})


def _values_table(context: Context, values: pd.DataFrame) -> Table:
    unit = context.plan.unit

    def level(value: float) -> str:
        return f"{unit.scale * value:.{unit.digits + 1}f}"

    columns: tuple[Column[Any], ...] = (
        Column("condition", "condition", itemgetter("condition")),
        Column("method", "arm", itemgetter("method")),
        Number("runs", "runs", itemgetter("runs"), "{:,}".format),
        Number("mean", "mean", itemgetter("mean"), level),
        Number("standard_deviation", "standard deviation", itemgetter("standard_deviation"), level),
        Number("lowest", "lowest", itemgetter("lowest"), level),
        Number("highest", "highest", itemgetter("highest"), level),
    )
    scale = "in %" if unit.in_points else f"in {unit.many}"
    caption = f"{unit.figure[:1].upper()}{unit.figure[1:]} of the usable runs, {scale}."
    return page_table(columns, values.to_dict("records"), context.colours, caption, folded=False)


def _curves(context: Context, paired: bool) -> Section | None:
    """Return the curves of the metric, and the leads over the reference; None if no run has several epochs."""
    if context.study.curves.empty:
        return None
    blocks = []
    for number, condition in enumerate(context.plan.conditions, start=1):
        means = _mean_curves(context, condition)
        leads = _lead_curves(context, condition) if paired else []
        metric = context.plan.metric.replace("_", " ") + (", %" if _scale(context) == 100 else "")
        lead = f"lead over {context.plan.reference(condition.name)}"
        blocks += [
            _curve_block(condition, condition.description, means, f"metric-{number}", metric, zero=False),
            _curve_block(condition, f"{condition.description}: {lead}", leads, f"leads-{number}", lead, zero=True),
        ]
    drawn = tuple(block for block in blocks if block is not None)
    return Section("curves", "How does training proceed?", blocks=drawn, caption=CURVES) if drawn else None


def _scale(context: Context) -> float:
    """Return the scale of the metric that has curves: that of the judged one, otherwise 1."""
    plan = context.plan
    return plan.unit.scale if plan.metric == plan.unit.metric else 1.0


def _curve_block(
    condition: ConditionRecord, heading: str, curves: Sequence[Curve], name: str, title: str, *, zero: bool
) -> Block | None:
    if not curves:
        return None
    figure = curves_figure(curves, x_title="epoch", y_title=shown(title), zero=zero)
    legend = tuple((curve.colour, curve.name) for curve in curves)
    picture = Picture(name, figure, f"{title} {condition.description}")
    return Block(heading, condition.name, legend=legend, picture=picture)


def _mean_curves(context: Context, condition: ConditionRecord) -> list[Curve]:
    metric, scale, curves = context.plan.metric, _scale(context), []
    for arm in context.plan.arms_of(condition.name):
        found = arm_curves(context.study, arm)
        if found is not None and len(found.mean) > 1:
            mean, spread = found.mean[metric], found.spread[metric].fillna(0.0)
            lines = (mean, mean - spread, mean + spread)
            curves.append(
                _curve(context, arm.method, mean.index.to_numpy(), [scale * line.to_numpy() for line in lines])
            )
    return curves


def _lead_curves(context: Context, condition: ConditionRecord) -> list[Curve]:
    study, plan, curves = context.study, context.plan, []
    reference = plan.reference_arm(condition.name)
    for arm in plan.arms_of(condition.name):
        if reference is None or arm == reference:
            continue
        lead = lead_over_epochs(study, arm, reference, condition)
        if lead is not None and len(lead.epochs) > 1:
            lines = [_scale(context) * line for line in (lead.mean, lead.low, lead.high)]
            curves.append(_curve(context, arm.method, lead.epochs, lines))
    return curves


def _curve(context: Context, name: str, epochs: np.ndarray, lines: Sequence[np.ndarray]) -> Curve:
    """Return a curve of at most `MOST_POINTS` points from its mean and its bounds."""
    kept = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), MOST_POINTS)).astype(int))
    y, low, high = (line[kept] for line in lines)
    return Curve(name, context.colours[name], epochs[kept].astype(float), y, low, high)


def short_markdown(judged: JudgedRuns) -> str:
    """Return verdict table and evidence as Markdown for a comment on a pull request."""
    plan, evidence = judged.study.plan, judged.evidence
    lines = [
        f"### {text.escape_markdown(plan.name)}",
        "",
        summary(judged.verdicts),
        "",
        text.markdown_table(text.verdict_table(judged.verdicts), plan.unit),
        "",
        *_bullets("Used", evidence.used),
        *_bullets("Left out", evidence.left_out),
        *_bullets("What the runs cannot support", evidence.limits),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _bullets(heading: str, sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return []
    return [f"**{heading}**", "", *(f"- {text.escape_markdown(sentence)}" for sentence in sentences), ""]
