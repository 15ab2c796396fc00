"""Recipes of small networks on the digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from search.export.recipe import Origin, Promise, Recipe, with_checksum, write_recipe
from trainables.config import RunConfig
from trainables.data import SOURCES


def written_recipe(path: Path, **changes: Any) -> Recipe:
    """Write a recipe for the digits."""
    data = SOURCES.get("digits")().load()
    plain = {"data": {"source": "digits"}, "model": "resnet8", "augmentation": "crop", "batch_size": 32}
    plain |= {"train_fraction": 0.3, "epochs": 16, "method": "mixup", "dropout": 0.2}
    plain |= changes
    made = with_checksum(
        Recipe(
            train=RunConfig.from_plain(plain),
            fingerprint=data.fingerprint,
            class_names=list(data.class_names),
            image_shape=[8, 8, 1],
            promise=Promise(test_accuracy=0.9, low=0.8, high=1.0, spread=0.05, seeds=4),
            origin=Origin(study="s", study_id="1", condition="all", method="mixup", runs=[], epochs=[16]),
        )
    )
    write_recipe(made, path)
    return made
