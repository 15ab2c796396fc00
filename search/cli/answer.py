"""What a study answers: its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli.program import Debug, Folder, Json, command


@command()
def report(
    folder: Folder,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write to; by default report/ in the study's.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the report again: HTML, Markdown and CSV. Works while the study runs."""
    from reports.page import write_report
    from search.ending import show_verdicts, verdicts_document
    from search.show import print_json

    paths = write_report(folder, output)
    if json:
        print_json({**verdicts_document(folder), "report": str(paths.html)})
        return
    show_verdicts(folder)
    typer.echo(f"report: {paths.html}")
