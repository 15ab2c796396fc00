"""A small study on the digits."""

from __future__ import annotations

from pathlib import Path

from search.study.loading import validate
from search.study.schema import Study


def study_document(**changes: object) -> dict[str, object]:
    """Return a small study file on the digits."""
    return {
        "name": "small",
        "data": {"source": "digits"},
        "recipe": {"model": "resnet8", "augmentation": "crop", "epochs": 12},
        "conditions": {"train_fraction": [0.1, 0.3]},
        "methods": ["baseline", "mixup", {"name": "maxup", "m": 4}],
        "search": {"trials_per_arm": 4},
        "confirm": {"points": 2, "seeds": 3},
        **changes,
    }


def make_study(**changes: object) -> Study:
    """Return the small study."""
    return validate(study_document(**changes), "study.yaml", Path.cwd())
