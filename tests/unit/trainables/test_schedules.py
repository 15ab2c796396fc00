"""Schedules: learning rates, milestones, steps, and the cycle of SamplePairing."""

from typing import Any

import numpy as np
import pytest
from keras.optimizers.schedules import InverseTimeDecay

from trainables.errors import InputError
from trainables.methods import METHODS, Cycle, Method
from trainables.schedules import Schedule, fractions, learning_rates, part, selection_epochs


def pairing(**fields: float) -> Method:
    return METHODS.get("sample_pairing").model_validate({"name": "sample_pairing", **fields})


def rates(total: int, **fields: Any) -> list[float]:
    return learning_rates(1.0, **fields, first=0, last=total, total=total).tolist()


def test_the_rate_falls_at_each_milestone() -> None:
    assert rates(8, milestones=[0.5, 0.75]) == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    assert rates(8, milestones=[0.25, 0.9], factor=0.5) == pytest.approx([1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25])


def test_no_milestones_equal_a_constant_rate() -> None:
    assert rates(4) == rates(4, schedule="constant", milestones=[0.5]) == [1, 1, 1, 1]
    assert learning_rates(0.1, first=0, last=3, total=3).dtype == np.float32


def test_a_cosine_falls_from_the_full_rate_to_near_zero() -> None:
    assert rates(4, schedule="cosine") == pytest.approx([1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5])


def test_warm_up_is_linear_and_does_not_move_milestones() -> None:
    assert rates(8, milestones=[0.75], warm_up=0.5) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 0.1, 0.1])
    assert rates(6, schedule="cosine", warm_up=1 / 3) == pytest.approx([0.5, 1, *rates(4, schedule="cosine")])


def test_inverse_time_decay_is_that_of_keras() -> None:
    """Case 4: `SGD(0.1, decay=1e-4)`, divided by ten at epochs 80 and 120 of 165, with 390 steps in each."""
    total = 165 * 390
    found = learning_rates(0.1, milestones=[80 / 165, 120 / 165], rate_decay=1e-4, first=0, last=total, total=total)
    keras_decay = InverseTimeDecay(0.1, decay_steps=1, decay_rate=1e-4)
    for step, falls in [(0, 0), (1, 0), (80 * 390 - 1, 0), (80 * 390, 1), (120 * 390, 2), (total - 1, 2)]:
        assert found[step] == pytest.approx(0.1**falls * 0.1 / (1 + 1e-4 * step), rel=1e-6)
        assert found[step] == pytest.approx(0.1**falls * float(keras_decay(step)), rel=1e-5)


@pytest.mark.parametrize("schedule", ["milestones", "cosine", "constant"])
def test_inverse_time_decay_combines_with_every_schedule(schedule: Schedule) -> None:
    plain = np.array(rates(9, schedule=schedule, milestones=[0.5], warm_up=0.3))
    decayed = rates(9, schedule=schedule, milestones=[0.5], warm_up=0.3, rate_decay=0.02)
    assert decayed == pytest.approx(plain / (1 + 0.02 * np.arange(9)), rel=1e-6)


@pytest.mark.parametrize("schedule", ["milestones", "cosine", "constant"])
def test_the_rates_of_a_range_of_steps_are_a_slice_of_all_rates(schedule: Schedule) -> None:
    fields: dict[str, Any] = {"schedule": schedule, "milestones": [0.3, 0.8], "warm_up": 0.2, "total": 17}
    fields |= {"rate_decay": 0.1}
    whole = learning_rates(0.4, first=0, last=17, **fields)
    assert np.array_equal(learning_rates(0.4, first=5, last=11, **fields), whole[5:11])


def test_milestones_in_any_unit_scale_with_the_length() -> None:
    assert fractions([80, 120], 160) == [0.5, 0.75]
    assert fractions([32_000, 48_000], 64_000) == [0.5, 0.75]


def test_epochs_share_steps_evenly() -> None:
    parts = [part(epoch, 4, 10) for epoch in range(4)]
    assert parts == [(0, 2), (2, 5), (5, 7), (7, 10)]
    assert [part(epoch, 3, 12) for epoch in range(3)] == [(0, 4), (4, 8), (8, 12)]


@pytest.mark.parametrize(("epochs", "expected"), [(1, 3), (60, 3), (61, 4), (100, 5), (140, 7), (200, 10)])
def test_selection_epochs(epochs: int, expected: int) -> None:
    assert selection_epochs(epochs) == expected


def test_sample_pairing_follows_its_published_cycle() -> None:
    method = pairing()
    assert method.cycle(100) == Cycle(start=10, end=90, length=10, off=2)
    on = [epoch for epoch in range(100) if method.active(epoch, 100)]
    assert on == [epoch for epoch in range(10, 90) if epoch % 10 < 8]


def test_sample_pairing_is_off_for_at_least_the_selection_epochs() -> None:
    for epochs in range(1, 300):
        last = range(max(0, epochs - selection_epochs(epochs)), epochs)
        assert not any(pairing(start=0, end=1).active(epoch, epochs) for epoch in last)


def test_the_searched_end_does_not_move_the_off_blocks() -> None:
    ends = [pairing(end=end, on_epochs=4, off_epochs=1) for end in (0.6, 0.75, 0.9)]
    blocks = {(method.cycle(60).start, method.cycle(60).length) for method in ends}
    assert len(blocks) == 1
    start, length = blocks.pop()
    for epoch in range(start + length, 60, length):
        assert not any(method.active(epoch - 1, 60) for method in ends)


@pytest.mark.parametrize(
    ("fields", "epochs", "message"),
    [
        ({}, 20, r"fewer than two blocks in 20 epochs .* their sum may be at most 7"),
        ({"on_epochs": 1, "off_epochs": 5}, 100, r"on for 14 of 100 epochs"),
        ({"start": 0.0, "end": 0.2, "on_epochs": 4, "off_epochs": 1}, 100, r"on for 16 of 100 epochs"),
    ],
)
def test_sample_pairing_refuses_settings_close_to_plain_training(fields: dict, epochs: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pairing(**fields).check(epochs, "crop")


def test_sample_pairing_accepts_its_defaults_at_usual_lengths() -> None:
    for epochs in (30, 100, 200):
        pairing().check(epochs, "none")
    pairing(on_epochs=4, off_epochs=1).check(20, "none")
