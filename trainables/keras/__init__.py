"""Assay's methods for a plain Keras `compile` and `fit`, on TensorFlow and JAX.

>>> from trainables.keras import Augment
>>> Augment("affine_flip", rotation=15).policy.settings()["affine_flip.rotation"]
15.0
"""

from trainables.keras.augment import Augment
from trainables.keras.maxup import MaxUp
from trainables.keras.mixing import CutMix, Mixup, SamplePairing

__all__ = ["Augment", "CutMix", "MaxUp", "Mixup", "SamplePairing"]
