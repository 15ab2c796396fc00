"""Export: the best confirmed configuration of a study, as a recipe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from search.export.recipe import Measured, Origin, Promise, Recipe, sealed, write_recipe
from search.store.yaml_files import parse_value
from trainables import records
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.records import ArmRecord, ConditionRecord, DataFacts, JournalReader, Outcome, PlanRecord, Run
from trainables.registration.registry import unknown


@dataclass(frozen=True)
class Confirmed:
    """The confirmation runs of one arm at one pooled point, by seed."""

    arm: ArmRecord
    point: int
    runs: list[tuple[Run, Outcome]]

    @property
    def validation(self) -> float:
        """The mean judged validation metric over seeds."""
        return fmean(outcome.metrics[records.SELECTION] for _, outcome in self.runs)


@dataclass(frozen=True)
class Exported:
    """What was chosen, and what has to be said about the choice."""

    recipe: Recipe
    notes: tuple[str, ...] = ()


def export_recipe(folder: Path, mlflow_runs: dict[str, str] | None = None) -> Path:
    """Write the best configuration of a whole study (see `choose`) into its folder.

    Args:
        folder: the study's folder.
        mlflow_runs: ids in MLflow by run.

    Returns:
        the recipe's path.
    """
    path = folder / records.RECIPE_FILE
    write_recipe(choose(folder, mlflow_runs=mlflow_runs).recipe, path)
    return path


def choose(
    folder: Path, condition: str | None = None, method: str | None = None, mlflow_runs: dict[str, str] | None = None
) -> Exported:
    """Return the configuration with the best mean validation metric over its confirmation seeds.

    Points with fewer finished seeds than others of their condition are left out: their means say less, and may be
    better by that alone.

    Args:
        folder: the study's folder.
        condition: only this condition, by its name, or those with these factors, as `factor=value[,factor=value]`;
            by default any.
        method: only this method; by default any.
        mlflow_runs: ids in MLflow by run.

    Raises:
        InputError: there is no such study, condition or method, or nothing is confirmed yet.
    """
    with JournalReader.open(folder) as journal:
        plan = _plan(journal, folder)
        conditions = _conditions(plan.conditions, condition)
        _check_method(plan.arms, method, conditions)
        confirmed = [
            item
            for item in _confirmed(journal, plan.arms)
            if item.arm.condition in conditions and method in (None, item.arm.method)
        ]
        if not confirmed:
            raise InputError(f"nothing is confirmed yet in {folder}. Finish it with `assay resume {folder}`.")
        complete, notes = _complete(confirmed, plan.seeds)
        best = max(complete, key=lambda item: records.as_maximized(plan.metric, item.validation))
        return Exported(sealed(_recipe(journal, plan, best, mlflow_runs or {})), notes)


def _plan(journal: JournalReader, folder: Path) -> PlanRecord:
    plan = journal.plan()
    if plan is None:
        raise InputError(f"the study in {folder} was stopped before it was announced; there is nothing to export")
    if journal.meta(records.META_RECIPE):
        raise InputError(f"{folder} is a final training, not a study; its recipe is {folder / records.RECIPE_FILE}")
    return plan


def _conditions(conditions: Sequence[ConditionRecord], asked: str | None) -> set[str]:
    """Return the names of the conditions that are meant.

    Raises:
        InputError: none is.
    """
    names = [item.name for item in conditions]
    if asked is None or asked in names:
        return set(names) if asked is None else {asked}
    wanted = {_factor(part) for part in asked.split(",")}
    meant = {
        item.name for item in conditions if wanted <= {_factor(f"{key}={value}") for key, value in item.values.items()}
    }
    if not meant:
        raise InputError(unknown("condition of this study", asked, names))
    return meant


def _factor(text: str) -> tuple[str, str]:
    """Return factor and value of `factor=value`; 0.10 and 1e-1 are the same value."""
    name, _, value = text.partition("=")
    parsed = parse_value(value) if value.strip() else value
    number = isinstance(parsed, int | float) and not isinstance(parsed, bool)
    return name.strip(), repr(float(parsed)) if number else value.strip()


def _check_method(arms: Sequence[ArmRecord], method: str | None, conditions: set[str]) -> None:
    own = [arm.method for arm in arms if arm.condition in conditions and arm.searched]
    if method is None or method in own:
        return
    if method in {arm.method for arm in arms if not arm.searched}:
        raise InputError(
            f"`{method}` is there for comparison at another method's compute and was not tuned at that length, so "
            f"there is nothing to export. Choose from: {', '.join(dict.fromkeys(own))}."
        )
    raise InputError(unknown("method of this study", method, list(dict.fromkeys(own))))


def _confirmed(journal: JournalReader, arms: Sequence[ArmRecord]) -> list[Confirmed]:
    """Return the points at which tuned arms were confirmed, each with the runs that have a result."""
    tuned = {arm.name: arm for arm in arms if arm.searched}
    outcomes = {row.run: row.outcome for row in journal.outcomes()}
    groups: dict[tuple[str, int], list[tuple[Run, Outcome]]] = {}
    for _, run, _ in journal.runs():
        outcome = outcomes.get(run.name)
        if run.phase == records.CONFIRM and run.arm in tuned and outcome and _has_result(outcome):
            groups.setdefault((run.arm, run.index), []).append((run, outcome))
    return [Confirmed(tuned[arm], point, runs) for (arm, point), runs in groups.items()]


def _has_result(outcome: Outcome) -> bool:
    return {records.TEST_ACCURACY, records.SELECTION} <= set(outcome.metrics)


def _complete(confirmed: Sequence[Confirmed], planned: int) -> tuple[list[Confirmed], tuple[str, ...]]:
    """Return the points with as many seeds as any of their condition, and what was left out."""
    most: dict[str, int] = {}
    for item in confirmed:
        name = item.arm.condition
        most[name] = max(most.get(name, 0), len(item.runs))
    complete = [item for item in confirmed if len(item.runs) == most[item.arm.condition]]
    notes = [
        f"left out: {item.arm.method}, {item.arm.condition}, point {item.point}: {len(item.runs)} of "
        f"{most[item.arm.condition]} seeds have a result"
        for item in confirmed
        if item not in complete
    ]
    fewest = min(most.values())
    if fewest < planned:
        notes.append(f"the study is at {fewest} of {planned} confirmation seeds")
    return complete, tuple(notes)


def _recipe(journal: JournalReader, plan: PlanRecord, best: Confirmed, mlflow_runs: dict[str, str]) -> Recipe:
    facts = journal.facts()
    data = facts.data or DataFacts(fingerprint="")
    configs = [run.config for run, _ in best.runs]
    train = RunConfig.model_validate({**configs[0], "seed": 0, "split_seed": 0})
    names = [run.name for run, _ in best.runs]
    return Recipe(
        train=train,
        milestone_epochs=[fraction * train.epochs for fraction in train.milestone_fractions],
        fingerprint=data.fingerprint or None,
        class_names=list(data.class_names),
        image_shape=list(data.image_shape),
        brings=list(data.brings),
        promise=_promise([outcome.metrics for _, outcome in best.runs]),
        origin=Origin(
            study=plan.name,
            study_id=journal.meta(records.META_ID),
            condition=best.arm.condition,
            method=best.arm.method,
            runs=names,
            seeds=[(config["seed"], config["split_seed"]) for config in configs],
            epochs=_lengths(plan, best, _confirmed(journal, plan.arms)),
            mlflow_runs={name: mlflow_runs[name] for name in names if name in mlflow_runs},
            versions=facts.versions,
        ),
    )


def _lengths(plan: PlanRecord, best: Confirmed, confirmed: Sequence[Confirmed]) -> list[int]:
    """Return the training lengths at which the method was confirmed where all else was equal."""
    rest = {
        condition.name: {key: value for key, value in condition.values.items() if key != "epochs"}
        for condition in plan.conditions
    }
    alike = rest[best.arm.condition]
    lengths = {
        int(item.runs[0][0].config["epochs"])
        for item in confirmed
        if item.arm.method == best.arm.method and rest[item.arm.condition] == alike
    }
    return sorted(lengths)


def _promise(results: Sequence[dict[str, float]]) -> Promise:
    found = {
        name: _measured([metrics[name] for metrics in results], math.inf if name == records.TEST_LOSS else 1.0)
        for name in records.TEST_METRICS
        if all(name in metrics for metrics in results)
    }
    first = found[records.TEST_ACCURACY]
    return Promise(
        test_accuracy=first.mean, low=first.low, high=first.high, spread=first.spread, seeds=len(results), metrics=found
    )


def _measured(values: Sequence[float], most: float) -> Measured:
    """Return mean and interval, cut where the figure cannot be: below 0, and above `most`."""
    from scipy.stats import t

    n, mean = len(values), fmean(values)
    spread = stdev(values) if n > 1 else 0.0
    half = float(t.ppf(0.975, n - 1)) * spread / n**0.5 if n > 1 else 0.0
    return Measured(mean=mean, low=max(0.0, mean - half), high=min(most, mean + half), spread=spread)
