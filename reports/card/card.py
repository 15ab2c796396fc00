"""Model card: describes trained models, their accuracy and their data, as Markdown with two SVG figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import numpy as np

from reports.card.figures import Line, write_confusion, write_curves
from reports.inference import wording as text
from reports.jinja import environment
from trainables import records

TEMPLATES = Path(__file__).parent / "templates"

CARD, CONFUSION, CURVES = "CARD.md", "confusion.svg", "curves.svg"


@dataclass(frozen=True)
class SeedCurve:
    """Metrics of one seed by epoch."""

    seed: int
    epochs: list[int]
    metrics: list[dict[str, float]]


@dataclass(frozen=True)
class CardData:
    """The data of a model card.

    Args:
        source: name of the data source.
        place: path of the images, or empty.
        fingerprint: checksum of the images and labels.
        size: size and colour of the images, in words.
        images: number of images for training and validation.
        test_images: number of test images.
        used: which images were used for training, in words.
    """

    source: str
    place: str
    fingerprint: str
    size: str
    images: int
    test_images: int
    used: str


class ClassAccuracy(NamedTuple):
    """Test accuracy of one class.

    Args:
        name: name of the class.
        images: number of its test images.
        mean: mean accuracy over the models, a fraction.
        worst: accuracy of the worst model, a fraction.
        confused_with: the wrong class that is predicted most often, or empty.
    """

    name: str
    images: int
    mean: float
    worst: float
    confused_with: str


@dataclass(frozen=True)
class Card:
    """Content of a model card.

    Args:
        title: name of the trained method.
        models: file names of the models, by seed.
        accuracies: test accuracy by seed, fractions.
        outcomes: outcome of each seed's run.
        warnings: what is wrong with models, such as that the network has not learned, by seed.
        class_names: in the order of the predicted probabilities.
        confusion: counts of test images for each model, true class by predicted class.
        curves: one per seed.
        data: the data.
        settings: configuration as YAML.
        recipe: contents of the recipe.
        expected: prediction interval of the mean test accuracy over the new seeds, or None.
        incomparable: reason why the recipe's estimate does not apply to this training, or empty.
        full_data: whether the validation images were used for training.
        versions: package versions.
    """

    title: str
    models: dict[int, str]
    accuracies: dict[int, float]
    outcomes: dict[int, str]
    warnings: dict[int, str]
    class_names: tuple[str, ...]
    confusion: list[list[list[int]]]
    curves: list[SeedCurve]
    data: CardData
    settings: str
    recipe: dict[str, Any]
    expected: tuple[float, float] | None
    incomparable: str
    full_data: bool
    versions: dict[str, str]


def write_card(card: Card, folder: Path) -> Path:
    """Write `CARD.md` and its figures `confusion.svg` and `curves.svg`.

    Args:
        card: content of the card.
        folder: folder of the models, created if missing.

    Returns:
        Path of the card.
    """
    markdown = environment(TEMPLATES, autoescape=False)
    markdown.filters["md"] = lambda value: text.escape_markdown(str(value))
    markdown.filters["percent"] = lambda value: f"{100 * value:.2f}"
    values = list(card.accuracies.values())
    page = markdown.get_template("card.md.j2").render(
        card=card,
        mean=fmean(values),
        spread=stdev(values) if len(values) > 1 else None,
        classes=class_accuracies(card),
        promise=card.recipe["promise"],
        origin=card.recipe["origin"],
        confusion=CONFUSION if card.confusion else "",
        curves=CURVES,
        kept=card.expected and card.expected[0] <= fmean(values) <= card.expected[1],
    )
    folder.mkdir(parents=True, exist_ok=True)
    if card.confusion:
        write_confusion(folder / CONFUSION, np.sum(card.confusion, axis=0), card.class_names)
    write_curves(folder / CURVES, _panels(card.curves))
    (folder / CARD).write_text(page, "utf-8")
    return folder / CARD


def class_accuracies(card: Card) -> list[ClassAccuracy]:
    """Return the accuracy of every class that has test images; empty without a confusion matrix."""
    if not card.confusion:
        return []
    counts = np.array(card.confusion)
    found = []
    for label, name in enumerate(card.class_names):
        images = int(counts[0, label].sum())
        if images == 0:
            continue
        right = counts[:, label, label] / images
        wrong = counts[:, label].sum(axis=0)
        wrong[label] = 0
        confused = card.class_names[int(wrong.argmax())] if wrong.any() else ""
        found.append(ClassAccuracy(name, images, float(right.mean()), float(right.min()), confused))
    return found


def _panels(curves: list[SeedCurve]) -> dict[str, dict[str, list[Line]]]:
    """Return the lines of both panels, by panel title and kind of images."""
    return {
        "Accuracy in %": {
            "training": _lines(curves, records.TRAIN_ACCURACY, 100.0),
            "validation": _lines(curves, records.VALIDATION_ACCURACY, 100.0),
        },
        "Log loss in nats": {
            "training": _lines(curves, records.TRAIN_LOSS),
            "validation": _lines(curves, records.VALIDATION_LOSS),
        },
    }


def _lines(curves: list[SeedCurve], name: str, scale: float = 1.0) -> list[Line]:
    """Return the curves of one metric, leaving out seeds that lack it."""
    return [
        (curve.epochs, [scale * metrics[name] for metrics in curve.metrics])
        for curve in curves
        if curve.metrics and all(name in metrics for metrics in curve.metrics)
    ]
