"""Base augmentations: one module per kind, one registration per augmentation.

>>> from trainables.augmentation import AUGMENTATIONS, make_policy
>>> AUGMENTATIONS.get("crop_flip")().mirrors
True
>>> make_policy(["crop_flip", {"name": "cutout", "size": 0.25}]).name
'crop_flip+cutout'
"""

from trainables.augmentation import affine, colour, crop, cutout, jpeg, one_of, photometric
from trainables.augmentation.base import AUGMENTATIONS, Augmentation
from trainables.augmentation.policy import NONE, Policy, make_policy, policy_apply, policy_compiles

__all__ = [
    "AUGMENTATIONS",
    "NONE",
    "Augmentation",
    "Policy",
    "affine",
    "colour",
    "crop",
    "cutout",
    "jpeg",
    "make_policy",
    "one_of",
    "photometric",
    "policy_apply",
    "policy_compiles",
]
