"""Data sources: one module and one registration per source."""

from trainables.data import digits, directory, downloads, lists, npz, reference
from trainables.data.base import SOURCES, Dataset, Source, with_absolute_paths

__all__ = [
    "SOURCES",
    "Dataset",
    "Source",
    "digits",
    "directory",
    "downloads",
    "lists",
    "npz",
    "reference",
    "with_absolute_paths",
]
