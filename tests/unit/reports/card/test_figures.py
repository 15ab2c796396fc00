"""Figures of the model card: valid SVG with legible labels, for few and many classes and for any class names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from reports.card.figures import MOST_LABELS, NUMBERED, write_confusion, write_curves

SVG = "{http://www.w3.org/2000/svg}"


def texts(path: Path) -> list[str]:
    """Return the texts of an SVG file."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == f"{SVG}svg"
    return ["".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")]


def counts(classes: int) -> np.ndarray:
    """Return a confusion matrix with 80 % on the diagonal and 20 % on the next class."""
    return 80 * np.eye(classes, dtype=int) + 20 * np.roll(np.eye(classes, dtype=int), 1, axis=1)


def test_a_confusion_matrix_shows_names_and_percentages(tmp_path: Path) -> None:
    write_confusion(tmp_path / "a.svg", counts(3), ["cat", "dog", "ship"])
    found = texts(tmp_path / "a.svg")
    assert [found.count(name) for name in ("cat", "dog", "ship")] == [2, 2, 2]
    assert (found.count("80"), found.count("20"), found.count("0")) == (3, 3, 0)
    assert {"true class", "predicted class"} <= set(found)


@pytest.mark.parametrize("classes", [NUMBERED, NUMBERED + 1, 100, 300])
def test_a_matrix_of_many_classes_has_labels_and_no_percentages(tmp_path: Path, classes: int) -> None:
    names = [f"class {number}" for number in range(classes)]
    write_confusion(tmp_path / "a.svg", counts(classes), names)
    found = texts(tmp_path / "a.svg")
    assert ("80" in found) == (classes <= NUMBERED)
    labelled = sum(name in found for name in names)
    assert labelled == (classes if classes <= MOST_LABELS else 100)
    assert (tmp_path / "a.svg").stat().st_size < 400_000


def test_class_names_are_shown_as_plain_text(tmp_path: Path) -> None:
    names = ["$x^$", "<script>&", "お", "two\nlines", "a name that is longer than the label may be"]
    write_confusion(tmp_path / "a.svg", counts(5), names)
    found = texts(tmp_path / "a.svg")
    assert {"$x^$", "<script>&", "お", "two lines", "a name that is longer t…"} <= set(found)


def test_a_class_without_test_images_has_an_empty_row(tmp_path: Path) -> None:
    write_confusion(tmp_path / "a.svg", np.array([[5, 0], [0, 0]]), ["seen", "unseen"])
    assert texts(tmp_path / "a.svg").count("100") == 1


def test_training_curves_have_a_panel_per_metric_and_a_legend_per_kind(tmp_path: Path) -> None:
    line = ([1, 2, 3], [50.0, 70.0, 80.0])
    panels = {"Accuracy in %": {"training": [line, line], "validation": [line]}, "Log loss in nats": {"training": []}}
    write_curves(tmp_path / "a.svg", panels)
    found = texts(tmp_path / "a.svg")
    assert [found.count(text) for text in ("Accuracy in %", "Log loss in nats", "epoch")] == [1, 1, 2]
    assert (found.count("training"), found.count("validation")) == (1, 1)


def test_a_single_epoch_is_drawn_as_a_point(tmp_path: Path) -> None:
    write_curves(tmp_path / "a.svg", {"Accuracy in %": {"validation": [([1], [50.0])]}})
    assert "<use" in (tmp_path / "a.svg").read_text().split("line2d")[-2]


def test_equal_data_give_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_confusion(tmp_path / f"{name}.svg", counts(4), "abcd")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_importing_the_card_does_not_import_matplotlib() -> None:
    code = "import sys, reports.card.card; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_settings_in_the_working_directory_have_no_latex_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    monkeypatch.chdir(tmp_path)
    code = "import numpy, reports.card.figures as f; f.write_confusion('c.svg', numpy.eye(2, dtype=int), ['a', 'b'])"
    subprocess.run([sys.executable, "-P", "-c", code], check=True, env={**os.environ, "PATH": str(tmp_path)})
    assert {"a", "b"} <= set(texts(tmp_path / "c.svg"))
