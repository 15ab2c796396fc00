"""Successive halving, compared with Ray's own scheduler."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, strategies as st
from ray.tune.schedulers.async_hyperband import _Bracket

from search.orchestration.successive_halving import Rungs
from search.plan.rungs import rung_epochs
from trainables.methods import Cycle


@given(values=st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=30), factor=st.sampled_from([2, 3, 4]))
def test_decisions_equal_those_of_rays_asha(values: list[float], factor: int) -> None:
    ours, rays = Rungs(factor), _Bracket(min_t=5, max_t=6, reduction_factor=factor, s=0)
    for number, value in enumerate(values):
        trial = SimpleNamespace(trial_id=str(number))
        stopped = rays.on_result(trial, 5, value) == "STOP"
        assert (ours.decide(5, value, audit=False).action == "stop") == stopped


def _decision(rungs: Rungs, value: float, audit: bool) -> tuple[str, float | None]:
    decision = rungs.decide(5, value, audit)
    assert (decision.rung, decision.value) == (5, value)
    return decision.action, decision.cutoff


def test_an_audited_run_continues_and_is_recorded() -> None:
    rungs = Rungs(2)
    assert _decision(rungs, 0.9, audit=True) == ("pass", None)
    assert _decision(rungs, 0.1, audit=True) == ("would_stop", pytest.approx(0.9))
    assert _decision(rungs, 0.1, audit=False) == ("stop", pytest.approx(0.5))


def test_rungs_begin_after_a_third_and_after_the_first_learning_rate_drop() -> None:
    assert rung_epochs(99, None, 2, []) == [33, 66]
    assert rung_epochs(200, 0.5, 3, []) == [105]
    assert rung_epochs(12, 0.5, 3, []) == [7]
    assert rung_epochs(100, 0.1, 2, []) == [34, 67]
    assert rung_epochs(4, 0.9, 2, []) == []


@given(
    epochs=st.integers(12, 300),
    start=st.integers(0, 5),
    length=st.integers(2, 12),
    factor=st.sampled_from([2.0, 3.0]),
)
def test_rungs_are_never_in_an_on_block(epochs: int, start: int, length: int, factor: float) -> None:
    end = max(start + 2 * length, epochs - 5)
    cycle = Cycle(start, end, length, 1)
    for rung in rung_epochs(epochs, 0.5, factor, [cycle]):
        assert epochs / 3 <= rung < epochs
        assert not cycle.on(rung - 1)
        assert rung > 0.5 * epochs
