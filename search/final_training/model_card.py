"""Gathers what a model card says from a final training's journal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.card.card import Card, SeedCurve, write_card
from search.store.yaml_files import dump
from trainables import records
from trainables.errors import InputError
from trainables.records import ConfusionDecision, DataFacts, JournalReader

if TYPE_CHECKING:
    from search.final_training.request import Asked
    from trainables.config import RunConfig


def write_model_card(
    asked: Asked, journal: JournalReader, folder: Path, models: dict[int, Path], expected: tuple[float, float] | None
) -> Path:
    """Write the card of a final training's models.

    Args:
        asked: what was trained.
        journal: what became of it.
        folder: where the models are.
        models: by seed.
        expected: where the mean over seeds was expected, if that can be said.

    Returns:
        the card's path.
    """
    runs = {row.run.name: row.run.seed_index for row in journal.runs()}
    outcomes = {runs[row.run]: row.outcome for row in journal.outcomes()}
    confusion = {
        runs[str(row.run)]: [list(counts) for counts in row.decision.counts]
        for row in journal.decisions(ConfusionDecision)
    }
    plan, facts = journal.plan(), journal.facts()
    if plan is None or facts.data is None:
        raise InputError(f"{journal.path} is not the journal of a final training")
    return write_card(
        Card(
            title=plan.name,
            models={seed: path.name for seed, path in models.items()},
            accuracies={
                seed: outcome.metrics[records.TEST_ACCURACY]
                for seed, outcome in sorted(outcomes.items())
                if records.TEST_ACCURACY in outcome.metrics
            },
            outcomes={seed: outcome.outcome for seed, outcome in sorted(outcomes.items())},
            class_names=facts.data.class_names[: asked.config.classes],
            confusion=[confusion[seed] for seed in models if seed in confusion],
            curves=_curves(journal, runs),
            data=_data(asked, facts.data),
            settings=dump(asked.config.model_dump(mode="json", exclude={"data", "seed", "split_seed"})),
            recipe=asked.recipe.document(),
            expected=None if asked.incomparable else expected,
            incomparable=asked.incomparable,
            full_data=asked.config.full_data,
            versions=facts.versions,
        ),
        folder,
    )


def _curves(journal: JournalReader, runs: dict[str, int]) -> list[SeedCurve]:
    found = {seed: SeedCurve(seed, [], []) for seed in sorted(runs.values())}
    for report in sorted(journal.reports(), key=lambda report: report.epoch):
        found[runs[report.run]].epochs.append(report.epoch)
        found[runs[report.run]].metrics.append(report.metrics)
    return list(found.values())


def _data(asked: Asked, facts: DataFacts) -> dict[str, Any]:
    source = asked.config.data.model_dump(mode="json")
    height, width, channels = facts.image_shape
    return {
        "source": source["source"],
        "place": source.get("path", ""),
        "fingerprint": facts.fingerprint,
        "size": f"{height} x {width}, {'grey' if channels == 1 else 'colour'}",
        "images": facts.images,
        "test_images": facts.test_images,
        "used": _used(asked.config),
    }


def _used(config: RunConfig) -> str:
    """Return which of the images were trained on."""
    share = "" if config.train_fraction == 1 else f"{100 * config.train_fraction:g} % of "
    validation = " and the validation images" if config.full_data else ""
    classes = f", of the first {config.classes} classes" if config.classes else ""
    noise = f"; {100 * config.label_noise:g} % of the labels wrong on purpose" if config.label_noise else ""
    return f"{share}what validation leaves{validation}{classes}{noise}"
