"""Overwrite protection of exports."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from search.export.keras_script import write_script
from search.export.overwrite import check_overwrite, set_aside
from search.export.recipe import read_recipe, with_checksum, write_recipe
from tests.support.scripts import recipe
from trainables import records
from trainables.errors import InputError


def test_new_paths_and_earlier_exports_are_allowed(tmp_path: Path) -> None:
    write_recipe(with_checksum(recipe()), tmp_path / "recipe.yaml")
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


@pytest.mark.parametrize("text", ["see what was exported by Assay\n", "my notes on\n  assay_recipe: 1\n"])
def test_a_file_that_mentions_an_export_is_not_overwritten(text: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(text)
    with pytest.raises(InputError, match="was not exported by Assay; choose another `--output`"):
        check_overwrite(tmp_path / "notes.md", tmp_path)


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="choose another `--output`"):
        check_overwrite(tmp_path / "pipe", tmp_path)


@pytest.mark.parametrize(("old", "new"), [("epochs: 40", "epochs: 50"), ("checksum:", "# checksum:")])
def test_a_recipe_that_was_edited_is_not_overwritten(old: str, new: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    write_recipe(with_checksum(recipe()), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match="was edited after it was exported, and would be replaced; choose another"):
        check_overwrite(path, tmp_path)


def test_an_edited_recipe_of_a_study_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    assert set_aside(path) is None
    for kept in ("recipe.edited.yaml", "recipe.edited2.yaml"):
        write_recipe(with_checksum(recipe()), path)
        assert set_aside(path) is None
        edited = path.read_text().replace("epochs: 40", "epochs: 50")
        path.write_text(edited)
        assert set_aside(path) == tmp_path / kept
        assert (tmp_path / kept).read_text() == edited
        assert not path.exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [("import", "import  "), ("# SHA-256", "# sha"), ("", "print()\n"), ("\n", "\r\n")],
    ids=["line", "checksum", "begin", "ends of lines"],
)
def test_a_script_that_was_edited_is_not_overwritten(old: str, new: str, tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    write_script(recipe(), path)
    text = path.read_text()
    for edited in (text.replace(old, new, 1), f"{text}print()\n"):
        path.write_bytes(edited.encode())
        with pytest.raises(InputError, match=r"train\.py was edited after it was exported"):
            check_overwrite(path, tmp_path)


def test_a_folder_is_not_a_recipe(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"give the recipe in it, such as .*recipe\.yaml"):
        read_recipe(tmp_path)


@pytest.mark.parametrize("shape", [[8, 8], [8, 8, 1, 1], [8, 8, 0]])
def test_a_recipe_has_three_sides_of_an_image(shape: list[int], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(f"assay_recipe: 1\nimage_shape: {shape}\n")
    with pytest.raises(InputError, match="image_shape"):
        read_recipe(tmp_path / "recipe.yaml")
