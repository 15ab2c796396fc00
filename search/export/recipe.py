"""Recipe: a training configuration with its origin and its expected test accuracy, as a YAML file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from search.store.yaml_files import dump, read_mapping
from search.study.error_messages import explain
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.records import RECIPE_FILE
from trainables.records.atomic import write_atomically
from trainables.registration.fields import Frozen

VERSION = 1
HEADER = "# Train it with `assay train RECIPE`; no study is needed. To train it with changes, remove `checksum`.\n"


class MetricEstimate(Frozen):
    """A metric over seeds: mean, 95 % t interval of the mean, and standard deviation over seeds."""

    mean: float
    low: float
    high: float
    spread: Annotated[float, Field(ge=0)]


class Promise(Frozen):
    """Result of the configuration in the study: test accuracy over confirmation seeds, with a 95 % t interval.

    `metrics` contains the estimates of all test metrics by name. `warning` states how many runs ended with a warning,
    with the most frequent one; it is empty if none did.
    """

    test_accuracy: Annotated[float, Field(ge=0, le=1)]
    low: float
    high: float
    spread: Annotated[float, Field(ge=0, description="standard deviation over seeds")]
    seeds: Annotated[int, Field(ge=1)]
    metrics: dict[str, MetricEstimate] = {}
    warning: str = ""


class Origin(Frozen):
    """Where the configuration comes from.

    Args:
        study, study_id, condition, method: as in the study.
        runs: names of the confirmation runs, one per seed.
        seeds: their seeds and split seeds.
        epochs: training lengths at which the study confirmed the method, all else being equal.
        mlflow_runs: MLflow ids of the delivered runs, by name.
        versions: versions of Python and packages.
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
    """An exported configuration that can be trained without its study.

    Args:
        assay_recipe: version of the format.
        checksum: checksum of the content. A recipe without it counts as edited: it can be trained, but the result is
            not compared with the promise.
        train: configuration of a run; its seeds are replaced.
        milestone_epochs: `train.milestones`, which are relative to `train.milestones_of`, in epochs.
        fingerprint, class_names, image_shape: the data of the study.
        brings: parts that the data has in addition to images and labels: `groups`, `validation`.
        promise: result in the study.
        origin: where the configuration comes from.
    """

    assay_recipe: Literal[1] = VERSION
    checksum: str = ""
    train: RunConfig
    milestone_epochs: list[float] = []
    fingerprint: str | None = None
    class_names: list[str] = []
    image_shape: list[Annotated[int, Field(ge=1)]] = []
    brings: list[str] = []
    promise: Promise
    origin: Origin

    @field_validator("image_shape")
    @classmethod
    def _three(cls, value: list[int]) -> list[int]:
        if len(value) not in (0, 3):
            raise ValueError(f"must be [height, width, channels] or empty, but got {value}")
        return value

    def document(self) -> dict[str, Any]:
        """Return the content of the recipe file."""
        return self.model_dump(mode="json")


def promise_text(promise: Promise) -> str:
    """Return a promise in words.

    >>> promise_text(Promise(test_accuracy=0.9, low=0.88, high=0.92, spread=0.01, seeds=4))
    'test accuracy 90.00 % (95 % interval 88.00 to 92.00, 4 seeds)'
    """
    return (
        f"test accuracy {100 * promise.test_accuracy:.2f} % (95 % interval {100 * promise.low:.2f} to "
        f"{100 * promise.high:.2f}, {promise.seeds} seeds)"
    )


def with_checksum(recipe: Recipe) -> Recipe:
    """Return the recipe with the checksum of its content."""
    return recipe.model_copy(update={"checksum": _checksum(recipe.document())})


def _checksum(document: dict[str, Any]) -> str:
    content = {key: value for key, value in document.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe atomically."""
    write_atomically(path, HEADER + dump(recipe.document()))


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: the file is missing, damaged, invalid, of a newer version, or was edited.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the recipe in it, such as {path / RECIPE_FILE}")
    if not path.is_file():
        raise InputError(f"there is no recipe at {path}. Write one with `assay export STUDY -o {path}`.")
    document = read_mapping(path)
    found = document.get("assay_recipe")
    if found is None:
        raise InputError(f"{path} is not a recipe: `assay_recipe` is missing. Write one with `assay export`.")
    if isinstance(found, int) and found > VERSION:
        raise InputError(
            f"{path} is a recipe of version {found}, but this version of Assay reads up to {VERSION}. Update Assay."
        )
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        raise InputError(explain(error, Recipe, str(path))) from None
    if document.get("checksum") and document["checksum"] != _checksum(document):
        raise InputError(
            f"{path} was edited after it was exported, so its measured accuracy no longer belongs to its "
            "configuration. Export it again, or remove the line `checksum` to train it without comparing the results."
        )
    return recipe
