"""The command line: data on stdout, progress and messages on stderr.

Exit codes: 2 for bad input, 1 for a failed run, 130 when interrupted.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainables.errors import AssayError, InputError

if TYPE_CHECKING:
    from search.final import Trained
    from search.run import Finished

app = typer.Typer(
    name="assay",
    help="Find when mixup, MaxUp and SamplePairing actually help a Keras image classifier.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Argument(help="The study's folder.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks, and what Ray and TensorFlow say.")]
Source = Annotated[str, typer.Argument(help="A study file, or the name of a packaged study.", show_default=False)]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Override an entry of the study file.")
]
Address = Annotated[
    str | None,
    typer.Option(help="Ray cluster: `auto` or ray://HOST:PORT. By default this machine.", envvar="RAY_ADDRESS"),
]


def command(name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command whose errors end it with a message and an exit code; `--debug` shows the traceback."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def guarded(*args: Any, debug: bool = False, **kwargs: Any) -> None:
            try:
                function(*args, debug=debug, **kwargs)
            except AssayError as error:
                if debug:
                    raise
                typer.echo(f"error: {error}", err=True)
                raise typer.Exit(2 if isinstance(error, InputError) else 1) from None
            except OSError as error:
                if debug:
                    raise
                typer.echo(f"error: {error}", err=True)
                raise typer.Exit(2) from None
            except KeyboardInterrupt:
                typer.echo(_interrupted(), err=True)
                raise typer.Exit(130) from None

        return app.command(name)(guarded)

    return register


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
    from search.plan import make_plan
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
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Run a study: search, confirm, judge, report and export."""
    from search.run import run_study
    from search.session import Options
    from search.study import load_study

    asked = load_study(study, tuple(sets or ()))
    folder = output or _free(Path("runs") / asked.name)
    _remember(folder)
    _finish(run_study(asked, folder, Options(address, replay, debug)), json)


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
    _remember(folder)
    if final:
        _end(resume_training(folder, Options(address, None, debug)), json)
    else:
        _finish(resume_study(folder, Options(address, None, debug)), json)


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


@command()
def export(
    folder: Folder,
    condition: Annotated[str | None, typer.Option(help="Only this condition, as the report names it.")] = None,
    method: Annotated[str | None, typer.Option(help="Only this method; by default the best one.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The recipe's path.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the configuration with the best confirmed validation accuracy as a recipe."""
    from search.ending import promise_text
    from search.export import export_recipe
    from search.recipe import read_recipe
    from search.show import print_json

    path = export_recipe(folder, condition, method, output)
    recipe = read_recipe(path)
    if json:
        print_json({"recipe": str(path), **recipe.document()})
        return
    typer.echo(f"{path}: {recipe.origin.method}, {recipe.origin.condition}; {promise_text(recipe.promise)}")


@command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe that `assay export` wrote.", show_default=False)],
    epochs: Annotated[int | None, typer.Option(min=1, help="Another training length.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New folder; by default runs/final-METHOD, numbered if taken.")
    ] = None,
    cpus: Annotated[int, typer.Option(min=1, help="CPUs of one run.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="GPUs of one run, or a fraction of one.")] = 0,
    address: Address = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train finally from a recipe alone, save the models, and hold the result against the recipe's promise."""
    from search.final import train_recipe
    from search.recipe import read_recipe
    from search.session import Options
    from search.study import Resources

    read = read_recipe(recipe)
    folder = output or _free(Path("runs") / f"final-{read.origin.method}")
    _remember(folder)
    options = Options(address, None, debug, Resources(cpus=cpus, gpus=gpus))
    _end(train_recipe(read, seeds, epochs, folder, options), json)


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


@command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="methods, models, augmentations, optimizers, data or studies.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw what augmentations or methods make of images, as a picture."),
    ] = None,
    study: Annotated[
        str | None, typer.Option(metavar="STUDY", help="Draw the sheet with this study's images and settings.")
    ] = None,
    check: Annotated[
        str | None, typer.Option(metavar="STUDY", help="Look at this study's data: parts, classes, duplicates.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List what can be used in a study file."""
    from search.listing import KINDS, listing
    from search.show import print_json, print_table
    from trainables.registry import unknown

    if kind is not None and kind not in KINDS:
        raise InputError(unknown("kind", kind, list(KINDS)))
    if check is not None:
        _show_check(kind, check, json)
        return
    if sheet is not None:
        from search.look import draw_sheet

        draw_sheet(kind or "", sheet, study)
        typer.echo(str(sheet))
        return
    found = {name: listing(name) for name in ([kind] if kind else KINDS)}
    if json:
        print_json({name: [entry.document() for entry in entries] for name, entries in found.items()})
        return
    for name, entries in found.items():
        print_table((name, "", "settings"), [(entry.name, entry.summary, entry.settings) for entry in entries])
        typer.echo()


def _finish(done: Finished, json: bool) -> None:
    """Show a study; one in which no run gave a result is a failure of the command."""
    from search.ending import show_finished

    show_finished(done, json)
    if done.failed:
        typer.echo("error: no run gave a result; see `assay status` and the logs", err=True)
        raise typer.Exit(1)


def _end(done: Trained, json: bool) -> None:
    """Show a final training; a seed that failed is a failure of the command."""
    from search.ending import show_trained

    show_trained(done, json)
    if done.failures:
        raise typer.Exit(1)


def _show_check(kind: str | None, study: str, json: bool) -> None:
    from dataclasses import asdict

    from search.look import check_report
    from search.show import print_json, print_table

    if kind != "data":
        raise InputError("--check looks at a study's data: assay list data --check STUDY")
    found = check_report(study)
    if json:
        print_json(asdict(found))
        return
    print_table(("", study), found.facts)
    typer.echo()
    print_table(("class", "development", "test"), found.classes, ("development", "test"))
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)


def _free(folder: Path) -> Path:
    """Return the folder, or the first numbered one that does not exist."""
    number, free = 2, folder
    while free.exists():
        free = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return free


def _remember(folder: Path) -> None:
    """Remember the folder for the message of an interruption."""
    app.info.context_settings = {"obj": folder}


def main() -> None:
    """Run the command line. A request to terminate ends it as Ctrl-C does: everything is saved."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    app()


def _interrupted() -> str:
    settings = app.info.context_settings or {}
    folder = settings.get("obj")
    if folder is None or not (folder / "study.db").exists():
        return "interrupted"
    return f"interrupted; everything so far is saved. Go on with: assay resume {folder}"


if __name__ == "__main__":
    main()
