"""Feeding: a streamed run gives the bits of a resident one, whatever its method, sizes and augmentation."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.jax_process import needs_jax, output_of
from tests.support.streaming import ALL, PARTNERS, arrays_of, outcome, start
from trainables.backends import tensorflow as tensorflow_backend
from trainables.engine import feeding
from trainables.engine.feeding import LEAST_STEPS, Placement, Streamed, is_streamed, step_windows

pytestmark = pytest.mark.usefixtures("own_code")

tensorflow_backend.configure(threads=1, deterministic=True)


@pytest.mark.parametrize(("method", "changes"), ALL + PARTNERS)
def test_a_streamed_run_gives_the_bits_of_a_resident_one(
    method: str, changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = arrays_of()
    expected = outcome(start("resident", arrays, method, **changes), tmp_path)
    for steps in (1, 3):
        monkeypatch.setattr(feeding, "CHUNK_BYTES", steps * 13 * arrays["images"][0].nbytes)
        run = start("streamed", arrays, method, **changes)
        assert isinstance(run._data.development, Streamed)
        assert outcome(run, tmp_path) == expected


@pytest.mark.slow
@pytest.mark.timeout(1800)
@needs_jax
def test_so_it_does_on_jax() -> None:
    found = json.loads(output_of("-m", "tests.support.streaming"))
    assert len(found) == len(ALL + PARTNERS)
    assert [name for name, same in found.items() if not same] == []


def test_evaluation_streams_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = arrays_of(601)
    monkeypatch.setattr("trainables.engine.evaluated.CHUNK", 16)
    expected = outcome(start("resident", arrays, "baseline"), tmp_path, 1)
    monkeypatch.setattr(feeding, "CHUNK_BYTES", 40 * arrays["images"][0].nbytes)
    sent: list[int] = []
    gathered = Streamed._gathered
    monkeypatch.setattr(Streamed, "_gathered", lambda self, index: sent.append(len(index)) or gathered(self, index))
    assert outcome(start("streamed", arrays, "baseline"), tmp_path, 1) == expected
    assert len(sent) > 10
    assert set(sent) == {2, 3}


def test_memory_mapped_images_are_read_in_chunks_by_a_thread_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = arrays_of()
    np.save(tmp_path / "images.npy", arrays["images"])
    mapped = {**arrays, "images": np.load(tmp_path / "images.npy", mmap_mode="r")}
    monkeypatch.setattr(feeding, "CHUNK_BYTES", 1)
    seen: list[tuple[str, int]] = []
    take = np.take

    def noted(images: np.ndarray, used: np.ndarray, **options: Any) -> Any:
        seen.append((threading.current_thread().name, len(used)))
        return take(images, used, **options)

    run = start("streamed", mapped, "baseline")
    monkeypatch.setattr(feeding.np, "take", noted)
    run.train_epoch()
    assert {name.partition("_")[0] for name, _ in seen} == {"gather"}
    assert max(count for _, count in seen) <= (LEAST_STEPS + 1) * 46 < len(arrays["images"])


@pytest.mark.parametrize(("steps", "most"), [(s, m) for s in (1, 2, 3, 7, 12, 100) for m in (0, 1, 2, 3, 5, 99, 1000)])
def test_windows_cover_all_steps_and_differ_by_one_at_most(steps: int, most: int) -> None:
    windows = list(step_windows(steps, most))
    assert [i for window in windows for i in range(steps)[window]] == list(range(steps))
    sizes = {window.stop - window.start for window in windows}
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= min(LEAST_STEPS, steps)
    assert max(sizes) <= max(most, LEAST_STEPS + 1)


def test_each_image_is_sent_once_and_is_that_of_its_position() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 3, 5, 1), "uint8")
    labels = rng.integers(0, 9, 40).astype("int32")
    index = rng.integers(0, 40, (5, 2, 3, 4)).astype("int32")
    for data, batches in Streamed(images, labels).chunks({"index": index, "on": np.arange(5)}):
        places = batches["index"]
        assert places.dtype == np.int32
        assert np.array_equal(np.asarray(data["images"])[places], images[index[batches["on"]]])
        assert np.array_equal(np.asarray(data["labels"])[places], labels[index[batches["on"]]])
        assert len(np.unique(places)) == len(np.unique(index[batches["on"]]))


@pytest.mark.parametrize(
    ("place", "device", "images", "expected"),
    [
        ("resident", 10, 100, False),
        ("streamed", 1000, 1, True),
        ("auto", None, 40, False),
        ("auto", None, 60, True),
        ("auto", 80, 70, False),
        ("auto", 80, 71, True),
    ],
)
def test_auto_streams_what_does_not_fit(
    place: Any, device: int | None, images: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "host_memory", lambda: 2 * 60)
    monkeypatch.setattr(feeding.backend, "device_memory", lambda: device)
    assert is_streamed(Placement(place), images, 10) is expected


def test_auto_counts_a_share_of_a_device_and_logs_what_it_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(feeding.backend, "device_memory", lambda: 80 * 10**9)
    with caplog.at_level(logging.INFO, "trainables"):
        assert not is_streamed(Placement("auto", 1.0), 44 * 10**9, 10**9)
        assert not caplog.records
        assert is_streamed(Placement("auto", 0.5), 44 * 10**9, 10**9)
    assert "images are streamed: they take 44.0 GB and the network about 1.0 GB, of 40.0 GB" in caplog.text
