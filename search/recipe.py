"""A recipe: one configuration to train from, where it came from, and what it promises."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from search.files import dump, read_mapping, write_whole
from search.messages import explain
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.fields import Frozen

VERSION = 1


class Promise(Frozen):
    """What the configuration reached in the study: test accuracy over confirmation seeds, with a 95 % t interval."""

    test_accuracy: float
    low: float
    high: float
    spread: Annotated[float, Field(ge=0, description="standard deviation over seeds")]
    seeds: Annotated[int, Field(ge=1)]


class Origin(Frozen):
    """Where the configuration comes from."""

    study: str
    study_id: str
    condition: str
    method: str
    runs: list[str]
    versions: dict[str, str] = {}


class Recipe(Frozen):
    """An exported configuration that can be trained from alone."""

    assay_recipe: Literal[1] = VERSION
    train: RunConfig
    milestone_epochs: list[float] = []
    fingerprint: str | None = None
    class_names: list[str] = []
    promise: Promise
    origin: Origin

    def document(self) -> dict[str, Any]:
        """Return the recipe as its file says it."""
        return self.model_dump(mode="json")


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe, whole or not at all."""
    head = "# Train this with: assay train RECIPE. It needs no study.\n"
    write_whole(path, head + dump(recipe.document()))


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: it is missing, damaged, of a newer version, or says something that is not allowed.
    """
    if not path.is_file():
        raise InputError(f"no recipe at {path}. Write one with `assay export STUDY -o {path}`.")
    document = read_mapping(path)
    found = document.get("assay_recipe")
    if found is None:
        raise InputError(f"{path} is no recipe: `assay_recipe` is missing. Write one with `assay export`.")
    if isinstance(found, int) and found > VERSION:
        raise InputError(f"{path} is a recipe of version {found}, and this Assay reads up to {VERSION}. Update Assay.")
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        raise InputError(explain(error, Recipe, str(path))) from None
