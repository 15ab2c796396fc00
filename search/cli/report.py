"""Command `report`: verdicts and report files of a study."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.app import Debug, Json, command

if TYPE_CHECKING:
    from reports.data.frames import StudyData

TRACKING_URI = "MLFLOW_TRACKING_URI"
TIMEOUT = 30


@command()
def report(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of the study.", show_default=False, readable=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write to. Default: report/ in the study folder."),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="MLflow experiment to read instead of a folder; it must have been written by Assay."
        ),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(metavar="URI", help=f"MLflow tracking URI for --experiment. [env var: {TRACKING_URI}]"),
    ] = None,
    study_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Beginning of the study's id, if the experiment contains several studies."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=86400,
            help=f"Give up if MLflow does not respond for this many seconds. [default: {TIMEOUT}]",
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the report and print the verdicts. Writes HTML, Markdown, CSV, JSON; works while the study runs."""
    from reports.inference.verdicts import judge
    from reports.inference.wording import verdict_table
    from reports.page.writer import write_study
    from search.cli.console import print_json, print_verdicts
    from trainables.records.links import refuse_links

    study, default = _study(folder, experiment, tracking_uri, study_id, timeout)
    if folder is not None and output is None:
        refuse_links(default.parent)
    paths = write_study(study, default if output is None else output)
    verdicts = judge(study)
    if json:
        print_json({"verdicts": verdicts, "report": str(paths.html)})
        return
    print_verdicts(verdict_table(verdicts), study.plan.unit.many)
    typer.echo(f"report: {paths.html}")


def _study(
    folder: Path | None, experiment: str | None, tracking_uri: str | None, study_id: str | None, timeout: float | None
) -> tuple[StudyData, Path]:
    """Return the requested study and the default folder of its report."""
    from trainables import records
    from trainables.errors import InputError

    if (folder is None) == (experiment is None):
        raise InputError("name exactly one study: its folder, or `--experiment NAME` for one in MLflow")
    if folder is not None:
        from reports.data.frames import read_study

        options = {"--study-id": study_id, "--tracking-uri": tracking_uri, "--timeout": timeout}
        if ignored := [name for name, value in options.items() if value is not None]:
            raise InputError(f"`{ignored[0]}` is only for a study in MLflow (`--experiment`); omit it for a folder")
        return read_study(folder), (folder if folder.is_dir() else folder.parent) / records.REPORT
    tracking_uri = tracking_uri or os.environ.get(TRACKING_URI)
    if not tracking_uri:
        raise InputError(
            "`--experiment` needs a tracking URI: give `--tracking-uri http://host:5000`, or set MLFLOW_TRACKING_URI"
        )
    from search.tracking.import_study import read_experiment

    return read_experiment(tracking_uri, str(experiment), study_id, timeout or TIMEOUT), Path(records.REPORT)
