"""Command `list`: what a study file may use, contact sheets and data checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli.app import AllowCode, Debug, Json, allow, command, exclusive
from trainables.errors import InputError


@command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="methods, models, augmentations, optimizers, data or studies. Default: all.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Save a picture of the images that augmentations or methods produce."),
    ] = None,
    study: Annotated[
        str | None, typer.Option(metavar="STUDY", help="Use the images and settings of this study for --sheet.")
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY", help="Check the data of this study: parts, classes, duplicates. Needs the kind `data`."
        ),
    ] = None,
    allow_code: AllowCode = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List what a study file may use. Also draws contact sheets and checks data."""
    from search.cli.console import print_json, print_table
    from search.study.catalogue import KINDS, listing
    from trainables.registration.registry import unknown

    exclusive({"--sheet": sheet, "--check": check})
    allow(allow_code)
    if kind is not None and kind not in KINDS:
        raise InputError(unknown("kind", kind, list(KINDS)))
    if check is not None:
        _show_check(kind, check, json)
        return
    if sheet is not None:
        from search.plan.preview import draw_sheet

        draw_sheet(kind or "", sheet, study)
        typer.echo(str(sheet))
        return
    found = {name: listing(name) for name in ([kind] if kind else KINDS)}
    if json:
        print_json(found)
        return
    for name, entries in found.items():
        print_table((name, "", "settings"), [(entry.name, entry.summary, entry.settings) for entry in entries])
        typer.echo()


def _show_check(kind: str | None, study: str, json: bool) -> None:
    from search.cli.console import print_json, print_table
    from search.plan.preview import check_reports

    if kind != "data":
        raise InputError("--check applies to data only: `assay list data --check STUDY`")
    reports = check_reports(study)
    if json:
        print_json(reports.get("", reports))
        return
    for label, found in reports.items():
        print_table(("", f"{study}: {label}" if label else study), found.facts)
        typer.echo()
        print_table(("class", "development", "test"), found.classes, ("development", "test"))
        if label:
            typer.echo()
        for warning in found.warnings:
            typer.echo(f"warning: {f'{label}: ' if label else ''}{warning}", err=True)
