"""Tests of the Python interface: data frames, text, and escaped HTML in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import search
from search.plan.builder import make_plan
from search.ray_tune.callbacks import NoReporter
from tests.support.driver import carry_out
from tests.support.studies import make_study
from trainables import records


@pytest.fixture
def answer(tmp_path: Path, write_curves: Callable[..., Path]) -> search.Result:
    plan = make_plan(make_study(methods=["baseline", "mixup"], conditions={}))
    carry_out(plan, tmp_path / records.JOURNAL_FILE, write_curves())
    return search.report(tmp_path)


def test_data_frames_have_the_columns_of_the_reports_files(answer: search.Result) -> None:
    for name, table in (("verdicts", answer.verdicts), ("runs", answer.runs)):
        assert list(pd.read_csv(answer.folder / records.REPORT / f"{name}.csv")) == list(table)
    assert len(answer.verdicts) == len(answer.rows) == 1
    assert answer.verdicts["tuned_low"][0] < answer.verdicts["tuned_effect"][0] < answer.verdicts["tuned_high"][0]


def test_a_result_prints_its_verdicts(answer: search.Result) -> None:
    line, where = repr(answer).splitlines()
    row = answer.rows[0]
    assert line.startswith(f"mixup against baseline, all: {row.verdict}; {row.effect} points, 95 % interval")
    assert where == f"report: {answer.report}"


def test_a_result_is_a_table_in_a_notebook(answer: search.Result) -> None:
    row = replace(answer.rows[0], condition="<b>bold</b>")
    page = replace(answer, rows=(row,))._repr_html_()
    assert row.interval in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>" not in page
    assert answer.report.as_uri() in page
    assert "recipe" not in page


def test_the_reporter_prints_nothing() -> None:
    assert NoReporter().should_report([]) is False
