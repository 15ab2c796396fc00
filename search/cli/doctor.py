"""Command `doctor`: whether everything that studies need works on this machine, or on a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from search.cli.app import Address, Debug, Json, command


@command()
def doctor(
    address: Address = None,
    timeout: Annotated[
        float,
        typer.Option(min=1, max=3600, help="Seconds to wait for each of TensorFlow or JAX, Ray, and MLflow."),
    ] = 120,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Check GPUs, Ray, tracking store and cache.

    Reports versions, the GPUs visible to the driver, to TensorFlow or JAX, and to Ray, the tracking store and the
    cache of decoded images, with any problems and how to fix them. Exits with 1 if there is a problem.
    """
    from search.cli.console import print_json, print_lines, print_table
    from search.doctor.report import examine
    from search.monitor.messages import copyable
    from trainables.records import number_of

    found = examine(address, timeout)
    if json:
        print_json(found.document())
    else:
        print_table(("", "found"), found.rows())
        print_lines("", *(copyable(f"problem: {problem}") for problem in found.problems))
        print_lines("no problems found" if found.works else f"{number_of(len(found.problems), 'problem')} found")
    if not found.works:
        raise typer.Exit(1)
