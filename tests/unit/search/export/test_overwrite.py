"""Overwrite protection of exports."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.export.keras_script import write_script
from search.export.overwrite import check_overwrite
from search.export.recipe import read_recipe, write_recipe
from tests.scripts import recipe
from trainables import records
from trainables.errors import InputError


def test_new_paths_and_earlier_exports_are_allowed(tmp_path: Path) -> None:
    write_recipe(recipe(), tmp_path / "recipe.yaml")
    write_script(recipe(), tmp_path / "train.py")
    (tmp_path / records.JOURNAL_FILE).touch()
    for name in ("new.yaml", "recipe.yaml", "train.py", "folder/new.yaml"):
        check_overwrite(tmp_path / name, tmp_path)


@pytest.mark.parametrize("name", [records.JOURNAL_FILE, "study.yaml", "binary", "other/recipe.yaml", "."])
def test_other_files_are_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / "other").mkdir()
    for file in (records.JOURNAL_FILE, "study.yaml", f"other/{records.JOURNAL_FILE}"):
        (tmp_path / file).write_text("name: mine\n")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    write_recipe(recipe(), tmp_path / "other" / "recipe.yaml")
    with pytest.raises(InputError, match=r"--output|is a folder"):
        check_overwrite(tmp_path / name, tmp_path)


def test_a_folder_is_not_a_recipe(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"give the recipe in it, such as .*recipe\.yaml"):
        read_recipe(tmp_path)


@pytest.mark.parametrize("shape", [[8, 8], [8, 8, 1, 1], [8, 8, 0]])
def test_a_recipe_has_three_sides_of_an_image(shape: list[int], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(f"assay_recipe: 1\nimage_shape: {shape}\n")
    with pytest.raises(InputError, match="image_shape"):
        read_recipe(tmp_path / "recipe.yaml")
