"""Seeds for `fit`, which shuffles, in processes in which TensorFlow is deterministic."""

from __future__ import annotations

import keras
import pytest


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Set the seeds of Python, NumPy and the backend."""
    keras.utils.set_random_seed(0)
