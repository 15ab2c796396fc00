"""What the tests of the engine share."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.data import SOURCES


@pytest.fixture(scope="package")
def digits() -> dict[str, np.ndarray]:
    return SOURCES.get("digits")().load().arrays()
