"""Catalogue of the methods, models, augmentations, optimizers, data sources and presets that a study file may use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from search.study.loading import parse_preset_summary, presets
from spaces.distributions import AUTO
from trainables.augmentation import AUGMENTATIONS
from trainables.data import SOURCES
from trainables.methods import METHODS, Method
from trainables.models import MODELS, Model
from trainables.optimizers import OPTIMIZERS
from trainables.registration.fields import Choice, Range

KINDS = ("methods", "models", "augmentations", "optimizers", "data", "studies")
HIDDEN = {"name", "source"}


@dataclass(frozen=True)
class CatalogueEntry:
    """An entry of the catalogue: its name, a summary, and its settings with defaults and search ranges."""

    name: str
    summary: str
    settings: str


def listing(kind: str) -> list[CatalogueEntry]:
    """Return the entries of one of `KINDS`.

    Examples:
        >>> [entry.name for entry in listing("data")][:2]
        ['cifar10', 'cifar100']
    """
    if kind == "studies":
        return [CatalogueEntry(name, parse_preset_summary(text), "") for name, text in presets().items()]
    if kind == "models":
        return [_model_entry(MODELS.get(name)(name=name)) for name in MODELS]
    registry: Any = {"methods": METHODS, "augmentations": AUGMENTATIONS, "optimizers": OPTIMIZERS, "data": SOURCES}[
        kind
    ]
    found = {name: registry.get(name) for name in registry}
    return [CatalogueEntry(name, each.summary, "; ".join(_settings(each))) for name, each in found.items()]


def _model_entry(model: Model) -> CatalogueEntry:
    """Return a model with its settings; the smallest image size is that of its defaults."""
    settings = [f"images from {model.smallest} px", *_settings(type(model))]
    return CatalogueEntry(model.name, model.summary, "; ".join(settings))


def _settings(kind: type[BaseModel]) -> Iterable[str]:
    fields = kind.fields() if issubclass(kind, Method) else kind.model_fields
    for name, field in fields.items():
        if name in HIDDEN:
            continue
        default = "required" if field.is_required() else f"{field.default}"
        mark = next((each for each in field.metadata if isinstance(each, Range | Choice)), None)
        searched = f"searched{f' with `{AUTO}`' if mark and mark.on_request else ''} in"
        if isinstance(mark, Choice):
            yield f"{name} = {default}, {searched} {list(mark.options)}"
        elif mark:
            yield f"{name} = {default}, {searched} {mark.low:g} to {mark.high:g}{' (log)' if mark.log else ''}"
        else:
            yield f"{name} = {default}"
