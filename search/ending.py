"""What a study or a final training prints at its end: the answer first, then where everything is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from search.journal import Journal
from search.recipe import Promise, read_recipe
from search.show import copyable, prefix, print_json, print_lines, print_table, print_verdicts, warn
from search.tracking.ui import ui_command
from trainables import records

if TYPE_CHECKING:
    from search.final import Trained
    from search.lifecycle import Finished

AGREEMENT = {
    True: "as promised, within what so few seeds can tell",
    False: "NOT as promised: outside the 95 % prediction interval",
    None: "not compared: another training length, or too few results",
}


def tracking_uri(folder: Path) -> str | None:
    """Return the tracking store that a study names, or None."""
    with Journal.open(folder / records.JOURNAL_FILE, write=False) as journal:
        study = journal.meta(records.META_STUDY) or {}
    return study.get("tracking", {}).get("uri")


def verdicts_document(folder: Path) -> dict[str, Any]:
    """Return the verdicts of a study for JSON."""
    from reports.frames import read_study
    from reports.verdicts import judge

    return {"verdicts": [asdict(verdict) for verdict in judge(read_study(folder))]}


def show_verdicts(folder: Path) -> None:
    """Print the verdict table of a study."""
    from reports.frames import read_study
    from reports.text import verdict_table
    from reports.verdicts import judge

    print_verdicts(verdict_table(judge(read_study(folder))))


def promise_text(promise: Promise) -> str:
    """Return a promise in words."""
    return (
        f"test accuracy {100 * promise.test_accuracy:.2f} % (95 % interval {100 * promise.low:.2f} to "
        f"{100 * promise.high:.2f}, {promise.seeds} seeds)"
    )


def show_finished(done: Finished, json: bool) -> None:
    """Print the verdicts of a study, its report, its recipe, and how to open MLflow."""
    mlflow = ui_command(done.folder, tracking_uri(done.folder))
    if json:
        paths = {"report": str(done.report.html), "recipe": done.recipe and str(done.recipe), "mlflow": mlflow}
        print_json({**verdicts_document(done.folder), **paths, "folder": str(done.folder)})
        return
    show_verdicts(done.folder)
    print_lines("", f"report   {done.report.html}", *_recipe_lines(done.recipe), f"MLflow   {prefix()}{mlflow}")
    warn(done.undelivered)


def _recipe_lines(path: Path | None) -> list[str]:
    if path is None:
        return [copyable("recipe   none: no configuration could be confirmed; `assay status` says why runs failed")]
    recipe = read_recipe(path)
    return [
        f"recipe   {path}",
        f"         {recipe.origin.method}, {recipe.origin.condition}: {promise_text(recipe.promise)}",
        f"         train it with: {prefix()}assay train {path} --seeds 3",
    ]


def show_trained(done: Trained, json: bool) -> None:
    """Print what a final training reached, beside what its recipe promised."""
    if json:
        print_json(_trained_document(done))
    else:
        rows = [(seed, f"{100 * value:.2f} %", done.models[seed]) for seed, value in done.accuracies.items()]
        rows += [(seed, "failed", reason) for seed, reason in done.failures.items()]
        print_table(("seed", "test accuracy", "model"), rows)
        print_lines(
            *_mean_line(list(done.accuracies.values())),
            f"promise  {promise_text(done.promise)}",
            f"verdict  {AGREEMENT[done.agrees]}",
        )
    warn(done.undelivered)


def _mean_line(values: list[float]) -> list[str]:
    spread = f", spread {100 * stdev(values):.2f} points over seeds" if len(values) > 1 else ""
    return [f"mean     {100 * fmean(values):.2f} %{spread}"] if values else []


def _trained_document(done: Trained) -> dict[str, Any]:
    return {
        "folder": str(done.folder),
        "test_accuracy": done.accuracies,
        "failures": done.failures,
        "models": {seed: str(path) for seed, path in done.models.items()},
        "promise": done.promise.model_dump(),
        "agrees": done.agrees,
    }
