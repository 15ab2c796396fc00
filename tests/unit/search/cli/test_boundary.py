"""Boundary of the command line: exit codes, messages, logs, and streams that are closed, full or not UTF-8."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import search.cli
from search.cli import boundary, console
from search.monitor.messages import LONGEST, MOST, readable
from trainables.errors import BudgetError, InputError, StoppedError


def fails(error: BaseException, folder: Path | None = None, debug: bool = False) -> int:
    def raise_it() -> None:
        if folder:
            boundary.study_folder.set(folder)
        raise error

    return boundary.guarded(raise_it, debug)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("bad value"), 2, "error: bad value"),
        (BudgetError("used up"), 130, "stopped: used up"),
        (StoppedError("disk full"), 1, "stopped: disk full"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x.yaml"), 2, "error: x.yaml: No such file"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "error: [Errno 28] No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ModuleNotFoundError("no", name="ray.tune"), 2, "install Assay with the extra `train`"),
    ],
)
def test_errors_have_a_message_and_an_exit_code(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fails(error) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("error", [ValueError("two\nlines"), MemoryError(), RecursionError("deep"), UnicodeError("x")])
def test_an_unexpected_error_names_the_log_with_its_traceback(
    error: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.db").touch()
    (tmp_path / "logs").mkdir()
    assert fails(error, tmp_path) == 1
    shown = capsys.readouterr().err
    (log,) = (tmp_path / "logs").glob("assay-error-*.log")
    assert "Traceback" not in shown
    assert f"The traceback is in {log}" in shown
    assert f"assay resume {tmp_path}" in shown
    assert shown.count("\n") == 1
    assert "Traceback" in log.read_text()


def test_an_interrupted_command_does_not_name_the_folder_of_an_earlier_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.db").touch()
    for folder, named in ((tmp_path, True), (None, False)):
        assert fails(KeyboardInterrupt(), folder) == 130
        assert (f"assay resume {tmp_path}" in capsys.readouterr().err) == named


def test_an_unexpected_error_is_reported_even_if_no_log_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert fails(ValueError("odd")) == 1
    assert "unexpected ValueError: odd. `--debug` shows the traceback" in capsys.readouterr().err


def test_debug_passes_exceptions_and_exits_of_typer_always_pass() -> None:
    with pytest.raises(ValueError, match="odd"):
        fails(ValueError("odd"), debug=True)
    for error in (typer.Exit(3), typer.Abort()):
        with pytest.raises(type(error)):
            fails(error)


def assay(*arguments: str, redirect: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = f'"{sys.executable}" -P -m search.cli "$@" {redirect}'
    return subprocess.run(
        ["bash", "-c", command, "assay", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


def test_streams_that_are_full_closed_or_ascii_cause_no_traceback() -> None:
    full = assay("list", "methods", redirect="> /dev/full")
    assert full.returncode == 1
    assert b"error: the output cannot be written" in full.stderr or b"No space left" in full.stderr
    assert full.stderr.count(b"\n") == 1
    closed = assay("list", "methods", redirect="<&- >&- 2>&-")
    assert (closed.returncode, closed.stderr) == (0, b"")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    listed = assay("list", "methods", "--json", **ascii_only)
    assert listed.returncode == 0
    assert json.loads(listed.stdout) == json.loads(assay("list", "methods", "--json").stdout)
    refused = assay("plan", "größe-\udcff.yaml", **ascii_only)
    assert refused.returncode == 2
    assert b"Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["plan", "quickstart", "--spread", "nan"], "--spread"),
        (["plan", "quickstart", "--images-per-second", "nan"], "--images-per-second"),
        (["plan", "quickstart", "--spread", "inf"], "--spread"),
        (["judge", "x.csv", "--arm", "a", "--metric", "m", "--smallest", "nan"], "--smallest must be a finite number"),
        (["sync", "missing", "--timeout", "nan"], "--timeout"),
        (["ui", "missing", "--port", "99999"], "--port"),
        (["plan", "quickstart", "\x1b[2J\u202e"], "\\x1b[2J\\u202e"),
        (["plan", "quickstart", "--set", "confirm.seeds=3"], ""),
        (
            ["run", "quickstart", "--seeds", "4"],
            "option: --seeds; it is a setting of the study: --set confirm.seeds=VALUE",
        ),
        (["plan", "quickstart", "--trials", "4"], "--set search.trials_per_arm=VALUE"),
        (["train", "recipe.yaml", "--epoch-minutes", "4"], "--set resources.epoch_minutes=VALUE"),
    ],
)
def test_arguments_are_refused_with_a_message(
    arguments: list[str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search.cli.call(arguments) == (2 if shown else 0)
    message = capsys.readouterr().err
    assert shown in message
    assert message.lower().count("error: ") == bool(shown)


def test_long_messages_keep_their_beginning_and_end() -> None:
    shown = readable("\n".join(["first " + "x" * 9000 + " last", *["line"] * 100])).split("\n")
    assert shown[0].startswith("first x")
    assert shown[0].endswith("x last")
    assert len(shown[0]) <= LONGEST
    assert len(shown) == MOST + 1


def test_what_a_folder_holds_does_not_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table(("a",), [("\x1b[2Jone\ntwo",)])
    console.print_lines("\x1b[2Jlog")
    console.print_json({"\x9b": "\x1b\u202e"})
    shown = capsys.readouterr().out
    assert not set("\x1b\x9b\u202e") & set(shown)
    assert "\\x1b[2Jlog" in shown
    assert json.loads(shown[shown.index("{") :]) == {"\x9b": "\x1b\u202e"}
