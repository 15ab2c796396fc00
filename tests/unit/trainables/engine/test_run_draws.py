"""Draws of a run: what does not depend on the method, the batch size, the copy or the length in steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.trainables.engine.small_runs import measured, same, saved, start
from trainables.engine.classifier import Classifier
from trainables.engine.network import Network
from trainables.methods import METHODS
from trainables.models import MODELS

pytestmark = pytest.mark.usefixtures("own_code")


@pytest.mark.parametrize("method", ["maxup", "maxup_mean"])
def test_one_copy_equals_the_baseline_bit_for_bit(digits: dict[str, np.ndarray], tmp_path: Path, method: str) -> None:
    runs = [start(digits, model="resnet8"), start(digits, method, model="resnet8", **{f"{method}.m": 1})]
    baseline, single = (measured(run, 2) for run in runs)
    assert single == baseline
    assert same(*(saved(run, tmp_path / str(i)) for i, run in enumerate(runs)))


def test_sample_pairing_equals_the_baseline_while_it_is_off(digits: dict[str, np.ndarray]) -> None:
    pairing = start(digits, "sample_pairing", model="resnet8", epochs=20)
    assert not any(pairing.config.method.active(epoch, 20) for epoch in range(5))
    assert measured(pairing, 3) == measured(start(digits, model="resnet8", epochs=20), 3)


def drawn_for(run: Classifier, epoch: int) -> dict[int, tuple]:
    """Return the draws of each image, by its index."""
    batches = run._batches(epoch)
    index = batches["index"][:, 0].ravel()
    columns = [batches["augmentation"][name][:, 0].ravel() for name in sorted(batches["augmentation"])]
    return dict(zip(index.tolist(), zip(*(column.tolist() for column in columns), strict=True), strict=True))


def test_an_examples_augmentation_does_not_depend_on_the_batch_size(digits: dict[str, np.ndarray]) -> None:
    small, large = drawn_for(start(digits, batch_size=7), 1), drawn_for(start(digits, batch_size=50), 1)
    common = set(small) & set(large)
    assert len(common) > 100
    assert all(small[image] == large[image] for image in common)


@pytest.mark.parametrize("method", list(METHODS))
def test_a_method_does_not_change_the_draws_of_the_baseline(digits: dict[str, np.ndarray], method: str) -> None:
    assert drawn_for(start(digits, method), 2) == drawn_for(start(digits), 2)


def test_copies_are_augmented_independently(digits: dict[str, np.ndarray]) -> None:
    down = start(digits, "maxup")._batches(0)["augmentation"]["down"]
    assert all(not np.array_equal(down[:, 0], down[:, copy]) for copy in range(1, 4))


def test_steps_that_make_whole_passes_equal_epochs(digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    passes = start(digits, "mixup", epochs=4)
    each = passes._steps
    steps = start(digits, "mixup", epochs=4, steps=4 * each)
    assert measured(steps, 4) == measured(passes, 4)
    assert same(saved(steps, tmp_path / "a"), saved(passes, tmp_path / "b"))


def test_steps_divide_passes_evenly_and_do_not_change_the_draws(digits: dict[str, np.ndarray]) -> None:
    passes, steps = start(digits, "mixup", epochs=8), start(digits, "mixup", epochs=5, steps=33)
    whole, parts = ([run._batches(epoch) for epoch in range(run.config.epochs)] for run in (passes, steps))
    assert [len(batch["learning_rate"]) for batch in parts] == [6, 7, 6, 7, 7]
    for name in ("index", "augmentation", "method"):
        one, other = (nested([batch[name] for batch in batches]) for batches in (whole, parts))
        assert one.keys() == other.keys()
        for key in one:
            n = min(33, len(one[key]))
            assert np.array_equal(other[key][:n], one[key][:n])
    np.testing.assert_allclose(steps._plain_epochs, np.cumsum([6, 7, 6, 7, 7]) / steps._steps)


def nested(parts: list[Any]) -> dict[str, np.ndarray]:
    """Return nested arrays of several epochs, concatenated, by name."""
    if not isinstance(parts[0], dict):
        return {"": np.concatenate(parts)}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_dropout_depends_on_the_seed_of_the_run() -> None:
    settings = MODELS.get("small_cnn")(name="small_cnn", dropout=0.5)
    first, second = (Network(settings, (16, 16, 1), 3) for _ in range(2))
    states = [network.initial(seed)[1] for network, seed in ((first, 7), (second, 7), (second, 8))]
    generators = [np.asarray(next(part for part in state if np.size(part) == 2)).tolist() for state in states]
    assert generators[0] == generators[1] != generators[2]
