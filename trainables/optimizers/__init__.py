"""Optimizers: one module per update rule, one registration per optimizer.

>>> from trainables.optimizers import OPTIMIZERS
>>> OPTIMIZERS.get("sgd")(momentum=0.8).rates()
{'weight_decay': 0.0001, 'momentum': 0.8}
"""

from trainables.optimizers.adam import Adam, AdamW
from trainables.optimizers.base import OPTIMIZERS, Optimizer
from trainables.optimizers.rmsprop import RmsProp
from trainables.optimizers.sgd import Sgd

__all__ = ["OPTIMIZERS", "Adam", "AdamW", "Optimizer", "RmsProp", "Sgd"]
