"""A recipe: one configuration to train from, where it came from, and what it promises."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from search.store.yaml_files import dump, read_mapping, write_whole
from search.study.error_messages import explain
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.records import RECIPE_FILE
from trainables.registration.fields import Frozen

VERSION = 1
HEAD = "# Train this with: assay train RECIPE. It needs no study. To train it with changes, remove `checksum`.\n"


class Measured(Frozen):
    """A figure over seeds: mean, 95 % t interval of the mean, standard deviation over seeds."""

    mean: float
    low: float
    high: float
    spread: Annotated[float, Field(ge=0)]


class Promise(Frozen):
    """What the configuration reached in the study: test accuracy over confirmation seeds, with a 95 % t interval."""

    test_accuracy: float
    low: float
    high: float
    spread: Annotated[float, Field(ge=0, description="standard deviation over seeds")]
    seeds: Annotated[int, Field(ge=1)]
    metrics: dict[str, Measured] = {}


class Origin(Frozen):
    """Where the configuration comes from.

    Args:
        study, study_id, condition, method: as in the study.
        runs: the confirmation runs, one for each seed.
        seeds: their seeds and split seeds.
        epochs: training lengths at which the study confirmed the method, all else equal.
        mlflow_runs: the runs' ids in MLflow by name, as far as they were delivered.
        versions: what they ran with.
    """

    study: str
    study_id: str
    condition: str
    method: str
    runs: list[str]
    seeds: list[tuple[int, int]] = []
    epochs: list[int] = []
    mlflow_runs: dict[str, str] = {}
    versions: dict[str, str] = {}


class Recipe(Frozen):
    """An exported configuration that can be trained from alone.

    `train.milestones` are relative to `train.milestones_of`; `milestone_epochs` are the same in epochs. `brings` says
    what the data has of its own, `groups` or a `validation` part. A file without `checksum` is somebody's own: it is
    trained, but not held against the promise.
    """

    assay_recipe: Literal[1] = VERSION
    checksum: str = ""
    train: RunConfig
    milestone_epochs: list[float] = []
    fingerprint: str | None = None
    class_names: list[str] = []
    image_shape: list[int] = []
    brings: list[str] = []
    promise: Promise
    origin: Origin

    def document(self) -> dict[str, Any]:
        """Return the recipe as its file says it."""
        return self.model_dump(mode="json")


def sealed(recipe: Recipe) -> Recipe:
    """Return the recipe with the checksum of its content."""
    return recipe.model_copy(update={"checksum": _checksum(recipe.document())})


def _checksum(document: dict[str, Any]) -> str:
    content = {key: value for key, value in document.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe, whole or not at all."""
    write_whole(path, HEAD + dump(recipe.document()))


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: it is missing, damaged, of a newer version, edited, or says something that is not allowed.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the recipe in it, such as {path / RECIPE_FILE}")
    if not path.is_file():
        raise InputError(f"no recipe at {path}. Write one with `assay export STUDY -o {path}`.")
    document = read_mapping(path)
    found = document.get("assay_recipe")
    if found is None:
        raise InputError(f"{path} is no recipe: `assay_recipe` is missing. Write one with `assay export`.")
    if isinstance(found, int) and found > VERSION:
        raise InputError(f"{path} is a recipe of version {found}, and this Assay reads up to {VERSION}. Update Assay.")
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        raise InputError(explain(error, Recipe, str(path))) from None
    if document.get("checksum") and document["checksum"] != _checksum(document):
        raise InputError(
            f"{path} was edited after it was exported, so what it promises is not what it says. Export it again; or "
            "remove the line `checksum`, to train it as a recipe of your own that is not held against the promise."
        )
    return recipe


def promise_text(promise: Promise) -> str:
    """Return a promise in words: `test accuracy 81.20 % (95 % interval ...)`."""
    return (
        f"test accuracy {100 * promise.test_accuracy:.2f} % (95 % interval {100 * promise.low:.2f} to "
        f"{100 * promise.high:.2f}, {promise.seeds} seeds)"
    )
