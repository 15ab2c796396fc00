"""Keras script: a recipe as one readable program that trains the same run without Assay.

The network is Keras's own JSON. Data loading, split, draws, augmentation, mixing and update rule are Assay's own
functions, copied (see `search.export.source_code`); `templates/script.py.j2` is the training loop around them.
"""

from __future__ import annotations

import ast
import builtins
import functools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.jinja import environment
from search.export.overwrite import sealed
from search.export.recipe import promise_text
from search.export.source_code import Key, NotCopiableError, SourceCopier
from search.export.source_text import Import, annotation_names, bound_names, parsed
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.models.applications import NETWORKS, Application
from trainables.records.atomic import write_atomically

if TYPE_CHECKING:
    import keras

    from search.export.recipe import Recipe

TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE = "script.py.j2"
IMPORTED = (
    ("", "argparse", "argparse"), ("", "os", "os"), ("", "sys", "sys"), ("pathlib", "Path", "Path"),
    ("types", "ModuleType", "ModuleType"), ("typing", "Any", "Any"),
    ("", "keras", "keras"), ("", "numpy", "np"), ("", "tensorflow", "tf"), ("keras", "ops", "ops"),
)  # fmt: skip
"""What it imports: the module, if there is one; the name; and the name that it gets."""
PARTS = ("DATA", "SOURCE", "MODEL", "AUGMENTATION", "METHOD", "OPTIMIZER", "NETWORK")
DECODE = '''def decode_cached(root, files, shape):
    """Return the decoded images of files; unlike in Assay, there is no cache of them."""
    return decode_files(root, files, shape)
'''
MAPPED = '''def mapped_members(path, names):
    """Return nothing: unlike in Assay, large archives are also read into memory."""
    return {}
'''
Constant = tuple[str, str, str]


def write_script(recipe: Recipe, path: Path) -> None:
    """Write the script of a recipe, whole or not at all.

    Raises:
        InputError: something of the recipe cannot be written as a script.
    """
    write_atomically(path, sealed(script(recipe, path.name)))


def script(recipe: Recipe, file: str) -> str:
    """Return the script of a recipe.

    Args:
        recipe: what it trains.
        file: its name.

    Raises:
        InputError: something of the recipe cannot be written as a script.
    """
    config = recipe.train
    if len(recipe.image_shape) != 3 or not recipe.class_names:
        raise InputError(
            "the recipe does not contain its image shape and classes (its study was replayed), so it cannot be "
            "exported as a script"
        )
    network = _network(recipe)
    templates = environment(TEMPLATES, autoescape=False, last_newline=False)
    templates.filters.update({"comment": _comment, "python": repr})
    constants = _constants(recipe)
    copier = _copier(config, constants)
    sections = _sections(config, copier)
    code = "\n\n\n".join(text for _, text in sections)
    known = {*bound_names(parsed(code)), *copier.imports, *dir(builtins)}
    imports = sorted(copier.imports.values(), key=lambda line: (line.startswith("from"), line))
    early = [line for line in imports if _package(line) in sys.stdlib_module_names]
    text = templates.get_template(TEMPLATE).render(
        title=f"Train {config.model.name} on {_data_name(config)} with {recipe.origin.method}",
        assay=recipe.origin.versions.get("assay", ""),
        study=recipe.origin.study,
        condition=recipe.origin.condition,
        method=recipe.origin.method,
        promise=promise_text(recipe.promise).removeprefix("test accuracy "),
        warning=recipe.promise.warning,
        file=file,
        needs=_needs(imports, code),
        early=early,
        late=[line for line in imports if line not in early],
        unknown=sorted(annotation_names(code) - known),
        constants=constants,
        sections=sections,
        pretrained=NETWORKS[config.model.name] if _is_pretrained(config) else "",
        folder=_folder_field(config),
        summary=_summary(network),
        network=[repr(line) for line in re.split(r'(?=\{"module": "keras\.layers")', network.to_json()) if line],
    )
    return re.sub(r"\n{4,}", "\n\n\n", text).rstrip() + "\n"


def _copier(config: RunConfig, constants: Sequence[Constant]) -> SourceCopier:
    """Return what copies the parts of a run under names that the template and the constants do not use."""
    written = (TEMPLATES / TEMPLATE).read_text(encoding="utf-8")
    own = [*re.findall(r"^(?:def|class) (\w+)", written, re.MULTILINE), *PARTS]
    parts = (config.data, config.method.drawing, config.optimizer, config.model, *config.augmentation.steps)
    return SourceCopier(
        packages=[type(part).__module__.partition(".")[0] for part in parts],
        reserved=[*own, *(name for name, _, _ in constants)],
        replaced={
            Key("trainables.data.cache", "decode_cached"): DECODE,
            Key("trainables.data.archives", "mapped_members"): MAPPED,
        },
    )


def _comment(value: Any) -> str:
    """Return a value as text that ends neither a comment nor a docstring."""
    return re.sub(r'["\\\s\x00-\x1f\x7f]+', " ", str(value))


def _data_name(config: RunConfig) -> str:
    settings = config.data.model_dump()
    return Path(settings["path"]).name if settings.get("path") else str(settings["source"])


def _refuse(what: str, why: str) -> InputError:
    return InputError(f"{what} cannot be written as a script: {why}. Train the recipe with `assay train` instead.")


def _sections(config: RunConfig, copier: SourceCopier) -> list[tuple[str, str]]:
    """Copy all parts of a run; return titles with code, which ends with the object of the part.

    Raises:
        InputError: the source of a part cannot be copied.
    """
    for module, name, alias in IMPORTED:
        copier.add_import(module, name, alias)
    for function in _loop_functions():
        copier.copy(function.__module__, function.__name__)
    sections = [("Split, draws, schedule and loss", copier.take())]
    method, drawn = config.method, ("draw", "apply")
    values = {"copies": method.copies, "guests": method.guests, "objective": method.objective}
    for constant, title, part, named, members, changed in (
        ("SOURCE", "data source", config.data, config.data.model_dump()["source"], ("load",), {}),
        ("MODEL", "model", config.model, config.model.name, ("scale", "keeps", "name"), {}),
        ("AUGMENTATION", "augmentation", config.augmentation, config.augmentation.name, drawn, {}),
        ("METHOD", "method", method.drawing, method.model_dump()["name"], drawn, values),
        ("OPTIMIZER", "optimizer", config.optimizer, config.optimizer.model_dump()["name"], ("slots", "update"), {}),
    ):
        try:
            made = copier.instance(part, members, **changed)
        except NotCopiableError as error:
            raise _refuse(f"{title} `{named}`", str(error)) from None
        sections.append((f"{title.capitalize()}: {_comment(named)}", f"{copier.take()}\n\n\n{constant} = {made}"))
    return sections


def _loop_functions() -> tuple[Callable[..., Any], ...]:
    """Return the functions that the training loop of the template calls."""
    from trainables.data.selection import select
    from trainables.data.statistics import channel_statistics
    from trainables.engine.batches import draw_batches
    from trainables.engine.objectives import cross_entropy, reduce_losses, worst_copies
    from trainables.engine.saved_model import save_model
    from trainables.models.variables import random_variables
    from trainables.randomness import derive_seed
    from trainables.schedules import learning_rates, part

    return (
        select, channel_statistics, derive_seed, random_variables, draw_batches, part, learning_rates, cross_entropy,
        reduce_losses, worst_copies, save_model,
    )  # fmt: skip


def _package(statement: str) -> str:
    """Return the top-level package of an import statement."""
    return re.split(r"[ .]", statement)[1]


def _needs(imports: Sequence[str], code: str) -> list[str]:
    """Return the distributions that a script needs, by what it imports."""
    inner = [ast.unparse(node) for node in ast.walk(parsed(code)) if isinstance(node, Import)]
    packages = {_package(line) for line in [*imports, *inner]} - sys.stdlib_module_names
    known = _distributions()
    return sorted({known.get(package, [package])[0].lower() for package in packages})


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def _folder_field(config: RunConfig) -> str:
    """Return the data source's field for the place of its images: the last one that may contain a path; or nothing."""
    fields = type(config.data).model_fields
    return next((name for name in reversed(fields) if "Path" in str(fields[name].annotation)), "")


def _is_pretrained(config: RunConfig) -> bool:
    return isinstance(config.model, Application) and config.model.pretrained != "none"


def _network(recipe: Recipe) -> keras.Model:
    """Return the network as it is written; pretrained weights are fetched from Keras when the script runs.

    Raises:
        InputError: it has a layer that Keras cannot make from JSON.
    """
    from trainables.backends.selection import backend

    backend.configure(deterministic=False)
    import keras

    from trainables.models.variables import layers_of

    config = recipe.train
    model = config.model.model_copy(update={"pretrained": "none"} if _is_pretrained(config) else {})
    height, width, channels = recipe.image_shape
    network = model.build((height, width, channels), config.classes or len(recipe.class_names))
    if config.precision == "mixed":
        network = keras.models.clone_model(network, clone_function=_mixed)
    for layer in layers_of(network):
        if not type(layer).__module__.startswith("keras."):
            raise _refuse(f"model `{model.name}`", f"layer `{layer.name}` does not come with Keras")
        if model.keeps(layer.name):
            raise _refuse(f"model `{model.name}`", f"layer `{layer.name}` starts from its own weights")
    try:
        keras.models.model_from_json(network.to_json())
    except Exception as error:  # what Keras raises depends on the layer
        raise _refuse(
            f"model `{model.name}`", f"Keras cannot make it from JSON ({str(error).splitlines()[0]})"
        ) from None
    return network


def _mixed(layer: Any) -> Any:
    """Return a copy of a layer that computes in bfloat16."""
    own = {"dtype": "mixed_bfloat16"} if hasattr(layer, "dtype_policy") else {}
    return type(layer).from_config({**layer.get_config(), **own})


def _summary(network: keras.Model) -> str:
    lines: list[str] = []
    network.summary(line_length=100, print_fn=lambda text, **_: lines.extend(text.splitlines()))
    return "\n".join(f"# {line}".rstrip() for line in lines)


def _constants(recipe: Recipe) -> list[Constant]:
    """Return name, value as code and remark of every constant."""
    config = recipe.train
    classes = config.classes or len(recipe.class_names)
    schedule = {"schedule": config.schedule, "milestones": config.milestone_fractions}
    schedule |= {"factor": config.decay_factor, "warm_up": config.warm_up, "rate_decay": config.rate_decay}
    given = "unused: the data has its own validation part" if "validation" in recipe.brings else "of each class"
    found: list[tuple[str, Any, str]] = [
        ("CLASSES", classes, ", ".join(recipe.class_names[:10]) if classes <= 10 else ""),
        ("IMAGE_SHAPE", tuple(recipe.image_shape), "height, width, channels"),
        ("VALIDATION_FRACTION", config.validation_fraction, given),
        ("TRAIN_FRACTION", config.train_fraction, "of what validation leaves"),
        ("FULL_DATA", config.full_data, "whether the validation images are also trained on"),
        ("LABEL_NOISE", config.label_noise, "share of training images with a wrong label"),
        ("EPOCHS", config.epochs, ""),
        ("STEPS", config.steps, "in all, shared by the epochs; None: each epoch is one pass over the images"),
        ("BATCH_SIZE", config.batch_size, ""),
        ("LABEL_SMOOTHING", config.label_smoothing, ""),
        ("METHOD_EPOCHS", _phases(config, config.method_on), "from, to (not included): when the method is on"),
        ("AUGMENTATION_EPOCHS", _phases(config, config.augmentation_on), "when images are augmented"),
        ("LEARNING_RATE", config.optimizer.learning_rate, ""),
        ("SCHEDULE", schedule, "parts of the length; rate_decay per step"),
        ("RATES", config.optimizer.rates(), "what the optimizer's rule gets in addition to the learning rate"),
        ("DECAY_ALL", config.optimizer.decay_all, "whether biases and batch norm also decay"),
    ]
    return [(name, repr(value), remark) for name, value, remark in found]


def _phases(config: RunConfig, on: Callable[[int], bool]) -> list[tuple[int, int]]:
    """Return the epochs in which something is on: the first of each phase, and the first after it."""
    states = [False, *map(on, range(config.epochs)), False]
    changes = [epoch for epoch, (before, after) in enumerate(pairwise(states)) if before != after]
    return list(zip(changes[::2], changes[1::2], strict=True))
