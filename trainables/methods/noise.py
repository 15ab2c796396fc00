"""Gaussian noise on every pixel; with copies, the case of the theory of MaxUp."""

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
    """Return the images with noise, and the labels unchanged.

    Args:
        images: float32, (copies, batch, height, width, channels).
        labels: float32, (copies, batch, classes).
        draws: `key` int32 (copies, batch, 1), the random key of each example; `sigma` float32 (copies, batch, 1), the
            standard deviation of its noise.
    """
    from keras import ops

    noise = ops.reshape(gaussian(draws["key"], math.prod(images.shape[2:])), ops.shape(images))
    return images + draws["sigma"][..., None, None] * noise, labels


def gaussian(key: Tensor, count: int) -> Tensor:
    """Return standard normal numbers, float32 (..., count), as a pure function of the keys.

    Counter-based, so that the noise of an example depends on its key only: counter and key are hashed with the
    finalizer of MurmurHash3, and two hashes give a normal number by the Box-Muller transform.

    Args:
        key: int32 (..., 1).
        count: numbers per key.
    """
    from keras import ops

    counter = np.arange(count, dtype="int32")
    own = _hash(key)
    first, second = (_hash(ops.bitwise_xor(_hash(2 * counter + offset), own)) for offset in (0, 1))
    logarithm: Tensor = ops.log(_unit(first))
    radius: Tensor = ops.sqrt(-2 * logarithm)
    return radius * ops.cos(2 * math.pi * _unit(second))


def _hash(value: Tensor) -> Tensor:
    """Hash int32 numbers with the finalizer of MurmurHash3; products wrap around."""
    from keras import ops

    first: Tensor = ops.bitwise_xor(value, _shifted(value, 16))
    first = first * np.int32(-2048144789)
    second: Tensor = ops.bitwise_xor(first, _shifted(first, 13))
    second = second * np.int32(-1028477387)
    return ops.bitwise_xor(second, _shifted(second, 16))


def _shifted(value: Tensor, bits: int) -> Tensor:
    """Shift int32 numbers right, filling with zeros."""
    from keras import ops

    moved: Tensor = ops.right_shift(value, np.int32(bits))
    return ops.bitwise_and(moved, np.int32((1 << (32 - bits)) - 1))


def _unit(bits: Tensor) -> Tensor:
    """Return float32 in (0, 1): the midpoint of one of 2^23 equal intervals."""
    from keras import ops

    counted: Tensor = ops.cast(_shifted(bits, 9), "float32")
    return (counted + 0.5) * (1 / 2**23)


@METHODS.register("noise")
class Noise(Mixing):
    """Independent Gaussian noise on each pixel and channel of the normalised image.

    `maxup+noise` is the case that Gong et al. (2020) analyse: to first order, training on the worst of m such copies
    adds a penalty on the norm of the gradient to the loss.
    """

    summary: ClassVar[str] = "Gaussian noise on every pixel"
    paper: ClassVar[str] = "arXiv 2002.09024"
    name: Literal["noise"] = "noise"
    sigma: Annotated[
        float,
        Field(
            gt=0,
            le=5,
            description="standard deviation, in units of that of the channel over the data",
        ),
        Range(0.02, 0.5, log=True),
    ] = 0.1

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        """Draw a key for every example (see `Method.draw`)."""
        key = rng.integers(-(2**31), 2**31, (n, 1)).astype("int32")
        return {"key": key, "sigma": np.full((n, 1), self.sigma if active else 0, dtype="float32")}

    apply = staticmethod(add_noise)
