"""What a data source is, and the arrays that it gives."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainables.fields import Frozen
from trainables.registry import Registry

if TYPE_CHECKING:
    import numpy as np

SOURCES: Registry[type[Source]] = Registry("data source")


@dataclass(frozen=True)
class Dataset:
    """Images in memory. The test part is fixed by the data; training and validation are split by seed.

    Args:
        images: uint8 (n, height, width, channels).
        labels: int32 (n,).
        test_images: uint8 (t, height, width, channels).
        test_labels: int32 (t,).
        class_names: one name per class.
    """

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content, shapes included."""
        digest = hashlib.sha256()
        for array in (self.images, self.labels, self.test_images, self.test_labels):
            digest.update(repr((array.shape, str(array.dtype))).encode())
            digest.update(array.data.cast("B"))
        digest.update(repr(self.class_names).encode())
        return digest.hexdigest()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the four arrays by name, as they travel through Ray's object store."""
        return {
            "images": self.images, "labels": self.labels,
            "test_images": self.test_images, "test_labels": self.test_labels,
        }  # fmt: skip


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
