"""Parts of a step: the objectives, data on the device, and the statistics that normalise it."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from trainables.data import SOURCES
from trainables.engine.resident import channel_statistics, resident_data
from trainables.engine.step import reduced

LOSSES = np.array([[1.0, 5.0, 2.0], [3.0, 4.0, 2.0]], dtype="float32")


@pytest.fixture(scope="module")
def digits() -> dict[str, np.ndarray]:
    return SOURCES.get("digits")().load().arrays()


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("mean", 17 / 6),
        ("max", 17 / 6),  # the worst copies have been chosen before
        ("plain_max", 10 / 3),
        ("batch_max", 5.0),
        ("softmax", ((1 + 3 * np.exp(2)) / (1 + np.exp(2)) + (5 * np.e + 4) / (np.e + 1) + 2) / 3),
    ],
)
def test_objectives_are_those_of_their_formulas(objective: str, expected: float) -> None:
    on = float(ops.convert_to_numpy(reduced(objective, LOSSES, np.float32(1), np.bool_(True))))
    off = float(ops.convert_to_numpy(reduced(objective, LOSSES, np.float32(1), np.bool_(False))))
    assert on == pytest.approx(expected, rel=1e-6)
    assert off == pytest.approx(17 / 6, rel=1e-6)


def test_the_temperature_leads_from_the_maximum_to_the_mean() -> None:
    values = [
        float(ops.convert_to_numpy(reduced("softmax", LOSSES, np.float32(at), np.bool_(True))))
        for at in (0.01, 0.5, 2, 1e4)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(10 / 3, rel=1e-5)
    assert values[-1] == pytest.approx(17 / 6, rel=1e-3)


def test_channel_statistics_are_those_of_numpy() -> None:
    images = np.random.default_rng(0).integers(0, 200, (5000, 3, 4, 3), dtype="uint8")
    images[..., 2] = 7
    mean, deviation = channel_statistics(images)
    assert mean == pytest.approx(images.mean(axis=(0, 1, 2)), rel=1e-5)
    assert deviation[:2] == pytest.approx(images.std(axis=(0, 1, 2))[:2], rel=1e-5)
    assert deviation[2] == 1


def test_a_data_set_stays_on_the_device_until_another_one_comes(digits: dict[str, np.ndarray]) -> None:
    first = resident_data(digits)
    assert resident_data(dict(digits)) is first
    other = {**digits, "labels": (digits["labels"] + 1) % 10}
    assert np.array_equal(resident_data(other).development["labels"], other["labels"])
    assert np.array_equal(resident_data(digits).development["labels"], digits["labels"])
