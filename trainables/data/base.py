"""Data source and data set: the base class `Source`, its registry, and the arrays that a source returns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from trainables.errors import InputError
from trainables.registration.fields import Frozen
from trainables.registration.plugins import installed, load_installed
from trainables.registration.registry import REFERENCE, Registry

if TYPE_CHECKING:
    import numpy as np

GROUP = "assay.data"
"""Entry point group of data sources in other packages."""


@dataclass(frozen=True)
class Dataset:
    """Images in memory. The test part is fixed; the other images are split into training and validation by a seed.

    Args:
        images: uint8 (n, height, width, channels), for training and validation.
        labels: int32 (n,).
        test_images: uint8 (t, height, width, channels).
        test_labels: int32 (t,).
        class_names: one name per class.
        groups: int32 (n,), groups of images that are never split, or None.
        validation: bool (n,), the images of a predefined validation part, or None.
        test_groups: int32 (t,), numbered like `groups`, or None.
        notes: messages from reading the data, for the user.
        test_drawn: whether the test part was drawn from the images, which had none.

    Examples:
        >>> import numpy as np
        >>> images, labels = np.zeros((4, 8, 8, 1), "uint8"), np.array([0, 1, 0, 1], "int32")
        >>> data = Dataset(images, labels, images[:2], labels[:2], ("cat", "dog"))
        >>> sorted(data.arrays())
        ['images', 'labels', 'test_images', 'test_labels']
        >>> len(data.fingerprint)
        64
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
    test_drawn: bool = False

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content and shapes of all arrays and the class names; computed once, over all images."""
        digest = hashlib.sha256()
        for array in self.arrays().values():
            digest.update(repr((array.shape, str(array.dtype))).encode())
            digest.update(array.data.cast("B"))
        digest.update(repr(self.class_names).encode())
        return digest.hexdigest()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays that training needs by name, as they are sent through Ray's object store."""
        arrays = {
            "images": self.images, "labels": self.labels,
            "test_images": self.test_images, "test_labels": self.test_labels,
        }  # fmt: skip
        extra = {"groups": self.groups, "validation": self.validation}
        return arrays | {name: array for name, array in extra.items() if array is not None}


class Source(Frozen):
    """Base class of data sources. Subclasses define their name (`source`), their settings, and `load`.

    `mirror_keeps_class` states whether a mirrored image belongs to the same class, which is not the case for digits.

    Examples:
        >>> import numpy as np
        >>> from typing import Literal
        >>> class Noise(Source):
        ...     source: Literal["noise"] = "noise"
        ...     size: int = 8
        ...
        ...     def load(self) -> Dataset:
        ...         images = np.random.default_rng(0).integers(0, 256, (20, self.size, self.size, 1), "uint8")
        ...         labels = np.arange(20, dtype="int32") % 2
        ...         return Dataset(images[:10], labels[:10], images[10:], labels[10:], ("even", "odd"))
        >>> Noise(size=4).load().images.shape
        (10, 4, 4, 1)

        `SOURCES.register("noise")(Noise)` makes it available as `data: noise`.
    """

    summary: ClassVar[str] = ""
    mirror_keeps_class: bool = True

    def load(self) -> Dataset:
        """Load the data set.

        Raises:
            InputError: images are missing, damaged or not supported.
        """
        raise TypeError(f"{type(self).__name__} does not define `load`")


class SourceRegistry(Registry[type[Source]]):
    """The registered sources, those of installed packages, and references `module:function`.

    Examples:
        >>> import trainables.data
        >>> SOURCES.get("digits")().mirror_keeps_class
        False
        >>> SOURCES.get("my_package.data:load").__name__
        'Reference'
    """

    def get(self, name: str) -> type[Source]:
        """Return the class of a source.

        Raises:
            InputError: there is no source of that name.
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
        settings: the source's settings as in a study file; errors in them are left to validation.
        folder: the folder that relative paths are relative to.
    """
    kind = source_kind(settings)
    if kind is None:
        return settings
    made = dict(settings)
    for key in path_fields(kind):
        if isinstance(made.get(key), str):
            made[key] = str((folder / Path(made[key]).expanduser()).resolve())
    if kind is SOURCES.get(REFERENCE):
        made.setdefault("path", str(folder))
    return made


def path_fields(kind: type[Source]) -> list[str]:
    """Return the names of a source's fields that may contain a path."""
    return [key for key, field in kind.model_fields.items() if _is_path(field.annotation)]


def _is_path(annotation: Any) -> bool:
    """Return whether a field may be a path: `Path`, `Path | None`, or either of them annotated."""
    return annotation is Path or any(_is_path(part) for part in get_args(annotation))


def source_kind(settings: Any) -> type[Source] | None:
    """Return the class of the source that settings name, or None if they name no known source."""
    name = settings.get("source") if isinstance(settings, dict) else settings
    if not isinstance(name, str):
        return None
    try:
        return SOURCES.get(name)
    except InputError:
        return None
