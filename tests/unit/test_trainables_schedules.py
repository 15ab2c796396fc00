"""What changes with the epoch."""

import numpy as np
import pytest

from trainables.errors import InputError
from trainables.methods import METHODS, Cycle, Method
from trainables.schedules import learning_rates, selection_epochs


def pairing(**fields: float) -> Method:
    return METHODS.get("sample_pairing").model_validate({"name": "sample_pairing", **fields})


def rates(epochs: int, steps: int, milestones: list[float]) -> list[float]:
    return [
        float(rate)
        for epoch in range(epochs)
        for rate in learning_rates(1.0, milestones, 0.1, epoch=epoch, epochs=epochs, steps=steps)
    ]


def test_the_rate_falls_at_each_milestone() -> None:
    assert rates(4, 2, [0.5, 0.75]) == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_a_milestone_may_lie_inside_an_epoch() -> None:
    assert rates(2, 4, [0.25, 0.9]) == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.01])


def test_no_milestones() -> None:
    assert rates(2, 2, []) == [1, 1, 1, 1]
    assert learning_rates(0.1, [], 0.1, epoch=0, epochs=1, steps=3).dtype == np.float32


@pytest.mark.parametrize(("epochs", "expected"), [(1, 3), (60, 3), (61, 4), (100, 5), (140, 7), (200, 10)])
def test_selection_epochs(epochs: int, expected: int) -> None:
    assert selection_epochs(epochs) == expected


def test_sample_pairing_follows_its_published_cycle() -> None:
    method = pairing()
    assert method.cycle(100) == Cycle(start=10, end=90, length=10, off=2)
    on = [epoch for epoch in range(100) if method.active(epoch, 100)]
    assert on == [epoch for epoch in range(10, 90) if epoch % 10 < 8]


def test_sample_pairing_ends_with_an_off_phase_as_long_as_runs_are_judged_on() -> None:
    for epochs in range(1, 300):
        last = range(max(0, epochs - selection_epochs(epochs)), epochs)
        assert not any(pairing(start=0, end=1).active(epoch, epochs) for epoch in last)


def test_searched_ends_leave_the_off_blocks_where_they_are() -> None:
    ends = [pairing(end=end, on_epochs=4, off_epochs=1) for end in (0.6, 0.75, 0.9)]
    blocks = {(method.cycle(60).start, method.cycle(60).length) for method in ends}
    assert len(blocks) == 1
    start, length = blocks.pop()
    for epoch in range(start + length, 60, length):
        assert not any(method.active(epoch - 1, 60) for method in ends)


@pytest.mark.parametrize(
    ("fields", "epochs", "message"),
    [
        ({}, 20, r"fewer than two blocks in 20 epochs .* their sum may be 7 at most"),
        ({"on_epochs": 1, "off_epochs": 5}, 100, r"on for 14 of 100 epochs"),
        ({"start": 0.0, "end": 0.2, "on_epochs": 4, "off_epochs": 1}, 100, r"on for 16 of 100 epochs"),
    ],
)
def test_sample_pairing_refuses_what_hardly_differs(fields: dict, epochs: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pairing(**fields).check(epochs, "crop")


def test_sample_pairing_accepts_its_defaults_at_usual_lengths() -> None:
    for epochs in (30, 100, 200):
        pairing().check(epochs, "none")
    pairing(on_epochs=4, off_epochs=1).check(20, "none")
