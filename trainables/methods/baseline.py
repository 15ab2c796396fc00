"""Baseline: plain training with base augmentation only, the reference of comparisons."""

from __future__ import annotations

from typing import ClassVar, Literal

from trainables.methods.base import Method
from trainables.methods.registry import METHODS


@METHODS.register("baseline")
class Baseline(Method):
    """Plain training."""

    summary: ClassVar[str] = "plain training with base augmentation only"
    name: Literal["baseline"] = "baseline"
