"""The command `judge`: what it prints, writes and returns, and that bad input writes nothing."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from reports.judging.sources.extras import shown
from reports.judging.sources.recognise import Access, source_name
from search.cli import app
from tests.unit.reports.judging.tables import runs_frame

ARGUMENTS = ("--arm", "method", "--seed", "seed", "--metric", "test_accuracy")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "runs.csv"
    runs_frame({"baseline": 0.0, "mixup": 0.02, "a|b <c>": 0.0}).to_csv(path, index=False)
    return path


def assay(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["judge", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_the_verdicts_and_what_they_rest_on_are_printed_and_nothing_is_written(table: Path) -> None:
    code, out, _ = assay(table, *ARGUMENTS)
    assert code == 0
    for words in ("helps", "equivalent", "24 of 24 runs", "Paired by seed: 8 values", "in doubt: The comparisons"):
        assert words in out
    assert [path.name for path in table.parent.iterdir()] == ["runs.csv"]


def test_json_has_verdicts_and_evidence(table: Path) -> None:
    code, out, _ = assay(table, *ARGUMENTS, "--json", "--require", "mixup helps")
    document = json.loads(out)
    assert code == 0
    assert [(one["method"], one["verdict"]) for one in document["verdicts"]] == [
        ("a|b <c>", "equivalent"), ("mixup", "helps"),
    ]  # fmt: skip
    assert (document["paired"], document["required"], document["report"]) == (True, {"mixup helps": True}, None)
    assert document["used"]
    assert document["limits"]


@pytest.mark.parametrize(
    ("requirement", "code"),
    [
        ("mixup helps", 0),
        ("mixup not hurts on these conditions", 0),
        ("all helps or equivalent", 0),
        ("mixup hurts", 3),
        ("all helps", 3),
        ("a|b <c> helps", 3),
        ("cutmix helps", 2),
        ("mixup helps on mars", 2),
        ("mixup wins", 2),
    ],
)
def test_a_requirement_decides_the_exit_code(table: Path, requirement: str, code: int) -> None:
    found, out, err = assay(table, *ARGUMENTS, "--require", requirement)
    assert found == code
    broken = {
        "mixup hurts": "mixup on these conditions: helps",
        "all helps": "a|b <c> on these conditions: equivalent",
        "a|b <c> helps": "a|b <c> on these conditions: equivalent",
    }
    held = f"no ({broken[requirement]})" if code == 3 else "yes"
    assert f"required: {requirement}: {held}" in out if code != 2 else "--require" in err


def test_the_report_is_written_with_escaped_names(table: Path) -> None:
    folder = table.parent / "report"
    code, out, _ = assay(table, *ARGUMENTS, "-o", folder, "--name", "<b>mine</b>")
    assert code == 0
    assert out.rstrip().endswith(f"report: {folder / 'index.html'}")
    page = (folder / "index.html").read_text()
    assert "&lt;b&gt;mine&lt;/b&gt;" in page
    assert "a|b &lt;c&gt;" in page
    assert "a|b <c>" not in page.replace("a|b \\u003cc\\u003e", "")
    assert "What are the verdicts based on?" in page
    assert (
        "a\\|b &lt;c>" in (folder / "report.md").read_text() or "a\\|b &lt;c&gt;" in (folder / "report.md").read_text()
    )
    assert len(pd.read_csv(folder / "values.csv")) == 3
    assert json.loads((folder / "report.json").read_text())["evidence"][0]["kind"] == "Used"


def test_markdown_is_printed_for_a_pull_request(table: Path) -> None:
    code, out, _ = assay(table, *ARGUMENTS, "--markdown")
    assert code == 0
    assert out.startswith("### runs.csv\n\n2 claims: helps in 1, equivalent in 1.\n\n| condition | method |")
    assert "a\\|b &lt;c&gt;" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--arm", "methods", "--metric", "test_accuracy"),
        ("--arm", "method", "--metric", "test_accuracy", "--alpha", "2"),
        ("--arm", "method", "--metric", "test_accuracy", "--json", "--markdown"),
        ("--arm", "method", "--metric", "method"),
        ("--arm", "method", "--metric", "test_accuracy", "--require", "nothing"),
    ],
)
def test_bad_input_exits_with_2_and_writes_nothing(table: Path, arguments: tuple[str, ...]) -> None:
    folder = table.parent / "report"
    code, out, err = assay(table, *arguments, "-o", folder)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert not folder.exists()


def test_judging_a_table_imports_nothing_heavy(table: Path) -> None:
    script = (
        "import sys\nfrom search.cli import app\n"
        f"app(['judge', {str(table)!r}, *{ARGUMENTS!r}, '-o', {str(table.parent / 'report')!r}],"
        " standalone_mode=False)\n"
        "print(sorted({'ray', 'tensorflow', 'keras', 'mlflow', 'optuna', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "module", "message"),
    [
        (
            ("plan", "quickstart"),
            "optuna",
            "`optuna` is not installed, which this command needs; install Assay with the extra `train`",
        ),
        (
            ("judge", "mlflow.db", *ARGUMENTS),
            "mlflow",
            "to read MLflow runs, `mlflow` is needed; install Assay with the extra `judge`",
        ),
    ],
)
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, arguments: tuple[str, ...], module: str, message: str
) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        for name in ("experiments", "runs", "params"):
            database.execute(f"CREATE TABLE {name} (a)")
    database.close()
    script = f"import sys; sys.modules[{module!r}] = None; from search.cli import app; app({list(arguments)!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")


def test_names_neither_control_the_terminal_nor_notify_people(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    name = "\x1b]0;title\x07\x9b2J\u202e@everyone ~~x~~"
    runs_frame({"baseline": 0.0, name: 0.02}).to_csv(path, index=False)
    for options in ((), ("--markdown",), ("--json",)):
        code, out, _ = assay(path, *ARGUMENTS, *options)
        assert code == 0
        assert not set("\x1b\x07\x9b\u202e") & set(out)
    assert json.loads(out)["verdicts"][0]["method"] == name
    assert "\\x1b]0;title\\x07\\x9b2J\\u202e@everyone" in assay(path, *ARGUMENTS)[1]
    assert "&#64;everyone \\~\\~x" in assay(path, *ARGUMENTS, "--markdown")[1]


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:s3cret@host/runs", "postgresql://me:a@s3cret@host/runs", "mysql://me:s3cret/x@host/runs",
        "postgresql://host/runs?user=me&password=s3cret", "https://host/runs?access_token=s3cret&x=1",
    ],
)  # fmt: skip
def test_credentials_of_an_address_are_not_shown(address: str) -> None:
    assert "s3cret" not in shown(f"{address} cannot be read")
    assert "s3cret" not in source_name(address, Access())


def test_addresses_without_credentials_stay() -> None:
    for address in ("sqlite:////a@b/x.db", "https://host:5000/x?page=2", "file:///a@b"):
        assert shown(address) == address
