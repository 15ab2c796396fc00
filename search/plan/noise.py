"""Noise floor of a recipe: how much two runs differ by chance, measured before a study is paid for.

The reference of a study is trained twice with every seed: as it is, and as a twin with other random numbers on the same
images. The standard deviation of the difference is what the effects of the study will be judged against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reports.statistics.estimators import spread_interval
from search.plan.cells import all_cells, find_cell
from search.plan.power import detectable_in_family
from search.study.schema import Study
from search.study.sections import Search
from trainables.errors import InputError
from trainables.records import CONFIRM, PlanRecord

if TYPE_CHECKING:
    from reports.data.frames import StudyData

TWIN = "twin"
SUFFIX = " noise"


@dataclass(frozen=True)
class NoiseFloor:
    """How much runs of the reference differ by chance under one condition. All in points of accuracy, or its unit.

    Args:
        condition: name of the condition.
        value: mean test metric, in percent for an accuracy.
        between_seeds: standard deviation over seeds, each of which has its own images.
        paired: standard deviation of the difference between two runs on the same images.
        low, high: 95 % interval of `paired`.
        pairs: number of pairs that it is based on.
        detectable: smallest effect that the study detects with 80 % power, if a method differs like a twin.
    """

    condition: str
    value: float
    between_seeds: float
    paired: float
    low: float
    high: float
    pairs: int
    detectable: float


def noise_study(study: Study, seeds: int) -> Study:
    """Return the study that measures the noise floor: the reference and its twin under the same conditions.

    Args:
        study: the study to prepare. Settings that it searches have their default values.
        seeds: number of pairs under each condition.

    Raises:
        InputError: the study compares other factors than methods.

    >>> from search.study.loading import load_study
    >>> noise = noise_study(load_study("quickstart"), seeds=4)
    >>> [entry.label for entry in noise.methods], noise.looks, noise.search.sampler
    (['baseline', 'twin'], (4,), 'none')
    """
    if study.compare:
        raise InputError(
            "the noise floor is measured for studies that compare methods; this one compares "
            f"{', '.join(study.compare)}. Create a study that sets the levels of the reference in `recipe` and has "
            "no `compare`."
        )
    reference = find_cell(study.reference, all_cells(study), study, "reference").entry
    fixed = reference.model_copy(update={"settings": reference.fixed()})
    return study.model_copy(
        update={
            "name": f"{study.name[: 80 - len(SUFFIX)]}{SUFFIX}",
            "methods": [fixed, fixed.model_copy(update={"label": TWIN, "twin": True})],
            "contrasts": [],
            "nuisance": {key: value for key, value in study.nuisance.items() if key in study.fixed},
            "search": Search(sampler="none", match="epochs" if study.search.match == "compute" else study.search.match),
            "confirm": study.confirm.model_copy(update={"points": 1, "seeds": seeds, "most": None, "looks": ()}),
        }
    )


def noise_floors(measured: StudyData, planned: PlanRecord) -> list[NoiseFloor]:
    """Return the noise floor of every condition.

    Args:
        measured: runs of `noise_study`.
        planned: plan of the study that is prepared.

    Raises:
        InputError: the runs are of another study, or a condition has fewer than two pairs.
    """
    if len(measured.plan.methods) != 2 or TWIN not in measured.plan.methods:
        raise InputError(
            f"the study `{measured.plan.name}` compares {', '.join(measured.plan.methods)}, so it has no noise floor; "
            "give the folder of an `assay certify`"
        )
    unit = measured.plan.unit
    standardised = detectable_in_family(planned)
    found = []
    for condition in measured.plan.conditions:
        values = _by_seed(measured, condition.name)
        if len(values) < 2:
            raise InputError(
                f"{condition.name}: {len(values)} pair(s) of runs succeeded, but at least two are needed; the report "
                "names the cause"
            )
        differences = unit.scale * (values[:, 1] - values[:, 0])
        spread = float(differences.std(ddof=1))
        interval = spread_interval(spread, len(values))
        found.append(
            NoiseFloor(
                condition=condition.name,
                value=float(unit.scale * values.mean()),
                between_seeds=float(unit.scale * values.std(axis=0, ddof=1).mean()),
                paired=spread,
                low=interval.low,
                high=interval.high,
                pairs=len(values),
                detectable=standardised * spread,
            )
        )
    return found


def typical_spread(floors: Sequence[NoiseFloor]) -> float:
    """Return the root mean square of the standard deviations of a paired difference, weighted by degrees of freedom."""
    weights = [floor.pairs - 1 for floor in floors]
    return float(np.sqrt(np.average([floor.paired**2 for floor in floors], weights=weights)))


def _by_seed(measured: StudyData, condition: str) -> np.ndarray:
    """Return the test metric of the reference and of its twin, float (pairs, 2)."""
    metric = measured.plan.unit.metric
    reference, twin = (
        measured.runs_of(CONFIRM, condition, method).set_index("seed_index")[metric].dropna()
        for method in measured.plan.methods
    )
    both = reference.index.intersection(twin.index)
    return np.column_stack([reference.loc[both], twin.loc[both]])
