"""Randomness that can be replayed: one Philox stream per (seed, stream, epoch).

Small random numbers are drawn on the host for a whole epoch, in permutation order, so what happens to an
example depends on (seed, epoch, example) and not on the batch size. Streams are independent, so adding a
method never shifts what the baseline draws. MaxUp's copy 0 *is* the stream of ordinary augmentation.
"""

from __future__ import annotations

import zlib

import numpy as np

STREAMS = ("split", "init", "order", "augment", "method", "noise", "partner", "label_noise")


def stream(seed: int, name: str, epoch: int = 0, copy: int = 0) -> np.random.Generator:
    """Return the generator of one stream.

    Args:
        seed: the run's seed, at least 0.
        name: one of `STREAMS`.
        epoch: the epoch, from 0.
        copy: which copy of an example (MaxUp); copy 0 is the ordinary one.

    Raises:
        ValueError: the stream's name is unknown.
    """
    if name not in STREAMS:
        raise ValueError(f"unknown random stream {name!r}; choose from {STREAMS}")
    key = np.random.SeedSequence([seed, zlib.crc32(name.encode()), epoch, copy])
    return np.random.Generator(np.random.Philox(key))


def derive_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2**31) that depends on every part, and on nothing else."""
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in parts]
    sequence = np.random.SeedSequence([len(words), *words])  # trailing zeros alone would change nothing
    return int(sequence.generate_state(1)[0] >> 1)
