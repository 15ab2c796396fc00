"""A data set made of arrays that somebody else made: checked, and brought into shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trainables.data.base import Dataset
from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np

KEYS = ("x_train", "y_train", "x_test", "y_test")
EXTRA = ("class_names", "x_val", "y_val", "group_train", "group_val")
GREY, COLOUR = 3, 4
"""Dimensions of an array of grey images and of one of images with channels."""


def dataset_of(arrays: Mapping[str, np.ndarray], where: str) -> Dataset:
    """Return the data set of arrays by name.

    Args:
        arrays: `x_train`, `y_train`, `x_test`, `y_test`; optional are `x_val` and `y_val`, a validation part;
            `group_train` and `group_val`, whole numbers, images of one group stay together; `class_names`. Images
            are uint8, (n, height, width) or (n, height, width, channels); labels run from 0.
        where: where they come from, for messages.

    Raises:
        InputError: one is missing, or is not what it must be.
    """
    import numpy as np

    missing = [f"`{key}`" for key in KEYS if key not in arrays]
    if missing:
        raise InputError(
            f"{where} lacks {', '.join(missing)}; it has: {', '.join(arrays)}. Needed are {', '.join(KEYS)}"
        )
    images, test_images = (_images(arrays[key], key, where) for key in ("x_train", "x_test"))
    _alike(images, "x_train", test_images, "x_test", where)
    labels = _labels(arrays["y_train"], "y_train", len(images), where)
    test_labels = _labels(arrays["y_test"], "y_test", len(test_images), where)
    classes = int(labels.max()) + 1
    if classes < 2:
        raise InputError(f"{where}: `y_train` has only the class 0; at least two are needed")
    _known(test_labels, "y_test", classes, where)
    names = _class_names(arrays.get("class_names"), classes, where)
    groups = _groups(arrays, "group_train", len(images), where)
    validation = None
    if "x_val" in arrays or "y_val" in arrays:
        if not {"x_val", "y_val"} <= set(arrays):
            raise InputError(f"{where}: `x_val` and `y_val` belong together; give both or none")
        held = _images(arrays["x_val"], "x_val", where)
        _alike(images, "x_train", held, "x_val", where)
        held_labels = _labels(arrays["y_val"], "y_val", len(held), where)
        _known(held_labels, "y_val", classes, where)
        if groups is not None:
            held_groups = _groups(arrays, "group_val", len(held), where)
            groups = np.concatenate([groups, np.full(len(held), -1, "int32") if held_groups is None else held_groups])
        validation = np.arange(len(images) + len(held)) >= len(images)
        images, labels = np.concatenate([images, held]), np.concatenate([labels, held_labels])
    return Dataset(images, labels, test_images, test_labels, names, groups, validation)


def _images(array: np.ndarray, key: str, where: str) -> np.ndarray:
    """Return uint8 (n, height, width, channels), or refuse."""
    import numpy as np

    if array.dtype != np.uint8:
        raise InputError(f"{where}: `{key}` must be uint8 with values from 0 to 255, but is {array.dtype}")
    if array.ndim not in {GREY, COLOUR}:
        raise InputError(
            f"{where}: `{key}` must be (n, height, width) or (n, height, width, channels), "
            f"but its shape is {array.shape}"
        )
    if 0 in array.shape:
        raise InputError(f"{where}: `{key}` is empty, its shape is {array.shape}")
    if array.ndim == GREY:
        array = array[..., np.newaxis]
    if array.shape[3] not in {1, 3}:
        raise InputError(f"{where}: `{key}` must have 1 or 3 channels in its last dimension, not {array.shape[3]}")
    return np.ascontiguousarray(array)


def _alike(images: np.ndarray, key: str, others: np.ndarray, other: str, where: str) -> None:
    if images.shape[1:] != others.shape[1:]:
        raise InputError(
            f"{where}: images of `{key}` are {images.shape[1:]} and those of `{other}` "
            f"{others.shape[1:]} (height, width, channels); they must be alike"
        )


def _labels(array: np.ndarray, key: str, images: int, where: str) -> np.ndarray:
    """Return int32 (n,), or refuse."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (images,):
        raise InputError(
            f"{where}: `{key}` must have one label for each of {images} images, but its shape is {array.shape}"
        )
    if array.dtype.kind not in "iu":
        raise InputError(f"{where}: `{key}` must hold whole numbers (class indices), but is {array.dtype}")
    if int(array.min()) < 0 or int(array.max()) > len(array):
        raise InputError(
            f"{where}: the labels of `{key}` must run from 0, one number per class, "
            f"but they run from {int(array.min())} to {int(array.max())}"
        )
    return array.astype("int32")


def _known(labels: np.ndarray, key: str, classes: int, where: str) -> None:
    if int(labels.max()) >= classes:
        raise InputError(
            f"{where}: `{key}` has the label {int(labels.max())}, but the labels of `y_train` end at {classes - 1}"
        )


def _groups(arrays: Mapping[str, np.ndarray], key: str, images: int, where: str) -> np.ndarray | None:
    """Return int32 (n,), or None where there are none."""
    if key not in arrays:
        return None
    array = arrays[key]
    if array.shape != (images,) or array.dtype.kind not in "iu":
        raise InputError(
            f"{where}: `{key}` must have one whole number for each of {images} images, but is {array.dtype} "
            f"of shape {array.shape}"
        )
    return array.astype("int32")


def _class_names(array: np.ndarray | None, classes: int, where: str) -> tuple[str, ...]:
    """Return one name per class: those of the archive, or the numbers."""
    if array is None:
        return tuple(str(label) for label in range(classes))
    if array.shape != (classes,):
        raise InputError(
            f"{where}: `class_names` must have {classes} names, one per class, but its shape is {array.shape}"
        )
    names = tuple(str(name) for name in array.tolist())
    if len(set(names)) < classes:
        raise InputError(f"{where}: `class_names` has the same name twice: {', '.join(names)}")
    return names
