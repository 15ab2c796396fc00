"""Data sources: one module and one registration each."""

from trainables.data import digits, npz
from trainables.data.base import SOURCES, Dataset, Source

__all__ = ["SOURCES", "Dataset", "Source", "digits", "npz"]
