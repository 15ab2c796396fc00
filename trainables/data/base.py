"""What a data source is, and the arrays that it gives."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from trainables.errors import InputError
from trainables.registration.fields import Frozen
from trainables.registration.plugins import installed, load_installed
from trainables.registration.registry import Registry

if TYPE_CHECKING:
    import numpy as np

GROUP = "assay.data"
"""Entry point group of data sources in other packages."""
REFERENCE = "module:function"
"""The name under which sources given by reference are registered."""


@dataclass(frozen=True)
class Dataset:
    """Images in memory. The test part is fixed by the data; training and validation are split by seed.

    Args:
        images: uint8 (n, height, width, channels), for training and validation.
        labels: int32 (n,).
        test_images: uint8 (t, height, width, channels).
        test_labels: int32 (t,).
        class_names: one name per class.
        groups: int32 (n,), images of one group stay together; or None.
        validation: bool (n,), the images of a validation part that the data brings along; or None.
        test_groups: int32 (t,), numbered like `groups`; or None.
        notes: what reading the data has shown, for people.
    """

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    groups: np.ndarray | None = None
    validation: np.ndarray | None = None
    test_groups: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content, shapes included."""
        digest = hashlib.sha256()
        for array in self.arrays().values():
            digest.update(repr((array.shape, str(array.dtype))).encode())
            digest.update(array.data.cast("B"))
        digest.update(repr(self.class_names).encode())
        return digest.hexdigest()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays that training needs by name, as they travel through Ray's object store."""
        arrays = {
            "images": self.images, "labels": self.labels,
            "test_images": self.test_images, "test_labels": self.test_labels,
        }  # fmt: skip
        extra = {"groups": self.groups, "validation": self.validation}
        return arrays | {name: array for name, array in extra.items() if array is not None}


class Source(Frozen):
    """Where images come from. Subclasses add their name (`source`) and say how to load them.

    `mirror_keeps_class` says whether a mirror image is of the same class (digits: no).
    """

    summary: ClassVar[str] = ""
    mirror_keeps_class: bool = True

    def load(self) -> Dataset:
        """Return the images.

        Raises:
            InputError: they are missing, damaged, or of a kind that is not supported.
        """
        raise TypeError(f"{type(self).__name__} does not say how to load")


class SourceRegistry(Registry[type[Source]]):
    """Knows every source, those of installed packages, and `module:function`."""

    def get(self, name: str) -> type[Source]:
        """Return the source's class.

        Raises:
            InputError: there is none of that name.
        """
        if name in self._entries:
            return self._entries[name]
        if name in installed(GROUP):
            found = load_installed(GROUP, name)
            if not (isinstance(found, type) and issubclass(found, Source)):
                raise InputError(f"data source `{name}`: its entry point must be a subclass of trainables.data.Source")
            return found
        if ":" in name and REFERENCE in self._entries:
            return self._entries[REFERENCE]
        return super().get(name)

    def __iter__(self) -> Iterator[str]:
        yield from sorted({*self._entries, *installed(GROUP)})


SOURCES = SourceRegistry("data source")


def with_absolute_paths(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a source's settings with its paths made absolute.

    Args:
        settings: as a study file writes them; what is wrong in them is left for validation.
        folder: what relative paths start from.
    """
    kind = source_kind(settings)
    if kind is None:
        return settings
    made = dict(settings)
    for key, field in kind.model_fields.items():
        if _is_path(field.annotation) and isinstance(made.get(key), str):
            made[key] = str((folder / Path(made[key]).expanduser()).resolve())
    if kind is SOURCES.get(REFERENCE):
        made.setdefault("path", str(folder))
    return made


def _is_path(annotation: Any) -> bool:
    """Return whether a field may hold a path: `Path`, `Path | None`, or either with remarks."""
    return annotation is Path or any(_is_path(part) for part in get_args(annotation))


def source_kind(settings: Any) -> type[Source] | None:
    """Return the class of the source that settings name, or None where they name none."""
    name = settings.get("source") if isinstance(settings, dict) else settings
    if not isinstance(name, str):
        return None
    try:
        return SOURCES.get(name)
    except InputError:
        return None
