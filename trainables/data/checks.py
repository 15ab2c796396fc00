"""Data set checks before a study: counts, duplicates, class imbalance, small parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainables.data.image_key import image_key
from trainables.data.text import listed
from trainables.records.descriptions import number_of

if TYPE_CHECKING:
    import numpy as np

    from trainables.data.base import Dataset
    from trainables.data.selection import Selection

IMBALANCE = 3.0
"""Ratio of the largest to the smallest class above which accuracy mostly reflects the large classes."""
SMALL_VALIDATION, SMALL_CLASS = 500, 10
"""Numbers of validation images, in total and per class, below which validation accuracy is imprecise."""


@dataclass(frozen=True)
class DataReport:
    """Result of `inspect`.

    Args:
        facts: names and values that describe the data.
        classes: name, number of development images and number of test images of each class.
        warnings: possible problems.
    """

    facts: tuple[tuple[str, str], ...]
    classes: tuple[tuple[str, int, int], ...]
    warnings: tuple[str, ...]


def inspect(data: Dataset, selections: Mapping[str, Selection]) -> DataReport:
    """Describe a data set and the images that each condition of a study uses, and look for problems.

    Args:
        data: the data set.
        selections: selected images by condition.
    """
    import numpy as np

    height, width, channels = data.images.shape[1:]
    count = len(data.class_names)
    numbers = [np.bincount(labels, minlength=count) for labels in (data.labels, data.test_labels)]
    test = f"{len(data.test_images)} for the test{', drawn by Assay: there is no test part' if data.test_drawn else ''}"
    facts = [
        ("images", f"{len(data.images)} for training and validation, {test}"),
        ("shape", f"{height} x {width}, {'grey' if channels == 1 else 'colour'}"),
        ("classes", str(count)),
        ("fingerprint", data.fingerprint),
    ]
    if data.validation is not None:
        facts.append(("validation", f"predefined: {number_of(int(data.validation.sum()), 'image')}"))
    if data.groups is not None:
        facts.append(("groups", f"{len(np.unique(data.groups))}, never divided by a split"))
    for name, chosen in selections.items():
        wrong = int((chosen.labels != data.labels).sum())
        noise = f", {wrong} training images with a wrong label" if wrong else ""
        parts = f"{len(chosen.train)} training, {len(chosen.validation)} validation, {len(chosen.test)} test{noise}"
        facts.append((name, parts))
    classes = zip(data.class_names, numbers[0].tolist(), numbers[1].tolist(), strict=True)
    warnings = [
        *data.notes,
        *_duplicates(data),
        *_imbalance(data, numbers[0]),
        *_untested(data, numbers[1]),
        *_shared_groups(data),
    ]
    small: dict[str, list[str]] = {}
    for name, chosen in selections.items():
        for line in _small(chosen, data):
            small.setdefault(line, []).append(name)
    warnings += [f"{listed(names)}: {line}" for line, names in small.items()]
    return DataReport(tuple(facts), tuple(classes), tuple(dict.fromkeys(warnings)))


def _duplicates(data: Dataset) -> list[str]:
    """Return warnings about images that are identical, pixel by pixel."""
    import numpy as np

    labels = np.concatenate([data.labels, data.test_labels])
    seen: dict[bytes, list[int]] = {}
    position = 0
    for images in (data.images, data.test_images):
        for image in images:
            seen.setdefault(image_key(image), []).append(position)
            position += 1
    border = len(data.images)
    copies = [places for places in seen.values() if len(places) > 1]
    across = sum(sum(place >= border for place in places) for places in copies if places[0] < border)
    within = sum(len([place for place in places if place < border]) > 1 for places in copies)
    contradictory = sum(len({int(labels[place]) for place in places}) > 1 for places in copies)
    lines = []
    if across:
        lines.append(f"{across} test image(s) are also among the training images: test accuracy is biased upwards")
    if within:
        lines.append(
            f"{within} image(s) occur more than once in the development part and may be in both training and "
            "validation; give copies a common group, or remove them"
        )
    if contradictory:
        lines.append(f"{contradictory} image(s) occur in several classes")
    return lines


def _imbalance(data: Dataset, counts: np.ndarray) -> list[str]:
    ratio = counts.max() / max(1, counts.min())
    if ratio <= IMBALANCE:
        return []
    large, small = (data.class_names[int(place)] for place in (counts.argmax(), counts.argmin()))
    return [
        f"class `{large}` has {ratio:.1f} times as many images as `{small}` ({counts.max()} and {counts.min()}): also "
        "consider balanced accuracy and macro F1"
    ]


def _untested(data: Dataset, counts: np.ndarray) -> list[str]:
    missing = [name for name, count in zip(data.class_names, counts, strict=True) if count == 0]
    return (
        [f"{len(missing)} class(es) have no test image, so nothing is measured on: {listed(missing)}"]
        if missing
        else []
    )


def _shared_groups(data: Dataset) -> list[str]:
    if data.groups is None or data.test_groups is None:
        return []
    both = set(data.groups.tolist()) & set(data.test_groups.tolist())
    return [f"{len(both)} group(s) have images in both the training and the predefined test part"] if both else []


def _small(chosen: Selection, data: Dataset) -> list[str]:
    import numpy as np

    n = len(chosen.validation)
    fewest = int(np.bincount(data.labels[chosen.validation], minlength=chosen.classes).min())
    if n >= SMALL_VALIDATION and fewest >= SMALL_CLASS:
        return []
    error = 100 * (0.9 * 0.1 / n) ** 0.5
    advice = "Raise `recipe.validation_fraction`" if data.validation is None else "Add images to the validation part"
    return [
        f"the validation part has {n} images, {fewest} of the smallest class; an accuracy of 90 % measured on "
        f"it has a standard error of {error:.1f} points. {advice}"
    ]
