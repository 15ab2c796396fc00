"""Single training runs from their settings, without Ray or a study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from trainables.config import RunConfig
from trainables.data import SOURCES
from trainables.engine.classifier import Classifier


def trained_run(settings: Mapping[str, Any]) -> tuple[Classifier, list[dict[str, float]]]:
    """Train a run, and return it with the metrics of its epochs.

    Args:
        settings: settings by plain name, as `RunConfig.from_plain` takes them.
    """
    config = RunConfig.from_plain(settings)
    run = Classifier(config, *_arrays(config.data.model_dump_json()))
    return run, [run.train_epoch() for _ in range(config.epochs)]


@cache
def _arrays(source: str) -> tuple[dict[str, np.ndarray], int]:
    settings = json.loads(source)
    data = SOURCES.get(settings["source"]).model_validate(settings).load()
    return data.arrays(), len(data.class_names)
