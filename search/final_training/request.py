"""What a final training is asked for: the recipe's configuration with another length, other data, or all images."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from search.export.recipe import Recipe
from search.plan.data_validation import check_on_data
from search.plan.validation import check_config
from search.store.yaml_files import parse_value
from search.study.error_messages import explain
from trainables.config import RunConfig
from trainables.data import SOURCES
from trainables.data.base import source_kind, with_absolute_paths
from trainables.errors import InputError
from trainables.registration.registry import unknown

if TYPE_CHECKING:
    from trainables.data import Dataset

ARCHIVE = ".npz"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Changes:
    """What differs from the recipe.

    Args:
        epochs: another training length, or None.
        full_data: train on the validation images, too.
        data: other data: a path, the name of a source, or a source as YAML; or None for the recipe's.
        register: the name under which models go into MLflow's registry, or None.
    """

    epochs: int | None = None
    full_data: bool = False
    data: str | None = None
    register: str | None = None

    def __post_init__(self) -> None:
        """Refuse a name that MLflow's registry does not take.

        Raises:
            InputError: it is one.
        """
        name = self.register
        if name is not None and (not name.strip() or set(name) & set("/:") or name == "." or name.startswith("..")):
            raise InputError(
                f"--register {name!r}: a model's name in MLflow has neither `/` nor `:`, is not empty, and does not "
                "begin with two dots; choose another, such as `digits-classifier`"
            )


@dataclass(frozen=True)
class Asked:
    """A final training, ready to start.

    Args:
        recipe: where it begins.
        config: what every seed trains, but for its seeds.
        seeds: how many.
        incomparable: why the result is not held against the recipe's promise, or empty.
    """

    recipe: Recipe
    config: RunConfig
    seeds: int
    incomparable: str = ""

    def document(self) -> dict[str, Any]:
        """Return what the journal keeps (see `records.META_RECIPE`)."""
        config = self.config.model_dump(mode="json")
        return {
            "recipe": self.recipe.document(),
            "seeds": self.seeds,
            "config": config,
            "incomparable": self.incomparable,
        }

    @classmethod
    def recalled(cls, document: dict[str, Any]) -> Asked:
        """Return it from what the journal keeps."""
        config = RunConfig.model_validate(document["config"])
        return cls(Recipe.model_validate(document["recipe"]), config, document["seeds"], document["incomparable"])


def ask(recipe: Recipe, seeds: int, changes: Changes) -> tuple[Asked, Dataset]:
    """Return what is to be trained, and its data.

    Raises:
        InputError: the data is missing, not the recipe's, or does not fit it; or the length is not allowed.
    """
    config = recipe.train
    if changes.epochs is not None:
        config = lengthened(config, changes.epochs)
    settings = config.model_dump(mode="json")
    if changes.data is not None:
        settings["data"] = source_settings(changes.data, settings["data"])
    if changes.full_data:
        settings["full_data"] = True
    try:
        config = RunConfig.model_validate(settings)
    except ValidationError as error:
        raise InputError(explain(error, RunConfig, "--data", {"data": source_kind(settings["data"])})) from None
    data = load(config, recipe, other=changes.data is not None)
    check_config(config)
    check_on_data(config, data)
    return Asked(recipe, config, seeds, _incomparable(recipe, config, data)), data


def lengthened(config: RunConfig, epochs: int) -> RunConfig:
    """Return the configuration with another length; milestones, cycles and steps are stretched with it.

    Raises:
        InputError: there is no such length.
    """
    if epochs < 1:
        raise InputError(f"--epochs must be at least 1, but got {epochs}")
    method = config.method.rescaled(config.epochs, epochs)
    steps = config.steps and max(epochs, round(config.steps * epochs / config.epochs))
    settings = {**config.model_dump(mode="json"), "epochs": epochs, "steps": steps}
    return RunConfig.model_validate({**settings, "method": method.model_dump(mode="json")})


def outside_validated(recipe: Recipe, epochs: int) -> str:
    """Return what has to be said of a length that the study did not try, or nothing."""
    tried = recipe.origin.epochs or [recipe.train.epochs]
    if min(tried) <= epochs <= max(tried):
        return ""
    lengths = f"{tried[0]}" if len(tried) == 1 else f"{min(tried)} to {max(tried)}"
    return (
        f"{epochs} epochs are outside of what the study tried ({lengths}): milestones and schedules are stretched, but "
        "learning rate, decay and the method's strength were tuned for that length"
    )


def source_settings(text: str, before: dict[str, Any]) -> dict[str, Any]:
    """Return a data source's settings from what `--data` says.

    Args:
        text: a path, the name of a source, or a source as YAML.
        before: the recipe's source; a path replaces its path where the kind is the same.

    Raises:
        InputError: it is none of them.
    """
    path = Path(text).expanduser()
    if path.is_dir() or path.suffix == ARCHIVE:
        kind = "directory" if path.is_dir() else "npz"
        kept = before if before["source"] == kind else {"mirror_keeps_class": before["mirror_keeps_class"]}
        return {**kept, "source": kind, "path": str(path.resolve())}
    if text in SOURCES or (":" in text and " " not in text):
        return {"source": text}
    try:
        written = parse_value(text)
    except yaml.YAMLError:
        written = None
    if isinstance(written, dict):
        return with_absolute_paths(written, Path.cwd())
    if "/" in text or path.suffix:
        raise InputError(f"--data {text}: there is no such file or folder; it takes a .npz file or a folder of classes")
    raise InputError(f"--data: {unknown('data source', text, list(SOURCES))} Or give a .npz file or a folder.")


def load(config: RunConfig, recipe: Recipe, other: bool) -> Dataset:
    """Load the images and refuse those that the recipe cannot be trained on.

    Args:
        config: what is trained.
        recipe: what is known of its data.
        other: the user asked for other data, so only its kind has to fit.

    Raises:
        InputError: they are missing, or do not fit.
    """
    try:
        data = config.data.load()
    except InputError as error:
        hint = "" if other else " (if the recipe's data lies elsewhere now, say where with `--data PATH`)"
        raise InputError(f"{error}{hint}") from None
    shape = list(data.images.shape[1:])
    if recipe.image_shape and shape != recipe.image_shape:
        raise InputError(
            f"the images are {_size(shape)}, and the recipe is for {_size(recipe.image_shape)}: it says nothing about "
            "images of another size. Bring them to that size, or run a study on them."
        )
    if recipe.class_names and len(data.class_names) != len(recipe.class_names):
        raise InputError(
            f"the data has {len(data.class_names)} classes ({_few(data.class_names)}), and the recipe is for "
            f"{len(recipe.class_names)} ({_few(recipe.class_names)}). Run a study on these classes."
        )
    if recipe.class_names and list(data.class_names) != recipe.class_names and not other:
        raise InputError(
            f"the classes are {_few(data.class_names)}, and the recipe's are {_few(recipe.class_names)}. If that is "
            "meant, name the data with `--data`."
        )
    if recipe.fingerprint and data.fingerprint != recipe.fingerprint and not other:
        raise InputError(
            f"the images are not those of the study: their fingerprint is {data.fingerprint[:12]}, the recipe's is "
            f"{recipe.fingerprint[:12]}. Bring the old images back; or, if others are meant, name them with `--data`."
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
        reasons.append("the training length is another one")
    if config.full_data:
        reasons.append("the validation images were trained on, too")
    if recipe.fingerprint and data.fingerprint != recipe.fingerprint:
        reasons.append("the data is other data")
    return ", and ".join(reasons)
