"""Forest plot: effects with their confidence intervals, one per row. It draws given values and estimates nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.figures.palette import REFERENCE
from reports.figures.style import Figure, Trace, rounded, shown
from reports.inference import wording as text
from reports.inference.verdicts import Verdict
from reports.statistics.estimators import Interval
from trainables.records import EQUIVALENT, HELPS, HURTS, POINTS, UNDECIDED, PlanRecord, Unit

MARKERS = {HELPS: "circle", HURTS: "circle", EQUIVALENT: "square", UNDECIDED: "circle-open"}
ROW_HEIGHT = 46


@dataclass(frozen=True)
class EffectRow:
    """One effect. Names are plain text as given by the user.

    Args:
        name: name of the comparison.
        label: the verdict in words.
        verdict: one of `records.VERDICTS`; selects the marker.
        colour: colour of the method.
        mean: estimated effect, None if not available yet.
        interval: 95 % interval over seeds.
        wider: 95 % interval that includes a second source of variation (test images).
        matched: effect with both sides at the same settings.
        hover: hover text of the effect, in Plotly's markup.
        matched_hover: hover text of the matched effect.
    """

    name: str
    label: str
    verdict: str
    colour: str
    mean: float | None
    interval: Interval | None = None
    wider: Interval | None = None
    matched: float | None = None
    hover: str = ""
    matched_hover: str = ""

    @property
    def ends(self) -> tuple[float, ...]:
        """All values that the axis must contain."""
        means = [mean for mean in (self.mean, self.matched) if mean is not None]
        intervals = [found for found in (self.interval, self.wider) if found]
        return (*means, *(end for found in intervals for end in (found.low, found.high)))


def effect_rows(
    verdicts: Sequence[Verdict], plan: PlanRecord, colours: Mapping[str, str], digits: int
) -> list[EffectRow]:
    """Return one row per verdict, in order."""
    return [_effect_row(verdict, plan, colours[verdict.method], digits) for verdict in verdicts]


def _effect_row(verdict: Verdict, plan: PlanRecord, colour: str, digits: int) -> EffectRow:
    name, label, unit = text.comparison(verdict, plan), text.label(verdict), plan.unit
    if verdict.tuned is None:
        return EffectRow(name, label, verdict.verdict, colour, None)
    hover = (
        f"{shown(verdict.method)}, {label}"
        f"<br>at its own best settings {text.effect_with_interval(verdict.tuned, digits, unit)}"
        f"<br>over seeds and images {text.interval(verdict.images, digits, unit)}"
    )
    matched = verdict.matched
    return EffectRow(
        name=name,
        label=label,
        verdict=verdict.verdict,
        colour=colour,
        mean=verdict.tuned.mean,
        interval=verdict.tuned.interval,
        wider=verdict.images,
        matched=matched.mean if matched else None,
        hover=hover,
        matched_hover=f"at the same settings {text.effect_with_interval(matched, digits, unit)}" if matched else "",
    )


def effect_range(rows: Iterable[EffectRow], smallest_effect: float, unit: Unit = POINTS) -> tuple[float, float]:
    """Return the axis range, in the given unit, that contains zero, all effects and all intervals."""
    ends = [0.0, -2 * smallest_effect, 2 * smallest_effect, *(end for row in rows for end in row.ends)]
    low, high = unit.scale * min(ends), unit.scale * max(ends)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def effect_figure(rows: Sequence[EffectRow], plan: PlanRecord, limits: tuple[float, float], title: str = "") -> Figure:
    """Return a forest plot: one row per effect, with its name and verdict above its interval.

    Thick line: 95 % interval over seeds. Thin line: 95 % interval over seeds and images. Diamond: effect at the same
    settings. Grey band: effects smaller than the smallest effect of interest.

    Args:
        rows: effects, from top to bottom.
        plan: plan of the study.
        limits: axis range, in the unit of the plan.
        title: axis title; by default it states that effects are relative to the reference.
    """
    unit = plan.unit
    axis = title or f"{unit.many} of {unit.figure}, relative to the reference"
    numbered = list(enumerate(rows))
    return {
        "data": [trace for place, row in numbered for trace in _traces(place, row, unit.scale)],
        "layout": {
            "height": ROW_HEIGHT * len(rows) + 62,
            "margin": {"l": 8, "r": 8, "t": 6, "b": 44},
            "showlegend": False,
            "hovermode": "closest",
            "shapes": _indifference(unit.scale * plan.smallest_effect),
            "annotations": [_heading(place, row) for place, row in numbered],
            "xaxis": {
                "range": list(limits),
                "title": {"text": axis, "standoff": 8},
                "zeroline": False,
                "fixedrange": True,
            },
            "yaxis": {"range": [len(rows) - 0.55, -0.85], "visible": False, "fixedrange": True},
        },
    }


def _indifference(band: float) -> list[dict[str, Any]]:
    """Return the zero line and the band of effects smaller than the smallest effect of interest."""
    whole = {"yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    area = {
        "type": "rect",
        "x0": -band,
        "x1": band,
        "fillcolor": REFERENCE,
        "opacity": 0.16,
        "line": {"width": 0},
    }
    return [
        {**area, **whole},
        {"type": "line", "x0": 0, "x1": 0, "line": {"color": REFERENCE, "width": 1.5}, **whole},
    ]


def _heading(place: int, row: EffectRow) -> dict[str, Any]:
    return {
        "x": 0, "xref": "paper", "xanchor": "left", "y": place - 0.42, "yref": "y", "showarrow": False,
        "text": f"<b>{shown(row.name, 44)}</b>  {row.label}",
        "font": {"size": 13},
    }  # fmt: skip


def _traces(place: int, row: EffectRow, scale: float) -> list[Trace]:
    if row.mean is None:
        return []
    traces: list[Trace] = [
        {
            "type": "scatter", "mode": "lines", "x": rounded([found.low, found.high], scale), "y": [place, place],
            "line": {"color": row.colour, "width": width}, "hoverinfo": "skip",
        }
        for found, width in ((row.wider, 1.5), (row.interval, 5))
        if found
    ]  # fmt: skip
    if row.matched is not None:
        marker = {"symbol": "diamond-tall-open", "size": 13, "color": REFERENCE, "line": {"width": 1.5}}
        traces.append(_dot(place, scale * row.matched, marker, row.matched_hover))
    marker = {
        "symbol": MARKERS[row.verdict],
        "size": 13,
        "color": row.colour,
        "line": {"width": 2.5, "color": row.colour},
    }
    return [*traces, _dot(place, scale * row.mean, marker, row.hover)]


def _dot(place: int, effect: float, marker: dict[str, Any], described: str) -> Trace:
    return {
        "type": "scatter", "mode": "markers", "x": rounded([effect]), "y": [place],
        "marker": marker, "hoverinfo": "text", "hovertext": [described],
    }  # fmt: skip
