"""Unused images: who they are, and that nothing a run has seen is among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainables.config import RunConfig
from trainables.data import unused
from trainables.data.selection import Selection, select
from trainables.data.unused import unused_images


def arrays_of(n: int = 120, **extra: np.ndarray) -> dict[str, np.ndarray]:
    images = np.random.default_rng(0).integers(0, 256, (n, 6, 6, 1), "uint8")
    labels = np.arange(n, dtype="int32") % 4
    return {"images": images, "labels": labels, "test_images": images[:8], "test_labels": labels[:8]} | extra


def chosen_from(arrays: dict[str, np.ndarray], split_seed: int = 0, **settings: Any) -> Selection:
    plain = {"data": "digits", "train_fraction": 0.25, "split_seed": split_seed, **settings}
    return select(arrays, RunConfig.from_plain(plain), 4)


def test_every_image_is_in_one_part() -> None:
    arrays = arrays_of()
    chosen = chosen_from(arrays)
    parts = [chosen.train, chosen.validation, unused_images(arrays, chosen, 0)]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(120))


def test_none_are_left_where_all_are_trained_on() -> None:
    arrays = arrays_of()
    assert unused_images(arrays, chosen_from(arrays, train_fraction=1.0), 0).size == 0


def test_they_belong_to_the_kept_classes() -> None:
    arrays = arrays_of()
    found = unused_images(arrays, chosen_from(arrays, classes=3), 0)
    assert found.size
    assert set(arrays["labels"][found]) == {0, 1, 2}


def test_no_group_crosses() -> None:
    groups = np.arange(120, dtype="int32") // 4
    arrays = arrays_of(groups=groups)
    chosen = chosen_from(arrays, train_fraction=0.1)
    found = unused_images(arrays, chosen, 0)
    seen = np.union1d(chosen.train, chosen.validation)
    assert found.size
    assert not np.isin(groups[found], groups[seen]).any()


@pytest.mark.parametrize("size", [6, 80])
def test_no_copy_of_a_seen_image_is_among_them(size: int) -> None:
    images = np.random.default_rng(1).integers(0, 256, (120, size, size, 3), "uint8")
    arrays = arrays_of(images=images)
    chosen = chosen_from(arrays)
    before = unused_images(arrays, chosen, 0)
    images[before[0]] = images[chosen.train[0]]
    images[before[1]] = images[chosen.validation[0]]
    images[before[2]] = images[before[3]]  # copies within the part do no harm
    assert unused_images(arrays, chosen, 0).tolist() == before[2:].tolist()


def test_the_part_is_limited_and_drawn_by_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unused, "EXTENDED_SIZE", 20)
    arrays = arrays_of()
    found = [unused_images(arrays, chosen_from(arrays, split), split) for split in (0, 0, 1)]
    assert [len(one) for one in found] == [12, 12, 12]  # 8 test images
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
