"""Reproducible randomness: one Philox stream per (seed, purpose, epoch, copy).

Random numbers are drawn on the host for a whole epoch, in the order of the epoch's permutation, so that the draws of an
example depend on (seed, epoch, example) and not on the batch size. Streams are independent, so adding a method never
changes the draws of the baseline. Copy 0 of MaxUp uses the stream of plain augmentation.
"""

from __future__ import annotations

import zlib

import numpy as np

STREAMS = ("split", "init", "order", "augment", "method", "noise", "partner", "label_noise")
"""Names of the streams, one per purpose."""


def stream(seed: int, name: str, epoch: int = 0, copy: int = 0) -> np.random.Generator:
    """Return the random generator of a stream.

    Args:
        seed: the run's seed, at least 0.
        name: one of `STREAMS`.
        epoch: the epoch, from 0.
        copy: index of an example's copy (MaxUp); plain training has copy 0 only.

    Raises:
        ValueError: the name is unknown.

    Examples:
        >>> first = stream(7, "order", epoch=3).permutation(5)
        >>> bool((first == stream(7, "order", epoch=3).permutation(5)).all())
        True
    """
    if name not in STREAMS:
        raise ValueError(f"unknown random stream {name!r}; choose from {STREAMS}")
    key = np.random.SeedSequence([seed, zlib.crc32(name.encode()), epoch, copy])
    return np.random.Generator(np.random.Philox(key))


def derive_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2**31) that is a function of all parts.

    Examples:
        >>> derive_seed(0, "init", 3) == derive_seed(0, "init", 3)
        True
        >>> derive_seed(0, "init", 3) == derive_seed(0, "init", 4)
        False
    """
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in parts]
    sequence = np.random.SeedSequence(
        [len(words), *words]
    )  # without the length, trailing zeros would not change the seed
    return int(sequence.generate_state(1)[0] >> 1)
