"""Training methods: one module and one registration each.

>>> from trainables.methods import METHODS
>>> METHODS.get("mixup")(alpha=0.4).parameters()["mixup.alpha"]
0.4
>>> METHODS.get("maxup+mixup").model_validate({"maxup.m": 2}).copies
2
"""

from trainables.methods import baseline, cutmix, maxup, mixup, noise, sample_pairing
from trainables.methods.base import Copies, Cycle, Method, Mixing, Objective
from trainables.methods.registry import METHODS

__all__ = [
    "METHODS",
    "Copies",
    "Cycle",
    "Method",
    "Mixing",
    "Objective",
    "baseline",
    "cutmix",
    "maxup",
    "mixup",
    "noise",
    "sample_pairing",
]
