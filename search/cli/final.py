"""The best configuration: export it, train it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli.program import Address, Debug, Folder, Json, command, end_training, free, remember


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
    folder = output or free(Path("runs") / f"final-{read.origin.method}")
    remember(folder)
    options = Options(address, None, debug, Resources(cpus=cpus, gpus=gpus))
    end_training(train_recipe(read, seeds, epochs, folder, options), json)
