"""Facts about a study: versions, machine, git commit and data, noted when it began."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import ValidationError

from trainables.errors import InputError
from trainables.records.base import CompactRecord, Record, problem

if TYPE_CHECKING:
    import numpy as np


class DataFacts(Record):
    """What is known of a data set.

    Args:
        fingerprint: digest of images and labels.
        class_names: in the order of the labels.
        image_shape: height, width, channels.
        images, test_images: how many there are.
        brings: what the source has in addition to images and labels: `groups`, `validation`.
        test_labels: base64 of zlib of uint16 (n,), or None where they were not noted.
    """

    fingerprint: str
    class_names: tuple[str, ...] = ()
    image_shape: tuple[int, ...] = ()
    images: int = 0
    test_images: int = 0
    brings: tuple[str, ...] = ()
    test_labels: str | None = None

    def unpacked_test_labels(self) -> np.ndarray | None:
        """Return the label of each test image, uint16 (n,), or None where they were not noted."""
        import numpy as np

        if self.test_labels is None:
            return None
        return np.frombuffer(zlib.decompress(base64.b64decode(self.test_labels)), dtype="<u2")


class Facts(CompactRecord):
    """What runs were done with.

    Args:
        versions: by package.
        machine: system, processor, number of CPUs.
        git: commit of the folder that the study was started in, None outside a repository.
        data: the data set of all runs; None in a replay, and in a study on several data sets.
        data_sets: the data sets of such a study by label (see `ConditionRecord.data`).
        replayed: path of the table of learning curves, None in real training.
    """

    omitted_if_empty: ClassVar[tuple[str, ...]] = ("data_sets",)
    versions: dict[str, str] = {}
    machine: dict[str, Any] = {}
    git: dict[str, Any] | None = None
    data: DataFacts | None = None
    data_sets: dict[str, DataFacts] = {}
    replayed: str | None = None

    @classmethod
    def parse(cls, facts: Mapping[str, Any] | None) -> Self:
        """Return the facts from the journal's JSON.

        Raises:
            InputError: an entry is of the wrong type.
        """
        try:
            return cls.model_validate(facts or {})
        except ValidationError as error:
            raise InputError(f"the journal's facts cannot be read: {problem(error)}") from None

    def data_of(self, label: str) -> DataFacts | None:
        """Return what is known of the data set with a label, or None.

        Args:
            label: as in `ConditionRecord.data`; empty if all runs have the same data set.
        """
        return self.data_sets.get(label) if label else self.data


def pack_labels(labels: np.ndarray) -> str:
    """Return labels as text: base64 of zlib of uint16 (n,)."""
    return base64.b64encode(zlib.compress(labels.astype("<u2").tobytes(), 9)).decode()
