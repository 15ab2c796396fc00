"""Writes the report: one page that works offline, Markdown for a pull request, and CSV of all figures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from reports import text
from reports.frames import Study, read_study
from reports.verdicts import Verdict, judge
from reports.view import View, build_view
from trainables import records
from trainables.errors import InputError

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class ReportPaths:
    """The files of a report.

    Args:
        folder: where they are.
        html: the page.
        markdown: the same without pictures.
        verdicts: CSV, one line a claim, unrounded.
        runs: CSV, one line a run.
    """

    folder: Path
    html: Path
    markdown: Path
    verdicts: Path
    runs: Path


def write_report(folder: Path, output: Path | None = None) -> ReportPaths:
    """Write the report of a study, finished or not. Each file is replaced as a whole, never half-written.

    Args:
        folder: the study's folder.
        output: folder for the report, made if missing; by default `report` in the study's folder.

    Raises:
        InputError: there is no readable journal, or the output cannot be written.
    """
    study = read_study(folder)
    verdicts = judge(study)
    view = build_view(study, verdicts)
    target = study.journal.parent / records.REPORT if output is None else output
    paths = ReportPaths(
        folder=target,
        html=target / "index.html",
        markdown=target / "report.md",
        verdicts=target / "verdicts.csv",
        runs=target / "runs.csv",
    )
    contents = {
        paths.html: render_html(view),
        paths.markdown: render_markdown(view),
        paths.verdicts: verdicts_csv(verdicts),
        paths.runs: runs_csv(study),
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            _replace(path, content)
    except OSError as error:
        message = f"the report cannot be written to `{target}`: {error}. Give another folder with --output."
        raise InputError(message) from None
    return paths


def render_html(view: View) -> str:
    """Return the page as one self-contained HTML document."""
    return (
        _environment(autoescape=True)
        .get_template("report.html.j2")
        .render(
            view=view,
            style=Markup((TEMPLATES / "report.css").read_text("utf-8")),
            script=Markup((TEMPLATES / "report.js").read_text("utf-8")),
            plotly=Markup(get_plotlyjs()),
        )
    )


def render_markdown(view: View) -> str:
    """Return the report as Markdown, without pictures."""
    environment = _environment(autoescape=False)
    environment.filters["md"] = lambda value: text.markdown(str(value))
    table = text.markdown_table([claim.row for claim in view.claims])
    return environment.get_template("report.md.j2").render(view=view, table=table)


def verdicts_csv(verdicts: Sequence[Verdict]) -> str:
    """Return one line a claim, with all figures."""
    return pd.DataFrame(text.verdict_records(verdicts)).to_csv(index=False, lineterminator="\n")


def runs_csv(study: Study) -> str:
    """Return one line a run; its parameters stand in columns `parameters.NAME`."""
    parameters = pd.DataFrame(list(study.runs["parameters"]), index=study.runs.index)
    table = study.runs.drop(columns="parameters").join(parameters.add_prefix("parameters."))
    return table.to_csv(index=False, lineterminator="\n")


def _environment(autoescape: bool) -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _replace(path: Path, content: str) -> None:
    """Write a file under another name first, then put it in place."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(content, "utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
