"""Training methods: one module and one registration each."""

from trainables.methods import baseline, maxup, mixup, sample_pairing
from trainables.methods.base import METHODS, Cycle, Method

__all__ = ["METHODS", "Cycle", "Method", "baseline", "maxup", "mixup", "sample_pairing"]
