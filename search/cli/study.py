"""A study: plan, run, resume, status."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli.program import (
    Address,
    Debug,
    Folder,
    Json,
    Sets,
    Source,
    command,
    end_study,
    end_training,
    free,
    remember,
)
from trainables.errors import InputError


@command()
def plan(
    study: Source,
    sets: Sets = None,
    spread: Annotated[
        float, typer.Option(help="Assumed spread of a paired difference over seeds, in points.", min=0.01)
    ] = 1.0,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a study would run, and the smallest effect it could find, before spending."""
    from search.budget import budget
    from search.planning import make_plan
    from search.show import print_json, print_table
    from search.study import load_study

    made = make_plan(load_study(study, tuple(sets or ())))
    size = budget(made, spread)
    if json:
        print_json({**size.document(), "plan": made.document()})
        return
    rows = [
        ("arms", f"{size.arms}: {size.methods} methods under {size.conditions} conditions"),
        ("search", f"{size.search_runs} runs, {made.trials} for each arm"),
        (
            "confirmation",
            f"{size.confirmation_runs} runs at most, {made.points} points x {made.study.confirm.seeds} seeds",
        ),
        ("work", f"{size.plain_epochs:,.0f} epochs of plain training, if nothing is stopped early"),
        ("family", f"{size.contrasts} contrasts, Holm at {100 * made.study.alpha:g} %"),
        (
            "detectable",
            f"{size.detectable_points:.2f} points with 80 % power, if differences spread by {spread:g} points over "
            f"seeds ({size.detectable:.2f} times the spread)",
        ),
    ]
    print_table(("", made.study.name), rows)
    for warning in size.warnings:
        typer.echo(f"warning: {warning}", err=True)


@command()
def run(
    study: Source,
    sets: Sets = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New folder; by default runs/NAME, numbered if taken.")
    ] = None,
    address: Address = None,
    replay: Annotated[
        Path | None, typer.Option(metavar="CURVES.csv", help="Replay learning curves from a table; train nothing.")
    ] = None,
    extend: Annotated[
        bool, typer.Option("--extend", help="Add to the study in --output: trials, seeds, methods or conditions.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Run a study: search, confirm, judge, report and export."""
    from search.run import extend_study, run_study
    from search.session import Options
    from search.study import load_study

    asked = load_study(study, tuple(sets or ()))
    if extend:
        if output is None or replay is not None:
            raise InputError("--extend needs the folder of the study, `--output FOLDER`, and takes no --replay")
        remember(output)
        end_study(extend_study(asked, output, Options(address, None, debug)), json)
        return
    folder = output or free(Path("runs") / asked.name)
    remember(folder)
    end_study(run_study(asked, folder, Options(address, replay, debug)), json)


@command()
def resume(folder: Folder, address: Address = None, json: Json = False, debug: Debug = False) -> None:
    """Go on with an interrupted study or final training."""
    from search.final import resume_training
    from search.journal import Journal
    from search.run import resume_study
    from search.session import Options
    from trainables import records

    with Journal.open(folder / records.JOURNAL_FILE, write=False) as journal:
        final = journal.meta(records.META_RECIPE) is not None
    remember(folder)
    if final:
        end_training(resume_training(folder, Options(address, None, debug)), json)
    else:
        end_study(resume_study(folder, Options(address, None, debug)), json)


@command()
def status(
    folder: Folder,
    run: Annotated[str | None, typer.Option(help="Say why this run ended, and where its log is.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say how far a study is, from any terminal."""
    from dataclasses import asdict

    from search.progress import table
    from search.show import console, print_json, print_table
    from search.status import run_facts, running, study_tally

    if run:
        found = run_facts(folder, run)
        if json:
            print_json(found)
        else:
            print_table(("", run), [(key, value) for key, value in found.items() if key != "run"])
        return
    count, alive = study_tally(folder), running(folder)
    if json:
        print_json({"running": alive, **asdict(count)})
        return
    console().print(table(count))
    over = not alive and count.done >= count.total
    hint = "" if alive or over else f"; go on with `assay resume {folder}`"
    share = 100 * count.done / max(count.total, 1e-9)
    typer.echo(f"{'running' if alive else 'finished' if over else 'not running'}, {share:.0f} % done{hint}")
