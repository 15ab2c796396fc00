"""A NumPy archive with the keys `x_train`, `y_train`, `x_test`, `y_test`, as Fashion-MNIST comes in."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from trainables.data.base import SOURCES, Dataset, Source
from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np

KEYS = ("x_train", "y_train", "x_test", "y_test")
GREY, COLOUR = 3, 4
"""Dimensions of an array of grey images and of one of images with channels."""


@SOURCES.register("npz")
class Npz(Source):
    """Images of a `.npz` file: uint8, (n, height, width) or (n, height, width, channels); labels from 0.

    The array `class_names` is optional. `mirror_keeps_class: false` refuses augmentations that mirror.
    """

    summary: ClassVar[str] = "a .npz file with x_train, y_train, x_test, y_test"
    source: Literal["npz"] = "npz"
    path: Annotated[Path, Field(description="the file; a relative path is relative to the study file")]

    def load(self) -> Dataset:
        """Return the images (see `Source.load`)."""
        arrays = _read(self.path)
        images, test_images = (_images(arrays[key], key, self.path) for key in ("x_train", "x_test"))
        if images.shape[1:] != test_images.shape[1:]:
            raise InputError(
                f"{self.path}: images of `x_train` are {images.shape[1:]} and those of `x_test` "
                f"{test_images.shape[1:]} (height, width, channels); they must be alike"
            )
        labels = _labels(arrays["y_train"], "y_train", len(images), self.path)
        test_labels = _labels(arrays["y_test"], "y_test", len(test_images), self.path)
        classes = int(labels.max()) + 1
        if classes < 2:
            raise InputError(f"{self.path}: `y_train` has only the class 0; at least two are needed")
        if int(test_labels.max()) >= classes:
            raise InputError(
                f"{self.path}: `y_test` has the label {int(test_labels.max())}, but the labels of `y_train` "
                f"end at {classes - 1}"
            )
        names = _class_names(arrays.get("class_names"), classes, self.path)
        return Dataset(images, labels, test_images, test_labels, names)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the archive that are used."""
    import numpy as np

    if not path.is_file():
        raise InputError(f"{path}: there is no such file; `path` must name a .npz file")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{path} holds a single array; save an archive with numpy.savez_compressed")
            missing = [f"`{key}`" for key in KEYS if key not in archive]
            if missing:
                raise InputError(
                    f"{path} lacks {', '.join(missing)}; it has: {', '.join(archive.files)}. "
                    f"Needed are {', '.join(KEYS)}"
                )
            wanted = [key for key in (*KEYS, "class_names") if key in archive]
            return {key: archive[key] for key in wanted}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read as a NumPy archive (without pickles): {error}") from None


def _images(array: np.ndarray, key: str, path: Path) -> np.ndarray:
    """Return uint8 (n, height, width, channels), or refuse."""
    import numpy as np

    if array.dtype != np.uint8:
        raise InputError(f"{path}: `{key}` must be uint8 with values from 0 to 255, but is {array.dtype}")
    if array.ndim not in {GREY, COLOUR}:
        raise InputError(
            f"{path}: `{key}` must be (n, height, width) or (n, height, width, channels), "
            f"but its shape is {array.shape}"
        )
    if 0 in array.shape:
        raise InputError(f"{path}: `{key}` is empty, its shape is {array.shape}")
    if array.ndim == GREY:
        array = array[..., np.newaxis]
    if array.shape[3] not in {1, 3}:
        raise InputError(f"{path}: `{key}` must have 1 or 3 channels in its last dimension, not {array.shape[3]}")
    return np.ascontiguousarray(array)


def _labels(array: np.ndarray, key: str, images: int, path: Path) -> np.ndarray:
    """Return int32 (n,), or refuse."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (images,):
        raise InputError(
            f"{path}: `{key}` must have one label for each of {images} images, but its shape is {array.shape}"
        )
    if array.dtype.kind not in "iu":
        raise InputError(f"{path}: `{key}` must hold whole numbers (class indices), but is {array.dtype}")
    if int(array.min()) < 0 or int(array.max()) > len(array):
        raise InputError(
            f"{path}: the labels of `{key}` must run from 0, one number per class, "
            f"but they run from {int(array.min())} to {int(array.max())}"
        )
    return array.astype("int32")


def _class_names(array: np.ndarray | None, classes: int, path: Path) -> tuple[str, ...]:
    """Return one name per class: those of the archive, or the numbers."""
    if array is None:
        return tuple(str(label) for label in range(classes))
    if array.shape != (classes,):
        raise InputError(
            f"{path}: `class_names` must have {classes} names, one per class, but its shape is {array.shape}"
        )
    names = tuple(str(name) for name in array.tolist())
    if len(set(names)) < classes:
        raise InputError(f"{path}: `class_names` has the same name twice: {', '.join(names)}")
    return names
