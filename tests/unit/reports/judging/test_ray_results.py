"""Ray Tune results: damaged, odd and missing results are left out or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports.judging.judgement import judge_runs
from reports.judging.sources.recognise import read_source
from tests.unit.reports.judging.tables import ASKED, FRAME
from tests.unit.reports.judging.writers import (
    write_ray,
)
from trainables.errors import InputError


def test_ray_trials_with_errors_or_without_results_are_left_out(tmp_path: Path) -> None:
    folder = write_ray(FRAME.assign(condition="c", k=0, selection=0.0), tmp_path)
    trials = sorted((folder / "train").iterdir())
    (trials[0] / "error.txt").write_text("Traceback")
    (trials[1] / "result.json").write_text("")
    with (trials[2] / "result.json").open("a") as stream:
        stream.write('{"training_iteration": 3, "test_acc')
    (trials[3] / "result.json").unlink()
    (trials[3] / "progress.csv").write_text("")
    table = read_source(folder)
    assert table.notes == (
        "1 trial that ended with an error.",
        "1 trial without results.",
        "1 trial whose result.json ends in the middle of a line, without that line.",
    )
    assert len(table.frame) == 5
    assert table.frame["config/seed"].tolist() == [2, 0, 1, 2, 3]
    assert table.frame["test_accuracy"].tolist() == FRAME["test_accuracy"][[2, 4, 5, 6, 7]].tolist()
    assert table.curves is not None
    assert table.curves.groupby("run").size().tolist() == [2] * 5


def test_a_damaged_ray_result_is_refused(tmp_path: Path) -> None:
    folder = write_ray(FRAME.head(1).assign(condition="c", k=0, selection=0.0), tmp_path)
    path = next(folder.rglob("result.json"))
    path.write_text("garbage\n" + path.read_text())
    with pytest.raises(InputError, match=r"result\.json, line 1 is not JSON"):
        read_source(folder)


def test_nan_in_a_ray_result_is_not_a_missing_value(tmp_path: Path) -> None:
    folder = write_ray(FRAME.assign(condition="c", k=0, selection=0.0), tmp_path)
    path = next(iter(sorted(folder.rglob("result.json"))))
    path.write_text('{"training_iteration": 1, "test_accuracy": NaN}\n')
    with pytest.raises(InputError, match="`test_accuracy` is not finite"):
        judge_runs(read_source(folder), ASKED, "runs")


@pytest.mark.parametrize(
    ("result", "parameters", "message"),
    [
        ("[1]", "{}", r"result\.json, line 2 is not a result of Ray Tune"),
        ('{"training_iteration": "two"}', "{}", r"result\.json, line 2: `training_iteration` must be a number"),
        ('{"training_iteration": [2]}', "{}", r"result\.json, line 2: `training_iteration` must be a number"),
        ('{"training_iteration": 2}', "[1]", r"the configuration of the trial .* must be a JSON object, but is \[1\]"),
    ],
)
def test_odd_results_of_ray_are_refused(tmp_path: Path, result: str, parameters: str, message: str) -> None:
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "params.json").write_text(parameters)
    (tmp_path / "trial" / "result.json").write_text(f'{{"training_iteration": 1}}\n{result}\n')
    with pytest.raises(InputError, match=message):
        read_source(tmp_path)


def test_a_value_of_ray_that_is_no_number_in_some_iterations_is_missing_there(tmp_path: Path) -> None:
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "result.json").write_text('{"accuracy": "none yet"}\n{"accuracy": 0.5}\n')
    table = read_source(tmp_path)
    assert table.curves is not None
    assert np.isnan(table.curves["accuracy"].iloc[0])
    assert table.frame["accuracy"].tolist() == [0.5]
