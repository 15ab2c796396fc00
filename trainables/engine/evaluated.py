"""Evaluated images: how many training images are evaluated after each epoch, and in batches of which size."""

from __future__ import annotations

CHUNK = 512
"""Maximum number of images per batch in evaluation."""
MEASURED = 1_000
"""Training images from which training metrics are precise enough: their accuracy has a standard error of 1.6 points."""


def measured_images(most: int, validation: int) -> int:
    """Return the number of training images that are evaluated after each epoch, in addition to the validation images.

    Training metrics serve the learning curves only. Beyond `MEASURED` images, whole batches are left out, so that the
    batches of validation images, and with them every figure of validation, are the same to the last bit as with all.

    Args:
        most: number of images if there was no limit.
        validation: number of validation images.

    Returns:
        `most`, or from `MEASURED` to less than `MEASURED` + `CHUNK`.

    >>> measured_images(500, 500), measured_images(1500, 1500), measured_images(10_000, 10_000)
    (500, 1000, 1000)
    """
    if most <= MEASURED:
        return most
    width = batch_width(most + validation)
    return most - (most - MEASURED) // width * width


def batch_width(images: int) -> int:
    """Return the number of images per batch: at most `CHUNK`, and nearly the same in all batches.

    >>> batch_width(1025), batch_width(3)
    (342, 3)
    """
    return -(-images // -(-images // CHUNK))
