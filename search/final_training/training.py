"""Final training: trains a recipe with several seeds and compares the mean test accuracy with the study's."""

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
from search.final_training.request import (
    RecipeOverrides,
    TrainingRequest,
    length_warning,
    load_data,
    prepare_request,
)
from search.monitor.counts import count_runs
from search.monitor.messages import note, warn
from search.plan.data_validation import check_code, refuse_changed
from search.plan.model import file_name
from search.plan.record import training_record
from search.session import Options, execute_runs, refuse_unusable_gpus
from search.store.journal import Journal
from search.store.provenance import facts_of
from search.store.study_folder import clear_unfinished, new_folder, refuse_used
from search.store.yaml_files import dump
from search.study.data_place import find_source, find_sources, load_hint, note_place, relative_places
from search.study.resources import Resources, current_resources, override_resources, record_resources
from trainables import records
from trainables.backends.keras_settings import check_keras_settings
from trainables.config import RunConfig
from trainables.data.sharing import shared
from trainables.errors import InputError
from trainables.randomness import derive_seed
from trainables.records import MODELS, Outcome, PlanRecord, Run
from trainables.records.atomic import write_atomically

if TYPE_CHECKING:
    from trainables.data import Dataset

ARM = "final"
"""Name of the only arm and condition of a final training."""
FULL_DATA_WARNING = (
    "with --full-data the validation images are used for training, so there is no validation curve to detect "
    "overfitting; the test set is evaluated once, at the end"
)


@dataclass(frozen=True)
class TrainingResult:
    """Result of a final training.

    Args:
        folder: folder of models, journal and logs.
        accuracies: test accuracy by seed, of all runs that have one, including those that diverged.
        warnings: by seed, what is wrong with runs that were completed, such as that the network has not learned.
        diverged: reason by seed of runs whose loss became non-finite; such a run has no model.
        failures: reason by seed of runs that failed.
        models: paths of the saved models by seed.
        card: path of the model card, or None without models.
        promise: the promise of the recipe.
        expected: 95 % prediction interval of the mean test accuracy, or None with too few seeds.
        incomparable: why the result cannot be compared with the promise, or empty.
        undelivered: what MLflow has not received, in words, or empty.
    """

    folder: Path
    accuracies: dict[int, float]
    warnings: dict[int, str]
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
        """Whether the mean lies in the prediction interval; None if it cannot be compared with the promise."""
        if self.expected is None or self.incomparable:
            return None
        low, high = self.expected
        return low <= fmean(self.accuracies.values()) <= high


def train_recipe(
    recipe: Recipe, seeds: int, overrides: RecipeOverrides, folder: Path, options: Options, resources: Resources
) -> TrainingResult:
    """Train a recipe in a new folder.

    Args:
        recipe: the recipe.
        seeds: number of runs, each with its own seed.
        overrides: options that differ from the recipe.
        folder: the new folder.
        options: how runs are executed.
        resources: resources of one run.

    Raises:
        InputError: the data is missing or does not fit the recipe, the length is invalid, or the folder is in use.
    """
    refuse_used(folder)
    refuse_unusable_gpus(resources, options)
    request, data = prepare_request(recipe, seeds, overrides)
    warn(f"in the study, {recipe.promise.warning}" if recipe.promise.warning else "")
    warn(length_warning(recipe, request.config.epochs))
    warn(FULL_DATA_WARNING if request.config.full_data else "")
    with new_folder(folder) as journal:
        write_atomically(folder / records.RECIPE_FILE, dump(recipe.document()))
        journal.set_meta_once(records.META_ID, uuid.uuid4().hex)
        journal.set_meta_once(records.META_FACTS, facts_of({"": data}).dump())
        journal.set_meta_once(records.META_RECIPE, request.document())
        journal.set_meta_once(records.META_DATA, relative_places(request.config.data.model_dump(mode="json"), folder))
        if overrides.register:
            journal.set_meta_once(records.META_REGISTER, overrides.register)
        journal.set_meta_once(records.META_PLAN, _plan(request).dump())
        record_resources(journal, Resources(), resources)
        return _continue_training(request, journal, folder, options, data)


def resume_training(
    folder: Path, options: Options, sets: Sequence[str] = (), moved: Sequence[str] = ()
) -> TrainingResult:
    """Resume an interrupted final training.

    Args:
        folder: its folder.
        options: how runs are executed.
        sets: changes to the resources of a run from here on, as `resources.NAME=VALUE`.
        moved: where the images are now, if they were moved: a path, or a source as YAML.

    Raises:
        InputError: there is no training, it is damaged or running, its data has changed, or `sets` are invalid.
    """
    with Journal.open(folder / records.JOURNAL_FILE) as journal:
        clear_unfinished(folder)
        override_resources(journal, Resources(), sets)
        request = TrainingRequest.model_validate(journal.meta(records.META_RECIPE))
        source = find_sources(journal, {"": request.config.data}, folder, moved)[""]
        now = request.config.model_copy(update={"data": source})
        check_keras_settings()
        check_code(now)
        try:
            data = load_data(now, request.recipe, other=True)
        except InputError as error:
            raise InputError(f"{error}{load_hint({'': source})}") from None
        refuse_changed(data, journal.facts().data, f"the training in {folder} began")
        if place := note_place(journal, request.config.data, source, folder):
            note(place)
        journal.set_meta_once(records.META_PLAN, _plan(request).dump())
        return _continue_training(request, journal, folder, options, data)


def _plan(request: TrainingRequest) -> PlanRecord:
    """Return the plan record: one arm, no contrasts."""
    method = request.recipe.origin.method
    title = f"{request.recipe.origin.study}: final training of {method}"
    return training_record(title, ARM, method, request.config.epochs, request.config.cost, request.seeds)


def _continue_training(
    request: TrainingRequest, journal: Journal, folder: Path, options: Options, data: Dataset
) -> TrainingResult:
    folder = folder.absolute()
    controller = TrainingController([_run(request, index) for index in range(request.seeds)], journal)
    plan = journal.required_plan()
    card, undelivered = execute_runs(
        controller,
        folder,
        current_resources(journal, Resources()),
        None,
        options,
        {"": shared(data, find_source(journal, request.config.data, folder, None))},
        title=f"final training of {request.recipe.origin.method}",
        count=lambda: count_runs(plan, controller.progress()),
        conclude=lambda: _conclude(request, controller, journal, folder),
    )
    return _training_result(request, controller, folder, card, undelivered)


def _run(request: TrainingRequest, seed_index: int) -> Run:
    origin = request.recipe.origin
    seeds = {
        "seed": derive_seed(origin.study_id, "final", seed_index),
        "split_seed": derive_seed(origin.study_id, "final split", seed_index),
    }
    config: RunConfig = request.config.model_copy(update=seeds)
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


def _conclude(request: TrainingRequest, controller: TrainingController, journal: Journal, folder: Path) -> Path | None:
    """Write the model card, if there is a model."""
    models = _models(controller, folder)
    if not models:
        return None
    accuracies = list(_accuracies(controller).values())
    return write_model_card(
        request, journal, folder / MODELS, models, prediction_interval(request.recipe.promise, len(accuracies))
    )


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
    """Return (name, outcome) of the runs with one of some outcomes, by seed, in order."""
    found = {controller.runs[name].seed_index: (name, end) for name, end in controller.outcomes.items()}
    return {seed: found[seed] for seed in sorted(found) if found[seed][1].outcome in outcomes}


def _reasons(controller: TrainingController, outcome: str) -> dict[int, str]:
    """Return the reasons of the runs with an outcome, by seed; that of a completed run is empty, or a warning."""
    return {seed: end.reason for seed, (_, end) in _ended(controller, [outcome]).items()}


def _training_result(
    request: TrainingRequest, controller: TrainingController, folder: Path, card: Path | None, undelivered: str
) -> TrainingResult:
    accuracies = _accuracies(controller)
    reasons = {kind: _reasons(controller, kind) for kind in records.OUTCOMES}
    return TrainingResult(
        folder=folder,
        accuracies=accuracies,
        warnings={seed: reason for seed, reason in reasons[records.COMPLETED].items() if reason},
        diverged=reasons[records.DIVERGED],
        failures=reasons[records.FAILED],
        models=_models(controller, folder),
        card=card,
        promise=request.recipe.promise,
        expected=prediction_interval(request.recipe.promise, len(accuracies)),
        incomparable=request.incomparable,
        undelivered=undelivered,
    )


def prediction_interval(promise: Promise, seeds: int) -> tuple[float, float] | None:
    """Return the 95 % prediction interval of the mean test accuracy over new seeds, or None with too few seeds.

    The interval is m +- t s sqrt(1/n + 1/k) for n seeds in the study with mean m and standard deviation s, k new seeds,
    and the quantile t of Student's distribution with n - 1 degrees of freedom.

    Args:
        promise: result of the recipe in its study.
        seeds: number of new seeds.

    >>> promise = Promise(test_accuracy=0.9, low=0.88, high=0.92, spread=0.01, seeds=4)
    >>> [round(end, 3) for end in prediction_interval(promise, 4)]
    [0.877, 0.923]
    """
    from reports.statistics.estimators import Estimate

    if seeds < 1 or promise.seeds < 2:
        return None
    mean, error = promise.test_accuracy, promise.spread * (1 / promise.seeds + 1 / seeds) ** 0.5
    interval = Estimate(mean, error, promise.seeds - 1).interval
    return (interval.low, interval.high) if interval else (mean, mean)
