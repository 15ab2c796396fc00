"""Summary of a finished study or final training: the results, then the paths of everything written."""

from __future__ import annotations

import shlex
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from search.cli.console import print_json, print_lines, print_table, print_verdicts
from search.export.recipe import promise_text, read_recipe
from search.monitor.messages import copyable, prefix, warn
from search.store.tracking_uri import configured_uri
from search.tracking.ui import is_server, ui_command

if TYPE_CHECKING:
    from search.final_training.training import TrainingResult
    from search.lifecycle import StudyResult


def show_finished(done: StudyResult, json: bool) -> None:
    """Print the verdicts, the paths of report and recipe, and how to open MLflow."""
    from reports.inference.verdicts import judge
    from reports.inference.wording import verdict_table

    study, verdicts = done.study, judge(done.study)
    mlflow = ui_command(done.folder, configured_uri(done.folder))
    warn(done.undelivered)
    if json:
        paths = {"report": str(done.report.html), "recipe": done.recipe and str(done.recipe), "mlflow": mlflow}
        print_json({"verdicts": verdicts, **paths, "folder": str(done.folder)})
        return
    print_verdicts(verdict_table(verdicts), study.plan.unit.many)
    print_lines(
        "", f"report   {done.report.html}", *_recipe_lines(done.recipe), f"MLflow   {_mlflow_hint(done.folder, mlflow)}"
    )


def _mlflow_hint(folder: Path, mlflow: str) -> str:
    """Return the address of the MLflow server, or the command that opens MLflow's pages."""
    return mlflow if is_server(mlflow) else f"{prefix()}assay ui {shlex.quote(str(folder))}"


def _recipe_lines(path: Path | None) -> list[str]:
    if path is None:
        return [copyable("recipe   none: no configuration could be confirmed; `assay status` shows why runs failed")]
    recipe = read_recipe(path)
    return [
        f"recipe   {path}",
        f"         {recipe.origin.method}, {recipe.origin.condition}: {promise_text(recipe.promise)}",
        f"         train it with: {prefix()}assay train {shlex.quote(str(path))} --seeds 3",
    ]


def show_trained(done: TrainingResult, json: bool) -> None:
    """Print the results of a final training and the accuracy measured in the study."""
    if json:
        print_json(_trained_document(done))
    else:
        print_table(("seed", "test accuracy", "model"), _seed_rows(done))
        print_lines(
            *_mean_line(list(done.accuracies.values())),
            f"expected {promise_text(done.promise)}",
            f"verdict  {agreement(done)}",
            *([f"card     {done.card}"] if done.card else []),
        )
    for seed, warning in done.warnings.items():
        warn(f"seed {seed}: {warning}")
    warn(done.undelivered)


def _seed_rows(done: TrainingResult) -> list[tuple[int, str, str]]:
    failed = {**done.failures, **{seed: f"diverged: {reason}" for seed, reason in done.diverged.items()}}
    return [
        (
            seed,
            f"{100 * done.accuracies[seed]:.2f} %" if seed in done.accuracies else "failed",
            str(done.models[seed]) if seed in done.models else failed[seed],
        )
        for seed in sorted({*done.accuracies, *failed})
    ]


def agreement(done: TrainingResult) -> str:
    """Return a sentence on whether the final training agrees with the accuracy measured in the study."""
    if done.incomparable:
        return f"not compared with the study: {done.incomparable}"
    if done.expected is None:
        return "not compared with the study: too few seeds for a prediction"
    low, high = (f"{100 * value:.2f}" for value in done.expected)
    expectation = f"95 % prediction interval of the mean of {len(done.accuracies)} new seeds: {low} to {high} %"
    return f"{'as expected' if done.agrees else 'NOT as expected'} ({expectation})"


def _mean_line(values: list[float]) -> list[str]:
    spread = f", spread {100 * stdev(values):.2f} points over seeds" if len(values) > 1 else ""
    return [f"mean     {100 * fmean(values):.2f} %{spread}"] if values else []


def _trained_document(done: TrainingResult) -> dict[str, Any]:
    return {
        "folder": str(done.folder),
        "test_accuracy": done.accuracies,
        "warnings": done.warnings,
        "diverged": done.diverged,
        "failures": done.failures,
        "models": {seed: str(path) for seed, path in done.models.items()},
        "card": done.card and str(done.card),
        "promise": done.promise.model_dump(),
        "expected": done.expected,
        "agrees": done.agrees,
        "incomparable": done.incomparable,
    }
