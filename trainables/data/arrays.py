"""Data sets from arrays: validation and conversion of arrays that a user provides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trainables.data.base import Dataset
from trainables.data.text import check_class_names, listed
from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np

KEYS = ("x_train", "y_train", "x_test", "y_test")
"""Names of the required arrays."""
EXTRA = ("class_names", "x_val", "y_val", "group_train", "group_val")
"""Names of the optional arrays."""
REMEDIES = {
    "b": "multiply by 255 and convert with .astype('uint8')",
    "f": "if they are from 0 to 1, multiply by 255, round, and convert with .astype('uint8')",
    "u": "divide by the largest possible value, multiply by 255, round, and convert with .astype('uint8')",
    "i": "if they are from 0 to 255, convert with .astype('uint8')",
}
"""How images of another kind of dtype become uint8."""
INT32 = 2**31
GREY, COLOUR = 3, 4
"""Numbers of dimensions of an array of grey images, and of one of images with channels."""


def dataset_of(arrays: Mapping[str, np.ndarray], where: str) -> Dataset:
    """Return a data set from named arrays.

    Args:
        arrays: `x_train`, `y_train`, `x_test`, `y_test`; optionally a validation part `x_val` and `y_val`, integers
            `group_train` and `group_val` of groups that a split does not divide, and `class_names`. Images are uint8,
            (n, height, width) or (n, height, width, channels); labels are integers from 0. Others are left out, which
            is noted.
        where: where the arrays come from, for messages.

    Raises:
        InputError: an array is missing or has a wrong dtype, shape or value.

    Examples:
        >>> import numpy as np
        >>> images, labels = np.zeros((4, 8, 8), "uint8"), np.array([0, 1, 0, 1])
        >>> arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
        >>> data = dataset_of(arrays, "my arrays")
        >>> data.images.shape, data.class_names
        ((4, 8, 8, 1), ('0', '1'))
    """
    import numpy as np

    missing = [f"`{key}`" for key in KEYS if key not in arrays]
    if missing:
        raise InputError(
            f"{where} lacks {', '.join(missing)}; it has: {', '.join(arrays)}. Required are {', '.join(KEYS)}"
        )
    unused = [str(key) for key in arrays if key not in {*KEYS, *EXTRA}]
    notes = (f"{where}: arrays that are not used: {listed(unused)}",) if unused else ()
    images, test_images = (_images(arrays[key], key, where) for key in ("x_train", "x_test"))
    _require_same_shape(images, "x_train", test_images, "x_test", where)
    require_more_than_two_values(images, f"{where}: `x_train`")
    labels = _labels(arrays["y_train"], "y_train", len(images), where)
    test_labels = _labels(arrays["y_test"], "y_test", len(test_images), where)
    classes = int(labels.max()) + 1
    _require_all_classes(labels, where)
    _require_known_labels(test_labels, "y_test", classes, where)
    names = _class_names(arrays.get("class_names"), classes, where)
    validation, parts = None, {"group_train": len(images)}
    if "x_val" in arrays or "y_val" in arrays:
        if not {"x_val", "y_val"} <= set(arrays):
            raise InputError(f"{where}: `x_val` and `y_val` belong together; provide both or neither")
        held = _images(arrays["x_val"], "x_val", where)
        _require_same_shape(images, "x_train", held, "x_val", where)
        held_labels = _labels(arrays["y_val"], "y_val", len(held), where)
        _require_known_labels(held_labels, "y_val", classes, where)
        parts["group_val"] = len(held)
        validation = np.arange(len(images) + len(held)) >= len(images)
        images, labels = np.concatenate([images, held]), np.concatenate([labels, held_labels])
    groups = _groups(arrays, parts, where)
    return Dataset(images, labels, test_images, test_labels, names, groups, validation, notes=notes)


def require_more_than_two_values(images: np.ndarray, where: str) -> None:
    """Refuse images of 0 and 1, which are black on a scale from 0 to 255.

    Args:
        images: uint8, of any shape.
        where: where they come from, for messages.

    Raises:
        InputError: the largest value is 1.
    """
    if int(images.max(initial=0)) == 1:
        raise InputError(f"{where} contains only the values 0 and 1, but pixels range from 0 to 255; multiply by 255")


def _images(array: np.ndarray, key: str, where: str) -> np.ndarray:
    """Return images as uint8 (n, height, width, channels), or raise an `InputError`."""
    import numpy as np

    if array.dtype != np.uint8:
        remedy = REMEDIES.get(array.dtype.kind, "convert them")
        raise InputError(f"{where}: `{key}` must be uint8 with values from 0 to 255, but is {array.dtype}; {remedy}")
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


def _require_same_shape(images: np.ndarray, key: str, others: np.ndarray, other: str, where: str) -> None:
    if images.shape[1:] != others.shape[1:]:
        raise InputError(
            f"{where}: images of `{key}` are {images.shape[1:]} and those of `{other}` "
            f"{others.shape[1:]} (height, width, channels); they must be equal"
        )


def _labels(array: np.ndarray, key: str, images: int, where: str) -> np.ndarray:
    """Return labels as int32 (n,), or raise an `InputError`."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (images,):
        hint = f"; if it is one-hot, use {key}.argmax(axis=1)" if array.ndim == 2 and len(array) == images else ""
        raise InputError(
            f"{where}: `{key}` must have one label per image ({images}), but its shape is {array.shape}{hint}"
        )
    if array.dtype.kind not in "iu":
        raise InputError(f"{where}: `{key}` must contain integers (class indices), but is {array.dtype}")
    if int(array.min()) < 0 or int(array.max()) > len(array):
        raise InputError(
            f"{where}: the labels of `{key}` must be consecutive integers from 0, one per class, "
            f"but range from {int(array.min())} to {int(array.max())}"
        )
    return array.astype("int32")


def _require_all_classes(labels: np.ndarray, where: str) -> None:
    """Refuse training labels that are not 0, 1, 2, ... without a gap."""
    import numpy as np

    counts = np.bincount(labels)
    missing = np.flatnonzero(counts == 0).tolist()
    if len(counts) - len(missing) < 2:
        only = int(labels[0])
        raise InputError(f"{where}: `y_train` contains only class {only}; at least two classes are required")
    if missing == [0]:
        raise InputError(
            f"{where}: the labels of `y_train` start at 1 (they are 1 to {len(counts) - 1}), and must start at 0; "
            "subtract 1 from all labels"
        )
    if missing:
        raise InputError(
            f"{where}: `y_train` has no image of the class(es) {listed([str(each) for each in missing])}; labels must "
            "be 0, 1, 2, ... without a gap. Renumber the classes: numpy.unique(labels, return_inverse=True)[1]"
        )


def _require_known_labels(labels: np.ndarray, key: str, classes: int, where: str) -> None:
    if int(labels.max()) >= classes:
        raise InputError(
            f"{where}: `{key}` contains the label {int(labels.max())}, but `y_train` ends at {classes - 1}"
        )


def _groups(arrays: Mapping[str, np.ndarray], parts: Mapping[str, int], where: str) -> np.ndarray | None:
    """Return the groups of all images as int32 (n,), or None if the training images have none.

    Numbers that do not fit into 32 bits are replaced by their rank among all groups. Validation images without a number
    get -1.

    Args:
        arrays: all arrays.
        parts: number of images of each part, by the name of its groups.
        where: where the arrays come from, for messages.
    """
    import numpy as np

    if "group_train" not in arrays:
        if "group_val" in arrays:
            raise InputError(f"{where}: `group_val` needs `group_train`; provide both or neither")
        return None
    numbers: list[int] = []
    for key, images in parts.items():
        array = arrays.get(key, np.full(images, -1, "int32"))
        if array.shape != (images,) or array.dtype.kind not in "iu":
            raise InputError(
                f"{where}: `{key}` must have one integer per image ({images}), but is {array.dtype} of shape "
                f"{array.shape}"
            )
        numbers += array.tolist()
    if not -INT32 <= min(numbers) <= max(numbers) < INT32:
        rank = {number: place for place, number in enumerate(sorted(set(numbers)))}
        numbers = [rank[number] for number in numbers]
    return np.array(numbers, "int32")


def _class_names(array: np.ndarray | None, classes: int, where: str) -> tuple[str, ...]:
    """Return one name per class: the given names, or the class indices."""
    if array is None:
        return tuple(str(label) for label in range(classes))
    if array.shape != (classes,):
        raise InputError(
            f"{where}: `class_names` must have {classes} names, one per class, but its shape is {array.shape}"
        )
    if array.dtype.kind not in "USTiu":
        raise InputError(f"{where}: `class_names` must be an array of texts, but is {array.dtype}")
    names = tuple(
        name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else str(name) for name in array.tolist()
    )
    check_class_names(names, f"{where}: `class_names`")
    if len(set(names)) < classes:
        raise InputError(f"{where}: `class_names` contains a name twice: {listed(names)}")
    return names
