"""The study file: what it may say, and what is refused before anything starts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from search.store.yaml_files import apply_override, parse_mapping, read_mapping
from search.study.error_messages import explain
from search.study.factors import Level, Scalar, check_factor, factors_of, parse_levels, searched, written, written_level
from search.study.resources import Resources
from search.tracking.uri import store_uri
from spaces.distributions import AUTO
from trainables import records
from trainables.config import AnySource
from trainables.data import with_absolute_paths
from trainables.data.base import source_kind
from trainables.errors import InputError
from trainables.methods import METHODS
from trainables.methods.base import short_name
from trainables.registration.fields import Choice, Frozen, Range
from trainables.registration.registry import unknown

METHOD = "method"
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]{0,79}$")]
Label = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.+-]{0,39}$")]
UNFAIR = {
    "augmentation", "classes", "deterministic", "epochs", "label_noise", "milestones", "model", "steps",
    "train_fraction", "validation_fraction",
}  # fmt: skip
UNFAIR_LEVELS = UNFAIR - {"augmentation", "milestones", "model"}
"""What the arms of a condition share, so that they differ in what is compared and in nothing else."""


SEARCHED = ("learning_rate", "weight_decay")
"""What is searched where a study says nothing of `nuisance`, unless a value is given elsewhere."""


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
    """How each arm is searched.

    Args:
        match: what the arms of a condition have in common: `epochs`; `steps` of the optimizer, whatever the batch
            size; or `epochs`, with the cheaper method of each contrast confirmed again at the `compute` of the
            costlier one.
        replicates: whole searches of every arm, each with its own points and pool; a claim beyond "for the
            configurations found here" needs three.
    """

    sampler: Literal["none", "sobol", "random", "tpe"] = "sobol"
    trials_per_arm: Annotated[int, Field(ge=1, le=10_000)] = 16
    early_stopping: bool = True
    reduction_factor: Annotated[float, Field(gt=1, le=10)] = 3
    audit: Annotated[int, Field(ge=2)] = 2
    match: Literal["epochs", "steps", "compute"] = "epochs"
    replicates: Annotated[int, Field(ge=1, le=100)] = 1


class Confirm(Frozen):
    """How the winners are confirmed.

    Args:
        points: pooled points at which every arm is confirmed.
        seeds: paired seeds of every arm and point; by default the last look, or 10.
        looks: numbers of seeds at which the family is judged; a condition in which all is decided gets no more.
    """

    points: Annotated[int, Field(ge=1, le=100)] = 2
    seeds: Annotated[int, Field(ge=2, le=1000)] = 10
    looks: tuple[Annotated[int, Field(ge=2, le=1000)], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _last_look(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and isinstance(value.get("looks"), list | tuple) and value["looks"]:
            return {"seeds": value["looks"][-1], **value}
        return value

    @model_validator(mode="after")
    def _increasing(self) -> Confirm:
        if list(self.looks) != sorted(set(self.looks)):
            raise ValueError(f"`looks` must increase, but got {list(self.looks)}")
        if self.looks and self.looks[-1] != self.seeds:
            raise ValueError(f"the last of `looks`, {self.looks[-1]}, must be `seeds`, {self.seeds}; leave `seeds` out")
        return self

    @property
    def stages(self) -> tuple[int, ...]:
        """The looks, the last of which is the number of seeds."""
        return self.looks or (self.seeds,)


class Tracking(Frozen):
    """Where MLflow is: by default a store in the study's folder."""

    uri: str | None = None

    @field_validator("uri")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value:
            try:
                store_uri(Path.cwd(), value)
            except InputError as error:
                raise ValueError(str(error)) from None
        return value


class Study(Frozen):
    """All that one study file asks for."""

    name: Name = "study"
    data: AnySource
    recipe: dict[str, Any] = {}
    compare: dict[str, list[Level]] = {}
    conditions: dict[str, list[Level]] = {}
    exclude: list[dict[str, Scalar]] = []
    methods: Annotated[list[MethodEntry], Field(min_length=1)]
    reference: str | dict[str, Scalar] = "baseline"
    contrasts: list[tuple[str | dict[str, Scalar], str | dict[str, Scalar]]] = []
    nuisance: Annotated[dict[str, Any], Field(default=SEARCHED, validate_default=True)]
    search: Search = Search()
    confirm: Confirm = Confirm()
    smallest_effect: Annotated[float, Field(gt=0, le=50, description="in points of accuracy")] = 0.5
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.05
    metric: records.Metric = records.VALIDATION_ACCURACY
    resources: Resources = Resources()
    tracking: Tracking = Tracking()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="before")
    @classmethod
    def _written(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        document = dict(value)
        compared = document.get("compare")
        if compared == METHOD or compared is None:
            document.pop("compare", None)
        else:
            document = {"methods": ["baseline"], "reference": {}, **document}
        if isinstance(document.get("search"), str):
            document["search"] = {"sampler": document["search"]}
        return document

    @field_validator("methods", mode="before")
    @classmethod
    def _entries(cls, value: Any) -> Any:
        return [_method_entry(entry) for entry in value] if isinstance(value, list) else value

    @field_validator("compare", mode="before")
    @classmethod
    def _compared(cls, value: Any) -> Any:
        return parse_levels("compare", value)

    @field_validator("conditions", mode="before")
    @classmethod
    def _held(cls, value: Any) -> Any:
        return parse_levels("conditions", value)

    @field_validator("nuisance", mode="before")
    @classmethod
    def _nuisance(cls, value: Any, info: ValidationInfo) -> Any:
        if value is SEARCHED:
            levels = factors_of(info.data.get("conditions", {})) | factors_of(info.data.get("compare", {}))
            given = {factor.rpartition(".")[2] for factor in {*info.data.get("recipe", ()), *levels}}
            value = [name for name in SEARCHED if name not in given]
        if isinstance(value, list):
            value = {str(item): AUTO for item in value}
        return {key: searched(item, key) for key, item in value.items()} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        labels = [entry.label for entry in self.methods]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"methods: two are called `{label}`; give one another name with `as: ...`")
        _check_exclude(self.conditions, self.exclude)
        _check_places(self)
        if self.search.audit > self.search.trials_per_arm and self.search.sampler != "none":
            raise ValueError(
                f"search.trials_per_arm is {self.search.trials_per_arm}, and {self.search.audit} trials of each arm "
                "are audited (`search.audit`); raise trials_per_arm, or search nothing with `sampler: none`"
            )
        return self

    @property
    def fixed(self) -> dict[str, Any]:
        """What all runs share: the recipe, and nuisance parameters that are set to one value."""
        return {**self.recipe, **{key: value for key, value in self.nuisance.items() if _is_fixed(value)}}

    @property
    def searched(self) -> dict[str, Any]:
        """The nuisance parameters that are searched: a declaration each, or `auto`."""
        return {key: value for key, value in self.nuisance.items() if not _is_fixed(value)}

    def document(self) -> dict[str, Any]:
        """Return the study as a study file says it, complete: reading it back gives the same study."""
        plain = self.model_dump(mode="json", exclude={"methods", "nuisance", "compare", "conditions"})
        for place in ("compare", "conditions"):
            grid: dict[str, list[Level]] = getattr(self, place)
            plain[place] = {key: [written_level(key, level) for level in options] for key, options in grid.items()}
        plain["methods"] = [
            {"name": entry.name, "as": entry.label, **{key: written(item) for key, item in entry.settings.items()}}
            for entry in self.methods
        ]
        plain["nuisance"] = {key: written(item) for key, item in self.nuisance.items()}
        return plain


def _is_fixed(value: Any) -> bool:
    return value != AUTO and not isinstance(value, Range | Choice)


def _check_exclude(conditions: dict[str, list[Level]], exclude: list[dict[str, Scalar]]) -> None:
    """Refuse an exclusion that excludes nothing."""
    for pair in exclude:
        for factor, value in pair.items():
            if factor not in conditions:
                if not conditions:
                    raise ValueError(f"exclude: this study has no `conditions`, so there is no `{factor}` to leave out")
                raise ValueError("exclude: " + unknown("condition", factor, list(conditions)))
            names = [level.name for level in conditions[factor]]
            if value not in names:
                raise ValueError(f"exclude: {factor} is never {value!r}; it is one of {names}")


def _check_places(study: Study) -> None:
    """Refuse a factor that does not exist, stands where it may not, or stands in two places."""
    for factor in UNFAIR & set(study.nuisance):
        raise ValueError(
            f"nuisance.{factor}: trials that differ in it cannot be compared; make it a condition, or set it in "
            "`recipe`"
        )
    for factor in UNFAIR_LEVELS & factors_of(study.compare):
        raise ValueError(
            f"compare: arms that differ in `{factor}` do not have data and length in common; make it a condition"
        )
    for factor in [*study.recipe, *study.nuisance]:
        check_factor(factor)
    places = {"recipe": {*study.recipe}, "nuisance": {*study.nuisance}}
    for place in ("conditions", "compare"):
        grid: dict[str, list[Level]] = getattr(study, place)
        for name, options in grid.items():
            factors = factors_of({name: options})
            where = place if factors == {name} else f"{place}.{name}"
            places[where] = places.get(where, set()) | factors
    for (one, first), (other, second) in itertools.combinations(places.items(), 2):
        if first & second:
            raise ValueError(f"`{min(first & second)}` stands in `{one}` and in `{other}`; leave it in one of them")


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


def presets() -> dict[str, str]:
    """Return the text of every packaged study, by name."""
    folder = resources.files("search.study") / "presets"
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
        apply_override(document, override)
    return validate(document, source, folder)


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
        raise InputError(explain(error, Study, source, {"data": source_kind(data)})) from None
