"""Plan of a study: conditions, cells, arms and contrasts. `search.plan.builder.make_plan` builds it from a study."""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search.plan.off_phases import OffPhases
from search.study.factors import Level, levels_text, split_model_factor
from search.study.schema import Study
from search.study.sections import MethodEntry
from spaces.distributions import Space
from trainables.config import RunConfig, with_epochs
from trainables.data import Source
from trainables.randomness import derive_seed
from trainables.records import TestPart

DEFAULT_MODEL: str = RunConfig.model_fields["model"].default.name


@dataclass(frozen=True)
class Condition:
    """One set of circumstances under which the methods are compared.

    Args:
        name: unique name.
        values: level of each condition factor, as displayed.
        settings: the recipe factors that the levels set.
        epochs: training length.
        selection_epochs: number of last epochs over which the selection metric is averaged.
        trial_epochs: training length of a search run; shorter than `epochs` if trials train a shorter schedule.
        rungs: epochs after which search runs may be stopped.
        source: where its images come from.
        unstopped: why there are none although the study stops runs early, in words, or empty.
        data: label of its data set in a study on several; empty if there is one only.
    """

    name: str
    values: dict[str, Any]
    settings: dict[str, Any]
    epochs: int
    selection_epochs: int
    trial_epochs: int
    rungs: tuple[int, ...]
    source: Source
    unstopped: str = ""
    data: str = ""


@dataclass(frozen=True)
class Cell:
    """What is compared: a method, with one level of every other compared factor.

    Args:
        name: unique name: the label of the method, the levels, or both if both vary.
        entry: the method.
        levels: level of each compared factor.
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
    """One cell under one condition, with the search space of its method.

    Args:
        name: unique name.
        cell: what is compared.
        condition: the circumstances.
        space: searched hyperparameters of the method.
        cost: mean cost of an epoch, in epochs of plain training.
        reference: whether the other arms of the condition are compared with it.
        epochs: training length.
        off: the phases in which the method is off in every run.
        compute_of: name of the cell whose compute it is given, or None.
        borrows: if so, name of the arm whose search and values it uses.
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
    borrows: str | None = None

    @property
    def search_arm(self) -> str:
        """Name of the arm whose search and values it uses, usually its own."""
        return self.borrows or self.name

    @property
    def method(self) -> str:
        """Display name of the arm, unique in its condition."""
        return f"{self.cell.name} at the compute of {self.compute_of}" if self.compute_of else self.cell.name

    @property
    def searched(self) -> bool:
        """Whether the arm has its own search."""
        return self.compute_of is None

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe factors that the condition and the levels set."""
        return {**self.condition.settings, **self.cell.settings}


@dataclass(frozen=True)
class Plan:
    """Everything that a study will do.

    Args:
        study: the study file.
        conditions, arms: in the order of the study file.
        contrasts: the family of claims: (condition, method, reference), by display names.
        nuisance: search dimensions that all arms share.

        >>> from search.plan.builder import make_plan
        >>> from search.study.loading import load_study
        >>> plan = make_plan(load_study("quickstart"))
        >>> [arm.method for arm in plan.in_condition("train_fraction=0.2")]
        ['baseline', 'mixup', 'sample_pairing', 'maxup', 'maxup_mean']
    """

    study: Study
    conditions: tuple[Condition, ...]
    arms: tuple[Arm, ...]
    contrasts: tuple[tuple[str, str, str], ...]
    nuisance: Space

    @property
    def trials(self) -> int:
        """Number of trials in one search of an arm."""
        return 0 if self.study.search.sampler == "none" else self.study.search.trials_per_arm

    @property
    def searches(self) -> int:
        """Number of searches of each arm; replicates are independent of each other."""
        return self.study.search.replicates if self.trials else 1

    @property
    def trial_indices(self) -> range:
        """Indices of the trials of an arm, over all its searches."""
        return range(self.trials * self.searches)

    @property
    def designed(self) -> int:
        """Trials of a search that are drawn before any result is known: with `tpe` the first half, otherwise all."""
        return math.ceil(self.trials / 2) if self.study.search.sampler == "tpe" else self.trials

    @property
    def points(self) -> int:
        """Maximum number of pooled points of one search."""
        return 1 if not self.nuisance or self.trials == 0 else min(self.study.confirm.points, self.trials)

    @property
    def only_if(self) -> dict[str, tuple[str, Any]]:
        """Nuisance dimensions that have an effect only if another has a value: those of one optimizer of several."""
        optimizers = getattr(self.nuisance.get("optimizer"), "choices", ())
        owners = {name: name.partition(".")[0] for name in self.nuisance}
        return {name: ("optimizer", owner) for name, owner in owners.items() if owner != name and owner in optimizers}

    @functools.cached_property
    def sources(self) -> dict[str, Source]:
        """The data sets of the study by label, in the order of the conditions."""
        return {condition.data: condition.source for condition in self.conditions}

    @functools.cached_property
    def test_part(self) -> TestPart:
        """The test part that decides verdicts: `extended` if the study allows it and some condition leaves images."""
        return "official" if self.study.confirm.test == "official" or not self.leaves_images else "extended"

    @property
    def leaves_images(self) -> bool:
        """Whether the runs of some condition leave development images unused."""
        settings = [{**self.study.fixed, **condition.settings} for condition in self.conditions]
        return any(each.get("train_fraction", 1.0) < 1 for each in settings)

    def in_condition(self, condition: str) -> list[Arm]:
        """Return the arms of a condition: the reference first, arms without a search last."""
        return list(self._by_condition.get(condition, ()))

    @functools.cached_property
    def _by_condition(self) -> dict[str, list[Arm]]:
        found: dict[str, list[Arm]] = {}
        for arm in sorted(self.arms, key=lambda arm: (not arm.searched, not arm.reference)):
            found.setdefault(arm.condition.name, []).append(arm)
        return found

    def searched_in(self, condition: str) -> list[Arm]:
        """Return the arms of a condition that have their own search, the reference first."""
        return [arm for arm in self.in_condition(condition) if arm.searched]

    def run_config(self, arm: Arm, values: Mapping[str, Any], seed: int, split_seed: int) -> RunConfig:
        """Return the configuration of one run of an arm.

        Args:
            arm: the arm.
            values: nuisance and method hyperparameters, by plain name.
            seed, split_seed: as in `RunConfig`.

        Raises:
            pydantic.ValidationError: a value is not allowed.
        """
        plain = {"model": DEFAULT_MODEL, **self.study.fixed, **arm.settings, **values}
        return RunConfig.from_plain(
            {
                "data": arm.condition.source.model_dump(mode="json"),
                **_of_its_model(plain),
                **self._length(arm),
                "method": {**arm.cell.entry.fixed(), "name": arm.cell.entry.name},
                "seed": derive_seed(seed, "twin") if arm.cell.entry.twin else seed,
                "split_seed": split_seed,
            }
        )

    def trial_config(self, arm: Arm, values: Mapping[str, Any], trial_index: int) -> RunConfig:
        """Return the configuration of a trial of an arm (see `run_config`)."""
        whole = self.run_config(arm, values, *self.search_seeds(trial_index))
        shortened = arm.condition.trial_epochs < arm.condition.epochs
        return with_epochs(whole, arm.condition.trial_epochs) if shortened else whole

    def _length(self, arm: Arm) -> dict[str, int]:
        """Return the training length of an arm; if compute is matched, `steps` scales with the epochs."""
        steps = {**self.study.fixed, **arm.settings}.get("steps")
        longer = {} if steps is None else {"steps": round(steps * arm.epochs / arm.condition.epochs)}
        return {"epochs": arm.epochs, **longer}

    def search_seeds(self, trial_index: int) -> tuple[int, int]:
        """Return (seed, split_seed) of a trial: the same in every arm; each search has one split."""
        search = self.search_of_trial(trial_index)
        split = ("search split", search) if search else ("search split",)
        return derive_seed(self.study.seed, "search", trial_index), derive_seed(self.study.seed, *split)

    def search_of_trial(self, trial_index: int) -> int:
        """Return the number of the search that a trial belongs to."""
        return trial_index // self.trials if self.searches > 1 else 0

    def confirm_seeds(self, seed_index: int) -> tuple[int, int]:
        """Return (seed, split_seed) of a confirmation seed: the same in every arm and at every point."""
        return derive_seed(self.study.seed, "confirm", seed_index), derive_seed(
            self.study.seed, "confirm split", seed_index
        )


def _of_its_model(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Apply `resnet20.learning_rate` to runs with that model and drop it from all others."""
    model = plain["model"].get("name") if isinstance(plain["model"], Mapping) else plain["model"]
    kept = {key: value for key, value in plain.items() if split_model_factor(key) is None}
    own = {found[1]: value for key, value in plain.items() if (found := split_model_factor(key)) and found[0] == model}
    return {**kept, **own}


def cell_name(entry: MethodEntry, levels: Mapping[str, Level], several: bool) -> str:
    """Return a cell's name: `mixup`, `stem=cifar, optimizer=sgd`, or `mixup, stem=cifar`.

    Args:
        entry: its method.
        levels: levels of the other compared factors.
        several: whether the study compares several methods.
    """
    text = levels_text({factor: level.name for factor, level in levels.items()})
    return ", ".join(part for part in (entry.label if several or not levels else "", text) if part)


@functools.cache
def file_name(*parts: str) -> str:
    """Return the name of a run: readable, different for different parts, and a valid file name on every system.

    A part with other characters than those that the name can tell apart gets a checksum.

    >>> file_name("search", "train_fraction=0.1", "mixup", "k003")
    'search_train-fraction=0.1_mixup_k003'
    >>> file_name("mixup_1"), file_name("mixup-1")
    ('mixup-1', 'mixup-1~7dadc8def0f6')
    """
    text = "_".join(map(_readable, parts))
    return text if len(text) <= 120 else f"{text[:100]}~{_checksum(text)}"


def _readable(part: str) -> str:
    """Return a part of a name; it is followed by a checksum unless the part can be recovered from it."""
    text = re.sub(r"[^A-Za-z0-9.=+-]+", "-", part).strip("-")
    recovered = re.sub(r"(=[^-]*)-(?=[^=]*=)", r"\1, ", text).replace("-", "_")
    return text if recovered == part else f"{text}~{_checksum(part)}"


def _checksum(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
