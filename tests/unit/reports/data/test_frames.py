"""Loading journals: data frames, studies in progress, and files that are not journals."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reports.data.frames import UNFINISHED, read_study
from reports.inference.verdicts import judge
from tests.support.journal_builder import FACTS, JournalBuilder, make_plan, simulate_study
from trainables import records
from trainables.errors import InputError
from trainables.records import Facts


def test_runs_have_one_row_per_run_in_order_with_outcome_and_metrics(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path) as journal:
        done = journal.run("resnet8-0.1", "mixup", k=1, seed=2, parameters={"mixup.alpha": 0.2})
        journal.end(done, selection=0.8, test=0.75)
        broken = journal.run("resnet8-0.1", "baseline", phase=records.SEARCH, audit=True)
        journal.end(broken, records.FAILED, epoch=3, reason="out of memory")
        going = journal.run("resnet8-0.1", "maxup")
        journal.report(going, 1, {records.TRAIN_LOSS: 2.0})
        journal.report(going, 2, {records.TRAIN_LOSS: 1.5})
    study = read_study(tmp_path)
    runs = study.runs
    assert runs["run"].tolist() == [done, broken, going]
    assert runs["outcome"].tolist() == [records.COMPLETED, records.FAILED, UNFINISHED]
    assert runs["epoch"].tolist() == [12, 3, 2]
    assert runs["audit"].tolist() == [False, True, False]
    assert runs["reason"].tolist() == ["", "out of memory", ""]
    assert runs.loc[0, records.TEST_ACCURACY] == 0.75
    assert runs.loc[1:, records.SELECTION].isna().all()
    assert runs.loc[0, "parameters"] == {"mixup.alpha": 0.2}
    assert runs["ended"].notna().tolist() == [True, True, False]
    assert study.facts == Facts.parse(FACTS)
    assert study.plan.name == "quickstart"


def test_curves_have_one_row_per_epoch_with_nan_for_missing_metrics(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path) as journal:
        run = journal.run("resnet8-0.1", "mixup")
        journal.report(run, 2, {records.TRAIN_LOSS: 1.0, "mine": 7.0})
        journal.report(run, 1, {records.TRAIN_LOSS: 2.0, records.VALIDATION_LOSS: None})
    curves = read_study(tmp_path).curves
    assert curves["run"].tolist() == [run, run]
    assert curves["epoch"].tolist() == [1, 2]
    assert curves[records.TRAIN_LOSS].tolist() == [2.0, 1.0]
    assert curves[records.VALIDATION_LOSS].isna().all()
    assert curves["mine"].isna().tolist() == [True, False]


def test_verdicts_do_not_need_the_epochs(tmp_path: Path) -> None:
    folder = simulate_study(tmp_path)
    whole, without = (read_study(folder, curves=curves) for curves in (True, False))
    assert (len(whole.curves) > 0, len(without.curves)) == (True, 0)
    assert judge(without) == judge(whole)


def test_rows_are_selected_by_arm_and_by_run(tmp_path: Path) -> None:
    study = read_study(simulate_study(tmp_path))
    runs = study.runs_of(records.CONFIRM, "resnet8-0.2", "maxup")
    assert len(runs) == 12
    assert set(runs["arm"]) == {"maxup/resnet8-0.2"}
    names = runs["run"].tolist()[3:5]
    assert set(study.curves_of(names)["run"]) == set(names)
    assert study.runs_of(records.CONFIRM, "resnet8-0.2", "nothing").empty
    assert study.curves_of(["nothing"]).empty


def test_correctness_is_read_as_written(tmp_path: Path) -> None:
    correct = np.random.default_rng(1).random(37) < 0.5
    with JournalBuilder(tmp_path) as journal:
        run = journal.run("resnet8-0.1", "mixup")
        journal.examples(run, correct)
    found = read_study(tmp_path).correctness([run, "unknown"])
    assert list(found) == [run]
    np.testing.assert_array_equal(found[run], correct)


def test_a_running_study_can_be_read_and_reading_changes_nothing(tmp_path: Path) -> None:
    journal = JournalBuilder(tmp_path)
    journal.end(journal.run("resnet8-0.1", "mixup"), test=0.5, selection=0.5)
    journal.commit()
    journal.run("resnet8-0.1", "baseline")  # not committed yet
    assert read_study(tmp_path).runs["method"].tolist() == ["mixup"]
    journal.commit()
    assert read_study(tmp_path).runs["method"].tolist() == ["mixup", "baseline"]
    journal.connection.close()
    before = (tmp_path / records.JOURNAL_FILE).read_bytes()
    read_study(tmp_path)
    assert (tmp_path / records.JOURNAL_FILE).read_bytes() == before


def test_a_study_without_runs_has_empty_frames_with_all_columns(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path):
        pass
    study = read_study(tmp_path)
    assert study.runs.empty
    assert {"run", "outcome", records.TEST_ACCURACY} <= set(study.runs)
    assert study.curves.empty
    assert set(records.EPOCH_METRICS) <= set(study.curves)
    assert study.updated is None


def test_a_folder_name_may_contain_any_character(tmp_path: Path) -> None:
    folder = tmp_path / "a?b#c%20d é"
    with JournalBuilder(folder):
        pass
    assert read_study(folder).plan.name == "quickstart"


def test_a_folder_without_a_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no study\.db"):
        read_study(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"name: quickstart\n" * 300])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / records.JOURNAL_FILE).write_bytes(content)
    with pytest.raises(InputError, match="not a journal of Assay"):
        read_study(tmp_path)


def test_a_truncated_journal_is_refused(tmp_path: Path) -> None:
    simulate_study(tmp_path)
    path = tmp_path / records.JOURNAL_FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="is damaged"):
        read_study(tmp_path)


def test_a_database_of_another_application_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / records.JOURNAL_FILE) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(InputError, match=r"not a journal of Assay .*no such table: meta"):
        read_study(tmp_path)


def test_a_newer_schema_is_refused_with_both_versions(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path, schema=records.SCHEMA_VERSION + 1):
        pass
    with pytest.raises(InputError, match=f"version {records.SCHEMA_VERSION + 1}.*up to {records.SCHEMA_VERSION}"):
        read_study(tmp_path)


def test_a_final_training_is_refused(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path) as journal:
        journal.connection.execute("INSERT INTO meta (key, value) VALUES (?, '{}')", (records.META_RECIPE,))
    with pytest.raises(InputError, match=f"{tmp_path} is a final training, not a study; `assay status` shows its runs"):
        read_study(tmp_path)


def test_a_journal_without_a_plan_is_refused(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path) as journal:
        journal.connection.execute("DELETE FROM meta WHERE key = ?", (records.META_PLAN,))
    with pytest.raises(InputError, match="does not contain a plan yet"):
        read_study(tmp_path)


def test_a_plan_with_a_missing_entry_is_refused(tmp_path: Path) -> None:
    plan = make_plan()
    del plan["contrasts"]
    with JournalBuilder(tmp_path, plan):
        pass
    with pytest.raises(InputError, match="contrasts: Field required"):
        read_study(tmp_path)


def test_reports_import_neither_ray_nor_a_deep_learning_library() -> None:
    heavy = "{'ray', 'tensorflow', 'keras', 'mlflow', 'optuna', 'plotly.express'}"
    code = f"import sys, reports.page.writer; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
