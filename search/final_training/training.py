"""Final training: a recipe alone, several seeds in parallel, held against what the recipe promised."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from search.export.recipe import Promise, Recipe
from search.final_training.controller import TrainingController
from search.final_training.model_card import write_model_card
from search.final_training.request import Asked, Changes, ask, load, outside_validated
from search.monitor.counts import count_runs
from search.monitor.messages import warn
from search.plan.data_validation import refuse_changed
from search.plan.model import file_name
from search.plan.record import training_record
from search.session import Options, execute_runs
from search.store.journal import Journal
from search.store.provenance import facts_of
from search.store.study_folder import new_folder, refuse_used
from search.store.yaml_files import dump, write_whole
from search.study.resources import Resources, change, decide, recalled
from trainables import records
from trainables.config import RunConfig
from trainables.randomness import derive_seed
from trainables.records import MODELS, Outcome, PlanRecord, Run

if TYPE_CHECKING:
    from trainables.data import Dataset

ARM = "final"
FULL_DATA = (
    "with --full-data the validation images are trained on, so there is no validation curve and nothing to notice "
    "overfitting by; the test set is read once, at the end"
)


@dataclass(frozen=True)
class Trained:
    """What a final training gave.

    Args:
        folder: where models, journal and logs are.
        accuracies: test accuracy by seed, of all runs that have one; also those that diverged.
        diverged: why, by seed, where the loss was no longer finite; such a run leaves no model.
        failures: why runs gave no result, by seed.
        models: the saved models by seed.
        card: the models' card, or None without any model.
        promise: what the recipe promised.
        expected: where the mean of so many new seeds is expected, with 95 %; None where it cannot be said.
        incomparable: why the promise is not for this training, or empty.
        undelivered: what MLflow has not received, in words, or empty.
    """

    folder: Path
    accuracies: dict[int, float]
    diverged: dict[int, str]
    failures: dict[int, str]
    models: dict[int, Path]
    card: Path | None
    promise: Promise
    expected: tuple[float, float] | None
    incomparable: str
    undelivered: str

    @property
    def agrees(self) -> bool | None:
        """Whether the mean lies where the promise lets it be expected; None where they cannot be compared."""
        if self.expected is None or self.incomparable:
            return None
        low, high = self.expected
        return low <= fmean(self.accuracies.values()) <= high


def train_recipe(
    recipe: Recipe, seeds: int, changes: Changes, folder: Path, options: Options, resources: Resources
) -> Trained:
    """Train a recipe in a new folder.

    Args:
        recipe: what to train.
        seeds: number of seeds.
        changes: what differs from the recipe.
        folder: where to.
        options: how.
        resources: what one run takes.

    Raises:
        InputError: the data is missing or not the recipe's, the length is not allowed, or the folder is used.
    """
    refuse_used(folder)
    asked, data = ask(recipe, seeds, changes)
    warn(outside_validated(recipe, asked.config.epochs))
    warn(FULL_DATA if asked.config.full_data else "")
    with new_folder(folder) as journal:
        write_whole(folder / records.RECIPE_FILE, dump(recipe.document()))
        journal.set_meta(records.META_ID, uuid.uuid4().hex)
        journal.set_meta(records.META_FACTS, facts_of(data).dump())
        journal.set_meta(records.META_RECIPE, asked.document())
        if changes.register:
            journal.set_meta(records.META_REGISTER, changes.register)
        journal.set_meta(records.META_PLAN, _plan(asked).dump())
        decide(journal, Resources(), resources)
        return _continue_training(asked, journal, folder, options, data)


def resume_training(folder: Path, options: Options, sets: Sequence[str] = ()) -> Trained:
    """Go on with a final training that was interrupted.

    Args:
        folder: where it is.
        options: how.
        sets: `resources.NAME=VALUE` each, for what one run takes from here on.

    Raises:
        InputError: there is none, it is damaged or running, its data has changed, or `sets` are not allowed.
    """
    with Journal.open(folder / records.JOURNAL_FILE) as journal:
        change(journal, Resources(), sets)
        asked = Asked.recalled(journal.meta(records.META_RECIPE))
        data = load(asked.config, asked.recipe, other=True)
        refuse_changed(data, journal.facts().data, f"the training in {folder} began")
        journal.set_meta(records.META_PLAN, _plan(asked).dump())
        return _continue_training(asked, journal, folder, options, data)


def _plan(asked: Asked) -> PlanRecord:
    """Return the plan as the journal keeps it: one arm, nothing compared."""
    method = asked.recipe.origin.method
    title = f"{asked.recipe.origin.study}: final training of {method}"
    return training_record(title, ARM, method, asked.config.epochs, asked.config.cost, asked.seeds)


def _continue_training(asked: Asked, journal: Journal, folder: Path, options: Options, data: Dataset) -> Trained:
    folder = folder.absolute()
    controller = TrainingController([_run(asked, index) for index in range(asked.seeds)], journal)
    plan = journal.plan() or _plan(asked)
    card, undelivered = execute_runs(
        controller,
        folder,
        recalled(journal, Resources()),
        None,
        options,
        data,
        title=f"final training of {asked.recipe.origin.method}",
        count=lambda: count_runs(plan, controller.progress()),
        conclude=lambda: _conclude(asked, controller, journal, folder),
    )
    return _trained(asked, controller, folder, card, undelivered)


def _run(asked: Asked, seed_index: int) -> Run:
    origin = asked.recipe.origin
    seeds = {
        "seed": derive_seed(origin.study_id, "final", seed_index),
        "split_seed": derive_seed(origin.study_id, "final split", seed_index),
    }
    config: RunConfig = asked.config.model_copy(update=seeds)
    return Run(
        name=file_name("train", origin.method, f"s{seed_index:03d}"),
        phase=records.TRAIN,
        condition=ARM,
        arm=ARM,
        method=origin.method,
        trial_index=None,
        point_index=None,
        seed_index=seed_index,
        audit=False,
        config=config.model_dump(mode="json"),
        parameters=config.parameters(),
    )


def _conclude(asked: Asked, controller: TrainingController, journal: Journal, folder: Path) -> Path | None:
    """Write the models' card beside them, where there is a model."""
    models = _models(controller, folder)
    if not models:
        return None
    accuracies = list(_accuracies(controller).values())
    return write_model_card(asked, journal, folder / MODELS, models, expected(asked.recipe.promise, len(accuracies)))


def _models(controller: TrainingController, folder: Path) -> dict[int, Path]:
    return {
        seed: folder / MODELS / f"{name}.keras" for seed, (name, _) in _ended(controller, [records.COMPLETED]).items()
    }


def _accuracies(controller: TrainingController) -> dict[int, float]:
    return {
        seed: outcome.metrics[records.TEST_ACCURACY]
        for seed, (_, outcome) in _ended(controller, records.OUTCOMES).items()
        if records.TEST_ACCURACY in outcome.metrics
    }


def _ended(controller: TrainingController, outcomes: Sequence[str]) -> dict[int, tuple[str, Outcome]]:
    """Return name and end of the runs that ended so, by seed, in order."""
    found = {controller.runs[name].seed_index: (name, end) for name, end in controller.outcomes.items()}
    return {seed: found[seed] for seed in sorted(found) if found[seed][1].outcome in outcomes}


def _trained(
    asked: Asked, controller: TrainingController, folder: Path, card: Path | None, undelivered: str
) -> Trained:
    accuracies = _accuracies(controller)
    lost = _ended(controller, [records.DIVERGED, records.FAILED])
    return Trained(
        folder=folder,
        accuracies=accuracies,
        diverged={seed: end.reason for seed, (_, end) in lost.items() if end.outcome == records.DIVERGED},
        failures={seed: end.reason for seed, (_, end) in lost.items() if end.outcome == records.FAILED},
        models=_models(controller, folder),
        card=card,
        promise=asked.recipe.promise,
        expected=expected(asked.recipe.promise, len(accuracies)),
        incomparable=asked.incomparable,
        undelivered=undelivered,
    )


def expected(promise: Promise, seeds: int) -> tuple[float, float] | None:
    """Return the 95 % prediction interval for the mean of so many new seeds; None where it cannot be said.

    Student's t with the promise's own spread: m + t s sqrt(1/n + 1/k) for n promised and k new seeds.
    """
    from scipy.stats import t

    if seeds < 1 or promise.seeds < 2:
        return None
    half = float(t.ppf(0.975, promise.seeds - 1)) * promise.spread * (1 / promise.seeds + 1 / seeds) ** 0.5
    return promise.test_accuracy - half, promise.test_accuracy + half
