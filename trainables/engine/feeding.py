"""Feeding of the compiled functions: all images on the device, or a chunk of them at a time from the host.

A streamed run takes the steps of an epoch in chunks. While the device works on one chunk, a thread gathers the images
of the next one on the host and sends them. The compiled function is the same, with positions in the chunk instead of
positions in the data set, so that the run gives the same bits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from trainables.backends.selection import backend
from trainables.data.memory import HOST_SHARE, host_memory
from trainables.engine.resident import resident_data, statistics_of
from trainables.records import DataPlace

Tensor = Any
CHUNK_BYTES = 64 * 2**20
"""Size of the images of a chunk, at most, unless two steps need more."""
LEAST_STEPS = 2
"""Steps of a chunk, at least: XLA compiles a loop of one step in another way, with other rounding."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Placement:
    """Where a run finds its images, and its devices.

    Args:
        data: `resident`: all images are on the device; `streamed`: a chunk at a time; `auto`: resident if they fit.
        gpus: GPUs of the run; below 1, its share of one; above 1, each batch is divided among as many devices.

    Examples:
        >>> [Placement(gpus=gpus).devices for gpus in (0, 0.5, 1, 4)]
        [1, 1, 1, 4]
    """

    data: DataPlace = "auto"
    gpus: float = 1.0

    @property
    def devices(self) -> int:
        """Number of devices among which each batch is divided."""
        return max(1, int(self.gpus))


class Feed(Protocol):
    """Images of one part of the data, development or test, and what brings them to the device."""

    @property
    def labels(self) -> np.ndarray:
        """int32 (n,), the labels, on the host."""
        ...

    def chunks(self, batches: Mapping[str, Any]) -> Iterator[tuple[Tensor, Mapping[str, Any]]]:
        """Yield (data, batches) for each call of the compiled function, in the order of the steps.

        Args:
            batches: arrays of s steps; `index`, int32 (s, ..., n), contains positions in this part.

        Yields:
            `images` and `labels` on the device, and some steps of the batches, with positions in these images.
        """
        ...


@dataclass(frozen=True)
class Resident:
    """All images on the device; a single chunk."""

    data: dict[str, Tensor]
    labels: np.ndarray

    def chunks(self, batches: Mapping[str, Any]) -> Iterator[tuple[Tensor, Mapping[str, Any]]]:
        """Yield everything at once (see `Feed.chunks`)."""
        yield self.data, batches


@dataclass(frozen=True)
class Streamed:
    """Images on the host, memory-mapped if there are many.

    Three chunks are on the device at most: the one that is computed, the one that waits for it, and the next one.

    Args:
        images: uint8 (n, height, width, channels).
        labels: int32 (n,).
        devices: number of devices, each of which gets all images of a chunk.

    Examples:
        >>> images, labels = np.arange(6, dtype="uint8").reshape(6, 1, 1, 1), np.arange(6, dtype="int32")
        >>> for data, batches in Streamed(images, labels).chunks({"index": np.array([[5, 3], [3, 0]], "int32")}):
        ...     np.asarray(data["labels"]).tolist(), batches["index"].tolist()
        ([0, 3, 5, 0], [[2, 1], [1, 0]])
    """

    images: np.ndarray
    labels: np.ndarray
    devices: int = 1

    def chunks(self, batches: Mapping[str, Any]) -> Iterator[tuple[Tensor, Mapping[str, Any]]]:
        """Yield chunks of the same size, or of two sizes that differ by one step (see `Feed.chunks`)."""
        index: np.ndarray = batches["index"]
        per_step = index[0].size * self.images[0].nbytes
        windows = list(step_windows(len(index), CHUNK_BYTES // per_step))
        with ThreadPoolExecutor(1, "gather") as thread:
            following = thread.submit(self._gathered, index[windows[0]])
            for window, after in zip(windows, [*windows[1:], None], strict=True):
                data, positions = following.result()
                if after is not None:
                    following = thread.submit(self._gathered, index[after])
                yield data, {**steps_of(batches, window), "index": positions}

    def _gathered(self, index: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Return the images and labels of some steps on the device, and the positions of the steps' images in them.

        Each image is sent once. The number of images depends on the shape of the index only, so that nothing is
        recompiled; what is left over is not initialised, and no position points to it.
        """
        used, positions = np.unique(index, return_inverse=True)
        room = min(index.size, len(self.images))
        images = np.empty((room, *self.images.shape[1:]), "uint8")
        np.take(self.images, used, axis=0, out=images[: len(used)], mode="clip")  # which writes without a buffer
        labels = np.zeros(room, "int32")
        labels[: len(used)] = self.labels[used]
        data = {"images": backend.resident(images, self.devices), "labels": backend.resident(labels, self.devices)}
        return data, positions.reshape(index.shape).astype("int32")


@dataclass(frozen=True)
class Feeds:
    """The parts of a data set, and its statistics.

    Args:
        development, test: the parts.
        mean, deviation: float32 (channels,), of the development images (see `channel_statistics`).
    """

    development: Feed
    test: Feed
    mean: np.ndarray
    deviation: np.ndarray


def feeds_of(arrays: Mapping[str, np.ndarray], labels: np.ndarray, streamed: bool, devices: int = 1) -> Feeds:
    """Return how a run gets its images.

    Args:
        arrays: the data, as returned by `Dataset.arrays`.
        labels: int32 (n,), labels of the development images that the run uses, which may be wrong.
        streamed: whether the images stay on the host.
        devices: number of devices of the run.
    """
    if streamed:
        development = Streamed(arrays["images"], labels, devices)
        test = Streamed(arrays["test_images"], arrays["test_labels"], devices)
        return Feeds(development, test, *statistics_of(arrays))
    data = resident_data(arrays, devices)
    tensors = dict(data.development)
    if labels is not arrays["labels"]:
        tensors["labels"] = backend.resident(labels, devices)
    return Feeds(Resident(tensors, labels), Resident(data.test, arrays["test_labels"]), data.mean, data.deviation)


def is_streamed(placement: Placement, image_bytes: int, network_bytes: int) -> bool:
    """Return whether a run's images are streamed; the log states it where `auto` decides it.

    Args:
        placement: what the user asks for.
        image_bytes: size of all images.
        network_bytes: estimated size of everything else.
    """
    if placement.data != "auto":
        return placement.data == "streamed"
    device = backend.device_memory()
    room = HOST_SHARE * host_memory() if device is None else device * min(1.0, placement.gpus or 1.0)
    if image_bytes + network_bytes <= room:
        return False
    log.info(
        "images are streamed: they take %.1f GB and the network about %.1f GB, of %.1f GB (`resources.data`)",
        *(size / 1e9 for size in (image_bytes, network_bytes, room)),
    )
    return True


def step_windows(steps: int, most: int) -> Iterator[slice]:
    """Yield consecutive windows of steps, as few as possible, whose lengths differ by at most one.

    Args:
        steps: number of steps.
        most: largest number of steps of a window; at least `LEAST_STEPS`.

    Examples:
        >>> list(step_windows(7, 3))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
        >>> list(step_windows(5, 1))
        [slice(0, 2, None), slice(2, 5, None)]
    """
    count = max(1, min(-(-steps // max(most, LEAST_STEPS)), steps // LEAST_STEPS))
    for number in range(count):
        yield slice(number * steps // count, (number + 1) * steps // count)


def steps_of(batches: Mapping[str, Any], window: slice) -> dict[str, Any]:
    """Return some steps of nested arrays."""
    return keras.tree.map_structure(lambda values: values[window], batches)


def collected(outputs: Iterable[Tensor]) -> list[np.ndarray]:
    """Return outputs of compiled functions as arrays; each is awaited when the next function has been started."""
    arrays: list[np.ndarray] = []
    waiting: list[Tensor] = []
    for output in outputs:
        arrays += map(np.asarray, waiting)
        waiting = [output]
    return arrays + list(map(np.asarray, waiting))
