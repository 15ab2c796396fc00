"""Tables of draws: what `draw` of a method or augmentation returns, drawn once, from which the device picks rows."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
from keras import ops

from trainables.errors import InputError

Tensor = Any
ROWS = 2**16
"""Draws in a table: more than an epoch of CIFAR-10 needs, and at most a few megabytes."""


class DrawTable:
    """Random numbers for single examples, of which compiled code picks rows.

    `draw` of methods and augmentations runs on the host, in NumPy; compiled code cannot call it. It is therefore called
    once for `ROWS` examples, and each step picks rows at random. Partners in a batch are redrawn in each step.

    Args:
        arrays: the result of a `draw`, arrays of first dimension `ROWS`.
    """

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self._arrays = arrays

    def pick(self, shape: tuple[Any, ...], generator: keras.random.SeedGenerator) -> dict[str, Tensor]:
        """Return rows drawn with replacement, each array of the given shape followed by that of a row.

        Args:
            shape: dimensions, integers or scalar tensors.
            generator: source of the rows' numbers.
        """
        if not self._arrays:
            return {}
        index = keras.random.randint(shape, 0, ROWS, seed=generator)
        return {name: ops.take(array, index, axis=0) for name, array in self._arrays.items()}


def seed_or_new(seed: int | None) -> int:
    """Return the seed, or a new one that `keras.utils.set_random_seed` determines.

    Raises:
        InputError: it is not an integer from 0 to 2^31 - 1.
    """
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31):
        raise InputError(f"`seed` is a whole number from 0 to {2**31 - 1}, or None for a new one, but got {seed!r}")
    return random.randint(1, 10**9) if seed is None else seed
