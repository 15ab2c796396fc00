"""Prediction: which property of a baseline run predicts whether a method helps or hurts.

Each rule is fitted on all data sets but one and predicts the signs of the effects on the one left out. Cells count
whose 95 % interval excludes zero, since the sign of the others is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.atlas.cells import Cell

ALWAYS, GAP, ALL = "always the same", "gap alone", "all properties"
RULES: dict[str, tuple[str, ...]] = {
    ALWAYS: (),
    GAP: ("gap",),
    "accuracy alone": ("accuracy",),
    "images per class alone": ("images_per_class",),
    "passes before the first fall alone": ("passes",),
    "label noise alone": ("label_noise",),
    "training steps alone": ("steps",),
    ALL: ("gap", "accuracy", "images_per_class", "passes", "label_noise", "steps"),
}
"""Properties of the baseline that each rule uses."""
LOGARITHMIC = {"images_per_class", "passes", "steps"}
RESAMPLES = 2000


@dataclass(frozen=True)
class Score:
    """How often a rule predicts the sign of an effect on a data set that it has not seen.

    Args:
        rule: name of the rule.
        method: display name of the method.
        right: number of signs predicted correctly.
        cells: number of predictions.
        lead: share of correct signs minus that of `gap alone`.
        low, high: 95 % bootstrap interval of the lead, over cells.
    """

    rule: str
    method: str
    right: int
    cells: int
    lead: float
    low: float
    high: float


def scores(cells: Sequence[Cell]) -> list[Score]:
    """Return the scores of all rules for every method, in the order of the cells."""
    found = []
    for method in dict.fromkeys(cell.method for cell in cells):
        known = [cell for cell in cells if cell.method == method and _sign(cell)]
        hits = {rule: left_out_hits(known, properties) for rule, properties in RULES.items()}
        found += [_score(rule, method, hits[rule], hits[GAP]) for rule in RULES]
    return found


def left_out_hits(cells: Sequence[Cell], properties: Sequence[str]) -> np.ndarray:
    """Return whether a rule fitted on the other data sets predicts the sign of each cell, bool (n,)."""
    signs = np.array([_sign(cell) for cell in cells])
    data = np.array([cell.data for cell in cells])
    features = np.array([[_feature(cell, name) for name in properties] for cell in cells]).reshape(len(cells), -1)
    hits = np.zeros(len(cells), dtype=bool)
    for name in dict.fromkeys(data):
        test, train = data == name, data != name
        hits[test] = _predict(features[train], signs[train], features[test]) == signs[test]
    return hits


def _predict(features: np.ndarray, signs: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return predicted signs, int (m,): of the majority without features or classes, else by logistic regression."""
    if len(signs) == 0:
        return np.zeros(len(others), dtype=int)
    if features.shape[1] == 0 or len(set(signs.tolist())) == 1:
        return np.full(len(others), 1 if (signs > 0).mean() > 0.5 else -1)
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression()).fit(features, signs).predict(others)


def _score(rule: str, method: str, hits: np.ndarray, gap: np.ndarray) -> Score:
    rng = np.random.default_rng(0)
    if not len(hits):
        return Score(rule, method, 0, 0, 0.0, 0.0, 0.0)
    lead = hits.astype(float) - gap
    means = lead[rng.integers(len(lead), size=(RESAMPLES, len(lead)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Score(rule, method, int(hits.sum()), len(hits), float(lead.mean()), float(low), float(high))


def _sign(cell: Cell) -> int:
    """Return the sign of the effect, 0 if its interval contains zero."""
    low, high = cell.interval
    return 1 if low > 0 else -1 if high < 0 else 0


def _feature(cell: Cell, name: str) -> float:
    value = float(getattr(cell.baseline, name))
    return float(np.log(value)) if name in LOGARITHMIC else value
