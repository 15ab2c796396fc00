"""Schema of the study file: its keys, their validation, and the loading of files and presets."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from search.store.sqlite_uri import absolute_uri
from search.store.yaml_files import apply_override, check_text, parse_mapping, read_mapping
from search.study.data_levels import check_data_levels, parse_data_level, with_absolute_data, with_complete_data
from search.study.error_messages import explain
from search.study.factors import (
    DATA,
    IMAGE_SIZE,
    Level,
    Scalar,
    check_factor,
    check_milestones,
    dump_level,
    dump_range,
    factors_of,
    is_integer,
    parse_levels,
    parse_method_field,
    parse_range,
    parse_schedules,
)
from search.study.resources import Resources
from search.tracking.uri import refuse_credentials, store_uri
from spaces.distributions import AUTO
from trainables import records
from trainables.config import AnySource, RunConfig
from trainables.data.base import source_kind
from trainables.errors import InputError
from trainables.methods import METHODS
from trainables.methods.base import short_name
from trainables.registration.fields import Choice, Frozen, Range, declared
from trainables.registration.registry import unknown
from trainables.schedules import milestone_number

METHOD, PRECISION = "method", "precision"
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]{0,79}$")]
Label = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.+-]{0,39}$")]
NOT_TUNABLE = {
    "augmentation", "classes", "deterministic", "epochs", "label_noise", "model", "steps",
    "train_fraction", "validation_fraction",
}  # fmt: skip
NOT_COMPARABLE = NOT_TUNABLE - {"augmentation", "model"}
"""Factors in which the trials (`NOT_TUNABLE`) or arms (`NOT_COMPARABLE`) of a condition must agree."""


HALVED_FROM, QUARTERED_FROM = 8, 16
"""Numbers of seeds from which studies have two and three looks by default."""

OPEN = "open"
MOST_SEEDS = 1000
FIRST_LOOK, MOST_OPEN = 4, 60
"""Seeds from which a study with open seeds is judged, and at most has, by default."""

DEFAULT_NUISANCE = ("learning_rate", "weight_decay")
"""Nuisance parameters of a study without `nuisance`, except those that are set elsewhere."""


class MethodEntry(Frozen):
    """A method of a study. Settings with a single value are fixed; a list or {low, high} is searched.

    A `twin` trains with other random numbers than the other entries: initial weights, order of the images and draws. A
    twin of the reference differs from it by chance only, which shows how much that is.
    """

    name: str
    label: Label
    settings: dict[str, Any] = {}
    twin: bool = False

    def fixed(self) -> dict[str, Any]:
        """Return the settings with a single value."""
        return {key: value for key, value in self.settings.items() if not isinstance(value, Range | Choice)}

    def plain(self) -> dict[str, Any]:
        """Return the fixed settings by plain name, such as `mixup.alpha`."""
        return {METHODS.get(self.name).plain(key): value for key, value in self.fixed().items()}


class Search(Frozen):
    """Hyperparameter search within each arm.

    Args:
        sampler: how trials are sampled; `none` searches nothing.
        trials_per_arm: number of trials of each arm.
        fidelity: what a trial trains. `full`: the whole training, unless it is stopped early. `schedule`: a complete
            schedule of a third of the length, with a learning rate that falls to its end; nothing is stopped early.
        early_stopping: whether successive halving stops trials early.
        reduction_factor: reduction factor of successive halving.
        audit: number of trials per arm that always run to the end, to check early stopping.
        match: what the arms of a condition have in common: `epochs`; optimizer `steps`, independent of the batch
            size; or `epochs`, with the cheaper arm of each contrast also confirmed at the `compute` of the more
            expensive one.
        replicates: number of independent searches of every arm, each with its own points and pool; at least three are
            needed for claims beyond the configurations found.
    """

    sampler: Literal["none", "sobol", "random", "tpe"] = "sobol"
    trials_per_arm: Annotated[int, Field(ge=1, le=10_000)] = 16
    fidelity: Literal["full", "schedule"] = "full"
    early_stopping: bool = True
    reduction_factor: Annotated[float, Field(gt=1, le=10)] = 3
    audit: Annotated[int, Field(ge=2, le=10_000)] = 2
    match: Literal["epochs", "steps", "compute"] = "epochs"
    replicates: Annotated[int, Field(ge=1, le=100)] = 1


class Confirm(Frozen):
    """Confirmation of the best configurations.

    Args:
        points: number of pooled points at which every arm is confirmed.
        seeds: number of paired seeds of every arm and point; by default the last look, or 10. `open`: one at a time, as
            long as claims are undecided; the verdicts hold whenever one stops or goes on.
        most: largest number of seeds if they are `open`; by default the last look, or 60.
        looks: numbers of seeds at which all contrasts are judged; an arm whose contrasts are all decided gets no more
            seeds. By default a quarter, half and all of 16 or more seeds, half and all of 8 or more; `[]` for one look.
            With open seeds, every number from 4 on.
        test: what verdicts are based on. `extended`: the test images, and development images that a run neither trains
            nor validates on, where `train_fraction` leaves some. `official`: the test images only.
    """

    points: Annotated[int, Field(ge=1, le=100)] = 2
    seeds: int | Literal["open"] = 10
    most: Annotated[int, Field(ge=5, le=MOST_SEEDS)] | None = None
    looks: tuple[Annotated[int, Field(ge=2, le=1000)], ...] | None = None
    test: records.TestPart = "extended"

    @model_validator(mode="before")
    @classmethod
    def _last_look(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        seeds, looks = value.get("seeds"), value.get("looks")
        if isinstance(seeds, bool | str | float) and seeds != OPEN:
            also = ", or `open`" if isinstance(seeds, str) else ""
            raise ValueError(f"seeds: expected a number{also}, but got {seeds!r}")
        last = looks[-1] if isinstance(looks, list | tuple) and looks else None
        if seeds == OPEN:
            return {"most": last or MOST_OPEN, **value}
        return value if last is None else {"seeds": last, **value}

    @field_validator("seeds")
    @classmethod
    def _several(cls, value: int | Literal["open"]) -> int | Literal["open"]:
        if isinstance(value, int) and not 2 <= value <= MOST_SEEDS:
            raise ValueError(f"must be from 2 to {MOST_SEEDS:,}, or `open`, but got {value}")
        return value

    @model_validator(mode="after")
    def _increasing(self) -> Confirm:
        if self.most is not None and not self.is_open:
            raise ValueError(
                f"`most: {self.most}` is the largest number of open seeds, but `seeds` is {self.seeds}; write `seeds: "
                "open`, or leave out `most`"
            )
        if self.looks is None:
            return self
        if list(self.looks) != sorted(set(self.looks)):
            raise ValueError(f"`looks` must be increasing, but got {list(self.looks)}")
        if self.looks and self.looks[-1] != self.most_seeds:
            key = "most" if self.is_open else "seeds"
            raise ValueError(
                f"the last of `looks`, {self.looks[-1]}, must equal `{key}`, {self.most_seeds}; leave out `{key}`"
            )
        return self

    @property
    def is_open(self) -> bool:
        """Whether seeds are added as long as claims are undecided."""
        return self.seeds == OPEN

    @property
    def most_seeds(self) -> int:
        """The number of seeds, or the largest number if they are open."""
        return self.seeds if isinstance(self.seeds, int) else self.most or MOST_OPEN


class Tracking(Frozen):
    """MLflow tracking store; by default a SQLite file in the study's folder."""

    uri: str | None = None

    @field_validator("uri")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value:
            try:
                store_uri(Path.cwd(), value)
                refuse_credentials(value)
            except InputError as error:
                raise ValueError(str(error)) from None
        return value


class Study(Frozen):
    """A validated study file.

    Examples:
        >>> study = Study(data={"source": "digits"}, methods=["baseline", "mixup"])
        >>> study.confirm.seeds
        10
    """

    name: Name = "study"
    data: AnySource
    recipe: dict[str, Any] = {}
    compare: dict[str, list[Level]] = {}
    conditions: dict[str, list[Level]] = {}
    exclude: list[dict[str, Scalar]] = []
    methods: Annotated[list[MethodEntry], Field(min_length=1, max_length=200)]
    reference: str | dict[str, Scalar] = "baseline"
    contrasts: list[tuple[str | dict[str, Scalar], str | dict[str, Scalar]]] = []
    nuisance: Annotated[dict[str, Any], Field(default=DEFAULT_NUISANCE, validate_default=True)]
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
        document = with_complete_data(value)
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
        return parse_levels("conditions", value, also=(IMAGE_SIZE,), parsers={DATA: parse_data_level})

    @field_validator("nuisance", mode="before")
    @classmethod
    def _nuisance(cls, value: Any, info: ValidationInfo) -> Any:
        if value is DEFAULT_NUISANCE:
            levels = factors_of(info.data.get("conditions", {})) | factors_of(info.data.get("compare", {}))
            given = {factor.rpartition(".")[2] for factor in {*info.data.get("recipe", ()), *levels}}
            value = [name for name in DEFAULT_NUISANCE if name not in given]
        if isinstance(value, list):
            value = {str(item): AUTO for item in value}
        return (
            {str(key): _searched(str(key), item) for key, item in value.items()}
            if isinstance(value, Mapping)
            else value
        )

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        labels = [entry.label for entry in self.methods]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"methods: two have the name `{label}`; rename one with `as: NAME`")
        check_data_levels(self.data, self.conditions)
        _check_exclude(self.conditions, self.exclude)
        _check_places(self)
        _check_precision(self)
        if self.search.audit > self.search.trials_per_arm and self.search.sampler != "none":
            raise ValueError(
                f"search.trials_per_arm is {self.search.trials_per_arm}, and {self.search.audit} trials of each arm "
                "are audited (`search.audit`); raise trials_per_arm, or disable the search with `sampler: none`"
            )
        return self

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of seeds at which contrasts are judged; the last one is `confirm.most_seeds`.

        A study with a single contrast has one look by default: dividing the error rate would cost more than it saves.
        """
        seeds, looks = self.confirm.most_seeds, self.confirm.looks
        if looks is not None:
            return looks or (seeds,)
        if self.confirm.is_open:
            return tuple(range(FIRST_LOOK, seeds + 1))
        cells = len(self.methods) * math.prod(map(len, self.compare.values()))
        several = cells > 2 or any(len(levels) > 1 for levels in self.conditions.values()) or len(self.contrasts) > 1
        if not several or seeds < HALVED_FROM:
            return (seeds,)
        return (
            (math.ceil(seeds / 2), seeds)
            if seeds < QUARTERED_FROM
            else (math.ceil(seeds / 4), math.ceil(seeds / 2), seeds)
        )

    @property
    def fixed(self) -> dict[str, Any]:
        """Settings that all runs share: the recipe, and nuisance parameters with a single value."""
        return {**self.recipe, **{key: value for key, value in self.nuisance.items() if _is_fixed(value)}}

    @property
    def searched(self) -> dict[str, Any]:
        """The searched nuisance parameters: a range, a choice, or `auto`."""
        return {key: value for key, value in self.nuisance.items() if not _is_fixed(value)}

    @property
    def measures_precision(self) -> bool:
        """Whether the precision is decided by timing both at the start of the study: `precision: auto`."""
        return self.recipe.get(PRECISION) == AUTO

    def with_precision(self, precision: str | None) -> Study:
        """Return the same study with another precision in its recipe; None leaves it out."""
        recipe = {key: value for key, value in self.recipe.items() if key != PRECISION}
        return self.model_copy(update={"recipe": recipe if precision is None else {**recipe, PRECISION: precision}})

    def on_official_test(self) -> Study:
        """Return the same study, judged on the official test images only."""
        return self.model_copy(update={"confirm": self.confirm.model_copy(update={"test": "official"})})

    def document(self) -> dict[str, Any]:
        """Return the complete study in the notation of a study file; `validate` gives the same study again."""
        plain = self.model_dump(mode="json", exclude={"methods", "nuisance", "compare", "conditions"})
        for place in ("compare", "conditions"):
            grid: dict[str, list[Level]] = getattr(self, place)
            plain[place] = {key: [dump_level(key, level) for level in options] for key, options in grid.items()}
        plain["methods"] = [
            {
                "name": entry.name,
                "as": entry.label,
                **{key: dump_range(item) for key, item in entry.settings.items()},
                **({"twin": True} if entry.twin else {}),
            }
            for entry in self.methods
        ]
        plain["nuisance"] = {key: dump_range(item) for key, item in self.nuisance.items()}
        return plain


def _searched(name: str, written: Any) -> Any:
    """Return how a nuisance parameter is searched, or its single value; a declared choice takes the place of `auto`."""
    mark = declared(RunConfig).get(name)
    if written == AUTO and isinstance(mark, Choice):
        return mark
    if name.rpartition(".")[2] == "milestones":
        return parse_schedules(written, f"nuisance.{name}")
    return parse_range(written, name, is_integer(name))


def _is_fixed(value: Any) -> bool:
    return value != AUTO and not isinstance(value, Range | Choice)


def _check_exclude(conditions: dict[str, list[Level]], exclude: list[dict[str, Scalar]]) -> None:
    """Refuse exclusions that match no condition."""
    for pair in exclude:
        for factor, value in pair.items():
            if factor not in conditions:
                if not conditions:
                    raise ValueError(
                        f"exclude: there is no `{factor}` to exclude, since this study has no `conditions`"
                    )
                raise ValueError("exclude: " + unknown("condition", factor, list(conditions)))
            names = [level.name for level in conditions[factor]]
            if value not in names:
                raise ValueError(f"exclude: {factor} has no level {value!r}; choose from {names}")


def _check_places(study: Study) -> None:
    """Refuse factors that do not exist, are not allowed in their section, or are set in two sections."""
    for factor in NOT_TUNABLE & set(study.nuisance):
        raise ValueError(
            f"nuisance.{factor}: trials with different values cannot be compared; make it a condition, or set it in "
            "`recipe`"
        )
    for factor in NOT_COMPARABLE & factors_of(study.compare):
        raise ValueError(
            f"compare: arms with different `{factor}` differ in data or training length; make it a condition"
        )
    for factor in [*study.recipe, *(name for name in study.nuisance if not milestone_number(name))]:
        check_factor(factor)
    check_milestones(study.nuisance, factors_of(study.compare) | factors_of(study.conditions))
    places = {"recipe": {*study.recipe}, "nuisance": {*study.nuisance}}
    for place in ("conditions", "compare"):
        grid: dict[str, list[Level]] = getattr(study, place)
        for name, options in grid.items():
            factors = factors_of({name: options})
            where = place if factors == {name} else f"{place}.{name}"
            places[where] = places.get(where, set()) | factors
    for (one, first), (other, second) in itertools.combinations(places.items(), 2):
        if first & second:
            raise ValueError(f"`{min(first & second)}` is set in `{one}` and in `{other}`; remove one")


def _check_precision(study: Study) -> None:
    """Refuse `precision: auto` for a part of the runs, and a precision of its own for a part beside it."""
    remedy = f"for all runs set `recipe: {{{PRECISION}: {AUTO}}}`, or choose float32 or mixed"
    levels = [
        (f"{place}.{factor}", level.values)
        for place in ("conditions", "compare")
        for factor, options in getattr(study, place).items()
        for level in options
    ]
    for place, settings in [("recipe", study.recipe), ("nuisance", study.nuisance), *levels]:
        for name, value in settings.items():
            if name.rpartition(".")[2] != PRECISION or (place, name) == ("recipe", PRECISION):
                continue
            where = place if place.endswith(f".{name}") else f"{place}.{name}"
            if value == AUTO or (isinstance(value, Choice) and AUTO in value.options):
                raise ValueError(
                    f"{where}: `{AUTO}` is decided once for the whole study, so it can be neither a level nor "
                    f"searched, nor hold for one model; {remedy}"
                )
            if study.measures_precision:
                raise ValueError(f"{where}: `recipe.{PRECISION}` is `{AUTO}`, which decides for all runs; remove one")


def _method_entry(entry: Any) -> Any:
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, Mapping) or "settings" in entry:
        return entry
    fields = dict(entry)
    name, label, twin = fields.pop("name", None), fields.pop("as", None), fields.pop("twin", False)
    try:
        kind = METHODS.get(str(name))
    except InputError as error:
        raise ValueError(str(error)) from None
    name = str(name)
    known = list(kind.fields())
    for field in fields:
        if field not in known:
            raise ValueError(unknown(f"field of {name}", field, known) if known else f"{name} has no fields")
    settings = {key: parse_method_field(value, kind.plain(key), kind.fields()[key]) for key, value in fields.items()}
    default = f"{short_name(name)}_twin" if twin is True else short_name(name)
    return {"name": name, "label": label or default, "settings": settings, "twin": twin}


def presets() -> dict[str, str]:
    """Return the text of every preset by name.

    Examples:
        >>> list(presets())[:3]
        ['maxup_one_image', 'mixup_alpha', 'own_images']
    """
    folder = resources.files("search.study") / "presets"
    return {
        Path(entry.name).stem: entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    }


def parse_preset_summary(text: str) -> str:
    """Return the first line of a preset's header."""
    return text.splitlines()[0].removeprefix("#").strip()


def load_study(source: str, overrides: tuple[str, ...] = ()) -> Study:
    """Load a study file or a preset.

    Args:
        source: path of a study file, or name of a preset.
        overrides: overrides of the form `a.b=value`, with the value in YAML.

    Raises:
        InputError: If the file cannot be read or is invalid.

    Examples:
        >>> load_study("quickstart", ("confirm.seeds=9",)).confirm.seeds
        9
    """
    path = Path(source)
    if path.is_file():
        document, folder = read_mapping(path), path.absolute().parent
    elif source in presets():
        document, folder = parse_mapping(presets()[source], source), Path.cwd()
    elif path.suffix in {".yaml", ".yml"} or "/" in source:
        raise InputError(
            f"{source} does not exist. Give the path of a study file, or the name of a preset (`assay list studies`)."
        )
    else:
        raise InputError(unknown("study", source, list(presets())) + " Or give the path of a study file.")
    for override in overrides:
        apply_override(document, override)
    return validate(document, source, folder)


def validate(document: dict[str, Any], source: str, folder: Path) -> Study:
    """Return the study described by a mapping.

    Args:
        document: content of a study file.
        source: name of the file, for messages.
        folder: folder that relative paths of data and of a SQLite tracking store refer to.

    Raises:
        InputError: If it is invalid; the message gives the key, the value and the allowed values.

    Examples:
        >>> study = validate({"data": "digits", "methods": ["baseline", "mixup"]}, "study.yaml", Path.cwd())
        >>> list(study.searched)
        ['learning_rate', 'weight_decay']
    """
    try:
        check_text(document)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from None
    try:
        document = with_absolute_data(with_complete_data(document), folder)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{source}: data: not a valid path: {error}") from None
    tracking = document.get("tracking")
    if isinstance(tracking, dict) and isinstance(tracking.get("uri"), str):
        document = {**document, "tracking": {**tracking, "uri": absolute_uri(tracking["uri"], folder)}}
    try:
        return Study.model_validate(document)
    except ValidationError as error:
        raise InputError(explain(error, Study, source, {DATA: source_kind(document.get(DATA))})) from None
