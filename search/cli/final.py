"""The best configuration: export it, train it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.app import Address, Debug, Folder, Json, ResourceSets, command, end_training, free, remember
from trainables.errors import InputError

if TYPE_CHECKING:
    from search.export.selection import Export


class Format(StrEnum):
    """What a configuration is written as."""

    RECIPE = "recipe"
    SCRIPT = "script"


DEFAULT_FILES = {Format.RECIPE: ("recipe", ".yaml"), Format.SCRIPT: ("train", ".py")}


@command()
def export(
    folder: Folder,
    condition: Annotated[
        str | None, typer.Option(help="Only this condition: its name, or `factor=value[,factor=value]`.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Only this method; by default the best one.")] = None,
    best: Annotated[bool, typer.Option("--best", help="The best of all methods: the default, said aloud.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The path of the recipe or script.")] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="`recipe` for `assay train`, or `script`: plain Keras without Assay.")
    ] = Format.RECIPE,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the configuration with the best confirmed validation accuracy as a recipe, or as a Keras script."""
    from search.cli.console import print_json
    from search.export.overwrite import check_overwrite
    from search.export.recipe import promise_text, write_recipe
    from search.monitor.messages import warn
    from search.plan.model import file_name

    if best and method is not None:
        raise InputError(f"--best and --method {method} ask for different things; leave one out")
    name, ending = DEFAULT_FILES[format_]
    path = output or folder / f"{file_name(name, *(part for part in (method, condition) if part))}{ending}"
    check_overwrite(path, folder)
    exported = _chosen(folder, condition, method)
    recipe = exported.recipe
    if format_ == Format.SCRIPT:
        from search.export.keras_script import write_script

        write_script(recipe, path)
    else:
        write_recipe(recipe, path)
    for note in exported.notes:
        warn(note)
    if json:
        print_json({format_.value: str(path), **recipe.document()})
        return
    typer.echo(f"{path}: {recipe.origin.method}, {recipe.origin.condition}; {promise_text(recipe.promise)}")


def _chosen(folder: Path, condition: str | None, method: str | None) -> Export:
    """Return the best configuration with its runs' ids in MLflow, where they can be had."""
    from search.cli.summary import tracking_uri
    from search.export.selection import select_best
    from search.monitor.messages import warn
    from search.tracking.lookup import mlflow_runs

    select_best(folder, condition, method)
    ids, trouble = mlflow_runs(folder, tracking_uri(folder))
    warn(trouble)
    return select_best(folder, condition, method, ids)


@command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe that `assay export` wrote.", show_default=False)],
    epochs: Annotated[int | None, typer.Option(min=1, help="Another training length.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 1,
    full_data: Annotated[
        bool, typer.Option("--full-data", help="Train on the validation images, too; nothing is validated then.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(metavar="PATH|SOURCE", help="Other data of the same kind: a .npz file, a folder, a source."),
    ] = None,
    register: Annotated[
        str | None, typer.Option(metavar="NAME", help="Register the models in MLflow under this name.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New folder; by default runs/final-METHOD, numbered if taken.")
    ] = None,
    cpus: Annotated[int, typer.Option(min=1, help="CPUs of one run.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="GPUs of one run, or a fraction of one.")] = 0,
    sets: ResourceSets = None,
    address: Address = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train finally from a recipe alone, save the models, and hold the result against the recipe's promise."""
    from search.export.recipe import read_recipe
    from search.final_training.request import RecipeOverrides
    from search.final_training.training import train_recipe
    from search.plan.model import file_name
    from search.session import Options
    from search.study.resources import Resources, changed

    read = read_recipe(recipe)
    folder = output or free(Path("runs") / file_name(f"final-{read.origin.method}"))
    remember(folder)
    resources = changed(Resources(), [f"resources.cpus={cpus}", f"resources.gpus={gpus}", *(sets or ())])
    overrides = RecipeOverrides(epochs, full_data, data, register)
    end_training(train_recipe(read, seeds, overrides, folder, Options(address, None, debug), resources), json)
