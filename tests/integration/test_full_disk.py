"""Full disks: what a run and a study lose, and how they go on when there is room."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from search.store.journal import Journal
from search.store.study_folder import refuse_used
from tests.support.studies_without_ray import SMALL, drive, facts, written
from trainables import records
from trainables.engine import checkpoints
from trainables.errors import InputError, StoppedError


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: what a full disk does to a writer, without filling one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Heavy:
    """An engine whose state takes a megabyte."""

    epoch = 2

    def save(self, folder: Path) -> None:
        (folder / "state").write_bytes(bytes(1_000_000))


def test_a_full_disk_costs_a_checkpoint_and_leaves_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "epoch-000001").mkdir()
    engine: Any = Heavy()
    with largest_file(100_000), pytest.raises(OSError, match="too large"):
        checkpoints.save(engine, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-000001"]
    checkpoints.save(engine, tmp_path)
    assert [path.name for path in checkpoints.found(tmp_path)] == ["epoch-000001", "epoch-000002"]


def test_a_study_on_a_full_disk_stops_and_goes_on_when_there_is_room(
    tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    curves, folder = write_curves(), tmp_path / "study"
    changes = {**SMALL, "search": {"trials_per_arm": 2, "early_stopping": False}}
    drive(tmp_path / "whole", curves, changes)
    stops = []
    for size in (150_000, 200_000):
        with largest_file(size), pytest.raises(StoppedError, match=r"study\.db cannot be written") as stopped:
            drive(folder, curves, changes)
        stops.append((written(folder), str(stopped.value)))
    assert 0 < stops[0][0] < stops[1][0]
    drive(folder, curves, changes)
    assert facts(folder) == facts(tmp_path / "whole")


def test_a_disk_that_is_full_from_the_start_refuses_the_study_and_leaves_the_folder_free(tmp_path: Path) -> None:
    with largest_file(1000), pytest.raises(InputError, match="nothing was started"):
        Journal.create(tmp_path / "study" / records.JOURNAL_FILE)
    refuse_used(tmp_path / "study")
    Journal.create(tmp_path / "study" / records.JOURNAL_FILE).close()
    with pytest.raises(InputError, match="assay resume"):
        refuse_used(tmp_path / "study")
