"""Model card of a final training: collects its content from the journal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reports.card.card import Card, CardData, SeedCurve, write_card
from search.store.yaml_files import dump
from trainables import records
from trainables.errors import InputError
from trainables.records import ConfusionDecision, DataFacts, JournalReader

if TYPE_CHECKING:
    from search.final_training.request import TrainingRequest
    from trainables.config import RunConfig


def write_model_card(
    request: TrainingRequest,
    journal: JournalReader,
    folder: Path,
    models: dict[int, Path],
    expected: tuple[float, float] | None,
) -> Path:
    """Write the model card of a final training.

    Args:
        request: the request of the training.
        journal: its journal.
        folder: folder of the models.
        models: paths of the models by seed.
        expected: prediction interval of the mean test accuracy, or None if unknown.

    Returns:
        Path of the card.

    Raises:
        InputError: the journal is not one of a final training.
    """
    runs = {row.run.name: row.run.seed_index for row in journal.runs()}
    outcomes = {runs[row.run]: row.outcome for row in journal.outcomes()}
    confusion = {
        runs[str(row.run)]: [list(counts) for counts in row.decision.counts]
        for row in journal.decisions(ConfusionDecision)
    }
    plan, facts = journal.required_plan(), journal.facts()
    if facts.data is None:
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
            warnings={seed: outcomes[seed].reason for seed in models if outcomes[seed].reason},
            class_names=facts.data.class_names[: request.config.classes],
            confusion=[confusion[seed] for seed in models if seed in confusion],
            curves=_curves(journal, runs),
            data=_data(request.config, facts.data),
            settings=dump(request.config.model_dump(mode="json", exclude={"data", "seed", "split_seed"})),
            recipe=request.recipe.document(),
            expected=None if request.incomparable else expected,
            incomparable=request.incomparable,
            full_data=request.config.full_data,
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


def _data(config: RunConfig, facts: DataFacts) -> CardData:
    source = config.data.model_dump(mode="json")
    height, width, channels = facts.image_shape
    return CardData(
        source=source["source"],
        place=source.get("path", ""),
        fingerprint=facts.fingerprint,
        size=f"{height} x {width}, {'grey' if channels == 1 else 'colour'}",
        images=facts.images,
        test_images=facts.test_images,
        used=_used(config),
    )


def _used(config: RunConfig) -> str:
    """Return in words which images were used for training."""
    share = "" if config.train_fraction == 1 else f"{100 * config.train_fraction:g} % of "
    validation = " and the validation images" if config.full_data else ""
    classes = f", of the first {config.classes} classes" if config.classes else ""
    noise = (
        f"; {100 * config.label_noise:g} % of the labels replaced by random other ones" if config.label_noise else ""
    )
    return f"{share}the images that are not used for validation{validation}{classes}{noise}"
