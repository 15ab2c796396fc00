"""Reports from MLflow alone have the same figures as from the journal."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from reports.data.frames import read_study
from reports.inference.verdicts import judge
from reports.page.writer import write_study
from search.cli import app
from search.tracking.import_study import read_experiment
from tests.support.journal_builder import make_plan, simulate_study
from tests.support.mlflow_stores import deliver
from trainables import records
from trainables.errors import InputError
from trainables.records.journal_schema import seal, write_entry

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def small_study(folder: Path, name: str, study_id: str) -> Path:
    """Write a small study with an id, a failed arm and a run that diverged."""
    conditions = {"one": {"model": "resnet8", "train_fraction": 0.1}}
    plan = make_plan(conditions, ("baseline", "mixup", "cutmix"), name=name, seeds=3)
    simulate_study(folder, plan=plan, effects={"mixup": 0.05}, failing=["cutmix"], images=60)
    with closing(sqlite3.connect(folder / records.JOURNAL_FILE)) as journal, journal:
        write_entry(journal, records.META_ID, json.dumps(study_id))
        (run,) = journal.execute("SELECT run FROM outcomes WHERE run LIKE 'confirm/mixup/%'").fetchone()
        diverged = (records.DIVERGED, "the training loss was not finite: in epoch 7", run)
        journal.execute("UPDATE outcomes SET outcome = ?, reason = ? WHERE run = ?", diverged)
        seal(journal)
    return folder


def judge_on_extended_part(folder: Path) -> None:
    """Turn a written study into one that is judged on an extended test part of 80 images."""
    with closing(sqlite3.connect(folder / records.JOURNAL_FILE)) as journal, journal:
        for run, text in journal.execute("SELECT run, metrics FROM outcomes").fetchall():
            metrics = json.loads(text)
            if records.TEST_ACCURACY in metrics:
                metrics[records.EXTENDED_TEST_ACCURACY] = metrics[records.TEST_ACCURACY] + 0.01
                metrics[records.EXTENDED_TEST_IMAGES] = 80.0
            journal.execute("UPDATE outcomes SET metrics = ? WHERE run = ?", (json.dumps(metrics), run))
        (plan,) = journal.execute("SELECT value FROM meta WHERE key = ?", (records.META_PLAN,)).fetchone()
        write_entry(journal, records.META_PLAN, json.dumps({**json.loads(plan), "test": "extended"}))
        seal(journal)


@pytest.mark.parametrize("part", ["official", "extended"])
def test_the_report_from_mlflow_has_the_same_figures(tmp_path: Path, store: str, part: str) -> None:
    folder = small_study(tmp_path / "study", "read back", f"read-back-{part}")
    if part == "extended":
        judge_on_extended_part(folder)
    assert {verdict.metric for verdict in judge(read_study(folder))} == {read_study(folder).plan.unit.metric}
    deliver(folder, store)
    ours = write_study(read_study(folder), tmp_path / "ours")
    theirs = write_study(read_experiment(store, "read back", f"read-back-{part}"), tmp_path / "theirs")
    assert ours.tables.keys() == theirs.tables.keys()
    for name, path in ours.tables.items():
        if name != "runs":
            assert path.read_text() == theirs.tables[name].read_text(), name
    times = ["started", "ended"]
    one, other = (pd.read_csv(paths.tables["runs"]).drop(columns=times) for paths in (ours, theirs))
    pd.testing.assert_frame_equal(one, other)


def test_studies_with_the_same_name_are_distinguished_by_id(tmp_path: Path, store: str) -> None:
    for number in (1, 2):
        deliver(small_study(tmp_path / str(number), "twins", f"{number}-twin"), store)
    with pytest.raises(InputError, match=r"1-twin, 2-twin.*--study-id"):
        read_experiment(store, "twins")
    arguments = ["report", "--experiment", "twins", "--tracking-uri", store, "--study-id", "2", "--json"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "report")])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert {verdict["method"] for verdict in answer["verdicts"]} == {"mixup", "cutmix"}
    assert Path(answer["report"]).is_file()


def test_a_missing_experiment_is_refused(store: str) -> None:
    with pytest.raises(InputError, match="no experiment 'nothing'"):
        read_experiment(store, "nothing")
