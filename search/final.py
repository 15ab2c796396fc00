"""Final training: a recipe alone, several seeds in parallel, held against what the recipe promised."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from search.checks import check_config
from search.conductor import Rows
from search.files import dump, write_whole
from search.journal import Journal, Outcome, Run
from search.lifecycle import check_on_data, refuse_changed
from search.plan import file_name
from search.progress import Seen, Tally, tally
from search.recipe import Promise, Recipe
from search.session import Options, carry_out, facts, refuse_used
from search.study import Resources
from trainables import records
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.job import Final
from trainables.randomness import derive_seed
from trainables.schedules import selection_epochs

if TYPE_CHECKING:
    from trainables.data import Dataset

ARM = "final"


@dataclass(frozen=True)
class Trained:
    """What a final training gave.

    Args:
        folder: where models, journal and logs are.
        accuracies: test accuracy by seed, of the runs that completed.
        failures: why runs failed, by seed.
        models: the saved models by seed.
        promise: what the recipe promised.
        agrees: whether the mean lies where the promise lets it expect; None where the length was changed, or with
            no result.
        undelivered: what MLflow has not received, in words, or empty.
    """

    folder: Path
    accuracies: dict[int, float]
    failures: dict[int, str]
    models: dict[int, Path]
    promise: Promise
    agrees: bool | None
    undelivered: str


class FinalConductor:
    """Hands out one run for each seed (see `search.conductor.Conducts`)."""

    def __init__(self, runs: list[Run], journal: Journal) -> None:
        self.runs = {run.name: run for run in runs}
        self._journal = journal
        known = {run.name for _, run in journal.runs()}
        self.outcomes: dict[str, Outcome] = {name: outcome for _, name, outcome, _ in journal.outcomes()}
        self.curves: dict[str, dict[int, float]] = {name: {} for name in self.runs}
        for _, name, epoch, metrics, _ in journal.reports():
            self.curves[name][epoch] = metrics[records.VALIDATION_ACCURACY]
        self._journal.add_runs([run for run in runs if run.name not in known])
        self._waiting = [name for name in self.runs if name not in self.outcomes]

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        return len(self.outcomes) == len(self.runs)

    def next_run(self) -> Run | None:
        """Return the next seed's run, or None."""
        return self.runs[self._waiting.pop(0)] if self._waiting else None

    def rungs(self, run: Run) -> tuple[int, ...]:
        """Return nothing: a final training is never stopped early."""
        return ()

    def reported(self, name: str, rows: Rows) -> bool:
        """Write epochs down."""
        self._journal.report(name, rows)
        for epoch, metrics in rows:
            self.curves[name].setdefault(epoch, metrics[records.VALIDATION_ACCURACY])
        return False

    def ended(self, name: str, final: Final) -> None:
        """Write down how a run ended."""
        if name in self.outcomes:
            return
        curve, metrics = self.curves[name], dict(final.metrics)
        if final.outcome == records.COMPLETED:
            last = sorted(curve)[-selection_epochs(int(self.runs[name].config["epochs"])) :]
            metrics[records.SELECTION] = fmean(curve[epoch] for epoch in last)
        epoch = max(curve, default=0) if final.epoch is None else final.epoch
        self.outcomes[name] = Outcome(final.outcome, epoch, final.reason, metrics)
        self._journal.end(name, self.outcomes[name], final.correct, final.loss)


def train_recipe(recipe: Recipe, seeds: int, epochs: int | None, folder: Path, options: Options) -> Trained:
    """Train a recipe in a new folder.

    Args:
        recipe: what to train.
        seeds: number of seeds.
        epochs: another training length, or None for the recipe's; milestones and schedules are fractions and go
            along.
        folder: where to.
        options: how.

    Raises:
        InputError: the data is missing or not the recipe's, the length is not allowed, or the folder is used.
    """
    refuse_used(folder)
    config = _lengthened(recipe.train, epochs)
    data = _checked_data(recipe, config)
    with Journal.create(folder / records.JOURNAL_FILE) as journal:
        write_whole(folder / records.RECIPE_FILE, dump(recipe.document()))
        journal.set_meta(records.META_ID, uuid.uuid4().hex)
        journal.set_meta(records.META_FACTS, facts(data))
        journal.set_meta(records.META_RECIPE, {"recipe": recipe.document(), "seeds": seeds, "epochs": epochs})
        journal.set_meta(records.META_PLAN, _plan(recipe, config, seeds))
        return _go_on(recipe, config, seeds, journal, folder, options, data)


def resume_training(folder: Path, options: Options) -> Trained:
    """Go on with a final training that was interrupted.

    Raises:
        InputError: there is none, it is damaged or running, or its data has changed.
    """
    with Journal.open(folder / records.JOURNAL_FILE) as journal:
        asked = journal.meta(records.META_RECIPE)
        recipe = Recipe.model_validate(asked["recipe"])
        config = _lengthened(recipe.train, asked["epochs"])
        data = _checked_data(recipe, config)
        journal.set_meta(records.META_PLAN, _plan(recipe, config, asked["seeds"]))
        return _go_on(recipe, config, asked["seeds"], journal, folder, options, data)


def _lengthened(config: RunConfig, epochs: int | None) -> RunConfig:
    if epochs is None:
        return config
    if epochs < 1:
        raise InputError(f"--epochs must be at least 1, but got {epochs}")
    return RunConfig.model_validate({**config.model_dump(mode="json"), "epochs": epochs})


def _checked_data(recipe: Recipe, config: RunConfig) -> Dataset:
    check_config(config)
    data = config.data.load()
    check_on_data(config, data)
    if recipe.fingerprint:
        refuse_changed(data, {"fingerprint": recipe.fingerprint}, "the recipe was written")
    return data


def _plan(recipe: Recipe, config: RunConfig, seeds: int) -> dict[str, Any]:
    """Return the plan as the journal keeps it (see `records.PLAN`): one arm, nothing compared."""
    epochs = config.epochs
    condition = {"name": ARM, "values": {}, "epochs": epochs, "selection_epochs": selection_epochs(epochs), "rungs": []}
    arm = {
        "name": ARM,
        "method": recipe.origin.method,
        "condition": ARM,
        "cost": config.cost,
        "reference": True,
        "parameters": {},
    }
    return {
        "name": f"{recipe.origin.study}: final training of {recipe.origin.method}",
        "metric": records.VALIDATION_ACCURACY,
        "smallest_effect": 0.005,
        "alpha": 0.05,
        "seeds": 0,
        "points": 0,
        "trials_per_arm": 0,
        "final_seeds": seeds,
        "conditions": [condition],
        "arms": [arm],
        "contrasts": [],
    }


def _go_on(
    recipe: Recipe, config: RunConfig, seeds: int, journal: Journal, folder: Path, options: Options, data: Dataset
) -> Trained:
    folder = folder.absolute()
    conductor = FinalConductor([_run(recipe, config, s) for s in range(seeds)], journal)
    plan = journal.meta(records.META_PLAN)
    _, undelivered = carry_out(
        conductor,
        folder,
        options.resources or Resources(),
        None,
        options,
        data,
        title=f"final training of {recipe.origin.method}",
        count=lambda: _count(conductor, plan),
        conclude=lambda: None,
    )
    return _trained(recipe, config, conductor, folder, undelivered)


def _run(recipe: Recipe, config: RunConfig, s: int) -> Run:
    seed = derive_seed(recipe.origin.study_id, "final", s)
    seeded = config.model_copy(
        update={"seed": seed, "split_seed": derive_seed(recipe.origin.study_id, "final split", s)}
    )
    return Run(
        name=file_name("train", recipe.origin.method, f"s{s:03d}"),
        phase=records.TRAIN,
        condition=ARM,
        arm=ARM,
        method=recipe.origin.method,
        k=0,
        seed=s,
        audit=False,
        config=seeded.model_dump(mode="json"),
        parameters=seeded.parameters(),
    )


def _count(conductor: FinalConductor, plan: dict[str, Any]) -> Tally:
    seen = [
        Seen(conductor.runs[name], max(curve, default=0), conductor.outcomes.get(name))
        for name, curve in list(conductor.curves.items())
    ]
    return tally(plan, seen)


def _trained(recipe: Recipe, config: RunConfig, conductor: FinalConductor, folder: Path, undelivered: str) -> Trained:
    outcomes = {conductor.runs[name].seed: (name, outcome) for name, outcome in conductor.outcomes.items()}
    accuracies = {
        seed: outcome.metrics[records.TEST_ACCURACY]
        for seed, (_, outcome) in sorted(outcomes.items())
        if outcome.outcome == records.COMPLETED
    }
    return Trained(
        folder=folder,
        accuracies=accuracies,
        failures={
            seed: outcome.reason
            for seed, (_, outcome) in sorted(outcomes.items())
            if outcome.outcome != records.COMPLETED
        },
        models={seed: folder / "models" / f"{outcomes[seed][0]}.keras" for seed in accuracies},
        promise=recipe.promise,
        agrees=_agrees(recipe.promise, list(accuracies.values())) if config.epochs == recipe.train.epochs else None,
        undelivered=undelivered,
    )


def _agrees(promise: Promise, accuracies: list[float]) -> bool | None:
    """Return whether a mean lies in the 95 % prediction interval for the mean of so many new seeds."""
    from scipy.stats import t

    if not accuracies or promise.seeds < 2:
        return None
    spread = max(promise.spread, stdev(accuracies) if len(accuracies) > 1 else 0.0)
    half = float(t.ppf(0.975, promise.seeds - 1)) * spread * (1 / promise.seeds + 1 / len(accuracies)) ** 0.5
    return abs(fmean(accuracies) - promise.test_accuracy) <= half
