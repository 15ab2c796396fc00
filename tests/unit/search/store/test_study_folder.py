"""A study's folder: what a killed driver left is removed, and nothing else."""

from __future__ import annotations

from pathlib import Path

from search.store.study_folder import clear_unfinished


def test_only_incomplete_files_of_the_driver_are_removed(tmp_path: Path) -> None:
    kept = ["recipe.yaml", ".mine", ".delivery.json.01.part", "report/index.html", "report/.notes"]
    incomplete = [
        ".recipe.yaml.01.part",
        ".study.db.02.part",
        ".study.db.02.part-journal",
        "report/.index.html.03.part",
    ]
    (tmp_path / "report").mkdir()
    for name in kept + incomplete:
        (tmp_path / name).touch()
    clear_unfinished(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
