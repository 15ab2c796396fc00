"""The benchmark of case 1's program: which lines change, and which images are taken."""

from __future__ import annotations

import difflib
from pathlib import Path

from tests.benchmarks.one_image import SCRIPT, changed, part_of


def test_three_lines_and_an_import_change() -> None:
    differences = list(difflib.ndiff(SCRIPT.read_text().splitlines(), changed().splitlines()))
    assert sum(line.startswith("- ") for line in differences) == 3
    assert [line[2:8] for line in differences if line.startswith("+ ")].count("from t") == 1
    assert sum(line.startswith("+ ") for line in differences) == 4
    compile(changed(), "changed", "exec")


def test_equally_many_images_of_each_class_are_taken(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for label in "ab":
            folder = tmp_path / "all" / part / label
            folder.mkdir(parents=True)
            for number in range(5):
                (folder / f"{number}.png").touch()
    part_of(tmp_path / "all", 40, tmp_path / "some")
    assert len(list((tmp_path / "some").glob("train/*/*.png"))) == 8
    assert len(list((tmp_path / "some").glob("test/*/*.png"))) == 4
