"""Numbers of the atlas: those that the README states by hand, and those of a replication."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from reports.atlas.__main__ import ATLAS, CASES
from reports.atlas.archive import read_archive
from reports.atlas.cells import Cell, against_reference, cells_of
from reports.atlas.page import TITLES, page_text, summary, totals
from reports.atlas.replication import read_replications, replicated
from reports.data.frames import StudyData

README = Path(__file__).parents[4] / "README.md"


@pytest.fixture(scope="module")
def atlas() -> dict[str, StudyData]:
    return read_archive(ATLAS)


@pytest.fixture(scope="module")
def all_cells(atlas: dict[str, StudyData]) -> list[Cell]:
    return [cell for study in atlas.values() for cell in cells_of(study)]


def test_the_readme_states_the_numbers_of_the_atlas(atlas: dict[str, StudyData], all_cells: list[Cell]) -> None:
    cells = against_reference(all_cells)
    size, text = totals(atlas, cells), " ".join(README.read_text("utf-8").split())
    assert f"{size.runs:,} training runs in {size.conditions} conditions" in text
    assert f"at least {size.seeds[0]} paired seeds" in text
    maxup, mean = (summary(name, [cell for cell in cells if cell.method == name]).counts for name in list(TITLES)[2:])
    assert f"**MaxUp** costs accuracy in {maxup['hurts']} of the {size.conditions} conditions and gains in one" in text
    assert maxup["helps"] == 1
    assert f"**the mean of the same copies** gains in {mean['helps']}" in text


def test_the_page_is_that_of_the_archives(atlas: dict[str, StudyData], all_cells: list[Cell]) -> None:
    text = page_text(atlas, all_cells, read_archive(CASES), read_replications())
    assert text == (ATLAS.parent / "README.md").read_text("utf-8"), "write it again: python -m reports.atlas page"


def cell(verdict: str) -> Any:
    return SimpleNamespace(
        study="s", method="mixup", verdict=SimpleNamespace(verdict=verdict, condition="c", reference="baseline")
    )


def test_the_prediction_interval_is_that_of_the_mean_of_new_seeds() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(0.02, 0.01, 16), rng.normal(0.02, 0.01, 8)
    found = replicated(cell("helps"), old, new)
    half = stats.t.ppf(0.975, 15) * 100 * old.std(ddof=1) * np.sqrt(1 / 16 + 1 / 8)
    assert (found.predicted_low, found.predicted_high) == pytest.approx(
        (100 * old.mean() - half, 100 * old.mean() + half)
    )
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 7, 100 * new.mean(), stats.sem(100 * new)))
    assert found.within
    assert found.upheld


def test_a_replication_on_the_other_side_contradicts_the_verdict() -> None:
    old, new = np.array([0.02, 0.021, 0.019, 0.02]), np.array([-0.02, -0.021, -0.019, -0.02])
    found = replicated(cell("helps"), old, new)
    assert not found.within
    assert not found.upheld
    assert replicated(cell("hurts"), old, new).upheld


def test_the_page_shows_replicated_cells(atlas: dict[str, StudyData], all_cells: list[Cell]) -> None:
    cells = [cell for cell in all_cells if cell.study in ("atlas_digits_vgg11", "atlas_fashion_cnn", "atlas_cifar_cnn")]
    (one, *_) = against_reference(cells)
    new = np.full(8, one.effect / 100) + np.linspace(-0.01, 0.01, 8)
    found = [replicated(one, new, new), replicated(one, new, -new)]
    page = page_text(atlas, cells, {}, found)
    assert "2 random cells, trained again with 8 fresh seeds each. 1 of the new means" in page
    assert f"| {one.place}: {TITLES[one.method]} | {one.verdict.verdict} | {one.effect:+.1f} | " in page
    assert "Replicated" not in page_text(atlas, cells, {}, [])


def test_equal_differences_have_an_interval_of_one_point() -> None:
    found = replicated(cell("equivalent"), np.zeros(4), np.zeros(4))
    assert (found.low, found.again, found.high) == (0, 0, 0)
    assert found.upheld
