"""Mean and standard deviation of the channels of images, which a run is normalised with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

PIXELS = 2**22
"""Pixels that are counted at a time; each needs eight bytes then."""


def channel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel, float32 (channels,); deviations are at least 1.

    Args:
        images: uint8 (n, height, width, channels).
    """
    import numpy as np

    values = np.arange(256)
    means, deviations = [], []
    totals = np.zeros((images.shape[3], 256))
    several = max(1, PIXELS // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), several):
        some = images[start : start + several]
        totals += [np.bincount(some[..., channel].ravel(), minlength=256) for channel in range(len(totals))]
    for counts in totals:
        mean = np.average(values, weights=counts)
        means.append(mean)
        deviations.append(max(1.0, np.average((values - mean) ** 2, weights=counts) ** 0.5))
    return np.array(means, dtype="float32"), np.array(deviations, dtype="float32")
