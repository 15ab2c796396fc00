"""Images that were moved: they are found again, or named again, and must be the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search import lifecycle
from search.lifecycle import extend_study, resume_study, run_study
from search.session import Options
from search.store.journal import Journal
from search.study.data_place import moved_settings, recorded_settings
from search.study.loading import validate
from search.study.schema import Study
from tests.support.image_folders import folder, lists
from trainables import records
from trainables.data import SOURCES
from trainables.errors import InputError
from trainables.records import DataDecision

pytestmark = pytest.mark.usefixtures("own_code")

STUDY = {"name": "moved", "methods": ["baseline", "mixup"], "search": "none", "confirm": {"points": 1, "seeds": 2}}
RECIPE = {"model": "resnet8", "augmentation": "none"}


@pytest.fixture(autouse=True)
def no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load and check data only."""
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lifecycle, "_continue_study", lambda plan, journal, folder, options, data: data)


def archive(path: Path, seed: int = 0) -> Path:
    rng, labels = np.random.default_rng(seed), np.arange(60) % 3
    images = rng.integers(0, 256, (60, 8, 8), dtype="uint8")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x_train=images, y_train=labels, x_test=images[:30] ^ 1, y_test=labels[:30])
    return path


def study(project: Path, data: Any, **changes: Any) -> Study:
    return validate({**STUDY, "data": data, "recipe": RECIPE, **changes}, "s.yaml", project)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with data and a study in it, moved since it began."""
    began = tmp_path / "project"
    archive(began / "data.npz")
    run_study(study(began, {"source": "npz", "path": "data.npz"}), began / "out", Options())
    return began.rename(tmp_path / "renamed")


def places(project: Path) -> list[str]:
    with Journal.open(project / "out" / records.JOURNAL_FILE) as journal:
        return [row.decision.source["path"] for row in journal.decisions(DataDecision)]


def test_data_beside_the_study_is_found_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resume_study(project / "out", Options())
    assert places(project) == [str(project / "data.npz")]
    assert f"are read from {project / 'data.npz'}" in capsys.readouterr().err
    resume_study(project / "out", Options())
    assert places(project) == [str(project / "data.npz")], "recorded again, though nothing had changed"


def test_moved_data_is_named_once(project: Path, tmp_path: Path) -> None:
    away = (project / "data.npz").rename(tmp_path / "away.npz")
    with pytest.raises(InputError, match=r"no such file.*give its new place with `--data PATH`"):
        resume_study(project / "out", Options())
    resume_study(project / "out", Options(), moved=[str(away)])
    resume_study(project / "out", Options())
    assert places(project) == [str(away)]


def test_other_images_are_refused(project: Path, tmp_path: Path) -> None:
    other = archive(tmp_path / "other.npz", seed=1)
    with pytest.raises(InputError, match="the data has changed since the study"):
        resume_study(project / "out", Options(), moved=[str(other)])
    (project / "data.npz").unlink()
    archive(project / "data.npz", seed=1)
    with pytest.raises(InputError, match="the data has changed since the study"):
        resume_study(project / "out", Options())
    assert places(project) == []


@pytest.mark.parametrize("text", ["nonsense", "a/b.png", "{source: npz}", "{source: npz, path: 3}", "[1]", ""])
def test_what_is_no_source_is_refused(project: Path, text: str) -> None:
    with pytest.raises(InputError, match="--data"):
        resume_study(project / "out", Options(), moved=[text])


def test_a_study_is_extended_with_moved_data(project: Path) -> None:
    more = {"confirm": {"points": 1, "seeds": 3}}
    npz = {"source": "npz", "path": "data.npz"}
    with pytest.raises(InputError, match=r"but data\.mirror_keeps_class would change from True to False; start a new"):
        extend_study(study(project, {**npz, "mirror_keeps_class": False}, **more), project / "out", Options())
    extend_study(study(project, npz, **more), project / "out", Options())
    assert places(project) == [str(project / "data.npz")]
    with pytest.raises(InputError, match="the data has changed since the study"):
        extend_study(
            study(project, {**npz, "path": str(archive(project / "b.npz", 1))}, confirm={"points": 1, "seeds": 4}),
            project / "out",
            Options(),
        )


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A project folder with a study on two archives and the digits, of which it has moved away both archives."""
    began = tmp_path / "began"
    for seed, name in enumerate(("a", "b")):
        archive(began / f"{name}.npz", seed)
    run_study(on_several(began), tmp_path / "began" / "out", Options())
    for name in ("a", "b"):
        (began / f"{name}.npz").rename(tmp_path / f"{name} moved.npz")
    return began


def on_several(project: Path, *names: str, **changes: Any) -> Study:
    levels = [{"as": name, "source": "npz", "path": f"{name}.npz"} for name in names or ("a", "b")]
    conditions = {"data": ["digits", *levels]}
    document = {**STUDY, "recipe": RECIPE, "conditions": conditions, **changes}
    return validate(document, "s.yaml", project)


def test_each_of_several_data_sets_is_named_again(several: Path, tmp_path: Path) -> None:
    out, moved = several / "out", [f"{name}={tmp_path / name} moved.npz" for name in ("a", "b")]
    with pytest.raises(InputError, match=r"^a: .*no such file.*give its new place with `--data a=PATH`"):
        resume_study(out, Options())
    with pytest.raises(InputError, match=r"^b: .*no such file.*give its new place with `--data b=PATH`"):
        resume_study(out, Options(), moved=moved[:1])
    assert places(several) == []
    resume_study(out, Options(), moved=moved)
    assert places(several) == [str(tmp_path / "a moved.npz"), str(tmp_path / "b moved.npz")]
    resume_study(out, Options())
    with Journal.open(out / records.JOURNAL_FILE) as journal:
        first = {"source": "npz", "path": str(several / "b.npz")}
        assert recorded_settings(journal, first, out, "b")["path"] == str(tmp_path / "b moved.npz")


@pytest.mark.parametrize("text", ["{place}", "c={place}", "a=", "=x", ""])
def test_a_place_without_the_name_of_a_data_set_is_refused(text: str, several: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"write `--data NAME=PATH` with one of: digits, a, b"):
        resume_study(several / "out", Options(), moved=[text.format(place=tmp_path / "a moved.npz")])


def test_exchanged_and_repeated_places_are_refused(several: Path, tmp_path: Path) -> None:
    a, b = (str(tmp_path / f"{name} moved.npz") for name in ("a", "b"))
    with pytest.raises(InputError, match=r"^a: the data has changed since the study"):
        resume_study(several / "out", Options(), moved=[f"a={b}", f"b={a}"])
    with pytest.raises(InputError, match=r"`a` is given twice"):
        resume_study(several / "out", Options(), moved=[f"a={a}", f"a={a}"])
    assert places(several) == []


def test_all_sizes_of_a_data_set_have_one_place(tmp_path: Path) -> None:
    archive(tmp_path / "began" / "data.npz")
    npz, sizes = {"source": "npz", "path": "data.npz"}, {"image_size": [8, 12]}
    run_study(study(tmp_path / "began", npz, conditions=sizes), tmp_path / "out", Options())
    away = (tmp_path / "began" / "data.npz").rename(tmp_path / "away.npz")
    with pytest.raises(InputError, match=r"^image_size=8: .*give its new place with `--data PATH`"):
        resume_study(tmp_path / "out", Options())
    resume_study(tmp_path / "out", Options(), moved=[str(away)])
    with Journal.open(tmp_path / "out" / records.JOURNAL_FILE) as journal:
        moves = [row.decision for row in journal.decisions(DataDecision)]
    assert [(move.label, move.source["size"], move.source["path"]) for move in moves] == [
        ("image_size=8", 8, str(away)), ("image_size=12", 12, str(away)),
    ]  # fmt: skip


def test_a_data_set_is_added_to_a_study(several: Path, tmp_path: Path) -> None:
    archive(tmp_path / "c.npz", seed=3)
    for name in ("a", "b"):
        (tmp_path / f"{name} moved.npz").rename(tmp_path / f"{name}.npz")
    extend_study(on_several(tmp_path, "c", "b", "a"), several / "out", Options())
    assert sorted(places(several)) == [str(tmp_path / "a.npz"), str(tmp_path / "b.npz")], "the same, at another place"
    with Journal.open(several / "out" / records.JOURNAL_FILE) as journal:
        facts, plan = journal.facts(), journal.required_plan()
        relative = journal.meta(records.META_DATA_SETS)
    assert (sorted(facts.data_sets), facts.data) == (["a", "b", "c", "digits"], None)
    assert [condition.data for condition in plan.conditions] == ["digits", "c", "b", "a"]
    assert relative["c"] == {"path": "../../c.npz"}
    archive(tmp_path / "c.npz", seed=4)
    with pytest.raises(InputError, match=r"^c: the data has changed since the study"):
        resume_study(several / "out", Options())


def test_a_recipe_names_the_place_where_the_images_are(project: Path, tmp_path: Path) -> None:
    old = {"source": "npz", "path": str(tmp_path / "project" / "data.npz")}
    with Journal.open(project / "out" / records.JOURNAL_FILE) as journal:
        assert recorded_settings(journal, old, project / "out")["path"] == str(project / "data.npz")
        (project / "data.npz").unlink()
        assert recorded_settings(journal, old, project / "out") == old


def test_classes_in_another_order_are_said(tmp_path: Path) -> None:
    module = tmp_path / "own_classes.py"
    code = (
        "import numpy as np\nNAMES = ['cat', 'dog']\ndef load():\n"
        "    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8), 'uint8')\n"
        "    y = np.arange(40) % 2\n"
        "    return {'x_train': x, 'y_train': y, 'x_test': x ^ 1, 'y_test': y, 'class_names': np.array(NAMES)}\n"
    )
    module.write_text(code)
    run_study(study(tmp_path, {"source": "own_classes:load"}), tmp_path / "out", Options())
    import own_classes  # type: ignore[import-not-found]

    own_classes.NAMES = ["dog", "cat"]
    with pytest.raises(InputError, match=r"the classes are the same, but in another order.*PYTHONHASHSEED"):
        resume_study(tmp_path / "out", Options())
    own_classes.NAMES = ["dog", "cow"]
    with pytest.raises(InputError, match=r"the classes were cat, dog, and are dog, cow"):
        resume_study(tmp_path / "out", Options())


def test_a_folder_replaces_what_the_paths_of_a_source_have_in_common(tmp_path: Path) -> None:
    text = "".join(f"{name}/{i}.png {name}\n" for name in ("cat", "dog") for i in range(5))
    began = lists(tmp_path / "began", train=text)
    (tmp_path / "began" / "lists").mkdir()
    inner = Path(began["train"]).rename(tmp_path / "began" / "lists" / "train.txt")
    before = {"source": "lists", "train": str(inner), "root": str(tmp_path / "began"), "validation": None}
    expected = SOURCES.get("lists").model_validate(before).load().fingerprint
    (tmp_path / "began").rename(tmp_path / "now")
    moved = moved_settings(str(tmp_path / "now"), before)
    assert moved == {
        **before, "train": str(tmp_path / "now" / "lists" / "train.txt"), "root": str(tmp_path / "now"),
    }  # fmt: skip
    assert SOURCES.get("lists").model_validate(moved).load().fingerprint == expected
    reference = {"source": "own:load", "options": {"n": 3}, "path": str(tmp_path / "began")}
    assert moved_settings(str(tmp_path / "now"), reference) == {**reference, "path": str(tmp_path / "now")}
    directory = {"source": "directory", "path": str(tmp_path / "began"), "size": 8}
    assert moved_settings(str(folder(tmp_path / "d")), directory) == {**directory, "path": str(tmp_path / "d")}
