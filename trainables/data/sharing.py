"""Data for the workers of all nodes: small arrays by value, large images as a place in a file that workers map."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.data.archives import LARGE
from trainables.data.base import Dataset, Source, source_kind
from trainables.data.cache import cached_array
from trainables.data.statistics import channel_statistics
from trainables.data.text import printable
from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np

SAMPLES, SAMPLE_BYTES = 64, 2**16
"""Blocks of a file that are compared before it is used on a node, and their size."""
IMAGES = ("images", "test_images")


@dataclass(frozen=True)
class FileArray:
    """A place in a file that contains an array of uint8.

    Args:
        path: the file.
        offset: where the array begins in it, in bytes.
        shape: shape of the array.
        digest: of samples of its content (see `SAMPLES`).
    """

    path: str
    offset: int
    shape: tuple[int, ...]
    digest: str

    def open(self) -> np.ndarray:
        """Return the array, memory-mapped.

        Raises:
            OSError, ValueError: the file is missing, too short, or another one.
        """
        import numpy as np

        array = np.memmap(self.path, np.uint8, "r", self.offset, self.shape).view(np.ndarray)
        if _samples(array) != self.digest:
            raise ValueError(f"{self.path} is another file")
        return array


@dataclass(frozen=True)
class SharedData:
    """A data set as it is sent to workers.

    Args:
        arrays: what `Dataset.arrays` returns, as far as it is sent.
        files: large images by name, which are opened by path.
        class_names: one name per class.
        source: settings of the source, from which a node without the files makes them; empty if there are none.
        fingerprint: that of the data set, if there are files.
    """

    arrays: dict[str, np.ndarray]
    files: dict[str, FileArray]
    class_names: tuple[str, ...]
    source: dict[str, Any]
    fingerprint: str = ""

    def open(self) -> dict[str, np.ndarray]:
        """Return all arrays; large ones are memory-mapped, and made from the source on a node that lacks them.

        Raises:
            InputError: a file is missing, and the source gives no or other images here.
        """
        try:
            return self.arrays | {name: file.open() for name, file in self.files.items()}
        except (OSError, ValueError) as error:
            return self.arrays | self._made(printable(str(error)))

    def _made(self, why: str) -> dict[str, np.ndarray]:
        """Return the large images from the source."""
        where = "this node lacks the decoded images"
        try:
            data = _source(self.source).load()
        except InputError as error:
            raise InputError(
                f"{where} ({why}), and cannot read them from the source: {error}. Give all nodes the same place of the "
                "images, or set ASSAY_CACHE to a folder that they share"
            ) from None
        if data.fingerprint != self.fingerprint:
            raise InputError(f"{where} ({why}), and its source has other images; copy those of the study to this node")
        return {name: array for name, array in mapped(data).items() if name in self.files}


def shared(data: Dataset, source: Source) -> SharedData:
    """Return a data set as it is sent to workers: images of 256 MB and more as places in files.

    Large images that are in no file yet are written to the cache.

    Args:
        data: the data set.
        source: its source.

    Raises:
        InputError: there is no room in the cache.

    Examples:
        >>> from trainables.data import SOURCES
        >>> digits = SOURCES.get("digits")()
        >>> sent = shared(digits.load(), digits)
        >>> sent.files, sorted(sent.open())
        ({}, ['images', 'labels', 'test_images', 'test_labels'])
    """
    import numpy as np

    arrays = data.arrays()
    if sum(arrays[name].nbytes for name in IMAGES) < LARGE:
        return SharedData(arrays, {}, data.class_names, {})
    images = mapped(data)
    small = {name: array for name, array in arrays.items() if name not in images}
    small["statistics"] = np.stack(channel_statistics(arrays["images"]))
    files = {name: _place(array) for name, array in images.items()}
    return SharedData(small, files, data.class_names, source.model_dump(mode="json"), data.fingerprint)


def shared_data_sets(data: Mapping[str, Dataset], sources: Mapping[str, Source]) -> dict[str, SharedData]:
    """Return the data sets of a study as they are sent to workers.

    Args:
        data: the data sets by label.
        sources: their sources by label.

    Raises:
        InputError: there is no room in the cache.
    """
    return {label: shared(found, sources[label]) for label, found in data.items()}


def mapped(data: Dataset) -> dict[str, np.ndarray]:
    """Return the images of both parts, memory-mapped; what is in no file is written to the cache."""
    import numpy as np

    def made(name: str, array: np.ndarray) -> np.ndarray:
        if _file_of(array) is not None:
            return array
        return cached_array(["arrays", data.fingerprint, name], lambda path: np.save(path, array))

    return {name: made(name, data.arrays()[name]) for name in IMAGES}


def _file_of(array: Any) -> np.memmap | None:
    """Return the memory-mapped array of which an array is a view without gaps, or None."""
    import numpy as np

    base, file = array, None
    while base is not None:
        file = base if isinstance(base, np.memmap) and isinstance(base.filename, str | Path) else file
        base = getattr(base, "base", None)  # also of a slice, which has the offset of the whole
    is_mapped = file is not None and file.mode != "c" and array.flags.c_contiguous  # "c" keeps changes in memory
    return file if is_mapped else None


def _place(array: np.ndarray) -> FileArray:
    file = _file_of(array)
    if file is None:
        raise TypeError("the array is not in a file")
    begins = array.__array_interface__["data"][0] - file.__array_interface__["data"][0]
    return FileArray(str(file.filename), file.offset + begins, array.shape, _samples(array))


def _samples(array: np.ndarray) -> str:
    """Return a digest of evenly spaced blocks of an array's content."""
    content = array.reshape(-1)
    digest = hashlib.sha256(repr(array.shape).encode())
    for number in range(SAMPLES):
        start = number * max(0, content.size - SAMPLE_BYTES) // max(1, SAMPLES - 1)
        digest.update(content[start : start + SAMPLE_BYTES].tobytes())
    return digest.hexdigest()


def _source(settings: Mapping[str, Any]) -> Source:
    kind = source_kind(dict(settings))
    if kind is None:
        raise InputError(f"this node has no data source `{settings.get('source')}`")
    return kind.model_validate(settings)
