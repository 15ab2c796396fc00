"""Selection of the best confirmed configuration of a study, exported as a recipe."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from search.export.recipe import MetricEstimate, Origin, Promise, Recipe, with_checksum, write_recipe
from search.store.yaml_files import parse_value
from search.study.data_levels import name_of
from search.study.data_place import recorded_settings
from trainables import records
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.records import (
    ArmRecord,
    ConditionRecord,
    DataFacts,
    JournalReader,
    LookDecision,
    Outcome,
    PlanRecord,
    Run,
    settled_seeds,
)
from trainables.registration.registry import lacks


class NothingConfirmedError(InputError):
    """No configuration has a confirmation run with a result."""


class ConfirmedRun(NamedTuple):
    """A confirmation run with its result."""

    run: Run
    outcome: Outcome


@dataclass(frozen=True)
class ConfirmedPoint:
    """The confirmation runs of one arm at one pooled point, one per seed."""

    arm: ArmRecord
    point: int
    runs: list[ConfirmedRun]

    @property
    def validation(self) -> float:
        """Mean selection metric over seeds."""
        return fmean(one.outcome.metrics[records.SELECTION] for one in self.runs)


@dataclass(frozen=True)
class Export:
    """The recipe of the selected configuration, and remarks about the selection."""

    recipe: Recipe
    notes: tuple[str, ...] = ()


def export_recipe(folder: Path, mlflow_runs: dict[str, str] | None = None) -> Path:
    """Write the recipe of the best configuration (see `select_best`) to the study folder.

    Args:
        folder: the study folder.
        mlflow_runs: MLflow ids by name of the run.

    Returns:
        Path of the recipe.
    """
    path = folder / records.RECIPE_FILE
    write_recipe(select_best(folder, mlflow_runs=mlflow_runs).recipe, path)
    return path


def select_best(
    folder: Path, condition: str | None = None, method: str | None = None, mlflow_runs: dict[str, str] | None = None
) -> Export:
    """Return the configuration with the best mean validation metric over its confirmation seeds.

    Points with fewer finished seeds than others of their condition are excluded: their means vary more, and may be
    better for that reason alone.

    Args:
        folder: the study folder.
        condition: consider this condition only, by its name, or those with these factors, as
            `factor=value[,factor=value]`; by default all, in a study on several data sets those on the first.
        method: consider this method only; by default all.
        mlflow_runs: MLflow ids by name of the run.

    Raises:
        InputError: there is no such study, condition or method, or (`NothingConfirmedError`) nothing is confirmed yet.
    """
    with JournalReader.open(folder) as journal:
        journal.check()
        plan = _plan(journal, folder)
        conditions = _matching_conditions(plan.conditions, condition)
        _check_method(plan.arms, method, conditions)
        confirmed = [
            point
            for point in _confirmed_points(journal, plan.arms)
            if point.arm.condition in conditions and method in (None, point.arm.method)
        ]
        if not confirmed:
            raise NothingConfirmedError(
                f"nothing is confirmed yet in {folder}. Finish it with `assay resume {shlex.quote(str(folder))}`."
            )
        looks = [row.decision for row in journal.decisions(LookDecision)]
        complete, notes = _complete_points(confirmed, plan.seeds, looks)
        if condition is None:
            complete, remark = _on_first_data(complete, plan)
            notes += remark
        best = max(complete, key=lambda point: records.as_maximized(plan.metric, point.validation))
        recipe = with_checksum(_recipe(journal, plan, best, mlflow_runs or {}))
        return Export(recipe, (*notes, *filter(None, [recipe.promise.warning])))


def _plan(journal: JournalReader, folder: Path) -> PlanRecord:
    plan = journal.plan()
    if plan is None:
        raise InputError(f"the study in {folder} was stopped before it was planned; there is nothing to export")
    if journal.is_final_training:
        raise InputError(f"{folder} is a final training, not a study; its recipe is {folder / records.RECIPE_FILE}")
    return plan


def _matching_conditions(conditions: Sequence[ConditionRecord], selector: str | None) -> set[str]:
    """Return the names of the conditions with a name or with some factors; all if there is no selector.

    Raises:
        InputError: there is no such condition.
    """
    names = [condition.name for condition in conditions]
    if selector is None or selector in names:
        return set(names) if selector is None else {selector}
    wanted = {_parse_factor(part) for part in selector.split(",")}
    found = {
        condition.name
        for condition in conditions
        if wanted <= {_parse_factor(f"{key}={value}") for key, value in condition.values.items()}
    }
    if not found:
        raise InputError(lacks("this study", "condition", selector, names))
    return found


def _parse_factor(text: str) -> tuple[str, str]:
    """Return factor and value of `factor=value`; the values 0.10 and 1e-1 are equal, and so are true and True."""
    name, _, value = text.partition("=")
    parsed = parse_value(value) if value.strip() else value
    if isinstance(parsed, bool):
        return name.strip(), repr(parsed)
    return name.strip(), repr(float(parsed)) if records.is_number(parsed) else value.strip()


def _check_method(arms: Sequence[ArmRecord], method: str | None, conditions: set[str]) -> None:
    tuned = [arm.method for arm in arms if arm.condition in conditions and arm.searched]
    if method is None or method in tuned:
        return
    if method in {arm.method for arm in arms if not arm.searched}:
        raise InputError(
            f"`{method}` only serves the comparison at equal compute and was not tuned at that length, so it cannot be "
            f"exported. Choose from: {', '.join(dict.fromkeys(tuned))}."
        )
    raise InputError(lacks("this study", "method", method, list(dict.fromkeys(tuned))))


def _confirmed_points(journal: JournalReader, arms: Sequence[ArmRecord]) -> list[ConfirmedPoint]:
    """Return the points at which tuned arms were confirmed, with the runs that have a result."""
    tuned = {arm.name: arm for arm in arms if arm.searched}
    outcomes = {row.run: row.outcome for row in journal.outcomes()}
    groups: dict[tuple[str, int], list[ConfirmedRun]] = {}
    for _, run, _ in journal.runs():
        outcome = outcomes.get(run.name)
        if run.phase == records.CONFIRM and run.arm in tuned and outcome and _has_result(outcome):
            groups.setdefault((run.arm, run.index), []).append(ConfirmedRun(run, outcome))
    return [ConfirmedPoint(tuned[arm], point, runs) for (arm, point), runs in groups.items()]


def _has_result(outcome: Outcome) -> bool:
    return {records.TEST_ACCURACY, records.SELECTION} <= set(outcome.metrics)


def _complete_points(
    confirmed: Sequence[ConfirmedPoint], planned: int, looks: Sequence[LookDecision]
) -> tuple[list[ConfirmedPoint], tuple[str, ...]]:
    """Return the points with the most seeds of their condition, and remarks about the others.

    Arms that a look stopped have fewer seeds by intention; they are compared with those that were stopped with them.
    """

    def group(item: ConfirmedPoint) -> tuple[str, int | None]:
        return item.arm.condition, settled_seeds(looks, item.arm.condition, item.arm.method)

    most: dict[tuple[str, int | None], int] = {}
    for item in confirmed:
        most[group(item)] = max(most.get(group(item), 0), len(item.runs))
    complete = [item for item in confirmed if len(item.runs) == most[group(item)]]
    partial = [item for item in confirmed if len(item.runs) < most[group(item)]]
    notes = [
        f"excluded: {item.arm.method}, {item.arm.condition}, point {item.point}: only {len(item.runs)} of "
        f"{most[group(item)]} seeds have a result"
        for item in partial
    ]
    targets = [(found, settled or planned) for (_, settled), found in most.items()]
    if short := [(found, target) for found, target in targets if found < target]:
        fewest, target = min(short)
        notes.append(f"the study has {fewest} of {target} confirmation seeds")
    return complete, tuple(notes)


def _warning(best: ConfirmedPoint) -> str:
    """Return how many confirmation runs of a point diverged or ended with a warning; empty if none did."""
    reasons = [one.outcome.reason for one in best.runs if one.outcome.reason]
    if not reasons:
        return ""
    method, reason = f"{best.arm.method} under {best.arm.condition}", records.common_reason(reasons)
    return records.WARNED_RUNS.format(count=len(reasons), runs=len(best.runs), method=method, reason=reason)


def _on_first_data(confirmed: list[ConfirmedPoint], plan: PlanRecord) -> tuple[list[ConfirmedPoint], tuple[str, ...]]:
    """Return the points on the first of several data sets that has any, since accuracies on others are not comparable.

    Data sets that differ in the size of the images only are compared.
    """
    names = {condition.name: name_of(condition.data) for condition in plan.conditions}
    first = next(names[one.name] for one in plan.conditions if one.name in {each.arm.condition for each in confirmed})
    others = list(dict.fromkeys(name for name in names.values() if name != first))
    if not others:
        return confirmed, ()
    remark = f"this is the best configuration on `{first}`; for another data set add `--condition data={others[0]}`"
    return [each for each in confirmed if names[each.arm.condition] == first], (remark,)


def _recipe(journal: JournalReader, plan: PlanRecord, best: ConfirmedPoint, mlflow_runs: dict[str, str]) -> Recipe:
    facts = journal.facts()
    label = plan.condition(best.arm.condition).data
    data = facts.data_of(label) or DataFacts(fingerprint="")
    runs = [one.run for one in best.runs]
    configs = [run.config for run in runs]
    source = recorded_settings(journal, configs[0]["data"], journal.path.parent, label)
    train = RunConfig.model_validate({**configs[0], "data": source, "seed": 0, "split_seed": 0})
    names = [run.name for run in runs]
    return Recipe(
        train=train,
        milestone_epochs=[fraction * train.epochs for fraction in train.milestone_fractions],
        fingerprint=data.fingerprint or None,
        class_names=list(data.class_names),
        image_shape=list(data.image_shape),
        brings=list(data.brings),
        promise=_promise(best),
        origin=Origin(
            study=plan.name,
            study_id=journal.meta(records.META_ID),
            condition=best.arm.condition,
            method=best.arm.method,
            runs=names,
            seeds=[(config["seed"], config["split_seed"]) for config in configs],
            epochs=_lengths(plan, best, _confirmed_points(journal, plan.arms)),
            mlflow_runs={name: mlflow_runs[name] for name in names if name in mlflow_runs},
            versions=facts.versions,
        ),
    )


def _lengths(plan: PlanRecord, best: ConfirmedPoint, confirmed: Sequence[ConfirmedPoint]) -> list[int]:
    """Return the training lengths at which the method was confirmed, all else being equal."""
    rest = {
        condition.name: {key: value for key, value in condition.values.items() if key != "epochs"}
        for condition in plan.conditions
    }
    own = rest[best.arm.condition]
    lengths = {
        int(item.runs[0].run.config["epochs"])
        for item in confirmed
        if item.arm.method == best.arm.method and rest[item.arm.condition] == own
    }
    return sorted(lengths)


def _promise(best: ConfirmedPoint) -> Promise:
    results = [one.outcome.metrics for one in best.runs]
    found = {
        name: _estimate([metrics[name] for metrics in results], math.inf if name == records.TEST_LOSS else 1.0)
        for name in records.TEST_METRICS
        if all(name in metrics for metrics in results)
    }
    first = found[records.TEST_ACCURACY]
    return Promise(
        test_accuracy=first.mean,
        low=first.low,
        high=first.high,
        spread=first.spread,
        seeds=len(results),
        metrics=found,
        warning=_warning(best),
    )


def _estimate(values: Sequence[float], maximum: float) -> MetricEstimate:
    """Return the mean of a metric over seeds with its interval, clipped to the range from 0 to `maximum`."""
    from reports.statistics.estimators import Estimate, Interval

    seeds, mean = len(values), fmean(values)
    spread = stdev(values) if seeds > 1 else 0.0
    interval = Estimate(mean, spread / seeds**0.5, seeds - 1).interval or Interval(mean, mean)
    return MetricEstimate(mean=mean, low=max(0.0, interval.low), high=min(maximum, interval.high), spread=spread)
