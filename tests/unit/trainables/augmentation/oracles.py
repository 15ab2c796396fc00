"""Images and policies for the tests of augmentations."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainables.augmentation import AUGMENTATIONS, Policy, make_policy, policy_apply
from trainables.backends.selection import backend

backend.configure(threads=1, deterministic=True)
SHAPES = [(8, 8, 1), (32, 32, 3), (17, 9, 3)]
NAMES = [name for name in AUGMENTATIONS if name != "none"]
LUMA = np.array([0.299, 0.587, 0.114])
"""Brightness of red, green and blue."""


def images(n: int, shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(1).integers(1, 256, (n, *shape), dtype="uint8")


def identity(name: str) -> Policy:
    return make_policy([{"name": part, **AUGMENTATIONS.get(part).identity_settings} for part in name.split("+")])


def augmented(policy: Any, batch: np.ndarray, seed: int = 2) -> tuple[dict, np.ndarray]:
    made = make_policy(policy)
    draws = made.draw(np.random.default_rng(seed), len(batch), batch.shape[1:])
    return draws, np.asarray(policy_apply(made.name)(batch, draws))
