"""Request of a final training: a recipe with overrides of its training length and its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from search.export.recipe import Recipe
from search.plan.data_validation import ORDER_HINT, check_code, check_on_data
from search.plan.validation import check_config
from search.study.data_place import source_settings
from search.study.error_messages import explain
from trainables.backends.keras_settings import check_keras_settings
from trainables.config import RunConfig, with_epochs
from trainables.data.base import source_kind
from trainables.errors import InputError
from trainables.records import number_of
from trainables.registration.fields import Frozen

if TYPE_CHECKING:
    from trainables.data import Dataset


@dataclass(frozen=True)
class RecipeOverrides:
    """Options of a final training that differ from its recipe.

    Args:
        epochs: training length, or None for that of the recipe.
        full_data: whether to train on the validation images as well.
        data: other data: a path, the name of a source, or a source as YAML; None for the data of the recipe.
        register: name under which the best model is registered in MLflow, or None.
    """

    epochs: int | None = None
    full_data: bool = False
    data: str | None = None
    register: str | None = None

    def __post_init__(self) -> None:
        """Refuse a name that MLflow's model registry does not allow.

        Raises:
            InputError: the name is not allowed.
        """
        name = self.register
        if name is not None and (not name.strip() or set(name) & set("/:") or name == "." or name.startswith("..")):
            raise InputError(
                f"--register {name!r}: the name of a model in MLflow must not be empty, contain `/` or `:`, or start "
                "with two dots; choose another name, such as `digits-classifier`"
            )


class TrainingRequest(Frozen):
    """A final training that is ready to start.

    Args:
        recipe: the recipe.
        seeds: number of runs.
        config: configuration of every run, except for its seeds.
        incomparable: why the result cannot be compared with the promise of the recipe, or empty.
    """

    recipe: Recipe
    seeds: int
    config: RunConfig
    incomparable: str = ""

    def document(self) -> dict[str, Any]:
        """Return the request as JSON for the journal (see `records.META_RECIPE`)."""
        return self.model_dump(mode="json")


def prepare_request(recipe: Recipe, seeds: int, overrides: RecipeOverrides) -> tuple[TrainingRequest, Dataset]:
    """Return a validated request of a final training, and its data.

    Raises:
        InputError: the data is missing, does not fit the recipe, or has changed; or the training length is invalid.
    """
    config = recipe.train
    if overrides.epochs is not None:
        if overrides.epochs < 1:
            raise InputError(f"--epochs must be at least 1, but got {overrides.epochs}")
        config = with_epochs(config, overrides.epochs)
    settings = config.model_dump(mode="json")
    if overrides.data is not None:
        settings["data"] = source_settings(overrides.data, settings["data"])
    if overrides.full_data:
        settings["full_data"] = True
    try:
        config = RunConfig.model_validate(settings)
    except ValidationError as error:
        raise InputError(explain(error, RunConfig, "--data", {"data": source_kind(settings["data"])})) from None
    check_keras_settings()
    check_code(config)
    data = load_data(config, recipe, other=overrides.data is not None)
    check_config(config)
    check_on_data(config, data)
    incomparable = _incomparable(recipe, config, data)
    return TrainingRequest(recipe=recipe, seeds=seeds, config=config, incomparable=incomparable), data


def length_warning(recipe: Recipe, epochs: int) -> str:
    """Return a warning if a training length is outside the range that the study tried, or an empty text."""
    tried = recipe.origin.epochs or [recipe.train.epochs]
    if min(tried) <= epochs <= max(tried):
        return ""
    lengths = f"{tried[0]}" if len(tried) == 1 else f"{min(tried)} to {max(tried)}"
    return (
        f"a length of {number_of(epochs, 'epoch')} is outside the range that the study tried ({lengths}): milestones "
        "and schedules are scaled, but learning rate, weight decay and the strength of the method were tuned for that "
        "range"
    )


def load_data(config: RunConfig, recipe: Recipe, other: bool) -> Dataset:
    """Load the data of a final training.

    Args:
        config: configuration of a run.
        recipe: the recipe, with the facts about its data.
        other: whether the user requested other data, of which only shape and number of classes have to fit.

    Raises:
        InputError: the data is missing or does not fit the recipe.
    """
    try:
        data = config.data.load()
    except InputError as error:
        hint = "" if other else " (if the data of the recipe has been moved, give its new location with `--data PATH`)"
        raise InputError(f"{error}{hint}") from None
    shape = list(data.images.shape[1:])
    if recipe.image_shape and shape != recipe.image_shape:
        raise InputError(
            f"the images are {_size(shape)}, but the recipe is for {_size(recipe.image_shape)} and may not be suitable "
            "for other sizes. Resize the images, or run a study on them."
        )
    if recipe.class_names and len(data.class_names) != len(recipe.class_names):
        raise InputError(
            f"the data has {len(data.class_names)} classes ({_few(data.class_names)}), but the recipe is for "
            f"{len(recipe.class_names)} ({_few(recipe.class_names)}). Run a study on these classes."
        )
    if recipe.class_names and list(data.class_names) != recipe.class_names and not other:
        hint = f"{ORDER_HINT}. " if sorted(data.class_names) == sorted(recipe.class_names) else ""
        raise InputError(
            f"the classes are {_few(data.class_names)}, but those of the recipe are {_few(recipe.class_names)}. "
            f"{hint}If this is intended, give the data with `--data`."
        )
    if recipe.fingerprint and data.fingerprint != recipe.fingerprint and not other:
        raise InputError(
            f"the images differ from those of the study: their fingerprint is {data.fingerprint[:12]}, but the recipe "
            f"has {recipe.fingerprint[:12]}. Restore the old images or, if other images are intended, give them with "
            "`--data`."
        )
    return data


def _size(shape: list[int]) -> str:
    height, width, channels = shape
    return f"{height} x {width} pixels, {'grey' if channels == 1 else 'colour'}"


def _few(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _incomparable(recipe: Recipe, config: RunConfig, data: Dataset) -> str:
    reasons = []
    if not recipe.checksum:
        reasons.append("the recipe was edited")
    if config.epochs != recipe.train.epochs:
        reasons.append("the training length differs")
    if config.full_data:
        reasons.append("the validation images were used for training")
    if recipe.fingerprint and data.fingerprint != recipe.fingerprint:
        reasons.append("the data differs")
    return " and ".join(reasons)
