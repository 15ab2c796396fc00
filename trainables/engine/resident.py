"""Data set on the device, with its normalisation statistics; kept from run to run."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from trainables.backends.selection import backend
from trainables.data.statistics import channel_statistics

Tensor = Any


@dataclass(frozen=True)
class DeviceData:
    """Tensors of a data set.

    Args:
        source: the four arrays on the host, which identify the data set.
        devices: number of devices, each of which has a copy.
        development: `images`, uint8 (n, height, width, channels), and `labels`, int32 (n,).
        test: the same for the test part.
        mean: float32 (channels,), of the development images.
        deviation: float32 (channels,), standard deviation of the same; at least 1.
    """

    source: tuple[np.ndarray, ...]
    devices: int
    development: dict[str, Tensor]
    test: dict[str, Tensor]
    mean: np.ndarray
    deviation: np.ndarray


_last: list[DeviceData] = []
_measured: list[tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]] = []


def resident_data(arrays: Mapping[str, np.ndarray], devices: int = 1) -> DeviceData:
    """Return a data set on the device; the last one is kept for the next call.

    Args:
        arrays: the data, as returned by `Dataset.arrays`.
        devices: number of devices, each of which gets a copy.
    """
    source = tuple(arrays[name] for name in ("images", "labels", "test_images", "test_labels"))
    if not (_last and _last[0].devices == devices and all(map(operator.is_, _last[0].source, source))):
        _last.clear()  # so that the device never holds two data sets
        mean, deviation = statistics_of(arrays)
        development = {name: backend.resident(arrays[name], devices) for name in ("images", "labels")}
        test = {name: backend.resident(arrays[f"test_{name}"], devices) for name in ("images", "labels")}
        _last[:] = [DeviceData(source, devices, development, test, mean, deviation)]
    return _last[0]


def statistics_of(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the `channel_statistics` of development images, which are in the arrays, or kept from the last call."""
    images = arrays["images"]
    if "statistics" in arrays:
        return arrays["statistics"][0], arrays["statistics"][1]
    if not (_measured and _measured[0][0] is images):
        _measured[:] = [(images, channel_statistics(images))]
    return _measured[0][1]


def normalise(images: Tensor, scale: Mapping[str, Tensor]) -> Tensor:
    """Return images less `mean` and divided by `deviation` of each channel, float32 of the same shape.

    Args:
        images: (n, height, width, channels).
        scale: `mean` and `deviation`, float32 (channels,).
    """
    return (ops.cast(images, "float32") - scale["mean"]) / scale["deviation"]
