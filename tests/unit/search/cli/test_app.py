"""Options that need no command, and the overview of the commands."""

from __future__ import annotations

from importlib.metadata import version

from typer.testing import CliRunner

from search.cli import app


def test_the_version_is_that_of_the_package() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output.strip()) == (0, f"assay {version('assay')}")


def test_every_command_has_one_whole_line_in_the_overview() -> None:
    shown = CliRunner().invoke(app, ["--help"], terminal_width=80)
    assert shown.exit_code == 0
    listed = shown.output.partition("Commands:")[2].strip().splitlines()
    assert len(listed) == 13
    assert all(line.endswith(".") and not line.endswith("...") for line in listed), shown.output
