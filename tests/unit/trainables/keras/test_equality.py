"""Plain `fit` of a wrapper gives the weights of the run that it stands for, on TensorFlow and on JAX."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.jax_process import needs_jax, output_of
from tests.support.keras_equality import CASES, compared
from trainables.backends.selection import backend

ROOT = Path(__file__).parents[4]
TOLERANCE, MOVED = 1e-5, 0.01
backend.configure(threads=1, deterministic=True)
# Keras converts its variables in a way that NumPy 2 deprecates.
pytestmark = [
    pytest.mark.usefixtures("own_code"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize("name", CASES)
def test_fit_gives_the_weights_of_the_run_with_the_same_draws(name: str) -> None:
    apart, moved = compared(name)
    assert moved > MOVED
    assert apart < TOLERANCE


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_jax
def test_so_it_does_on_jax() -> None:
    found = [json.loads(line) for line in output_of("-m", "tests.support.keras_equality").splitlines()]
    assert [name for name, _, _ in found] == list(CASES)
    for name, apart, moved in found:
        assert moved > MOVED, name
        assert apart < TOLERANCE, name
