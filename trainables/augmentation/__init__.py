"""Base augmentations: one module per kind, one registration per policy."""

from trainables.augmentation import crop
from trainables.augmentation.base import AUGMENTATIONS, Augmentation

__all__ = ["AUGMENTATIONS", "Augmentation", "crop"]
