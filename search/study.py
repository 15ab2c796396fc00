"""The study file: what it may say, and what is refused before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from search.files import parse_mapping, parse_value, read_mapping
from search.messages import explain
from spaces.distributions import AUTO
from trainables import records
from trainables.config import AnySource, RunConfig, model_fields
from trainables.data import with_absolute_paths
from trainables.errors import InputError
from trainables.fields import Choice, Frozen, Range
from trainables.methods import METHODS
from trainables.methods.base import short_name
from trainables.registry import unknown

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]{0,79}$")]
Label = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.+-]{0,39}$")]
Scalar = bool | int | float | str
UNFAIR = {
    "augmentation", "classes", "deterministic", "epochs", "label_noise", "milestones", "model", "steps",
    "train_fraction", "validation_fraction",
}  # fmt: skip
RESERVED = {"data", "method", "seed", "split_seed"}


class MethodEntry(Frozen):
    """A method in a study: fields set to one value are fixed, a list or {low, high} is searched instead."""

    name: str
    label: Label
    settings: dict[str, Any] = {}

    def fixed(self) -> dict[str, Any]:
        """Return the fields that are set to one value."""
        return {key: value for key, value in self.settings.items() if not isinstance(value, Range | Choice)}

    def plain(self) -> dict[str, Any]:
        """Return the same by plain name: `mixup.alpha`."""
        return {METHODS.get(self.name).plain(key): value for key, value in self.fixed().items()}


class Search(Frozen):
    """How each arm is searched."""

    sampler: Literal["none", "sobol", "random", "tpe"] = "sobol"
    trials_per_arm: Annotated[int, Field(ge=1, le=10_000)] = 16
    early_stopping: bool = True
    reduction_factor: Annotated[float, Field(gt=1, le=10)] = 3
    audit: Annotated[int, Field(ge=2)] = 2


class Confirm(Frozen):
    """How the winners are confirmed."""

    points: Annotated[int, Field(ge=1, le=100)] = 2
    seeds: Annotated[int, Field(ge=2, le=1000)] = 10


class Resources(Frozen):
    """What one run takes, and how many run at once (by default as many as fit)."""

    cpus: Annotated[int, Field(ge=1)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0
    concurrency: Annotated[int, Field(ge=1)] | None = None
    checkpoint_seconds: Annotated[float, Field(gt=0)] = 60
    epoch_minutes: Annotated[float, Field(gt=0, description="an epoch that takes longer fails its run")] = 60


class Tracking(Frozen):
    """Where MLflow is: by default a store in the study's folder."""

    uri: str | None = None


class Study(Frozen):
    """All that one study file asks for."""

    name: Name = "study"
    data: AnySource
    recipe: dict[str, Any] = {}
    conditions: dict[str, Annotated[list[Scalar], Field(min_length=1)]] = {}
    exclude: list[dict[str, Scalar]] = []
    methods: Annotated[list[MethodEntry], Field(min_length=2)]
    reference: str = "baseline"
    contrasts: list[tuple[str, str]] = []
    nuisance: dict[str, Any] = {"learning_rate": AUTO, "weight_decay": AUTO}
    search: Search = Search()
    confirm: Confirm = Confirm()
    smallest_effect: Annotated[float, Field(gt=0, le=50, description="in points of accuracy")] = 0.5
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.05
    metric: records.Metric = records.VALIDATION_ACCURACY
    resources: Resources = Resources()
    tracking: Tracking = Tracking()
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("methods", mode="before")
    @classmethod
    def _entries(cls, value: Any) -> Any:
        return [_method_entry(entry) for entry in value] if isinstance(value, list) else value

    @field_validator("nuisance", mode="before")
    @classmethod
    def _nuisance(cls, value: Any) -> Any:
        if isinstance(value, list):
            value = {str(item): AUTO for item in value}
        return {key: searched(item, key) for key, item in value.items()} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        labels = [entry.label for entry in self.methods]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"methods: two are called `{label}`; give one another name with `as: ...`")
        for label in [self.reference, *(label for pair in self.contrasts for label in pair)]:
            if label not in labels:
                raise ValueError("reference and contrasts: " + unknown("method of this study", label, labels))
        _check_contrasts(self.contrasts, self.reference)
        _check_conditions(self.conditions, self.exclude)
        for factor in UNFAIR & set(self.nuisance):
            raise ValueError(
                f"nuisance.{factor}: trials that differ in it cannot be compared; make it a condition, or set it in "
                "`recipe`"
            )
        for factor in [*self.recipe, *self.conditions, *self.nuisance]:
            _check_factor(factor)
        for one, other in (("recipe", "conditions"), ("conditions", "nuisance"), ("recipe", "nuisance")):
            both = set(getattr(self, one)) & set(getattr(self, other))
            if both:
                raise ValueError(f"`{min(both)}` stands in `{one}` and in `{other}`; leave it in one of them")
        if self.search.audit > self.search.trials_per_arm and self.search.sampler != "none":
            raise ValueError(
                f"search.trials_per_arm is {self.search.trials_per_arm}, and {self.search.audit} trials of each arm "
                "are audited (`search.audit`); raise trials_per_arm, or search nothing with `sampler: none`"
            )
        return self

    def document(self) -> dict[str, Any]:
        """Return the study as a study file says it, complete: reading it back gives the same study."""
        plain = self.model_dump(mode="json", exclude={"methods", "nuisance"})
        plain["methods"] = [
            {"name": entry.name, "as": entry.label, **{key: _written(item) for key, item in entry.settings.items()}}
            for entry in self.methods
        ]
        plain["nuisance"] = {key: _written(item) for key, item in self.nuisance.items()}
        return plain


def _check_contrasts(contrasts: list[tuple[str, str]], reference: str) -> None:
    """Refuse a contrast that says nothing, or that is in the family already."""
    seen: list[set[str]] = []
    for one, other in contrasts:
        if one == other:
            raise ValueError(f"contrasts: [{one}, {other}] compares a method with itself; take it out")
        if reference in (one, other):
            raise ValueError(f"contrasts: [{one}, {other}] is judged anyway, each method is held against `{reference}`")
        if {one, other} in seen:
            raise ValueError(f"contrasts: [{one}, {other}] stands there twice; take one out")
        seen.append({one, other})


def _check_conditions(conditions: dict[str, list[Scalar]], exclude: list[dict[str, Scalar]]) -> None:
    """Refuse a value given twice, and an exclusion that excludes nothing."""
    for factor, values in conditions.items():
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"conditions.{factor}: {twice!r} stands there twice; take one out")
    for pair in exclude:
        for factor, value in pair.items():
            if factor not in conditions:
                raise ValueError("exclude: " + unknown("condition", factor, list(conditions)))
            if value not in conditions[factor]:
                raise ValueError(f"exclude: {factor} is never {value!r}; it is one of {conditions[factor]}")


def searched(value: Any, key: str) -> Any:
    """Return a `Range` for {low, high}, a `Choice` for a list, and any other value as it is."""
    if isinstance(value, list):
        if not value:
            raise ValueError(f"{key}: the list of values is empty")
        if not all(isinstance(item, bool | int | float | str) for item in value):
            raise ValueError(f"{key}: a list holds single values, but got {value}")
        if len({*map(repr, value)}) < len(value):
            raise ValueError(f"{key}: a value stands twice in {value}")
        return Choice(tuple(value))
    if not isinstance(value, Mapping):
        return value
    numbers = [value.get("low"), value.get("high")]
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        raise ValueError(f"{key}: low and high must be numbers, but got {dict(value)}")
    if not all(isinstance(value.get(name, False), bool) for name in ("log", "integer")):
        raise ValueError(f"{key}: log and integer must be true or false, but got {dict(value)}")
    extra = set(value) - {"low", "high", "log", "integer"}
    if extra or not {"low", "high"} <= set(value):
        raise ValueError(f"{key}: a searched range is {{low: ..., high: ..., log: true}}, but got {dict(value)}")
    made = Range(**value)
    if not made.low < made.high or (made.log and made.low <= 0):
        raise ValueError(f"{key}: needs low < high, and low > 0 where log is true, but got {dict(value)}")
    return made


def _written(value: Any) -> Any:
    """Return a declaration as a study file writes it."""
    if isinstance(value, Choice):
        return list(value.options)
    if isinstance(value, Range):
        return {"low": value.low, "high": value.high, "log": value.log, "integer": value.integer}
    return value


def _method_entry(entry: Any) -> Any:
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, Mapping) or "settings" in entry:
        return entry
    fields = dict(entry)
    name, label = fields.pop("name", None), fields.pop("as", None)
    try:
        kind = METHODS.get(str(name))
    except InputError as error:
        raise ValueError(str(error)) from None
    name = str(name)
    known = list(kind.fields())
    for field in fields:
        if field not in known:
            raise ValueError(unknown(f"field of {name}", field, known) if known else f"{name} has no fields")
    settings = {key: searched(value, kind.plain(key)) for key, value in fields.items()}
    return {"name": name, "label": label or short_name(name), "settings": settings}


def _check_factor(factor: str) -> None:
    known = recipe_factors()
    if factor in RESERVED or (factor not in known and "." not in factor):
        raise ValueError(unknown("recipe factor", factor, known))


def recipe_factors() -> list[str]:
    """Return the plain names that recipes, conditions and nuisance parameters may use."""
    from trainables.optimizers import OPTIMIZERS

    own = (set(RunConfig.model_fields) | model_fields()) - RESERVED
    return sorted(own | {field for name in OPTIMIZERS for field in OPTIMIZERS.get(name).model_fields} - {"name"})


def presets() -> dict[str, str]:
    """Return the text of every packaged study, by name."""
    folder = resources.files("search") / "studies"
    return {
        Path(entry.name).stem: entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    }


def parse_preset_summary(text: str) -> str:
    """Return the first line of a packaged study's header."""
    return text.splitlines()[0].removeprefix("#").strip()


def load_study(source: str, overrides: tuple[str, ...] = ()) -> Study:
    """Read a study file, or a packaged study by its name.

    Args:
        source: a path, or the name of a packaged study.
        overrides: `a.b=value` each, the value in YAML.

    Raises:
        InputError: it cannot be read, or says something that is not allowed.
    """
    path = Path(source)
    if path.is_file():
        document, folder = read_mapping(path), path.absolute().parent
    elif source in presets():
        document, folder = parse_mapping(presets()[source], source), Path.cwd()
    elif path.suffix in {".yaml", ".yml"} or "/" in source:
        raise InputError(f"no study file at {source}")
    else:
        raise InputError(unknown("study", source, list(presets())) + " Or give the path of a study file.")
    for override in overrides:
        _override(document, override)
    return validate(document, source, folder)


def _override(document: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise InputError(f"--set takes a.b=value, but got `{override}`")
    place = document
    for part in parts[:-1]:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise InputError(f"--set {override}: `{part}` is no mapping, so `{parts[-1]}` cannot be set in it")
    try:
        place[parts[-1]] = parse_value(value)
    except yaml.YAMLError:
        raise InputError(f"--set {override}: the value is no valid YAML") from None


def validate(document: dict[str, Any], source: str, folder: Path) -> Study:
    """Return the study that a mapping describes.

    Args:
        document: the study file's content.
        source: its name, for messages.
        folder: what relative data paths start from.

    Raises:
        InputError: something in it is not allowed; the message names path, value and what is.
    """
    data = document.get("data")
    if isinstance(data, str):
        data = {"source": data}
    if isinstance(data, dict):
        try:
            document = {**document, "data": with_absolute_paths(data, folder)}
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{source}: data: what it names is no path: {error}") from None
    try:
        return Study.model_validate(document)
    except ValidationError as error:
        raise InputError(explain(error, Study, source)) from None
