"""Exported scripts as modules, for tests."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from search.export.keras_script import script
from search.export.recipe import Origin, Promise, Recipe
from trainables.config import RunConfig


def recipe(shape: tuple[int, ...] = (16, 16, 3), class_count: int = 3, **plain: Any) -> Recipe:
    """Return a recipe; `plain` are settings of its run by plain names."""
    config = {"data": {"source": "npz", "path": "/data/images.npz"}, "model": "lenet", "epochs": 40, **plain}
    names = ["cat", "dog", 'a "quoted"\nname', *map(str, range(3, class_count))]
    return Recipe(
        train=RunConfig.from_plain(config),
        class_names=names[:class_count],
        image_shape=list(shape),
        promise=Promise(test_accuracy=0.8, low=0.7, high=0.9, spread=0.1, seeds=3),
        origin=Origin(study='in """quotes"""\\', study_id="1", condition="all", method="baseline", runs=[]),
    )


def loaded(made: Recipe) -> ModuleType:
    """Return what the script of a recipe defines."""
    code = script(made, "train.py")
    module = sys.modules["exported_script"] = ModuleType("exported_script", code)  # where dataclasses look
    exec(compile(code, "train.py", "exec"), module.__dict__)
    module.__dict__["code"] = code
    return module
