"""optuna.db: ended trials are added once, whatever the path; it may fail, and is written anew if it is damaged."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from sqlalchemy import URL

from search.store.optuna_storage import TRIAL, OptunaFile

SPACE: dict[str, BaseDistribution] = {"learning_rate": FloatDistribution(0.0, 1.0)}
NAMES = ["plain", "per%cent%20x", "{brace}", "what?", 'o\'neill "x"']


def arm(count: int, running: int = 0) -> optuna.Study:
    """Return the Optuna study of an arm in memory, with ended and running trials."""
    study = optuna.create_study(study_name="arm", direction="maximize")
    for index in range(count + running):
        trial = study.ask(SPACE)
        trial.set_user_attr(TRIAL, index)
        trial.report(index / 10, 1)
        if index < count:
            study.tell(trial, index / 10)
    return study


def stored(path: Path) -> list[tuple[int, float | None, dict[int, float]]]:
    (study,) = optuna.get_all_study_names(storage := URL.create("sqlite", database=str(path)).render_as_string())
    trials = optuna.load_study(study_name=study, storage=storage).trials
    return [(trial.user_attrs[TRIAL], trial.value, trial.intermediate_values) for trial in trials]


@pytest.mark.parametrize("name", NAMES)
def test_ended_trials_are_added_once_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "optuna.db"
    path.parent.mkdir()
    (path.parent / ".optuna.db.4711").touch()
    file = OptunaFile(path)
    for count in (1, 3, 3):
        file.update([arm(count, running=1)])
    file.close()
    again = OptunaFile(path)
    again.update([arm(4)])
    again.close()
    assert (file.error, again.error) == ("", "")
    assert stored(path) == [(index, index / 10, {1: index / 10}) for index in range(4)]
    assert [file.name for file in path.parent.iterdir()] == ["optuna.db"]


def test_nothing_new_costs_nothing_but_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = OptunaFile(tmp_path / "optuna.db")
    file.update([arm(2)])
    monkeypatch.setattr(optuna.Study, "add_trial", None)
    monkeypatch.setattr(optuna.storages.RDBStorage, "get_all_trials", None)
    file.update([arm(2)])
    again = OptunaFile(tmp_path / "optuna.db")
    again.update([arm(2)])
    assert (file.error, again.error) == ("", "")


@pytest.mark.parametrize("damage", [b"no database", b""])
def test_a_damaged_file_is_written_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "optuna.db"
    path.write_bytes(damage)
    file = OptunaFile(path)
    file.update([arm(2)])
    file.close()
    assert (file.error, len(stored(path))) == ("", 2)


def test_a_file_that_cannot_be_written_is_an_error_that_is_kept(tmp_path: Path) -> None:
    file = OptunaFile(tmp_path / "missing" / "optuna.db")
    file.update([arm(1)])
    assert "unable to open database file" in file.error
    file.update([arm(2)])
    file.close()
