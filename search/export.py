"""Export: the best confirmed configuration of a study, as a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from search.journal import Journal, Outcome, Run
from search.recipe import Origin, Promise, Recipe, write_recipe
from trainables import records
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.registry import unknown


@dataclass(frozen=True)
class Confirmed:
    """The confirmation runs of one arm at one pooled point, by seed."""

    condition: str
    method: str
    runs: list[tuple[Run, Outcome]]

    @property
    def validation(self) -> float:
        """The mean judged validation metric over seeds."""
        return fmean(outcome.metrics[records.SELECTION] for _, outcome in self.runs)


def export_recipe(
    folder: Path, condition: str | None = None, method: str | None = None, output: Path | None = None
) -> Path:
    """Write the configuration with the best mean validation metric over its confirmation seeds.

    Args:
        folder: the study's folder.
        condition: only this condition; by default any.
        method: only this method; by default any.
        output: the recipe's path; by default `recipe.yaml` in the study's folder.

    Returns:
        the recipe's path.

    Raises:
        InputError: there is no such study, condition or method, or nothing is confirmed yet.
    """
    with Journal.open(folder / records.JOURNAL_FILE, write=False) as journal:
        confirmed = _confirmed(journal)
        plan = journal.meta(records.META_PLAN)
        _known("condition", condition, [item["name"] for item in plan["conditions"]])
        _known("method", method, list(dict.fromkeys(item["method"] for item in plan["arms"])))
        chosen = [item for item in confirmed if condition in (None, item.condition) and method in (None, item.method)]
        if not chosen:
            raise InputError(f"nothing is confirmed yet in {folder}. Finish it with `assay resume {folder}`.")
        recipe = _recipe(journal, max(chosen, key=lambda item: records.oriented(plan["metric"], item.validation)))
    output = output or folder / records.RECIPE_FILE
    write_recipe(recipe, output)
    return output


def _known(kind: str, name: str | None, choices: list[str]) -> None:
    if name is not None and name not in choices:
        raise InputError(unknown(f"{kind} of this study", name, choices))


def _confirmed(journal: Journal) -> list[Confirmed]:
    """Return the arms' confirmed points, each with the runs that have a result."""
    outcomes = {name: outcome for _, name, outcome, _ in journal.outcomes()}
    groups: dict[tuple[str, str, int], list[tuple[Run, Outcome]]] = {}
    for _, run in journal.runs():
        outcome = outcomes.get(run.name)
        if run.phase == records.CONFIRM and outcome and records.TEST_ACCURACY in outcome.metrics:
            groups.setdefault((run.condition, run.method, run.k), []).append((run, outcome))
    return [Confirmed(condition, method, runs) for (condition, method, _), runs in groups.items()]


def _recipe(journal: Journal, best: Confirmed) -> Recipe:
    facts: dict[str, Any] = journal.meta(records.META_FACTS)
    config = RunConfig.model_validate({**best.runs[0][0].config, "seed": 0, "split_seed": 0})
    data = facts["data"] or {}
    return Recipe(
        train=config,
        milestone_epochs=[fraction * config.epochs for fraction in config.milestone_fractions],
        fingerprint=data.get("fingerprint"),
        class_names=data.get("class_names", []),
        promise=_promise([outcome.metrics[records.TEST_ACCURACY] for _, outcome in best.runs]),
        origin=Origin(
            study=journal.meta(records.META_PLAN)["name"],
            study_id=journal.meta(records.META_ID),
            condition=best.condition,
            method=best.method,
            runs=[run.name for run, _ in best.runs],
            versions=facts["versions"],
        ),
    )


def _promise(accuracies: list[float]) -> Promise:
    from scipy.stats import t

    n, mean = len(accuracies), fmean(accuracies)
    spread = stdev(accuracies) if n > 1 else 0.0
    half = float(t.ppf(0.975, n - 1)) * spread / n**0.5 if n > 1 else 0.0
    return Promise(test_accuracy=mean, low=mean - half, high=mean + half, spread=spread, seeds=n)
