"""Archives of studies: they give the verdicts, runs and learning curves of the studies back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.atlas.archive import CURVES, read_archive, write_archive
from reports.data.frames import StudyData, read_study
from reports.inference.verdicts import Verdict, judge
from reports.page.writer import write_study
from tests.support.journal_builder import make_plan, simulate_study
from trainables.errors import InputError


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyData:
    return read_study(simulate_study(tmp_path_factory.mktemp("study"), effects={"mixup": 0.03}))


def by_seeds(verdict: Verdict) -> Verdict:
    """Return a verdict without what rests on single test images, which archives leave out."""
    return dataclasses.replace(verdict, images=None, on_this_test_set=False, notes=(), correlation=None)


def test_an_archive_gives_the_same_verdicts(study: StudyData, tmp_path: Path) -> None:
    write_archive([study], tmp_path / "a.parquet")
    found = read_archive(tmp_path / "a.parquet")[study.plan.name]
    assert found.plan == study.plan
    assert [by_seeds(verdict) for verdict in judge(found)] == [by_seeds(verdict) for verdict in judge(study)]
    assert any(verdict.verdict == "helps" for verdict in judge(found))


def test_an_archive_keeps_runs_and_curves(study: StudyData, tmp_path: Path) -> None:
    write_archive([study], tmp_path / "a.parquet")
    found = read_archive(tmp_path / "a.parquet")[study.plan.name]
    columns = [name for name in study.runs if name not in {"started", "ended"}]
    pd.testing.assert_frame_equal(found.runs[columns], study.runs[columns], check_dtype=False)
    np.testing.assert_allclose(found.runs["ended"], study.runs["ended"])
    for metric in CURVES:
        np.testing.assert_allclose(found.curves[metric], study.curves[metric], atol=5.1e-5)


def test_an_archive_of_an_archive_is_the_same(study: StudyData, tmp_path: Path) -> None:
    write_archive([study], tmp_path / "a.parquet")
    once = read_archive(tmp_path / "a.parquet")
    write_archive(list(once.values()), tmp_path / "b.parquet")
    twice = read_archive(tmp_path / "b.parquet")
    pd.testing.assert_frame_equal(twice[study.plan.name].runs, once[study.plan.name].runs)
    pd.testing.assert_frame_equal(twice[study.plan.name].curves, once[study.plan.name].curves)


def test_the_interactive_report_is_written_from_an_archive(study: StudyData, tmp_path: Path) -> None:
    write_archive([study], tmp_path / "a.parquet")
    paths = write_study(read_archive(tmp_path / "a.parquet")[study.plan.name], tmp_path / "report")
    assert "mixup" in paths.html.read_text("utf-8")


def test_studies_of_one_name_are_refused(study: StudyData, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="distinct names"):
        write_archive([study, study], tmp_path / "a.parquet")
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "table.parquet")
    with pytest.raises(InputError, match="cannot be read as a Parquet file"):
        read_archive(tmp_path / "text.parquet")
    with pytest.raises(InputError, match="is not an archive of studies"):
        read_archive(tmp_path / "table.parquet")


def test_two_studies_stay_apart(study: StudyData, tmp_path: Path) -> None:
    plan = {**make_plan(), "name": "other"}
    other = read_study(simulate_study(tmp_path / "other", plan=plan, effects={"mixup": -0.03}))
    write_archive([study, other], tmp_path / "a.parquet")
    found = read_archive(tmp_path / "a.parquet")
    assert list(found) == [study.plan.name, "other"]
    assert len(found["other"].runs) == len(other.runs)
    assert [verdict.verdict for verdict in judge(found["other"])] == [verdict.verdict for verdict in judge(other)]
