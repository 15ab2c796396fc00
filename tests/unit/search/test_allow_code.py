"""Commands run code that a file names only with --allow-code, or if it is named on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from search.cli import app
from search.export.recipe import with_checksum
from search.lifecycle import resume_study
from search.monitor.messages import resume_hint
from search.session import Options
from search.store.journal import Journal
from tests.support.studies import study_document
from tests.unit.search.final_training.test_training import recipe as make_recipe
from trainables.errors import InputError
from trainables.registration.plugins import code_allowed

OWN = """
from pathlib import Path
Path({seen!r}).touch()
import numpy as np, pandas
def load(n=40):
    x, y = np.arange(n * 64, dtype="uint8").reshape(n, 8, 8), np.arange(n) % 2
    return dict(x_train=x, y_train=y, x_test=255 - x, y_test=y)
"""
DATA = {"source": "my_data_here:load", "options": {"n": 30}}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_data_here", raising=False)
    (tmp_path / "study").mkdir()
    (tmp_path / "my_data_here.py").touch()  # the working directory is not on the path
    (tmp_path / "study" / "my_data_here.py").write_text(OWN.format(seen=str(tmp_path / "imported")))


def write(**changes: object) -> str:
    path = Path("study/s.yaml")
    path.write_text(yaml.safe_dump(study_document(**changes)))
    return str(path)


def assay(*arguments: str) -> tuple[int, str]:
    with code_allowed(False):
        done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


@pytest.mark.parametrize(
    "changes",
    [
        {"data": DATA},
        {"data": {"source": "os:system", "options": {"command": "touch imported"}}},
        {"conditions": {"data": ["digits", {"as": "own", **DATA}]}},
        {"conditions": {"data": ["digits", "my_data_here:load"]}},
        {"conditions": {"data": ["digits", {"as": "own", "source": "os:system", "options": {"command": "id"}}]}},
        {"recipe": {"model": "my_data_here:load", "augmentation": "crop", "epochs": 12}},
        {"recipe": {"augmentation": "crop", "epochs": 12}, "conditions": {"model": ["resnet8", "my_data_here:load"]}},
        {"methods": ["baseline", "my_data_here:Method"]},
        {"methods": ["baseline", {"name": "maxup+my_data_here:Method", "as": "mixup"}]},
        {"recipe": {"augmentation": "my_data_here:load", "epochs": 12}},
        {"recipe": {"optimizer": "my_data_here:load", "epochs": 12}},
    ],
)
@pytest.mark.parametrize("command", [("run", "-o", "out"), ("list", "data", "--check"), ("plan", "--timed")])
def test_code_in_a_study_file_is_refused_before_anything_is_written(
    changes: dict[str, Any], command: tuple[str, ...]
) -> None:
    file = write(**changes)
    uses_data = "data" in changes or "data" in changes.get("conditions", {})
    if command[0] == "list" and not uses_data and "methods" not in changes:
        pytest.skip("does not use the network")
    code, output = assay(*((*command, file) if command[0] == "list" else (command[0], file, *command[1:])))
    assert (code, Path("out").exists(), Path("imported").exists()) == (2, False, False), output
    assert "--allow-code" in output or "unknown" in output


def test_own_data_beside_the_study_works_with_permission() -> None:
    code, output = assay("list", "data", "--check", write(data=DATA), "--allow-code")
    assert code == 0, output
    assert Path("imported").exists()


def test_own_data_as_a_condition_is_as_restricted_as_the_data_of_a_study() -> None:
    file = write(conditions={"data": ["digits", {"as": "own", **DATA}]})
    code, output = assay("list", "data", "--check", file, "--allow-code")
    assert (code, Path("imported").exists()) == (0, True), output
    forbidden = {"as": "own", "source": "os:system", "options": {"command": "id"}}
    file = write(conditions={"data": ["digits", forbidden]})
    code, output = assay("run", file, "-o", "out", "--allow-code")
    assert (code, Path("out").exists()) == (2, False)
    assert "own: data source: `os:system` is refused: `os` is part of Python's standard library" in output


def test_a_file_that_is_named_like_a_library_beside_the_study_is_not_executed() -> None:
    for name in ("pandas", "numpy", "colorsys", "bottleneck"):
        Path("study", f"{name}.py").write_text("raise SystemExit('shadowed')")
        Path(f"{name}.py").write_text("raise SystemExit('shadowed')")
    code, output = assay("list", "data", "--check", write(data=DATA), "--allow-code")
    assert code == 0, output


def test_a_reference_on_the_command_line_is_permission_for_it_alone() -> None:
    file = write(data=DATA)
    assert assay("plan", file, "--images-per-second", "9", "--set", "data.source=my_data_here:load")[0] == 0
    Path("imported").unlink()
    code, output = assay("plan", file, "--images-per-second", "9", "--set", "recipe.model=my_data_here:other")
    assert code == 2
    assert "--allow-code" in output
    assert not Path("imported").exists()


def test_code_in_a_recipe_is_refused() -> None:
    recipe = make_recipe()
    train = recipe.train.model_dump(mode="json") | {"data": {"source": "os:system", "options": {"command": "id"}}}
    sent = with_checksum(recipe.model_validate({**recipe.document(), "train": train}))
    Path("recipe.yaml").write_text(json.dumps(sent.document()))
    code, output = assay("train", "recipe.yaml", "-o", "out")
    assert (code, Path("out").exists()) == (2, False), output
    assert "--allow-code" in output
    assert "standard library" in assay("train", "recipe.yaml", "-o", "out", "--allow-code")[1]


def test_code_in_the_stored_copy_of_a_study_is_refused(tmp_path: Path) -> None:
    from search.plan.builder import make_plan
    from search.plan.record import study_record
    from search.store.provenance import facts_of
    from search.study.loading import load_study
    from trainables import records

    study = load_study(write(data=DATA))
    with Journal.create(tmp_path / "sent" / records.JOURNAL_FILE) as journal:
        journal.set_meta_once(records.META_STUDY, study.document())
        journal.set_meta_once(records.META_FACTS, facts_of({}).dump())
        journal.set_meta_once(records.META_PLAN, study_record(make_plan(study)).dump())
    with pytest.raises(InputError, match="--allow-code"):
        resume_study(tmp_path / "sent", Options())
    assert not Path("imported").exists()


def test_the_hint_to_resume_repeats_the_permission() -> None:
    assert "--allow-code" not in resume_hint(Path("s"))
    with code_allowed():
        assert resume_hint(Path("s")).endswith("assay resume s --allow-code")
