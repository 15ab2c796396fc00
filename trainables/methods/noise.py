"""Gaussian noise on every pixel: with copies, the case that MaxUp's theory treats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from trainables.methods.base import Mixing
from trainables.methods.registry import METHODS
from trainables.registration.fields import Range

if TYPE_CHECKING:
    from trainables.methods.base import Draws, Tensor


def add_noise(images: Tensor, labels: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the images with noise, and the labels as they are.

    Args:
        images: float32, (copies, batch, height, width, channels).
        labels: float32, (copies, batch, classes).
        draws: `key` int32 (copies, batch, 1), from which an example's noise is made; `sigma` float32
            (copies, batch, 1), its standard deviation.
    """
    from keras import ops

    noise = ops.reshape(gaussian(draws["key"], math.prod(images.shape[2:])), ops.shape(images))
    return images + draws["sigma"][..., None, None] * noise, labels


def gaussian(key: Tensor, count: int) -> Tensor:
    """Return float32 (..., count) normal numbers, a pure function of the keys.

    Counter-based, so that an example's noise depends on its own key alone: the counter and the key go through
    the finaliser of MurmurHash3, twice, and two hashes through Box and Muller's transform.

    Args:
        key: int32 (..., 1).
        count: numbers for each key.
    """
    from keras import ops

    counter = np.arange(count, dtype="int32")
    own = _hash(key)
    first, second = (_hash(ops.bitwise_xor(_hash(2 * counter + offset), own)) for offset in (0, 1))
    logarithm: Tensor = ops.log(_unit(first))
    radius: Tensor = ops.sqrt(-2 * logarithm)
    return radius * ops.cos(2 * math.pi * _unit(second))


def _hash(value: Tensor) -> Tensor:
    """Mix the bits of int32 numbers; products wrap around."""
    from keras import ops

    first: Tensor = ops.bitwise_xor(value, _shifted(value, 16))
    first = first * np.int32(-2048144789)
    second: Tensor = ops.bitwise_xor(first, _shifted(first, 13))
    second = second * np.int32(-1028477387)
    return ops.bitwise_xor(second, _shifted(second, 16))


def _shifted(value: Tensor, bits: int) -> Tensor:
    """Shift to the right, with zeros from the left."""
    from keras import ops

    moved: Tensor = ops.right_shift(value, np.int32(bits))
    return ops.bitwise_and(moved, np.int32((1 << (32 - bits)) - 1))


def _unit(bits: Tensor) -> Tensor:
    """Return float32 in (0, 1): the middle of one of 2^23 equal parts."""
    from keras import ops

    counted: Tensor = ops.cast(_shifted(bits, 9), "float32")
    return (counted + 0.5) * (1 / 2**23)


@METHODS.register("noise")
class Noise(Mixing):
    """Gaussian noise, independent for each pixel and channel, added to the normalised image.

    `maxup+noise` is the case that Gong et al. (2020) analyse: to first order, the worst of m such copies adds a
    penalty on the gradient's norm to the loss.
    """

    summary: ClassVar[str] = "Gaussian noise on every pixel"
    paper: ClassVar[str] = "arXiv 2002.09024"
    name: Literal["noise"] = "noise"
    sigma: Annotated[
        float,
        Field(gt=0, le=5, description="standard deviation, in standard deviations of the channel over the data"),
        Range(0.02, 0.5, log=True),
    ] = 0.1

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        """Draw a key for every example (see `Method.draw`)."""
        key = rng.integers(-(2**31), 2**31, (n, 1)).astype("int32")
        return {"key": key, "sigma": np.full((n, 1), self.sigma if active else 0, dtype="float32")}

    apply = staticmethod(add_noise)
