"""The model card: what trained models are, how good they are, and on what; Markdown with pictures beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from reports.card.figures import confusion_chart, curves_chart
from reports.inference import wording as text
from reports.jinja import environment
from trainables import records

TEMPLATES = Path(__file__).parent / "templates"

CARD, CONFUSION, CURVES = "CARD.md", "confusion.svg", "curves.svg"


@dataclass(frozen=True)
class Curve:
    """One seed's metrics by epoch."""

    seed: int
    epochs: list[int]
    metrics: list[dict[str, float]]


@dataclass(frozen=True)
class Card:
    """What a card is made of.

    Args:
        title: what was trained.
        models: file names by seed.
        accuracies: test accuracy by seed, fractions.
        outcomes: how each seed ended.
        class_names: in the order of the probabilities.
        confusion: for each model the counts of test images, true class by predicted class.
        curves: one for each seed.
        data: source, place, fingerprint, size, images, test_images.
        settings: the configuration as YAML.
        recipe: the recipe's document.
        expected: where the mean over seeds was expected, or None.
        incomparable: why the promise is not for this training, or empty.
        full_data: whether the validation images were trained on, too.
        versions: of the packages.
    """

    title: str
    models: dict[int, str]
    accuracies: dict[int, float]
    outcomes: dict[int, str]
    class_names: tuple[str, ...]
    confusion: list[list[list[int]]]
    curves: list[Curve]
    data: dict[str, Any]
    settings: str
    recipe: dict[str, Any]
    expected: tuple[float, float] | None
    incomparable: str
    full_data: bool
    versions: dict[str, str]


def write_card(card: Card, folder: Path) -> Path:
    """Write `CARD.md` and its pictures.

    Args:
        card: what it says.
        folder: where the models are.

    Returns:
        the card's path.
    """
    markdown = environment(TEMPLATES, autoescape=False)
    markdown.filters["md"] = lambda value: text.markdown(str(value))
    markdown.filters["percent"] = lambda value: f"{100 * value:.2f}"
    values = list(card.accuracies.values())
    page = markdown.get_template("card.md.j2").render(
        card=card,
        mean=fmean(values),
        spread=stdev(values) if len(values) > 1 else None,
        classes=class_rows(card),
        promise=card.recipe["promise"],
        origin=card.recipe["origin"],
        confusion=CONFUSION if card.confusion else "",
        curves=CURVES,
        kept=card.expected and card.expected[0] <= fmean(values) <= card.expected[1],
    )
    folder.mkdir(parents=True, exist_ok=True)
    if card.confusion:
        counts = np.sum(card.confusion, axis=0)
        (folder / CONFUSION).write_text(confusion_chart(counts, card.class_names), "utf-8")
    (folder / CURVES).write_text(curves_chart(_panels(card)), "utf-8")
    (folder / CARD).write_text(page, "utf-8")
    return folder / CARD


def class_rows(card: Card) -> list[tuple[str, int, float, float, str]]:
    """Return of each class its name, test images, mean and worst accuracy over models, and what it is taken for.

    Classes without a test image are left out.
    """
    if not card.confusion:
        return []
    counts = np.array(card.confusion)
    rows = []
    for label, name in enumerate(card.class_names):
        images = int(counts[0, label].sum())
        if images == 0:
            continue
        right = counts[:, label, label] / images
        wrong = counts[:, label].sum(axis=0)
        wrong[label] = 0
        taken = card.class_names[int(wrong.argmax())] if wrong.any() else ""
        rows.append((name, images, float(right.mean()), float(right.min()), taken))
    return rows


def _panels(card: Card) -> list[tuple[str, list[tuple[str, list[tuple[list[int], list[float]]]]]]]:
    """Return title and lines of each panel: of each kind of figure its name and one line for each seed."""
    panels = []
    for title, names in (
        ("Accuracy in %", {"training": records.TRAIN_ACCURACY, "validation": records.VALIDATION_ACCURACY}),
        ("Log loss in nats", {"training": records.TRAIN_LOSS, "validation": records.VALIDATION_LOSS}),
    ):
        scale = 100.0 if title.endswith("%") else 1.0
        lines = [(kind, _lines(card.curves, name, scale)) for kind, name in names.items()]
        panels.append((title, [(kind, found) for kind, found in lines if found]))
    return panels


def _lines(curves: list[Curve], name: str, scale: float) -> list[tuple[list[int], list[float]]]:
    return [
        (curve.epochs, [scale * metrics[name] for metrics in curve.metrics])
        for curve in curves
        if curve.metrics and all(name in metrics for metrics in curve.metrics)
    ]
