"""What a study file may use, as the registries know it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel

from search.study import parse_preset_summary, presets
from trainables.augmentation import AUGMENTATIONS
from trainables.data import SOURCES
from trainables.fields import Choice, declared
from trainables.methods import METHODS
from trainables.models import MODELS
from trainables.optimizers import OPTIMIZERS

KINDS = ("methods", "models", "augmentations", "optimizers", "data", "studies")
HIDDEN = {"name", "source"}


@dataclass(frozen=True)
class Entry:
    """One thing that has a name, what it is, and its settings with defaults and searched ranges."""

    name: str
    summary: str
    settings: str

    def document(self) -> dict[str, str]:
        """Return the entry for JSON."""
        return asdict(self)


def listing(kind: str) -> list[Entry]:
    """Return what there is of one of `KINDS`."""
    if kind == "studies":
        return [Entry(name, parse_preset_summary(text), "") for name, text in presets().items()]
    if kind == "models":
        return [Entry(name, MODELS.get(name).summary, f"images from {MODELS.get(name).smallest} px") for name in MODELS]
    if kind == "augmentations":
        return [Entry(name, AUGMENTATIONS.get(name).summary, "") for name in AUGMENTATIONS]
    registry: Any = {"methods": METHODS, "optimizers": OPTIMIZERS, "data": SOURCES}[kind]
    return [Entry(name, registry.get(name).summary, "; ".join(_settings(registry.get(name)))) for name in registry]


def _settings(kind: type[BaseModel]) -> Iterable[str]:
    ranges = declared(kind)
    for name, field in kind.model_fields.items():
        if name in HIDDEN:
            continue
        default = "required" if field.is_required() else f"{field.default}"
        mark = ranges.get(name)
        if isinstance(mark, Choice):
            yield f"{name} = {default}, searched in {list(mark.options)}"
        elif mark:
            yield f"{name} = {default}, searched in {mark.low:g} to {mark.high:g}{' (log)' if mark.log else ''}"
        else:
            yield f"{name} = {default}"
