"""Commands `export` and `train`: the best configuration as a recipe or script, and its final training."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from search.cli.app import (
    Address,
    AllowCode,
    Debug,
    Folder,
    Json,
    ResourceSets,
    RunDebug,
    Timeout,
    allow,
    command,
    end_training,
    exclusive,
    free,
)
from search.cli.boundary import study_folder
from trainables.records.characters import visible


class Format(StrEnum):
    """Format of an exported configuration."""

    RECIPE = "recipe"
    SCRIPT = "script"


DEFAULT_FILES = {Format.RECIPE: ("recipe", ".yaml"), Format.SCRIPT: ("train", ".py")}


@command()
def export(
    folder: Folder,
    condition: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="Condition to choose from: its name, or `factor=value[,factor=value]`. Default: all; in a study on "
            "several data sets, those on the first.",
        ),
    ] = None,
    method: Annotated[str | None, typer.Option(metavar="NAME", help="Method to export. Default: the best one.")] = None,
    best: Annotated[bool, typer.Option("--best", help="Export the best of all methods; this is the default.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Path of the recipe or script. Default: recipe.yaml or train.py in the study folder; --method and "
            "--condition are added to the name.",
        ),
    ] = None,
    format_: Annotated[
        Format,
        typer.Option(
            "--format", help="`recipe` for `assay train`, or `script` for a Keras script that does not need Assay."
        ),
    ] = Format.RECIPE,
    allow_code: AllowCode = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Export the best configuration as a recipe or a script.

    It is the configuration with the best confirmed validation metric.
    """
    from search.cli.console import print_json
    from search.export.overwrite import check_overwrite
    from search.export.recipe import promise_text, write_recipe
    from search.export.selection import select_best
    from search.monitor.messages import warn
    from search.plan.model import file_name
    from search.store.delivery_state import read_delivery

    allow(allow_code)
    exclusive({"--best": best, "--method": method})
    name, ending = DEFAULT_FILES[format_]
    path = output or folder / f"{file_name(name, *(part for part in (method, condition) if part))}{ending}"
    check_overwrite(path, folder)
    exported = select_best(folder, condition, method, read_delivery(folder).run_ids)
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
    typer.echo(visible(f"{path}: {recipe.origin.method}, {recipe.origin.condition}; {promise_text(recipe.promise)}"))


@command()
def train(
    recipe: Annotated[
        Path, typer.Argument(help="Recipe written by `assay export`.", show_default=False, readable=False)
    ],
    epochs: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Training length, if different from the recipe's.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Number of seeds.")] = 1,
    full_data: Annotated[
        bool,
        typer.Option("--full-data", help="Also train on the validation images; there are then no validation metrics."),
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(metavar="PATH|SOURCE", help="Other data of the same kind: an .npz file, a folder or a source."),
    ] = None,
    register: Annotated[
        str | None, typer.Option(metavar="NAME", help="Register the best model in MLflow under this name.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder to create. Default: runs/final-METHOD, or with -2, ... if that exists."
        ),
    ] = None,
    cpus: Annotated[int, typer.Option(min=1, max=10_000, help="CPUs per run.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, max=10_000, help="GPUs per run; may be a fraction of one.")] = 0,
    sets: ResourceSets = None,
    address: Address = None,
    timeout: Timeout = 30,
    allow_code: AllowCode = False,
    json: Json = False,
    debug: RunDebug = False,
) -> None:
    """Train the final models from a recipe.

    Saves them and compares their accuracy with the accuracy measured in the study.
    """
    from search.export.recipe import read_recipe
    from search.final_training.request import RecipeOverrides
    from search.final_training.training import train_recipe
    from search.plan.model import file_name
    from search.session import Options
    from search.study.resources import Resources, changed

    allow(allow_code, data)
    read = read_recipe(recipe)
    folder = output or free(Path("runs") / f"final-{file_name(read.origin.method)}")
    study_folder.set(folder)
    resources = changed(Resources(), [f"resources.cpus={cpus}", f"resources.gpus={gpus}", *(sets or ())])
    overrides = RecipeOverrides(epochs, full_data, data, register)
    end_training(train_recipe(read, seeds, overrides, folder, Options(address, None, debug, timeout), resources), json)
