"""Optimizers: one module per update rule, one registration per optimizer."""

from trainables.optimizers.adam import Adam, AdamW
from trainables.optimizers.base import OPTIMIZERS, Optimizer
from trainables.optimizers.rmsprop import RmsProp
from trainables.optimizers.sgd import Sgd

__all__ = ["OPTIMIZERS", "Adam", "AdamW", "Optimizer", "RmsProp", "Sgd"]
