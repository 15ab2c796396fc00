"""Writes the report: one page that works offline, Markdown for a pull request, and all figures as CSV and JSON,
pictures as SVG."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from reports.data.frames import StudyData, read_study
from reports.figures.svg import svg
from reports.inference import wording as text
from reports.inference.verdicts import judge
from reports.jinja import environment
from reports.page.view import View, build_view
from trainables import records
from trainables.errors import InputError
from trainables.records import Unit
from trainables.records.atomic import write_atomically

PICTURES = "pictures"
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class ReportPaths:
    """The files of a report.

    Args:
        folder: where they are.
        html: the page.
        markdown: the same without pictures.
        json: all figures, unrounded, by the name of their table.
        tables: the same as CSV: `verdicts`, `runs` and those of the sections.
        pictures: SVG, by the name of the picture.
    """

    folder: Path
    html: Path
    markdown: Path
    json: Path
    tables: Mapping[str, Path]
    pictures: Mapping[str, Path]


def write_report(folder: Path, output: Path | None = None) -> ReportPaths:
    """Write the report of a study, finished or not. Each file is replaced as a whole, never half-written.

    Args:
        folder: the study's folder.
        output: folder for the report, made if missing; by default `report` in the study's folder.

    Raises:
        InputError: there is no readable journal, or the output cannot be written.
    """
    own = (folder if folder.is_dir() else folder.parent) / records.REPORT
    return write_study(read_study(folder), own if output is None else output)


def write_study(study: StudyData, folder: Path) -> ReportPaths:
    """Write the report of a study that is in memory.

    Args:
        study: the study.
        folder: for the report, made if missing.

    Raises:
        InputError: the files cannot be written.
    """
    view = build_view(study, judge(study))
    tables = figures(view, study)
    csv = {folder / f"{name}.csv": table.to_csv(index=False, lineterminator="\n") for name, table in tables.items()}
    paths = ReportPaths(
        folder=folder,
        html=folder / "index.html",
        markdown=folder / "report.md",
        json=folder / "report.json",
        tables={name: folder / f"{name}.csv" for name in tables},
        pictures={picture.name: folder / PICTURES / f"{picture.name}.svg" for picture in view.pictures},
    )
    contents = {
        paths.html: render_html(view, tables),
        paths.markdown: render_markdown(view),
        paths.json: figures_json(view, tables),
        **csv,
        **{paths.pictures[picture.name]: svg(picture.figure, picture.label) for picture in view.pictures},
    }
    try:
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            write_atomically(path, content)
    except OSError as error:
        message = f"the report cannot be written to `{folder}`: {error}. Give another folder with --output."
        raise InputError(message) from None
    return paths


def render_html(view: View, tables: Iterable[str] = ()) -> str:
    """Return the page as one self-contained HTML document.

    Args:
        view: the report.
        tables: names of the CSV files beside it.
    """
    return (
        environment(TEMPLATES, autoescape=True)
        .get_template("report.html.j2")
        .render(
            view=view,
            tables=tables,
            style=Markup((TEMPLATES / "report.css").read_text("utf-8")),
            script=Markup((TEMPLATES / "report.js").read_text("utf-8")),
            plotly=Markup(get_plotlyjs()),
        )
    )


def render_markdown(view: View) -> str:
    """Return the report as Markdown, without pictures."""
    markdown = environment(TEMPLATES, autoescape=False)
    markdown.filters["md"] = lambda value: text.markdown(str(value))
    table = text.markdown_table([claim.row for claim in view.claims], view.plan.unit)
    return markdown.get_template("report.md.j2").render(view=view, table=table)


def render_answer(rows: Sequence[text.Row], unit: Unit, files: Mapping[str, Path | None]) -> str:
    """Return the verdicts as a small HTML table for a notebook, with links to files.

    Args:
        rows: the verdicts in words.
        unit: of the effects.
        files: by what they are called; those that are None are left out.
    """
    there = {name: path for name, path in files.items() if path}
    page = environment(TEMPLATES, autoescape=True).get_template("answer.html.j2")
    return page.render(rows=rows, headings=text.headings(unit), files=there)


def figures(view: View, study: StudyData) -> dict[str, pd.DataFrame]:
    """Return all figures, unrounded, by the name of their table."""
    tables = {name: table for section in view.sections for name, table in section.data.items()}
    return {**tables, "runs": runs_table(study)}


def figures_json(view: View, tables: Mapping[str, pd.DataFrame]) -> str:
    """Return all figures as one JSON document; what is not known is null."""
    records_of = {
        name: json.loads(table.to_json(orient="records", double_precision=15)) for name, table in tables.items()
    }
    return json.dumps({"study": view.plan.name, "updated": view.updated, **records_of}, ensure_ascii=False, indent=1)


def runs_table(study: StudyData) -> pd.DataFrame:
    """Return one line a run; its parameters stand in columns `parameters.NAME`."""
    parameters = pd.DataFrame(list(study.runs["parameters"]), index=study.runs.index)
    runs = study.runs.rename(columns={"index": "k", "seed_index": "seed"})
    return runs.drop(columns=["parameters", "searched"]).join(parameters.add_prefix("parameters."))
