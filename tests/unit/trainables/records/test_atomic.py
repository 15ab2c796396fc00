"""Atomic writes: a file is complete or unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainables.records.atomic import atomic_file, write_atomically


def write_half(path: Path) -> None:
    with atomic_file(path) as unfinished:
        unfinished.write_text("new")
        raise OSError("disk full")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.txt"
    write_atomically(path, "old")
    with pytest.raises(OSError, match="disk full"):
        write_half(path)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_the_error_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 240)  # the temporary file's name is too long
    with pytest.raises(OSError, match="File name too long") as caught:
        write_atomically(path, "new")
    assert caught.value.filename == str(path)
