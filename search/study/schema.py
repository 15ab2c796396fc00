"""Schema of the study file: its keys and their validation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from search.study.data_levels import check_data_levels, parse_data_level, with_complete_data
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
    parse_range,
    parse_schedules,
)
from search.study.resources import Resources
from search.study.sections import FIRST_LOOK, Confirm, MethodEntry, Search, Tracking, method_entry, spelled
from spaces.distributions import AUTO
from trainables import records
from trainables.config import AnySource, RunConfig
from trainables.registration.fields import Choice, Frozen, Range, declared
from trainables.registration.registry import lacks
from trainables.schedules import milestone_number

METHOD, PRECISION = "method", "precision"
Name = Annotated[
    str,
    spelled(
        r"[A-Za-z0-9][A-Za-z0-9_. -]{0,79}",
        "must consist of at most 80 letters, digits, spaces, `.`, `_` and `-`, and start with a letter or digit",
    ),
]
NOT_TUNABLE = {
    "augmentation", "classes", "deterministic", "epochs", "label_noise", "model", "steps",
    "train_fraction", "validation_fraction",
}  # fmt: skip
NOT_COMPARABLE = NOT_TUNABLE - {"augmentation", "model"}
"""Factors in which the trials (`NOT_TUNABLE`) or arms (`NOT_COMPARABLE`) of a condition must agree."""


HALVED_FROM, QUARTERED_FROM = 8, 16
"""Numbers of seeds from which studies have two and three looks by default."""

DEFAULT_NUISANCE = ("learning_rate", "weight_decay")
"""Nuisance parameters of a study without `nuisance`, except those that are set elsewhere."""


@dataclass(frozen=True)
class _Origin:
    """The file that a study was read from. All origins are equal, so equal studies may be from different files."""

    file: str = field(default="", compare=False)


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
    _origin: _Origin = PrivateAttr(_Origin())

    @property
    def source(self) -> str:
        """Name of the file that it was read from, for messages; empty if there is none."""
        return self._origin.file

    def read_from(self, source: str) -> Study:
        """Return the same study, whose messages name a file."""
        study = self.model_copy()
        study._origin = _Origin(source)
        return study

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
        return [method_entry(entry) for entry in value] if isinstance(value, list) else value

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
                raise ValueError(f"methods: two methods are named `{label}`; rename one with `as: NAME`")
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

    @property
    def names_precision(self) -> bool:
        """Whether the study file sets the precision of any run."""
        return any(name.rpartition(".")[2] == PRECISION for _, name, _ in self.settings())

    def settings(self) -> Iterator[tuple[str, str, Any]]:
        """Yield every setting of runs as its key in the study file, its plain name, and its value, range or choice."""
        for name, value in self.recipe.items():
            yield f"recipe.{name}", name, value
        for name, value in self.nuisance.items():
            yield f"nuisance.{name}", name, value
        for place in ("conditions", "compare"):
            grid: dict[str, list[Level]] = getattr(self, place)
            for factor, options in grid.items():
                for level in options:
                    for name, value in level.values.items():
                        yield f"{place}.{factor}" if name == factor else f"{place}.{factor}.{name}", name, value

    def key_of(self, path: str) -> str:
        """Return the key in the study file that sets a value of a run configuration, or nothing if none or several do.

        Args:
            path: path in `RunConfig`, such as `optimizer.learning_rate`.

        Examples:
            >>> recipe = {"batch_size": 32, "augmentation": ["crop", "jpeg"], "model": {"name": "resnet8", "width": 1}}
            >>> study = Study(data={"source": "digits"}, methods=["baseline"], recipe=recipe)
            >>> study.key_of("batch_size"), study.key_of("optimizer.learning_rate"), study.key_of("model.width")
            ('recipe.batch_size', 'nuisance.learning_rate', 'recipe.model.width')
            >>> study.key_of("augmentation.steps.1.quality"), study.key_of("method.alpha")
            ('recipe.augmentation.quality', '')
        """
        section, *rest = path.split(".")
        fields = [part for part in rest if not part.isdigit() and part != "steps"]
        keys = {key for key, name, _ in self.settings() if fields and name.rpartition(".")[2] == fields[-1]}
        keys = keys or {".".join((key, *fields)) for key, name, _ in self.settings() if name == section}
        return min(keys) if len(keys) == 1 else ""

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
                raise ValueError("exclude: " + lacks("`conditions`", "factor", factor, list(conditions)))
            names = [level.name for level in conditions[factor]]
            if value not in names:
                raise ValueError(f"exclude: {factor} has no level {value!r}; choose from {names}")


def _check_places(study: Study) -> None:
    """Refuse factors that do not exist, are not allowed in their section, or are set in two sections."""
    for factor in sorted(NOT_TUNABLE & set(study.nuisance)):
        raise ValueError(
            f"nuisance.{factor}: trials with different values cannot be compared; make it a condition, or set it in "
            "`recipe`"
        )
    for factor in sorted(NOT_COMPARABLE & factors_of(study.compare)):
        raise ValueError(
            f"compare: arms with different `{factor}` differ in data or training length; make it a condition"
        )
    for place, factors in (("recipe", study.recipe), ("nuisance", study.nuisance)):
        for factor in factors:
            try:
                check_factor(factor, also=[factor] if place == "nuisance" and milestone_number(factor) else ())
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from None
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
    """Refuse `precision: auto` for a part of the runs, and a separate precision for a part if the study measures it."""
    written = study.recipe.get(PRECISION, AUTO)
    if written not in (allowed := (AUTO, records.FLOAT32, records.MIXED)):
        raise ValueError(f"recipe.{PRECISION} must be one of {', '.join(allowed)}, but got {written!r:.80}")
    remedy = f"for all runs set `recipe: {{{PRECISION}: {AUTO}}}`, or choose float32 or mixed"
    for where, name, value in study.settings():
        if name.rpartition(".")[2] != PRECISION or where == f"recipe.{PRECISION}":
            continue
        if value == AUTO or (isinstance(value, Choice) and AUTO in value.options):
            raise ValueError(
                f"{where}: `{AUTO}` applies to the whole study; it cannot be a level, be searched, or be set for one "
                f"model; {remedy}"
            )
        if study.measures_precision:
            raise ValueError(f"{where}: `recipe.{PRECISION}` is `{AUTO}`, which decides for all runs; remove one")
