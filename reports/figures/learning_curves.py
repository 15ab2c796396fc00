"""Learning-curve figures: accuracy and loss by epoch for each arm. They draw given values and estimate nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.descriptive.learning_curves import ArmCurves
from reports.figures.palette import REFERENCE, translucent
from reports.figures.style import TOOLBAR, Figure, Trace, rounded, shown
from trainables.records import TRAIN_ACCURACY, TRAIN_LOSS, VALIDATION_ACCURACY, VALIDATION_LOSS

MOST_EPOCHS = 150
"""Longer curves are thinned to this many points."""


@dataclass(frozen=True)
class Ranges:
    """Axis ranges shared by all panels of a condition.

    Args:
        accuracy: fractions.
        loss: nats.
    """

    accuracy: tuple[float, float]
    loss: tuple[float, float]


def curve_ranges(arms: Sequence[ArmCurves]) -> Ranges:
    """Return axis ranges that contain the curves of all arms of a condition; outlying losses are cut off."""
    accuracies = _values(arms, (TRAIN_ACCURACY, VALIDATION_ACCURACY))
    losses = _values(arms, (TRAIN_LOSS, VALIDATION_LOSS))
    if not accuracies.size or not losses.size:
        return Ranges((0.0, 1.0), (0.0, 1.0))
    low, high = float(accuracies.min()), float(accuracies.max())
    margin = 0.04 * (high - low) or 0.02
    ceiling = float(np.quantile(losses, 0.98))
    return Ranges((max(0.0, low - margin), min(1.0, high + margin)), (0.0, 1.05 * ceiling or 1.0))


def _values(arms: Sequence[ArmCurves], metrics: Sequence[str]) -> np.ndarray:
    means = [arm.mean[metric].to_numpy() for arm in arms for metric in metrics]
    values = np.concatenate(means) if means else np.empty(0)
    return values[np.isfinite(values)]


def learning_figure(arm: ArmCurves, reference: ArmCurves | None, ranges: Ranges, colours: Mapping[str, str]) -> Figure:
    """Return the learning curves of an arm: accuracy above loss, training dotted, validation solid.

    Args:
        arm: curves of the arm.
        reference: curves of the condition's reference, whose validation curve is drawn in grey, or None.
        ranges: axis ranges of the condition.
        colours: colour of every method.
    """
    colour = colours[arm.method]
    traces: list[Trace] = []
    panels = (("y", VALIDATION_ACCURACY, TRAIN_ACCURACY, 100.0), ("y2", VALIDATION_LOSS, TRAIN_LOSS, 1.0))
    for axis, validation, training, scale in panels:
        if reference is not None and reference.method != arm.method:
            words = f"{reference.method}, validation"
            traces += _line(reference.mean[validation] * scale, axis, REFERENCE, words=words)
        for metric, words in ((training, "training"), (validation, "validation")):
            traces += _band(arm.mean[metric] * scale, arm.spread[metric] * scale, axis, colour)
            traces += _line(arm.mean[metric] * scale, axis, colour, words=words)
    fixed = {"fixedrange": True, "zeroline": False}
    return {
        "data": traces,
        "layout": {
            "height": 342,
            "margin": {"l": 46, "r": 8, "t": TOOLBAR, "b": 40},
            "showlegend": False,
            "hovermode": "x unified",
            "xaxis": {
                "range": rounded(_epochs(arm)), "title": {"text": "epoch", "standoff": 6}, "anchor": "y2", **fixed,
            },
            "yaxis": {
                "domain": [0.54, 1], "range": rounded(ranges.accuracy, 100),
                "title": {"text": "accuracy, %"}, **fixed,
            },
            "yaxis2": {
                "domain": [0, 0.46], "range": rounded(ranges.loss),
                "title": {"text": "loss"}, "anchor": "x", **fixed,
            },
        },
    }  # fmt: skip


def _epochs(arm: ArmCurves) -> tuple[float, float]:
    """Return the range of the epoch axis."""
    epochs = arm.mean.index
    if len(epochs) < 2:
        return (0.0, 2.0)
    margin = 0.01 * (float(epochs.max()) - float(epochs.min()))
    return float(epochs.min()) - margin, float(epochs.max()) + margin


def _line(curve: pd.Series, axis: str, colour: str, *, words: str) -> list[Trace]:
    thin = _thinned(curve.dropna())
    if thin.empty:
        return []
    dash = "dot" if words == "training" else "solid"
    return [
        {
            "type": "scatter", "mode": "lines" if len(thin) > 1 else "markers", "x": thin.index.tolist(),
            "y": rounded(thin, digits=4), "yaxis": axis, "name": shown(words), "hovertemplate": "%{y:.3~f}",
            "line": {"color": colour, "dash": dash, "width": 2}, "marker": {"color": colour},
        }
    ]  # fmt: skip


def _band(mean: pd.Series, spread: pd.Series, axis: str, colour: str) -> list[Trace]:
    """Return a band of one standard deviation over seeds on either side, if there is more than one seed."""
    known = spread.notna() & mean.notna()
    mean, spread = _thinned(mean[known]), _thinned(spread[known])
    if mean.empty:
        return []
    epochs = mean.index.tolist()
    return [
        {
            "type": "scatter", "mode": "lines", "x": [*epochs, *reversed(epochs)],
            "y": [*rounded(mean + spread, digits=4), *rounded((mean - spread)[::-1], digits=4)], "yaxis": axis,
            "line": {"width": 0},
            "fill": "toself", "fillcolor": translucent(colour, 0.18), "hoverinfo": "skip",
        }
    ]  # fmt: skip


def _thinned(curve: pd.Series) -> pd.Series:
    if len(curve) <= MOST_EPOCHS:
        return curve
    return curve.iloc[np.unique(np.linspace(0, len(curve) - 1, MOST_EPOCHS).round().astype(int))]
