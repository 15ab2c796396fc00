"""Commands `plan`, `run`, `resume` and `status` of a study."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.app import (
    Address,
    AllowCode,
    Debug,
    Folder,
    Json,
    ResourceSets,
    RunDebug,
    Sets,
    Source,
    Timeout,
    allow,
    command,
    end_study,
    end_training,
    exclusive,
    free,
    values,
)
from search.cli.boundary import study_folder
from trainables.errors import InputError

if TYPE_CHECKING:
    from search.monitor.counts import StudyProgress
    from search.monitor.status import RunFacts
    from search.plan.cost_estimate import StudyCosts
    from search.plan.model import Plan
    from search.plan.power import StudySize
    from search.study.schema import Study
    from trainables.records import PlanRecord, PrecisionRecord

SPREAD = 1.0
"""Standard deviation of a paired difference in accuracy that `plan` assumes, in points."""


@command()
def plan(
    study: Source,
    sets: Sets = None,
    spread: Annotated[
        float | None,
        typer.Option(
            help="Assumed standard deviation of a paired difference over seeds, in points of accuracy, or the unit of "
            f"the metric. [default: {SPREAD} point]",
            min=1e-6,
            max=100,
        ),
    ] = None,
    noise: Annotated[
        Path | None,
        typer.Option(
            "--noise", metavar="FOLDER", help="Take the standard deviation from this folder of `assay certify`."
        ),
    ] = None,
    timed: Annotated[
        bool,
        typer.Option(
            "--timed", help="Time a few steps of every network on this machine to estimate hours and disk space."
        ),
    ] = False,
    images_per_second: Annotated[
        float | None,
        typer.Option(
            "--images-per-second", help="Training throughput of one run, used instead of timing.", min=1e-3, max=1e9
        ),
    ] = None,
    budget_hours: Annotated[
        float | None,
        typer.Option(
            help="Propose study sizes that fit this many hours; implies --timed. With --timed, resources.budget_hours "
            "is the default.",
            min=1e-3,
            max=1e6,
        ),
    ] = None,
    allow_code: AllowCode = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show runs, cost and detectable effect of a study. Runs nothing but short timings, if they are requested."""
    from search.cli.console import print_json
    from search.plan.builder import make_plan
    from search.plan.power import study_size
    from search.plan.record import study_record
    from search.plan.summary import precision_rows
    from search.plan.unused_settings import unused_settings
    from search.study.loading import load_study

    exclusive({"--spread": spread, "--noise": noise})
    exclusive({"--timed": timed, "--images-per-second": images_per_second})
    allow(allow_code, *values(sets))
    requested = load_study(study, tuple(sets or ()))
    made = make_plan(requested)
    hours = budget_hours or made.study.resources.budget_hours
    costs, precision = _costs(requested, made, timed or bool(budget_hours), images_per_second)
    record = study_record(made, precision=precision)
    default = SPREAD if record.unit.in_points else None
    assumed = spread or default if noise is None else _measured_spread(noise, record)
    size = study_size(record, assumed, costs, hours)
    warnings = (*unused_settings(made), *size.warnings)
    if json:
        measures = {"measures_precision": requested.measures_precision}
        print_json({**asdict(size), "warnings": warnings, **measures, "plan": record.dump()})
    else:
        _show_plan(record, size, hours, precision_rows(requested, precision), warnings)


def _show_plan(
    record: PlanRecord, size: StudySize, hours: float | None, precision: list[tuple[str, str]], warnings: Iterable[str]
) -> None:
    from search.cli.console import print_table
    from search.monitor.messages import warn
    from search.plan.summary import proposal_rows, summary_rows

    print_table(("", record.name), summary_rows(record, size) + precision)
    if size.proposals:
        print_table(("trials", "seeds", "hours", f"detectable, within {hours:g} hours"), proposal_rows(record, size))
    for warning in warnings:
        warn(warning)


def _measured_spread(folder: Path, record: PlanRecord) -> float:
    """Return the standard deviation of a paired difference that `assay certify` measured, over all conditions."""
    from reports.data.frames import read_study
    from search.plan.noise import noise_floors, typical_spread
    from trainables import records

    if folder.is_dir() and not (folder / records.JOURNAL_FILE).is_file():
        raise InputError(
            f"{folder} was not written by `assay certify` (it has no {records.JOURNAL_FILE}); measure the noise "
            "with `assay certify STUDY -o FOLDER`, or assume it with `--spread`"
        )
    return typical_spread(noise_floors(read_study(folder), record))


def _costs(
    requested: Study, made: Plan, timed: bool, throughput: float | None
) -> tuple[StudyCosts | None, PrecisionRecord | None]:
    """Return the cost of the runs, if an estimate was requested, and the precision, if it was measured for that.

    Args:
        requested: the study as it was written.
        made: its plan.
        timed: whether a few steps of every network are timed.
        throughput: images per second, instead of timing.
    """
    from search.plan.data_validation import load_data_sets

    if throughput:
        from search.plan.cost_estimate import costs_at_throughput

        return costs_at_throughput(made, load_data_sets(made.sources), throughput), None
    if not timed:
        return None, None
    from search.monitor.messages import note
    from search.plan.network_timing import measure_costs
    from search.plan.precision import is_timed, measure_both

    data = load_data_sets(made.sources)
    both = is_timed(requested, made, data)
    note(f"timing a few steps of every network{' in float32 and in mixed precision' if both else ''}")
    return measure_both(made, data) if both else (measure_costs(made, data), None)


@command()
def run(
    study: Source,
    sets: Sets = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to create. Default: runs/NAME, or with -2, ... if that exists."),
    ] = None,
    address: Address = None,
    replay: Annotated[
        Path | None, typer.Option(metavar="CURVES.csv", help="Replay learning curves from a table instead of training.")
    ] = None,
    extend: Annotated[
        bool, typer.Option("--extend", help="Add trials, seeds, methods or conditions to the study in --output.")
    ] = False,
    timeout: Timeout = 30,
    allow_code: AllowCode = False,
    json: Json = False,
    debug: RunDebug = False,
) -> None:
    """Run a study: search, confirmation, verdicts, report, recipe."""
    from search.lifecycle import extend_study, run_study
    from search.session import Options
    from search.study.loading import load_study

    exclusive({"--extend": extend, "--replay": replay})
    allow(allow_code, *values(sets))
    requested = load_study(study, tuple(sets or ()))
    if extend:
        if output is None:
            raise InputError("--extend requires the folder of the study, `--output FOLDER`")
        study_folder.set(output)
        end_study(extend_study(requested, output, Options(address, None, debug, timeout)), json)
        return
    folder = output or free(Path("runs") / requested.name)
    study_folder.set(folder)
    end_study(run_study(requested, folder, Options(address, replay, debug, timeout)), json)


@command()
def resume(
    folder: Folder,
    sets: ResourceSets = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PATH|SOURCE",
            help="Where the images are now, if they were moved; they must be the same. NAME is a level of "
            "conditions.data. Repeatable.",
        ),
    ] = None,
    address: Address = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Recover the intact rows of a damaged study.db; repeat the damaged runs."),
    ] = False,
    timeout: Timeout = 30,
    allow_code: AllowCode = False,
    json: Json = False,
    debug: RunDebug = False,
) -> None:
    """Continue an interrupted study or final training."""
    from search.final_training.training import resume_training
    from search.lifecycle import repair_study, resume_study
    from search.monitor.messages import note
    from search.session import Options
    from trainables import records

    allow(allow_code, *(data or ()), *values(data))
    if repair:
        note(repair_study(folder) or f"nothing in {folder} is damaged")
    with records.JournalReader.open(folder) as journal:
        final = journal.is_final_training
    study_folder.set(folder)
    if final:
        end_training(resume_training(folder, Options(address, None, debug, timeout), sets or (), data or ()), json)
    else:
        end_study(resume_study(folder, Options(address, None, debug, timeout), sets or (), data or ()), json)


@command()
def status(
    folder: Folder,
    run: Annotated[str | None, typer.Option(metavar="NAME", help="Show why this run ended, and its log.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show progress until the study ends.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the progress of a study. Works from any terminal while it runs."""
    from search.cli.console import print_json
    from search.monitor import status as monitor

    exclusive({"--watch": watch, "--json": json})
    exclusive({"--watch": watch, "--run": run})
    if run is not None:
        facts = monitor.run_facts(folder, run)
        print_json(facts) if json else _show_run(facts)
        return
    if watch:
        monitor.watch(folder)
    alive, count = monitor.is_running(folder), monitor.study_progress(folder)
    if json:
        print_json({"running": alive, **asdict(count)})
    else:
        _show_status(folder, count, alive)


def _show_run(facts: RunFacts) -> None:
    from search.cli.console import print_lines, print_table

    rows = [(key, getattr(facts, key)) for key in ("phase", "condition", "method", "outcome", "why")]
    rows += [
        ("epochs", f"{facts.epochs} of {facts.length}"),
        ("parameters", ", ".join(f"{key} {value}" for key, value in facts.parameters.items())),
        *((key, f"{value:.4g}") for key, value in {**facts.last, **facts.figures}.items()),
        ("log", facts.log),
    ]
    print_table(("", facts.run), rows)
    print_lines(*(f"  {line}" for line in facts.log_tail()))


def _show_status(folder: Path, count: StudyProgress, alive: bool) -> None:
    from search.cli.console import console
    from search.monitor.messages import resume_hint
    from search.monitor.progress import best_table, count_table

    console().print(count_table(count, alive))
    best = best_table(count)
    if best:
        console().print("", best, sep="\n")
    finished = not alive and count.finished
    hint = "" if alive or finished else f"; continue with `{resume_hint(folder)}`"
    share = 100 if finished else min(99, int(100 * count.done / max(count.total, 1e-9)))
    typer.echo(f"{'running' if alive else 'finished' if finished else 'not running'}, {share} % done{hint}")
    if count.stopping_rule:
        typer.echo(f"seeds are open: claims are {count.stopping_rule}")
    if count.precision:
        typer.echo(f"precision: {count.precision}")
