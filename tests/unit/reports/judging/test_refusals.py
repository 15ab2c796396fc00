"""Refusals: every bad table or question has a message that says what is wrong and how to mend it."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.judging.api import judge
from reports.judging.judgement import judge_runs
from reports.judging.requirement import parse_requirement
from reports.judging.sources.recognise import read_source
from tests.unit.reports.judging.tables import ASKED, runs_frame
from trainables.errors import InputError

FRAME = runs_frame({"baseline": 0.0, "mixup": 0.02})


def refused(frame: pd.DataFrame, **changes: Any) -> str:
    with pytest.raises(InputError) as error:
        judge_runs(read_source(frame), replace(ASKED, **changes), "runs")
    return str(error.value)


@pytest.mark.parametrize(
    ("frame", "changes", "parts"),
    [
        (FRAME, {"metric": "test_acuracy"}, ("--metric test_acuracy", "Did you mean `test_accuracy`?")),
        (FRAME, {"arm": ("Methods",)}, ("--arm Methods", "`method`", "The columns are method, seed")),
        (FRAME, {"condition": ("data",)}, ("--condition data: there is no such column",)),
        (FRAME.head(0), {}, ("the data frame has no runs",)),
        (FRAME.assign(test_accuracy="n/a"), {}, ("`test_accuracy` must be numbers", "16 of 16", "`n/a`", "--where")),
        (FRAME.assign(test_accuracy=np.nan), {}, ("no run can be used", "16 runs without test_accuracy")),
        (FRAME.assign(test_accuracy=np.inf), {}, ("not finite", "--drop-nan")),
        (FRAME.assign(method=[f"m{row}" for row in range(16)]).head(1), {}, ("all usable runs have the same arm, m0",)),
        (FRAME, {"reference": "base"}, ("--reference base", "baseline, mixup")),
        (FRAME.replace("baseline", "plain"), {}, ("name the arm", "--reference mixup, plain")),
        (FRAME, {"where": ("method",)}, ("write COLUMN=VALUE or COLUMN!=VALUE",)),
        (FRAME, {"where": ("method=cutmix",)}, ("leaves none of 16 rows",)),
        (FRAME, {"smallest": np.inf}, ("the smallest effect of interest is inf", "a finite number above 0")),
        (FRAME.rename(columns={"seed": "method"}), {}, ("several columns called `method`",)),
        (FRAME, {"last": 3}, ("--last 3 needs the epochs of test_accuracy",)),
        (FRAME, {"names": "{method}"}, ("has no run names",)),
        (FRAME.assign(run="x"), {"names": "method-seed"}, ("name each column once in braces",)),
        (
            FRAME.assign(run="-" * 200),
            {"names": "{a}{b}{c}{d}{e}{f}X"},
            ("it is ambiguous where `a` ends and `b` begins", "such as `{a}-{b}`"),
        ),
        (FRAME.assign(run="x"), {"names": "{method}-s{seed}"}, ("no run has a name of this form", "x")),
        (FRAME.assign(epoch=1), {"epoch": "epoch", "arm": ("method",), "seed": ()}, ("same run and epoch", "--run")),
        (
            pd.concat([FRAME.assign(epoch=epoch, test_accuracy=epoch / 10) for epoch in (1, 2)]),
            {},
            ("2 different runs have the arm baseline and seed 0", "--epoch epoch"),
        ),
    ],
)
def test_bad_tables_and_questions_are_refused(
    frame: pd.DataFrame, changes: dict[str, Any], parts: tuple[str, ...]
) -> None:
    message = refused(frame, **changes)
    for part in parts:
        assert part in message, message


def test_percent_beside_fractions_is_refused_unless_the_scale_is_given() -> None:
    mixed = FRAME.copy()
    own = mixed["method"] == "mixup"
    mixed.loc[own, "test_accuracy"] = 100 * mixed.loc[own, "test_accuracy"]
    message = refused(mixed)
    assert "in percent in 8 runs" in message
    assert "in fractions in 8 runs" in message
    assert "baseline" in message
    assert judge_runs(read_source(mixed), replace(ASKED, percent=True), "runs").verdicts[0].verdict == "helps"


def test_a_name_that_several_columns_end_with_is_refused() -> None:
    message = refused(FRAME.assign(**{"first.model": "a", "second.model": "b"}), condition=("model",))
    assert "--condition model: several columns match: first.model, second.model" in message


def test_ten_thousand_arms_are_refused() -> None:
    frame = pd.DataFrame({"lr": np.linspace(0, 1, 10_000), "seed": 0, "accuracy": 0.5})
    message = refused(frame, arm=("lr",), metric="accuracy")
    assert "10,000 different values (0, " in message
    assert "at most 100" in message


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"alpha": 1.5}, "alpha is 1.5; it must be between 0 and 1"),
        ({"smallest": 0.0}, "it must be a finite number above 0"),
        ({"last": 0}, "it must be at least 1"),
        ({"duplicates": "any"}, "choose from first, last, mean"),
        ({"duplicates": "last", "seed": ()}, "it needs --seed or --pair"),
        ({"setting": ("seed",), "select": "val"}, "`seed` cannot both distinguish"),
        ({"setting": ("method",), "select": "val"}, "`method` is named twice"),
        ({"setting": ("lr",)}, "--setting needs --select"),
        ({"select_higher": True}, "needs --select METRIC"),
        ({"run": "id"}, "--run COLUMN needs --epoch COLUMN"),
        ({"pair": ("none", "seed")}, "--pair none cannot be combined"),
        ({"condition": ("method",)}, "`method` is named twice"),
        ({"seed": ("method",)}, "`method` cannot both distinguish arms, conditions or settings and form pairs"),
        ({"arm": ()}, "name what is compared"),
    ],
)
def test_impossible_questions_are_refused(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(InputError, match=part.replace("(", r"\(")):
        replace(ASKED, **changes)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("runs.csv", b"", "is empty"),
        ("runs.csv", b"a,a\n1,2\n", "several columns called `a`"),
        ("runs.csv", b"a,,b\n1,2,3\n", "a column without a name"),
        ("runs.csv", b"a,b\n1,2\n1,2,3\n", "cannot be read as a table"),
        ("runs.csv", b"a,b\n\xff\xfe,2\n", "not UTF-8"),
        ("runs.csv", "a;b\n1;2\n".encode("utf-16-le"), r"perhaps UTF-16 .* save the table as UTF-8 \(in Excel"),
        (
            "runs.csv.gz",
            gzip.compress(b"a,b\n1,2\n" * 99)[:-12],
            r"runs\.csv\.gz is cut off or damaged.*copy the file again",
        ),
        ("runs.csv.gz", b"a,b\n1,2\n", r"runs\.csv\.gz is cut off or damaged.*copy the file again"),
        ("runs.parquet", b"PAR1", "cannot be read as a table"),
        ("runs.docx", b"x", "of an unknown kind"),
        ("runs.csv", b"name,summary\nx,\"{'a': __import__('os')}\"\n", "neither JSON nor a Python literal"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes, part: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=part):
        read_source(tmp_path / name)


def test_an_index_level_that_differs_from_its_column_is_refused() -> None:
    with pytest.raises(InputError, match="several columns called `seed`"):
        read_source(FRAME.iloc[::-1].reset_index(drop=True).rename_axis("seed"))


def test_a_path_that_the_file_system_refuses_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        read_source("x" * 5000)


def test_an_empty_source_is_not_the_working_directory() -> None:
    with pytest.raises(InputError, match=r"the source is empty.* A source is a table"):
        read_source("")


def test_a_missing_source_is_refused() -> None:
    with pytest.raises(InputError, match=r"does not exist\. A source is a table"):
        read_source("/nowhere/runs.csv")


@pytest.mark.parametrize("text", ["mixup", "helps", "mixup is better", ""])
def test_a_requirement_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="write ARM VERDICT"):
        parse_requirement(text)


def test_a_nan_that_was_written_differs_from_an_empty_value(tmp_path: Path) -> None:
    lines = [
        "method,seed,test_accuracy",
        *(f"{arm},{seed},0.{8 + seed}" for arm in ("baseline", "mixup") for seed in (0, 1)),
    ]
    path = tmp_path / "runs.csv"
    path.write_text("\n".join([*lines, "mixup,2,"]))
    assert judge_runs(read_source(path), ASKED, "runs").evidence.left_out == ("1 run without test_accuracy.",)
    path.write_text("\n".join([*lines, "mixup,2,nan"]))
    with pytest.raises(InputError, match=r"not finite \(NaN or infinite\) in 1 run"):
        judge_runs(read_source(path), ASKED, "runs")
    dropped = judge_runs(read_source(path), replace(ASKED, drop_nan=True), "runs")
    assert dropped.evidence.left_out == ("1 run whose metric is not finite (--drop-nan).",)


@pytest.mark.parametrize("value", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_values_nested_too_deeply_are_refused(tmp_path: Path, value: str) -> None:
    trial = tmp_path / "results" / "trial"
    trial.mkdir(parents=True)
    (trial / "params.json").write_text("{}")
    (trial / "result.json").write_text(f'{{"accuracy": 0.5, "other": {value}}}\n')
    pd.DataFrame({"config": ['{"a": ' + value + "}"], "accuracy": [0.5]}).to_csv(tmp_path / "runs.csv", index=False)
    for source in (tmp_path / "results", tmp_path / "runs.csv"):
        with pytest.raises(InputError, match=r"nested too deeply|neither JSON nor a Python literal"):
            read_source(source)


def test_values_above_one_are_no_fractions() -> None:
    percent = FRAME.assign(test_accuracy=100 * FRAME["test_accuracy"])
    for own in (percent, percent.assign(test_accuracy=100 + percent["test_accuracy"])):
        with pytest.raises(InputError, match=r"--fraction: `test_accuracy` lies between .* not a fraction; give"):
            judge_runs(read_source(own), replace(ASKED, percent=False), "runs")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"source": None}, "is a data frame, a path or the address of a store, but got NoneType"),
        ({"arm": 5}, "columns are named by a text, or by several in a list, but got 5"),
        ({"colour": "red"}, "`colour` is not a `judge` option"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(changes: dict[str, Any], part: str) -> None:
    usual: dict[str, Any] = {"source": pd.DataFrame({"a": [1]}), "arm": "a", "metric": "m"}
    with pytest.raises(InputError, match=part):
        judge(**{**usual, **changes})
