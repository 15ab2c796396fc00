"""Handwritten digits of scikit-learn: real images that need no download."""

from __future__ import annotations

from typing import ClassVar, Literal

from trainables.data.base import SOURCES, Dataset, Source

BRIGHTEST = 16
"""Largest grey value of the original images; the smallest is 0."""


@SOURCES.register("digits")
class Digits(Source):
    """1 797 grey images of 8 x 8 pixels in ten classes; every third image of each class is in the test part.

    Examples:
        >>> data = Digits().load()
        >>> data.images.shape, data.test_images.shape
        ((1201, 8, 8, 1), (596, 8, 8, 1))
    """

    summary: ClassVar[str] = "1 797 handwritten digits, 8 x 8, grey, part of scikit-learn"
    source: Literal["digits"] = "digits"
    mirror_keeps_class: bool = False

    def load(self) -> Dataset:
        """Load the images (see `Source.load`)."""
        import numpy as np
        from sklearn.datasets import load_digits

        pixels, classes = load_digits(return_X_y=True)
        images = np.rint(np.asarray(pixels) * (255 / BRIGHTEST)).astype("uint8").reshape(-1, 8, 8, 1)
        labels = np.asarray(classes).astype("int32")
        test = np.zeros(len(labels), dtype=bool)
        for label in range(10):
            test[np.flatnonzero(labels == label)[2::3]] = True
        return Dataset(
            images[~test], labels[~test], images[test], labels[test], tuple(str(digit) for digit in range(10))
        )
