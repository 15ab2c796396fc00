"""Tables: levels of an index, spreadsheets, exports of Weights & Biases."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from reports.judging.judgement import judge_runs
from reports.judging.question import Question
from reports.judging.sources.recognise import read_source
from tests.unit.reports.judging.tables import FRAME


def test_unfinished_runs_of_weights_and_biases_are_left_out(tmp_path: Path) -> None:
    frame = FRAME.assign(Name="run", State=["crashed", "running", *["finished"] * 6])
    frame.to_csv(tmp_path / "wandb.csv", index=False)
    table = read_source(tmp_path / "wandb.csv")
    assert (len(table.frame), table.notes) == (6, ("2 runs whose State is not finished.",))
    frame.assign(State="TX").to_csv(tmp_path / "states.csv", index=False)
    assert len(read_source(tmp_path / "states.csv").frame) == 8


@pytest.mark.parametrize("name", ["RUNS.PARQUET", "Runs.CSV"])
def test_the_case_of_an_ending_does_not_matter(name: str, tmp_path: Path) -> None:
    write = FRAME.to_csv if name.endswith("CSV") else FRAME.to_parquet
    write(tmp_path / name, index=False)
    assert len(read_source(tmp_path / name).frame) == len(FRAME)


def indexed_by_seed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({"seed": float}).set_index("seed")


def indexed_by_two_levels(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(["method", "seed"])


def indexed_by_row_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="seed").rename_axis("seed").assign(method=["baseline", "mixup"] * (len(frame) // 2))


def indexed_beside_the_column(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index("seed", drop=False)


@pytest.mark.parametrize(
    "change", [indexed_by_seed, indexed_by_two_levels, indexed_by_row_numbers, indexed_beside_the_column]
)
def test_levels_of_an_index_are_columns(tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    frame = change(FRAME)
    frame.to_parquet(tmp_path / "runs.parquet")
    for source in (frame, tmp_path / "runs.parquet"):
        found = read_source(source).frame
        assert sorted(found.columns) == ["method", "seed", "test_accuracy"]
        expected = FRAME["seed"].tolist() if change is not indexed_by_row_numbers else list(range(len(FRAME)))
        assert found["seed"].tolist() == expected


def test_column_names_that_are_numbers_become_text(tmp_path: Path) -> None:
    frame = FRAME.set_axis(range(3), axis="columns")
    frame.to_parquet(tmp_path / "runs.parquet")
    for source in (frame, tmp_path / "runs.parquet"):
        asked = Question(arm=("0",), seed=("1",), metric="2", higher=True)
        [verdict] = judge_runs(read_source(source), asked, "runs").verdicts
        assert verdict.verdict == "helps"


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (b"sep=;\nmethod;seed\na;1\n", ["method", "seed"]),
        (b'\xef\xbb\xbf"sep=|"\r\nmethod|seed\r\na|1\r\n', ["method", "seed"]),
        (b'"loss, train";"acc, val"\n1;2\n', ["loss, train", "acc, val"]),
        (b'"loss; a; b; c","acc"\n1,2\n', ["loss; a; b; c", "acc"]),
        ("method;seed\nä;1\n".encode("utf-16"), ["method", "seed"]),
        ("\ufeffsep=\t\nmethod\tseed\nä\t1\n".encode("utf-16-be"), ["method", "seed"]),
    ],
)
def test_tables_of_spreadsheets_are_read(tmp_path: Path, content: bytes, columns: list[str]) -> None:
    for name, written in (("runs.csv", content), ("RUNS.CSV.GZ", gzip.compress(content))):
        (tmp_path / name).write_bytes(written)
        found = read_source(tmp_path / name).frame
        assert (found.columns.tolist(), len(found)) == (columns, 1)
