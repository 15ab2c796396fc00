"""Preview of a study: a report on its data, and contact sheets of augmentations and methods (`assay list`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from search.plan.model import Plan
    from trainables.data import Dataset
    from trainables.data.checks import DataReport

SHEETS = ("augmentations", "methods")
UNCHANGED = "(as they are)"
"""Label of the first row of a sheet."""
EPOCHS = 40


def check_reports(source: str, overrides: tuple[str, ...] = ()) -> dict[str, DataReport]:
    """Return a report on each data set of a study by label; a single one has no label.

    Args:
        source: a study file, or the name of a packaged study.
        overrides: see `load_study`.

    Raises:
        InputError: the study or its data is invalid.
    """
    from search.plan.builder import make_plan
    from search.plan.data_validation import inspected, load_data_sets, selections
    from search.study.loading import load_study

    plan = make_plan(load_study(source, overrides))
    data = load_data_sets(plan.sources)
    return inspected(plan, data, selections(plan, data))


def draw_sheet(kind: str, path: Path, study: str | None = None) -> None:
    """Draw a contact sheet: images as augmentations or methods transform them.

    Args:
        kind: `augmentations` or `methods`.
        path: path of the PNG file.
        study: a study whose images and settings are shown; by default photographs and everything registered.

    Raises:
        InputError: there is no sheet of that kind, the study is invalid, or the path is another file.
    """
    if kind not in SHEETS:
        raise InputError(f"there is no sheet of `{kind}`; choose from: {', '.join(SHEETS)}")
    from trainables.backends.selection import backend
    from trainables.contact_sheet import refuse_other_file, write_sheet

    refuse_other_file(path)
    plan, data = _plan_and_data(study) if study else (None, {"": None})
    backend.configure(deterministic=False)
    rows: dict[str, np.ndarray] = {}
    for label, found in data.items():
        shown = _rows(kind, plan, label, found)
        rows |= {f"{label} {row}" if row == UNCHANGED and label else row: images for row, images in shown.items()}
    write_sheet(path, rows)


def _rows(kind: str, plan: Plan | None, label: str, data: Dataset | None) -> dict[str, np.ndarray]:
    """Return the rows of a sheet for one data set."""
    from trainables.contact_sheet import augmentation_rows, method_rows

    images, labels = _images(data)
    if kind == "augmentations":
        return augmentation_rows(images, _policies(plan, label))
    return method_rows(images, labels, _configs(plan, label))


def _plan_and_data(study: str) -> tuple[Plan, Mapping[str, Dataset | None]]:
    from search.plan.builder import make_plan
    from search.plan.data_validation import load_data_sets
    from search.study.loading import load_study

    plan = make_plan(load_study(study))
    return plan, {**load_data_sets(plan.sources)}


def _images(data: Dataset | None) -> tuple[np.ndarray, np.ndarray]:
    """Return one image per column of a sheet with their labels, of as many classes as possible."""
    import numpy as np

    from trainables.contact_sheet import COLUMNS, sample_images

    if data is None:
        images = sample_images()
        return images, np.arange(len(images), dtype="int32")
    rank = np.zeros(len(data.labels), dtype="int64")
    for label in range(len(data.class_names)):
        members = np.flatnonzero(data.labels == label)
        rank[members] = np.arange(len(members))
    chosen = np.lexsort((data.labels, rank))[:COLUMNS]
    if len(chosen) < COLUMNS:
        raise InputError(f"a sheet needs {COLUMNS} images, but the data has {len(chosen)}")
    return data.images[chosen], data.labels[chosen]


def _policies(plan: Plan | None, label: str) -> dict[str, Any]:
    from trainables.augmentation import AUGMENTATIONS, make_policy

    if plan is None:
        return {name: make_policy(name) for name in AUGMENTATIONS if name != "none"}
    arms = [arm for arm in plan.arms if arm.condition.data == label]
    found = {arm.condition.name: plan.run_config(arm, {}, 0, 0).augmentation for arm in arms}
    return {f"{name}: {policy.name}": policy for name, policy in found.items()}


def _configs(plan: Plan | None, label: str) -> dict[str, Any]:
    from trainables.config import RunConfig
    from trainables.methods import METHODS

    if plan is not None:
        return {arm.name: plan.run_config(arm, {}, 0, 0) for arm in plan.arms if arm.condition.data == label}
    plain = {"data": "digits", "augmentation": "crop_flip", "epochs": EPOCHS}
    return {name: RunConfig.from_plain({**plain, "method": name}) for name in METHODS}
