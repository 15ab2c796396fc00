"""MLflow: its pages, and what it does not have yet."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from search.cli.program import Debug, Folder, Json, command


@command()
def ui(folder: Folder, port: Annotated[int, typer.Option(min=1, max=65535)] = 5000, debug: Debug = False) -> None:
    """Open MLflow's pages on a study's store; on this machine only."""
    from search.ending import tracking_uri
    from search.tracking.ui import ui_command

    command = ui_command(folder, tracking_uri(folder), port)
    typer.echo(command, err=True)
    if command.startswith("mlflow"):
        import shlex

        os.execvp(sys.executable, [sys.executable, "-m", *shlex.split(command)])


@command()
def sync(
    folder: Folder,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to keep trying.")] = 600,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Deliver to MLflow what it does not have yet, for instance after its server was away."""
    from dataclasses import asdict

    from search.ending import tracking_uri
    from search.show import print_json
    from search.tracking.delivery import sync

    state = sync(folder, tracking_uri(folder), timeout)
    if json:
        print_json(asdict(state))
    else:
        typer.echo(str(state))
    if not state.complete:
        raise typer.Exit(1)
