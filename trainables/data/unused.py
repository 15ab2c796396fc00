"""Unused images: development images that a run neither trains on nor validates on, which can extend its test part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trainables.data.image_key import image_key

if TYPE_CHECKING:
    import numpy as np

    from trainables.data.selection import Selection

EXTENDED_SIZE = 10_000
"""Test images up to which unused images are added. With more, evaluating them costs more than their precision gains."""
SAMPLED = 32
"""Images are compared at no more than this many rows and columns."""


def unused_images(arrays: Mapping[str, np.ndarray], chosen: Selection, split_seed: int) -> np.ndarray:
    """Return development images that can be tested on together with the test part, int64 positions, ascending.

    They are images of the run's classes that are in neither its training nor its validation part, in no group with an
    image of these parts, and not identical to one. If there are more than needed for `EXTENDED_SIZE` test images, a
    random sample is returned. The result depends on the data, the selection and `split_seed` only; runs of all methods
    with the same split therefore share it.

    Args:
        arrays: the data, as returned by `Dataset.arrays`.
        chosen: the images that the run uses.
        split_seed: seed of the split.

    Examples:
        >>> import numpy as np
        >>> from trainables.data.selection import Selection
        >>> images = np.arange(6, dtype="uint8").reshape(6, 1, 1, 1)
        >>> arrays = {"images": images, "labels": np.array([0, 1, 0, 1, 0, 1], "int32")}
        >>> chosen = Selection(np.array([0, 1]), np.array([2, 3]), np.array([0, 1]), arrays["labels"], 2, 2)
        >>> unused_images(arrays, chosen, split_seed=0).tolist()
        [4, 5]
    """
    import numpy as np

    from trainables.randomness import stream

    used = np.union1d(chosen.train, chosen.validation)
    free = np.setdiff1d(np.flatnonzero(arrays["labels"] < chosen.classes), used)
    if "groups" in arrays:
        free = free[~np.isin(arrays["groups"][free], arrays["groups"][used])]
    room = max(0, EXTENDED_SIZE - len(chosen.test))
    free = np.sort(stream(split_seed, "split", copy=2).permutation(free)[:room])
    return free[~np.isin(_keys(arrays["images"], free), _keys(arrays["images"], used))]


def _keys(images: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return a key of each image, bytes (n,); identical images have the same key.

    Large images are compared at sampled pixels only, so that nearly identical images also count as identical.
    """
    import numpy as np

    height, width = images.shape[1:3]
    rows, columns = -(-height // SAMPLED), -(-width // SAMPLED)
    return np.array([image_key(images[place, ::rows, ::columns]) for place in positions], dtype="S16")
