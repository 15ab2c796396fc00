"""Sections of the study file: methods, search, confirmation and tracking."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from search.store.tracking_uri import refuse_credentials, store_uri
from search.study.factors import parse_method_field
from trainables import records
from trainables.errors import InputError
from trainables.methods import METHODS
from trainables.methods.base import short_name
from trainables.registration.fields import Choice, Frozen, Range
from trainables.registration.registry import lacks


def spelled(pattern: str, rule: str) -> AfterValidator:
    """Return a validator of texts that match a pattern.

    Args:
        pattern: regular expression for the whole text.
        rule: the pattern in words, for the message.
    """

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{rule}, but got {text!r:.100}")
        return text

    return AfterValidator(check)


Label = Annotated[
    str,
    spelled(
        r"[A-Za-z][A-Za-z0-9_.+-]{0,39}",
        "must consist of at most 40 letters, digits, `.`, `_`, `+` and `-`, and start with a letter",
    ),
]
OPEN = "open"
MOST_SEEDS = 1000
FIRST_LOOK, MOST_OPEN = 4, 60
"""Seeds from which a study with open seeds is judged, and at most has, by default."""


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
            long as claims are undecided; the verdicts hold whenever one stops or continues.
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


def method_entry(entry: Any) -> Any:
    """Return a method of a study file, a name or a mapping, as the fields of `MethodEntry`."""
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
            raise ValueError(lacks(f"`{name}`", "field", field, known) if known else f"`{name}` has no fields")
    settings = {key: parse_method_field(value, kind.plain(key), kind.fields()[key]) for key, value in fields.items()}
    default = f"{short_name(name)}_twin" if twin is True else short_name(name)
    return {"name": name, "label": label or default, "settings": settings, "twin": twin}
