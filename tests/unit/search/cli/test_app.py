"""Options that need no command, and the overview of the commands."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from search.cli import app, call


def test_the_version_is_that_of_the_package() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output.strip()) == (0, f"assay {version('assay')}")


def test_every_command_has_one_whole_line_in_the_overview() -> None:
    shown = CliRunner().invoke(app, ["--help"], terminal_width=80)
    assert shown.exit_code == 0
    listed = shown.output.partition("Commands:")[2].strip().splitlines()
    assert len(listed) == 13
    assert all(line.endswith(".") and not line.endswith("...") for line in listed), shown.output


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["status", ""], "argument 2 (after `status`) is empty"),
        (["report", "runs/s", "--output="], "argument 3 (`--output=`) is empty"),
        (["plan", "quickstart", "--noise", ".", "--spread", "2"], "--spread and --noise are mutually exclusive"),
        (
            ["plan", "quickstart", "--timed", "--images-per-second", "5"],
            "-per-second are mutually exclusive",
        ),
        (["run", "quickstart", "--extend", "--replay", "c.csv"], "--extend and --replay are mutually exclusive"),
        (["run", "quickstart", "--extend"], "--extend requires the folder of the study, `--output FOLDER`"),
        (["list", "data", "--sheet", "a.png", "--check", "quickstart"], "--sheet and --check are mutually exclusive"),
        (
            ["judge", "a.csv", "--arm", "m", "--metric", "a", "--json", "--markdown"],
            "--json and --markdown are mutually exclusive",
        ),
        (["export", ".", "--best", "--method", "mixup"], "--best and --method are mutually exclusive"),
        (["status", ".", "--watch", "--run", "r"], "--watch and --run are mutually exclusive"),
        (["plan", "quickstart", "--spread=0"], "greater than or equal to 0.000001, but got '0'"),
        (["plan", "quickstart", "--noise", "."], "(it has no study.db); measure the noise with"),
        (["report", ".", "--study-id", "1"], "`--study-id` is only for a study in MLflow"),
        (["report", ".", "--tracking-uri", "http://host"], "`--tracking-uri` is only for a study in MLflow"),
    ],
)
def test_options_that_would_be_ignored_and_empty_arguments_are_refused(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(arguments) == 2
    assert part in " ".join(capsys.readouterr().err.split())
