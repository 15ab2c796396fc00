"""Report writer: one self-contained HTML page that works offline, Markdown, CSV tables and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from reports.data.formulas import escape_formulas
from reports.data.frames import StudyData, read_study
from reports.inference import wording as text
from reports.inference.verdicts import judge
from reports.jinja import environment
from reports.page.view import View, build_view
from trainables import records
from trainables.errors import InputError
from trainables.records import Unit
from trainables.records.atomic import write_atomically
from trainables.records.links import refuse_links
from trainables.records.marks import is_marked

TEMPLATES = Path(__file__).parent / "templates"
MARK = b"Assay report</title>"
"""Part of the head of every page, by which an earlier report is recognised."""


@dataclass(frozen=True)
class ReportPaths:
    """Files of a written report.

    Args:
        folder: folder of all files.
        html: the interactive page.
        markdown: the report without figures, as Markdown.
        json: all tables with unrounded values, by name.
        tables: the same tables as CSV files: `verdicts`, `runs` and those of the sections.
    """

    folder: Path
    html: Path
    markdown: Path
    json: Path
    tables: Mapping[str, Path]


def write_report(folder: Path, output: Path | None = None, study: StudyData | None = None) -> ReportPaths:
    """Write the report of a study, finished or running. Each file is replaced atomically.

    Args:
        folder: study folder, or the path of its journal.
        output: folder of the report, created if missing; by default `report` in the study folder.
        study: the study's data, if it has been read.

    Raises:
        InputError: there is no readable journal, the report cannot be written, or a link leads out of its folder.
    """
    study = read_study(folder) if study is None else study
    if output is None:
        output = (folder if folder.is_dir() else folder.parent) / records.REPORT
        refuse_links(output.parent)
    return write_study(study, output)


def write_study(study: StudyData, folder: Path) -> ReportPaths:
    """Write the report of a study that is already in memory.

    Args:
        study: data of the study.
        folder: folder of the report, created if missing.

    Raises:
        InputError: the files cannot be written.
    """
    return write_view(build_view(study, judge(study)), study, folder)


def write_view(view: View, study: StudyData, folder: Path) -> ReportPaths:
    """Write a report whose content is given.

    Args:
        view: content of the report.
        study: data of the study, for the table of runs.
        folder: folder of the report, created if missing.

    Raises:
        InputError: the files cannot be written, or would replace others than those of an earlier report.
    """
    tables = report_tables(view, study)
    paths = ReportPaths(
        folder=folder,
        html=folder / "index.html",
        markdown=folder / "report.md",
        json=folder / "report.json",
        tables={name: folder / f"{name}.csv" for name in tables},
    )
    contents = {
        paths.html: render_html(view, tables),
        paths.markdown: render_markdown(view),
        paths.json: tables_json(view, tables),
        **{paths.tables[name]: csv_text(table) for name, table in tables.items()},
    }
    try:
        refuse_study_folder(folder)
        refuse_foreign(paths.html, contents)
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            write_atomically(path, content)
    except OSError as error:
        message = f"the report cannot be written to `{folder}`: {error}. Give another folder with --output."
        raise InputError(message) from None
    return paths


def refuse_study_folder(folder: Path) -> None:
    """Refuse to write a report among the files of a study.

    Raises:
        InputError: the folder is that of a study or a final training.
    """
    if (folder / records.JOURNAL_FILE).exists():
        raise InputError(f"`{folder}` is the folder of a study or a final training; choose another `--output`")


def refuse_foreign(page: Path, files: Iterable[Path]) -> None:
    """Refuse to replace files that do not belong to an earlier report.

    The page is the first file of a report to be written: where it is one of Assay's, the files next to it are as well.

    Args:
        page: the page to write.
        files: all files to write.

    Raises:
        InputError: one of them exists, and the page does not or is somebody else's.
        OSError: the page cannot be read.
    """
    taken = sorted(path.name for path in files if path.exists())
    if not taken or is_marked(page, MARK):
        return
    raise InputError(
        f"`{page.parent}` contains {', '.join(taken)}, which the report would replace and which no earlier report "
        "wrote; choose another `--output`"
    )


def render_html(view: View, tables: Iterable[str] = ()) -> str:
    """Return the page as one self-contained HTML document.

    Args:
        view: content of the report.
        tables: names of the CSV files in the same folder.
    """
    page = environment(TEMPLATES, autoescape=True)
    page.filters |= {"unbroken": unbroken, "p_value": text.p_value}
    return page.get_template("report.html.j2").render(
        view=view,
        tables=tables,
        style=Markup((TEMPLATES / "report.css").read_text("utf-8")),
        script=Markup((TEMPLATES / "report.js").read_text("utf-8")),
        plotly=Markup(get_plotlyjs()),
    )


def unbroken(words: str) -> str:
    """Return a sentence whose percentages do not break across lines.

    >>> unbroken("a 95 % interval")
    'a 95\\xa0% interval'
    """
    return words.replace(" %", "\u00a0%")


def render_markdown(view: View) -> str:
    """Return the report as Markdown, without figures."""
    markdown = environment(TEMPLATES, autoescape=False)
    markdown.filters["md"] = lambda value: text.escape_markdown(str(value))
    table = text.markdown_table([claim.row for claim in view.claims], view.plan.unit)
    return markdown.get_template("report.md.j2").render(view=view, table=table)


def render_answer(rows: Sequence[text.Row], unit: Unit, files: Mapping[str, Path | None]) -> str:
    """Return the verdicts as a small HTML table for notebooks, followed by links to files.

    Args:
        rows: the verdicts in words.
        unit: unit of the effects.
        files: linked files by label; None entries are left out.
    """
    linked = {name: path for name, path in files.items() if path}
    page = environment(TEMPLATES, autoescape=True).get_template("answer.html.j2")
    return page.render(rows=rows, headings=text.headings(unit), files=linked)


def report_tables(view: View, study: StudyData) -> dict[str, pd.DataFrame]:
    """Return all tables of the report with unrounded values, by name."""
    tables = {name: table for section in view.sections for name, table in section.data.items()}
    return {**tables, "runs": runs_table(study)}


def tables_json(view: View, tables: Mapping[str, pd.DataFrame]) -> str:
    """Return all tables as one JSON document, a line each; missing values are null."""
    about = {"study": view.plan.name, "updated": view.updated}
    values = {name: json.dumps(value, ensure_ascii=False) for name, value in about.items()} | {
        name: table.to_json(orient="records", double_precision=15, force_ascii=False) for name, table in tables.items()
    }
    return "{\n" + ",\n".join(f"{json.dumps(name)}: {value}" for name, value in values.items()) + "\n}\n"


def csv_text(table: pd.DataFrame) -> str:
    """Return a table as CSV; text that a spreadsheet would run as a formula begins with an apostrophe.

    >>> csv_text(pd.DataFrame({"method": ["=1+1", "mixup"], "effect": [-0.5, 1.0]}))
    "method,effect\\n'=1+1,-0.5\\nmixup,1.0\\n"
    """
    inert = escape_formulas(table)
    content = inert.to_csv(index=False, lineterminator="\n")
    if "\r" not in content:
        return content
    return inert.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)  # pandas leaves "\r" bare


def runs_table(study: StudyData) -> pd.DataFrame:
    """Return one row per run, with one column `parameters.NAME` per hyperparameter."""
    parameters = pd.DataFrame(list(study.runs["parameters"]), index=study.runs.index)
    runs = study.runs.rename(columns={"index": "k", "seed_index": "seed"})
    return runs.drop(columns=["parameters", "searched"]).join(parameters.add_prefix("parameters."))
