"""Command `certify`: the noise floor of a study's recipe, before the study is paid for."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.app import (
    Address,
    AllowCode,
    Json,
    RunDebug,
    Sets,
    Source,
    Timeout,
    allow,
    command,
    free,
    refuse_failed,
    values,
)
from search.cli.boundary import study_folder

if TYPE_CHECKING:
    from search.plan.noise import NoiseFloor
    from trainables.records import PlanRecord, Unit


@command()
def certify(
    study: Source,
    sets: Sets = None,
    seeds: Annotated[int, typer.Option(min=2, max=1000, help="Number of pairs of runs under each condition.")] = 8,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder to create. Default: runs/NAME-noise, or with -2, ... if that exists."
        ),
    ] = None,
    address: Address = None,
    timeout: Timeout = 30,
    allow_code: AllowCode = False,
    json: Json = False,
    debug: RunDebug = False,
) -> None:
    """Measure how much runs differ by chance.

    Trains the reference of a study against itself and reports which effect sizes the study can detect.
    """
    from search.cli.console import print_json
    from search.lifecycle import run_study
    from search.monitor.messages import prefix, warn
    from search.plan.builder import make_plan
    from search.plan.noise import noise_floors, noise_study
    from search.plan.record import study_record
    from search.session import Options
    from search.study.error_messages import prefixed_errors
    from search.study.loading import load_study

    allow(allow_code, *values(sets))
    requested = load_study(study, tuple(sets or ()))
    planned = study_record(make_plan(requested))
    with prefixed_errors(requested.source):
        prepared = noise_study(requested, seeds)
    folder = output or free(Path("runs") / f"{requested.name}-noise")
    study_folder.set(folder)
    done = run_study(prepared, folder, Options(address, None, debug, timeout))
    refuse_failed(done)
    warn(done.undelivered)
    floors = noise_floors(done.study, planned)
    if json:
        print_json({"noise": floors, "folder": str(folder)})
        return
    _show(floors, planned, done.study.plan.unit)
    typer.echo(f"in a plan: {prefix()}{plan_command(study, sets or (), folder)}")


def plan_command(study: str, sets: Sequence[str], folder: Path) -> str:
    """Return the command that plans the certified study with the measured noise.

    >>> plan_command("study.yaml", ["recipe.epochs=20"], Path("runs/my noise"))
    "assay plan study.yaml --set recipe.epochs=20 --noise 'runs/my noise'"
    """
    options = [word for each in sets for word in ("--set", each)]
    return shlex.join(["assay", "plan", study, *options, "--noise", str(folder)])


def _show(floors: list[NoiseFloor], planned: PlanRecord, unit: Unit) -> None:
    """Print the noise floors, and which effects the study can detect."""
    from search.cli.console import print_lines, print_table
    from trainables.records import number_of

    digits = unit.digits + 1
    headings = ("condition", unit.figure, "sd over seeds", "sd of a difference", "95 % interval", "pairs", "detectable")
    print_table(
        headings,
        [
            (
                floor.condition,
                f"{floor.value:.{digits}f}",
                f"{floor.between_seeds:.{digits}f}",
                f"{floor.paired:.{digits}f}",
                f"{floor.low:.{digits}f} to {floor.high:.{digits}f}",
                floor.pairs,
                f"{floor.detectable:.{digits}f}",
            )
            for floor in floors
        ],
        right=headings[1:],
    )
    blind = [floor for floor in floors if floor.detectable > unit.scale * planned.smallest_effect]
    seeds, contrasts = number_of(planned.seeds, "seed"), number_of(len(planned.contrasts), "contrast")
    print_lines(
        "",
        f"all values in {unit.many}; two runs of the reference on the same images differ only by chance",
        f"detectable: with {seeds} and {contrasts}, `{planned.name}` finds an effect "
        "with 80 % power, if differences vary as these do",
        f"the smallest effect of interest, {unit.amount(planned.smallest_effect)}, is below that in {len(blind)} of "
        f"{len(floors)} conditions{'; raise confirm.seeds' if blind else ''}",
    )
