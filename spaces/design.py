"""Shared design: point k of one Sobol sequence is trial k of every arm.

Arms that are compared share their nuisance points, so that a difference between them is not due to sampling. Two
samplers with the same seed do not agree point by point if their spaces differ; a common sequence does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from scipy.stats import qmc

from spaces.distributions import Space


def sobol_points(space: Space, count: int, seed: int) -> list[dict[str, Any]]:
    """Return the first `count` points of a scrambled Sobol sequence over a space.

    Requesting more points does not change the earlier ones.

    Args:
        space: distributions by name, in the order of the dimensions.
        count: number of points.
        seed: scrambling seed.

    Examples:
        >>> space = {"learning_rate": FloatDistribution(1e-3, 1.0, log=True)}
        >>> points = sobol_points(space, 8, seed=0)
        >>> points[:4] == sobol_points(space, 4, seed=0)
        True
    """
    if not space or count < 1:
        return [{} for _ in range(count)]
    sampler = qmc.Sobol(len(space), scramble=True, rng=np.random.default_rng(seed))
    unit = sampler.random_base2(math.ceil(math.log2(max(count, 2))))[:count]
    return _points(space, unit)


def random_points(space: Space, count: int, seed: int) -> list[dict[str, Any]]:
    """Return `count` independent uniform points over a space; more points do not change the earlier ones."""
    unit = np.random.default_rng(seed).random((count, len(space)))
    return _points(space, unit)


def _points(space: Space, unit: np.ndarray) -> list[dict[str, Any]]:
    """Return the points of a space at positions in the unit cube, (points, dimensions)."""
    return [
        {name: from_unit(dist, float(u)) for (name, dist), u in zip(space.items(), row, strict=True)} for row in unit
    ]


def from_unit(dist: BaseDistribution, u: float) -> Any:
    """Map a number in [0, 1) to a value, uniformly on the scale of the distribution.

    Raises:
        TypeError: the distribution is of an unsupported type.

    Examples:
        >>> from_unit(FloatDistribution(0.01, 1.0, log=True), 0.5)
        0.1
    """
    if isinstance(dist, CategoricalDistribution):
        return dist.choices[min(int(u * len(dist.choices)), len(dist.choices) - 1)]
    if isinstance(dist, IntDistribution):
        if dist.log:
            return min(dist.high, int(dist.low * ((dist.high + 1) / dist.low) ** u))
        steps = (dist.high - dist.low) // dist.step + 1
        return dist.low + dist.step * min(int(u * steps), steps - 1)
    if isinstance(dist, FloatDistribution):
        value = dist.low * (dist.high / dist.low) ** u if dist.log else dist.low + u * (dist.high - dist.low)
        return min(max(value, dist.low), dist.high)
    raise TypeError(f"cannot search {type(dist).__name__}")


def to_unit(dist: BaseDistribution, value: Any) -> float:
    """Map a value to [0, 1] on the scale of the distribution: the inverse of `from_unit` up to rounding.

    Raises:
        TypeError: the distribution is of an unsupported type.
    """
    if isinstance(dist, CategoricalDistribution):
        return (dist.choices.index(value) + 0.5) / len(dist.choices)
    if not isinstance(dist, IntDistribution | FloatDistribution):
        raise TypeError(f"cannot search {type(dist).__name__}")
    if dist.single():
        return 0.5
    if dist.log:
        return math.log(value / dist.low) / math.log(dist.high / dist.low)
    return (value - dist.low) / (dist.high - dist.low)


def extreme_values(dist: BaseDistribution) -> list[Any]:
    """Return the smallest and largest value of a dimension, or all its choices.

    Raises:
        TypeError: the distribution is of an unsupported type.
    """
    if isinstance(dist, CategoricalDistribution):
        return list(dist.choices)
    if isinstance(dist, FloatDistribution | IntDistribution):
        return [dist.low, dist.high]
    raise TypeError(f"cannot search {type(dist).__name__}")


def corners(space: Space) -> list[dict[str, Any]]:
    """Return points that together contain the smallest and largest value, or all choices, of every dimension.

    Examples:
        >>> corners({"batch_size": IntDistribution(16, 64)})
        [{'batch_size': 16}, {'batch_size': 64}]
    """
    values = {name: extreme_values(dist) for name, dist in space.items()}
    longest = max((len(options) for options in values.values()), default=1)
    return [{name: options[i % len(options)] for name, options in values.items()} for i in range(longest)]


def distance(space: Space, one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Return the maximum distance over all dimensions, in [0, 1]; two different choices have distance 1.

    Examples:
        >>> distance({"momentum": FloatDistribution(0, 1)}, {"momentum": 0.5}, {"momentum": 0.75})
        0.25
    """
    return max((_distance(dist, one[name], other[name]) for name, dist in space.items()), default=0.0)


def _distance(dist: BaseDistribution, one: Any, other: Any) -> float:
    if isinstance(dist, CategoricalDistribution):
        return float(one != other)
    return abs(to_unit(dist, one) - to_unit(dist, other))
