"""What a study will do: conditions, cells, arms and contrasts (built from a study file by `search.plan.builder`)."""

from __future__ import annotations

import functools
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search.plan.off_phases import OffPhases
from search.study.factors import Level, of_one_model, shown
from search.study.schema import MethodEntry, Study
from spaces.distributions import Space
from trainables.config import RunConfig
from trainables.randomness import derive_seed

REFERENCE_MODEL: str = RunConfig.model_fields["model"].default.name


@dataclass(frozen=True)
class Condition:
    """One set of circumstances.

    Args:
        name: unique in the study.
        values: the levels that make it, by factor, as they are shown.
        settings: the recipe factors that they set.
        epochs: training length.
        selection_epochs: how many last epochs a run is judged on.
        rungs: epochs at which runs may be stopped.
    """

    name: str
    values: dict[str, Any]
    settings: dict[str, Any]
    epochs: int
    selection_epochs: int
    rungs: tuple[int, ...]


@dataclass(frozen=True)
class Cell:
    """What is compared: a method, and a level of every other compared factor.

    Args:
        name: unique in the study: the method's label, the levels, or both where both differ.
        entry: the method.
        levels: by factor.
    """

    name: str
    entry: MethodEntry
    levels: dict[str, Level] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe factors that the levels set."""
        return {key: value for level in self.levels.values() for key, value in level.values.items()}


@dataclass(frozen=True)
class Arm:
    """One cell under one condition, with what is searched of its method.

    Args:
        name: unique in the study.
        cell: what is compared.
        condition: the circumstances.
        space: what is searched of the method.
        cost: of a mean epoch, in plain epochs.
        reference: whether the others of the condition are held against it.
        epochs: training length.
        off: when the method is off in every run.
        compute_of: the cell at whose compute it runs, or None.
        same_as: then, the name of the arm whose search and values it takes.
    """

    name: str
    cell: Cell
    condition: Condition
    space: Space
    cost: float
    reference: bool
    epochs: int
    off: OffPhases
    compute_of: str | None = None
    same_as: str | None = None

    @property
    def method(self) -> str:
        """The name under which the arm is shown in its condition."""
        return f"{self.cell.name} at the compute of {self.compute_of}" if self.compute_of else self.cell.name

    @property
    def searched(self) -> bool:
        """Whether the arm has a search of its own."""
        return self.compute_of is None

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe factors that condition and levels set."""
        return {**self.condition.settings, **self.cell.settings}


@dataclass(frozen=True)
class Plan:
    """All that a study will do.

    Args:
        study: what was asked.
        conditions, arms: in the order of the study file.
        contrasts: (condition, one, other) by shown names: the family.
        nuisance: the shared dimensions of the search.
    """

    study: Study
    conditions: tuple[Condition, ...]
    arms: tuple[Arm, ...]
    contrasts: tuple[tuple[str, str, str], ...]
    nuisance: Space

    @property
    def trials(self) -> int:
        """Search trials of each arm in one search."""
        return 0 if self.study.search.sampler == "none" else self.study.search.trials_per_arm

    @property
    def searches(self) -> int:
        """Whole searches of each arm."""
        return self.study.search.replicates if self.trials else 1

    @property
    def designed(self) -> int:
        """Search trials of each arm that are fixed beforehand: with `tpe` the first half, else all."""
        return math.ceil(self.trials / 2) if self.study.search.sampler == "tpe" else self.trials

    @property
    def points(self) -> int:
        """Pooled points of one search, at most."""
        return 1 if not self.nuisance or self.trials == 0 else min(self.study.confirm.points, self.trials)

    def in_condition(self, condition: str) -> list[Arm]:
        """Return the arms of a condition, the reference first, those that are not searched last."""
        return list(self._by_condition.get(condition, ()))

    @functools.cached_property
    def _by_condition(self) -> dict[str, list[Arm]]:
        found: dict[str, list[Arm]] = {}
        for arm in sorted(self.arms, key=lambda arm: (not arm.searched, not arm.reference)):
            found.setdefault(arm.condition.name, []).append(arm)
        return found

    def searched_in(self, condition: str) -> list[Arm]:
        """Return the arms of a condition that have a search of their own, the reference first."""
        return [arm for arm in self.in_condition(condition) if arm.searched]

    def run_config(self, arm: Arm, values: Mapping[str, Any], seed: int, split_seed: int) -> RunConfig:
        """Return the configuration of one run of an arm.

        Args:
            arm: the arm.
            values: nuisance and method values by plain name.
            seed, split_seed: as in `RunConfig`.

        Raises:
            pydantic.ValidationError: a value is not allowed.
        """
        plain = {"model": REFERENCE_MODEL, **self.study.fixed, **arm.settings, **values}
        return RunConfig.from_plain(
            {
                "data": self.study.data.model_dump(mode="json"),
                **_of_its_model(plain),
                **self._length(arm),
                "method": {**arm.cell.entry.fixed(), "name": arm.cell.entry.name},
                "seed": seed,
                "split_seed": split_seed,
            }
        )

    def _length(self, arm: Arm) -> dict[str, int]:
        """Return how long an arm is trained; steps grow with the epochs where compute is matched."""
        steps = {**self.study.fixed, **arm.settings}.get("steps")
        longer = {} if steps is None else {"steps": round(steps * arm.epochs / arm.condition.epochs)}
        return {"epochs": arm.epochs, **longer}

    def search_seeds(self, trial_index: int) -> tuple[int, int]:
        """Return (seed, split_seed) of a trial, the same in every arm; each search has one split."""
        search = self.search_of_trial(trial_index)
        split = ("search split", search) if search else ("search split",)
        return derive_seed(self.study.seed, "search", trial_index), derive_seed(self.study.seed, *split)

    def search_of_trial(self, trial_index: int) -> int:
        """Return the number of the search that a trial belongs to."""
        return trial_index // self.trials if self.searches > 1 else 0

    def confirm_seeds(self, seed_index: int) -> tuple[int, int]:
        """Return (seed, split_seed) of a confirmation seed, the same in every arm and point."""
        return derive_seed(self.study.seed, "confirm", seed_index), derive_seed(
            self.study.seed, "confirm split", seed_index
        )


def _of_its_model(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Give `resnet20.learning_rate` to runs with that model, and drop it elsewhere."""
    model = plain["model"].get("name") if isinstance(plain["model"], Mapping) else plain["model"]
    kept = {key: value for key, value in plain.items() if of_one_model(key) is None}
    own = {found[1]: value for key, value in plain.items() if (found := of_one_model(key)) and found[0] == model}
    return {**kept, **own}


def cell_name(entry: MethodEntry, levels: Mapping[str, Level], several: bool) -> str:
    """Return a cell's name: `mixup`, `stem=cifar, optimizer=sgd`, or `mixup, stem=cifar`.

    Args:
        entry: its method.
        levels: of the other compared factors.
        several: whether the study compares several methods.
    """
    text = shown({factor: level.name for factor, level in levels.items()})
    return ", ".join(part for part in (entry.label if several or not levels else "", text) if part)


@functools.cache
def file_name(*parts: str) -> str:
    """Return a run's name: readable, unique, and fit for a file of any system."""
    text = "_".join(re.sub(r"[^A-Za-z0-9.=+-]+", "-", part).strip("-") for part in parts)
    if len(text) <= 120:
        return text
    return f"{text[:110]}-{zlib.crc32(text.encode()):08x}"
