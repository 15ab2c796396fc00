"""A recipe as one Keras file: readable code that trains the same thing and needs nothing of Assay."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment

from reports.jinja import environment
from search.export.recipe import promise_text
from trainables.augmentation import Augmentation
from trainables.augmentation.crop import padding
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.methods import Method
from trainables.methods.base import off_from
from trainables.methods.combination import Combination
from trainables.methods.mixing import Fading, Partnered
from trainables.models.applications import NETWORKS, Application
from trainables.optimizers import Optimizer
from trainables.records.atomic import write_atomically

if TYPE_CHECKING:
    from search.export.recipe import Recipe

TEMPLATES = Path(__file__).parent / "templates"
DOWNLOADED = ("mnist", "fashion_mnist", "cifar10", "cifar100")
FILES = ("directory", "lists")
WITH_PATH = ("npz", *FILES)
NEEDS = {"digits": ", and scikit-learn for the images", **dict.fromkeys(FILES, ", and pillow for the images")}
RESAMPLING = {"affine_flip", "photometric", "one_of"}
MIXING = {"mixup", "sample_pairing", "cutmix", "noise"}
COPIES = {"maxup", "maxup_mean", "batch_max"}
Constant = tuple[str, str, str]


def write_script(recipe: Recipe, path: Path) -> None:
    """Write the script, whole or not at all.

    Raises:
        InputError: something of the recipe cannot be written as a script.
    """
    write_atomically(path, script(recipe, path.name))


def script(recipe: Recipe, file: str) -> str:
    """Return the script.

    Args:
        recipe: what it trains.
        file: its name.

    Raises:
        InputError: something of the recipe cannot be written as a script.
    """
    config = recipe.train
    if len(recipe.image_shape) != 3 or not recipe.class_names:
        raise InputError("the recipe does not know its images (its study was replayed), so there is no script of it")
    source = _source(recipe)
    mixing, copies = _parts(config.method)
    on = _on(config)
    shape = (recipe.image_shape[0], recipe.image_shape[1], recipe.image_shape[2])
    classes = config.classes or len(recipe.class_names)
    templates = environment(TEMPLATES, autoescape=False, last_newline=False)
    templates.filters["safe"] = lambda text: re.sub(r'["\\\s]+', " ", str(text))
    text = templates.get_template("script.py.j2").render(
        title=f"Train {config.model.name} on {_data_name(config)} with {recipe.origin.method}",
        assay=recipe.origin.versions.get("assay", ""),
        study=recipe.origin.study,
        condition=recipe.origin.condition,
        method_name=recipe.origin.method,
        promise=promise_text(recipe.promise).removeprefix("test accuracy "),
        file=file,
        needs=NEEDS.get(source, ""),
        source=source,
        dataset=config.data.model_dump()["source"],
        files=config.data,
        held="validation" in recipe.brings,
        few_classes=classes < len(recipe.class_names),
        has_path=source in WITH_PATH,
        channels=shape[2],
        split_key=_split_key(),
        constants=_constants(recipe, classes),
        label_noise=config.label_noise,
        label_smoothing=config.label_smoothing,
        preprocessing=config.model.preprocessing,
        own_means=list(config.model.own_means),
        network=_network(templates, config, shape, classes),
        steps=_steps(config, shape),
        resamples=bool(RESAMPLING & set(config.augmentation.name.split("+"))),
        mixing=mixing.model_dump()["name"] if mixing else "",
        mixed_by=mixing,
        partner=mixing.partner if isinstance(mixing, Partnered) else "",
        copies=copies,
        objective=config.method.objective.kind,
        on=on,
        on_too="" if (not mixing and copies == 1) or on == "True" else ", on",
        look=", augment" if config.fine_tune and config.fine_tune_off == "all" and config.augmentation.steps else "",
        plain=not mixing and copies == 1,
        schedule=config.schedule,
        warm_up=config.warm_up,
        total_steps=config.steps,
        optimizer=config.optimizer,
        mixed=config.precision == "mixed",
        full_data=config.full_data,
    )
    return re.sub(r"\n+(?=def |class |if __name__)", "\n\n\n", text).rstrip() + "\n"


def _data_name(config: RunConfig) -> str:
    settings = config.data.model_dump()
    return Path(settings["path"]).name if settings.get("path") else str(settings["source"])


def _refuse(what: str, hint: str) -> InputError:
    return InputError(f"{what} cannot be written as a script: {hint}. Train the recipe with `assay train` instead.")


def _own(thing: object) -> bool:
    """Return whether something comes with Assay."""
    return type(thing).__module__.startswith("trainables.")


def _source(recipe: Recipe) -> str:
    """Return the template of the data source."""
    name = recipe.train.data.model_dump()["source"]
    if "groups" in recipe.brings:
        raise _refuse("data with groups of its own", "the script draws its split by class only")
    if name in DOWNLOADED:
        return "keras"
    if name not in {*WITH_PATH, "digits"}:
        known = ", ".join(WITH_PATH)
        raise _refuse(f"data source `{name}`", f"it can load {known}, digits and the data sets of Keras")
    return str(name)


def _parts(method: Method) -> tuple[Method | None, int]:
    """Return the method that mixes, and the number of copies.

    Raises:
        InputError: a part of it is a plug-in.
    """
    parts: list[Method] = [method.copied, method.mixing] if isinstance(method, Combination) else [method]
    names = [part.model_dump()["name"] for part in parts]
    for part, name in zip(parts, names, strict=True):
        if name not in {*MIXING, *COPIES, "baseline"} or not _own(part):
            raise _refuse(f"method `{name}`", "it does not come with Assay")
    return next((part for part, name in zip(parts, names, strict=True) if name in MIXING), None), method.copies


def _network(templates: Environment, config: RunConfig, shape: tuple[int, int, int], classes: int) -> str:
    """Return the function that builds the network; a pretrained one is fetched from Keras when the script runs."""
    model = config.model
    if isinstance(model, Application):
        template = templates.get_template("network_application.py.j2")
        pretrained = model.pretrained != "none"
        return template.render(
            **model.model_dump(exclude={"pretrained"}), application=NETWORKS[model.name], pretrained=pretrained
        )
    from trainables.backends.selection import backend
    from trainables.models.written import network_code

    backend.configure(deterministic=False)
    return network_code(model.build(shape, classes)).rstrip()


def _steps(config: RunConfig, shape: tuple[int, int, int]) -> list[dict[str, Any]]:
    """Return the augmentations in order, with the padding in pixels."""
    return [_step(step, shape) for step in config.augmentation.steps]


def _step(step: Augmentation, shape: tuple[int, int, int]) -> dict[str, Any]:
    settings = step.model_dump()
    if not _own(step) or not (TEMPLATES / f"augment_{settings['name']}.py.j2").is_file():
        raise _refuse(f"augmentation `{settings['name']}`", "it does not come with Assay")
    if "padding" in settings:
        settings |= {
            name: padding(size, settings["padding"]) for name, size in zip(("down", "right"), shape[:2], strict=True)
        }
    return settings


def _on(config: RunConfig) -> str:
    """Return when the method is on, as code."""
    method, epochs = config.method, config.epochs
    parts: list[Method] = [method.copied, method.mixing] if isinstance(method, Combination) else [method]
    conditions: list[str] = []
    cycle = method.cycle(epochs)
    if cycle:
        conditions.append(f"{cycle.start} <= epoch < {cycle.end}")
        conditions.append(f"(epoch - {cycle.start}) % {cycle.length} < {cycle.length - cycle.off}")
    conditions += [
        f"epoch < {off_from(part.off_last, epochs)}" for part in parts if isinstance(part, Fading) and part.off_last
    ]
    if config.fine_tune:
        conditions.append("epoch < FINE_TUNE_FROM")
    return " and ".join(conditions) or "True"


def _split_key() -> list[int]:
    """Return the key of the stream that draws a test part where the data has none (see `drawn_test_part`)."""
    import zlib

    return [0, zlib.crc32(b"split"), 0, 0]


def _constants(recipe: Recipe, classes: int) -> list[Constant]:
    """Return name, value as code and remark of every constant."""
    config = recipe.train
    mixing, copies = _parts(config.method)
    optimizer = config.optimizer
    if not _own(optimizer):
        raise _refuse(f"optimizer `{optimizer.model_dump()['name']}`", "it does not come with Assay")
    given = mixing.model_dump() if mixing else {}
    found: list[tuple[str, Any, str]] = [
        ("CLASSES", classes, ", ".join(recipe.class_names[:10]) if classes <= 10 else ""),
        ("VALIDATION_FRACTION", None if "validation" in recipe.brings else config.validation_fraction, "of each class"),
        ("TRAIN_FRACTION", config.train_fraction, "of what validation leaves"),
        ("LABEL_NOISE", config.label_noise or None, "share of wrong labels"),
        ("EPOCHS", config.epochs, ""),
        ("STEPS", config.steps, "in all, shared by the epochs"),
        ("BATCH_SIZE", config.batch_size, ""),
        ("LABEL_SMOOTHING", config.label_smoothing or None, ""),
        ("COPIES", copies if copies > 1 else None, "of each image in a step"),
        ("TEMPERATURE", config.method.objective.temperature if config.method.objective.kind == "softmax" else None, ""),
        ("ALPHA", given.get("alpha"), "of the beta distribution"),
        ("SIGMA", given.get("sigma"), "in standard deviations of the channel"),
        ("LEARNING_RATE", optimizer.learning_rate, ""),
        ("MILESTONES", _milestones(config), "parts of the length at which the rate falls"),
        ("DECAY_FACTOR", config.decay_factor if config.schedule == "milestones" else None, ""),
        ("WARM_UP", config.warm_up or None, "part of the length"),
        ("FINE_TUNE_FROM", off_from(config.fine_tune, config.epochs) if config.fine_tune else None, "epoch, from 0"),
        *_of_optimizer(optimizer),
    ]
    written = [(name, repr(value), remark) for name, value, remark in found if value is not None]
    return [*_of_data(recipe), *written]


def _of_data(recipe: Recipe) -> list[Constant]:
    """Return where the images are, and how large they become."""
    source, data = _source(recipe), recipe.train.data.model_dump(mode="json")
    found: list[Constant] = []
    if source in WITH_PATH:
        path = data["path"] if "path" in data else data["root"] or str(Path(data["train"]).parent)
        found.append(("DATA", _path(path), ""))
    if source == "lists":
        parts = ", ".join(f'"{part}": {_path(data[part])}' for part in ("train", "validation", "test") if data[part])
        found.append(("LISTS", f"{{{parts}}}", ""))
    if source in FILES:
        found.append(("SIZE", repr((recipe.image_shape[1], recipe.image_shape[0])), "width and height"))
    return found


def _path(path: str) -> str:
    return f"Path({json.dumps(path)})"


def _milestones(config: RunConfig) -> tuple[float, ...] | None:
    return config.milestone_fractions if config.schedule == "milestones" else None


def _of_optimizer(optimizer: Optimizer) -> list[tuple[str, Any, str]]:
    rates = {name: value for name, value in optimizer.rates().items() if name != "weight_decay" or value}
    return [(name.upper(), value, "") for name, value in rates.items()]
