"""Plan record: what a study fixed before its first run, as the journal keeps it.

`search.plan.record` builds it; controller, progress, delivery to MLflow, export and reports read it. Names of arms
are unique; methods are display names, unique within a condition.

    >>> condition = ConditionRecord(name="all", values={}, epochs=20, selection_epochs=3, rungs=())
    >>> arm = ArmRecord(name="mixup, all", method="mixup", condition="all", cost=1.0, reference=True)
    >>> plan = PlanRecord(
    ...     name="small", metric="validation_accuracy", smallest_effect=0.01, alpha=0.05, seeds=6, points=1,
    ...     trials_per_arm=8, conditions=(condition,), arms=(arm,), contrasts=(),
    ... )
    >>> PlanRecord.parse(plan.dump()) == plan
    True
    >>> plan.looks, plan.epochs_of(arm)
    ((6,), 20)
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator

from trainables.errors import InputError
from trainables.records.base import CompactRecord, Record, problem
from trainables.records.descriptions import describe
from trainables.records.journal_schema import CONFIRM, SEARCH
from trainables.records.metrics import EXTENDED_TEST_ACCURACY, LOWER_IS_BETTER, TEST_ACCURACY, T, TestPart
from trainables.records.precision import PrecisionRecord
from trainables.records.units import Unit, unit_of

PLAN_VERSION = 2
"""Newest version that is read: 1, or 2 with `open_ended`, which older readers must not ignore."""


class ConditionRecord(CompactRecord):
    """The circumstances of a comparison.

    Args:
        name: unique name.
        values: the factors that make it, such as {"model": "resnet20", "train_fraction": 0.1}.
        epochs: length of a full run.
        selection_epochs: the last epochs over which the validation metric is averaged.
        trial_epochs: length of a search run; None for that of a full run.
        rungs: epochs at which a search run may be stopped.
        unstopped: why there are none although the study stops runs early, in words, or empty.
        data: label of its data set in a study on several, such as `cifar, image_size=32`; empty if there is one only.
    """

    omitted_if_empty: ClassVar[tuple[str, ...]] = ("data", "trial_epochs")
    name: str
    values: dict[str, Any]
    epochs: int
    selection_epochs: int
    trial_epochs: int | None = None
    rungs: tuple[int, ...]
    unstopped: str = ""
    data: str = ""

    @property
    def description(self) -> str:
        """The condition in words: `on resnet8 with 10 % of the data`."""
        return describe(self.values) or f"under {self.name}"


def effective_values(values: Mapping[str, Any], only_if: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """Return the values that have an effect.

    Args:
        values: values of dimensions by name.
        only_if: dimensions that have an effect only if another has a value, as (other dimension, value).

    >>> effective_values({"optimizer": "sgd", "adam.beta_1": 0.9}, {"adam.beta_1": ("optimizer", "adam")})
    {'optimizer': 'sgd'}
    """
    return {
        name: value
        for name, value in values.items()
        if name not in only_if or values.get(only_if[name][0], only_if[name][1]) == only_if[name][1]
    }


class ArmRecord(Record):
    """One method, or cell of a factorial, under one condition.

    Args:
        name: unique name.
        method: display name of the method or cell, unique in the condition.
        condition: name of the condition.
        cost: epochs of plain training that one epoch costs.
        reference: whether the other arms of the condition are compared with it.
        parameters: what the study fixes of the method, by plain name.
        levels: the cell of a factorial: a level of every compared factor.
        epochs: training length, None for the condition's.
        compute_of: display name of the method whose compute it was given; such an arm is not searched.
        same_as: display name of the arm whose points and values it takes, None where it has its own.
        spaces: what its search varies: `{low, high, log, integer}`, or a list of choices, by dimension.
        only_if: dimensions that have an effect only if another has a value, as (other dimension, value).
        off_from: epoch, from 0, from which the method is off in every run; None where it stays on.
        block_ends: epochs finished at the ends of the off blocks of its on/off cycle.
    """

    name: str
    method: str
    condition: str
    cost: float
    reference: bool
    parameters: dict[str, Any] = {}
    levels: dict[str, Any] = {}
    epochs: int | None = None
    compute_of: str | None = None
    same_as: str | None = None
    spaces: dict[str, Any] = {}
    only_if: dict[str, tuple[str, Any]] = {}
    off_from: int | None = None
    block_ends: tuple[int, ...] = ()

    def effective(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the searched values that have an effect, such as the learning rate of the chosen optimizer only."""
        return effective_values(values, self.only_if)

    @property
    def searched(self) -> bool:
        """Whether the arm has its own search."""
        return self.compute_of is None


class ContrastRecord(Record):
    """A claim: a paired difference, method minus reference, under one condition.

    Args:
        condition: name of the condition.
        method, reference: display names of both sides.
        family: number of the family that is corrected together; what is added later has a separate family.
    """

    condition: str
    method: str
    reference: str
    family: int = 0

    @property
    def arms(self) -> tuple[str, str]:
        """Display names of both sides, the method first."""
        return self.method, self.reference

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies the claim, regardless of its family."""
        return self.condition, self.method, self.reference


class ExtensionRecord(Record):
    """How the study was extended after it began.

    Args:
        what: the additions, one sentence each.
        exploratory: whether claims may be based on a look that was not declared.
    """

    what: tuple[str, ...]
    exploratory: bool


class ObservedRecord(Record):
    """How runs that Assay did not launch are judged. None of them is outstanding, and no family was fixed before them.

    Args:
        unit: the figure that is judged, which may have any name.
        selection_higher_is_better: the direction of the plan's `metric`.
    """

    unit: Unit
    selection_higher_is_better: bool


class PlanRecord(Record):
    """What a study fixed before it ran.

    Args:
        name: name of the study.
        metric: the validation metric on which runs are chosen.
        smallest_effect: smallest effect of interest, a fraction (0.005 is half a point; of a loss: nats).
        alpha: family-wise error rate.
        seeds: confirmation seeds of every arm and pooled point.
        points: pooled points of one search, at most.
        trials_per_arm: runs in one search of an arm.
        conditions, arms, contrasts: in the order of the study file.
        factors: levels of the compared factors other than the method; a factorial has several.
        looks: seeds at which the families are judged, increasing; the last is `seeds`.
        look_alphas: the error rate of each look; they add up to `alpha`, or each is `alpha` if the study is open-ended.
        replicates: searches of every arm, each with its own points and its own pool.
        designed: trials of a search that are drawn without looking at results, the first ones.
        match: what methods of different cost are compared at: `epochs`, `steps` or `compute`.
        final_seeds: seeds of a final training; 0 in a study.
        extensions: how the study was extended.
        test: the test part that decides verdicts: the `official` test images, or the `extended` part, which adds
            development images that a run does not use.
        variances: how standard errors are estimated: from each contrast's `own` differences, or `pooled` over the
            contrasts of a family.
        choice: how a contrast chooses the point of each arm: the `best` mean, or the best mean after preferences of
            single arms are `shrunken` by what may be noise.
        open_ended: whether the tests hold whenever one stops (`confirm.seeds: open`); `seeds` are then the most.
        observed: set where the runs were not launched by Assay, and the plan was inferred from them.
        precision: how `precision: auto` was decided, or None if the study file gives the precision.
        version: version of this record.
    """

    name: str
    metric: str
    smallest_effect: float
    alpha: float
    seeds: int
    points: int
    trials_per_arm: int
    conditions: tuple[ConditionRecord, ...]
    arms: tuple[ArmRecord, ...]
    contrasts: tuple[ContrastRecord, ...]
    factors: dict[str, list[Any]] = {}
    looks: tuple[int, ...] = ()
    look_alphas: tuple[float, ...] = ()
    replicates: int = 1
    designed: int = Field(default=-1)
    match: str = "epochs"
    final_seeds: int = 0
    extensions: tuple[ExtensionRecord, ...] = ()
    test: TestPart = "official"
    variances: Literal["own", "pooled"] = "own"
    choice: Literal["best", "shrunken"] = "best"
    open_ended: bool = False
    observed: ObservedRecord | None = None
    precision: PrecisionRecord | None = None
    version: int = 1

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, plan: Any) -> Any:
        """Fill in what older plans leave out and what follows from other fields."""
        if not isinstance(plan, Mapping):
            return plan
        filled = dict(plan)
        filled["looks"] = filled.get("looks") or [filled.get("seeds")]
        filled["look_alphas"] = filled.get("look_alphas") or [filled.get("alpha")]
        filled.setdefault("designed", filled.get("trials_per_arm"))
        return filled

    @model_validator(mode="after")
    def _looks_have_error_rates(self) -> Self:
        if len(self.looks) != len(self.look_alphas):
            raise ValueError(f"{len(self.looks)} looks have {len(self.look_alphas)} error rates")
        return self

    @classmethod
    def parse(cls, plan: Any) -> Self:
        """Return the plan from the journal's JSON.

        Raises:
            InputError: an entry is missing or of the wrong type, or a newer version of Assay wrote it.
        """
        version = plan.get("version", 1) if isinstance(plan, Mapping) else 1
        if isinstance(version, int) and version > PLAN_VERSION:
            raise InputError(
                f"the plan was written by a newer Assay (plan version {version}, this one reads up to {PLAN_VERSION}); "
                "update Assay"
            )
        try:
            return cls.model_validate(plan)
        except ValidationError as error:
            raise InputError(f"the journal's plan cannot be read: {problem(error)}") from None

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher selection metric is better (no for losses)."""
        return self.observed.selection_higher_is_better if self.observed else self.metric not in LOWER_IS_BETTER

    def as_maximized(self, value: T) -> T:
        """Return values of the selection metric so that higher is better. Applied twice, it returns the original."""
        return value if self.higher_is_better else -value

    @property
    def unit(self) -> Unit:
        """The unit of effects: that of the test metric which belongs to the selection metric."""
        return self.observed.unit if self.observed else unit_of(self.metric, self.test)

    @property
    def judges_accuracy(self) -> bool:
        """Whether verdicts are about accuracy, the one figure that journals record for single test images."""
        return self.unit.metric in (TEST_ACCURACY, EXTENDED_TEST_ACCURACY)

    @property
    def shrinks_choice(self) -> bool:
        """Whether preferences of single arms for points are shrunk before the points are chosen."""
        return self.choice == "shrunken"

    @property
    def families(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the contrasts of each family, in the order of the families."""
        numbers = sorted({contrast.family for contrast in self.contrasts})
        return tuple(
            tuple(index for index, contrast in enumerate(self.contrasts) if contrast.family == number)
            for number in numbers
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """Display names of all methods, references first, then in the order of the plan."""
        ordered = sorted(self.arms, key=lambda arm: not arm.reference)
        return tuple(dict.fromkeys(arm.method for arm in ordered))

    @property
    def stopping_rule(self) -> str:
        """What open seeds mean, in words; empty if the number of seeds, or of looks, was fixed in advance."""
        if not self.open_ended:
            return ""
        every = self.looks == tuple(range(self.looks[0], self.seeds + 1))
        when = f"every seed from {self.looks[0]} on" if every else f"{', '.join(map(str, self.looks))} seeds"
        return (
            f"judged after {when} by a test that stays valid however often it is applied, so that the verdicts hold "
            "whenever the study stops or continues; an arm whose claims are all decided gets no more seeds"
        )

    def condition(self, name: str) -> ConditionRecord:
        """Return the condition of that name."""
        return self._conditions[name]

    def arm(self, condition: str, method: str) -> ArmRecord | None:
        """Return the arm of that condition and method, or None."""
        return self._arms.get((condition, method))

    def arms_of(self, condition: str) -> tuple[ArmRecord, ...]:
        """Return the arms of a condition, in order."""
        return tuple(arm for arm in self.arms if arm.condition == condition)

    def reference_arm(self, condition: str) -> ArmRecord | None:
        """Return the arm of the condition's reference, or None."""
        return next((arm for arm in self.arms_of(condition) if arm.reference), None)

    def reference(self, condition: str) -> str | None:
        """Return the display name of the condition's reference, or None."""
        arm = self.reference_arm(condition)
        return arm.method if arm else None

    def epochs_of(self, arm: ArmRecord, phase: str = CONFIRM) -> int:
        """Return the training length of the runs of an arm in a phase."""
        condition = self.condition(arm.condition)
        if phase == SEARCH and condition.trial_epochs:
            return condition.trial_epochs
        return condition.epochs if arm.epochs is None else arm.epochs

    # How many runs the plan asks for

    def trials_of(self, arm: ArmRecord) -> int:
        """Return the number of search runs of an arm, over all its searches."""
        return self.trials_per_arm * self.replicates if arm.searched else 0

    def full_runs_of(self, arm: ArmRecord) -> float:
        """Return the number of runs of an arm, at most, with each search run as the part of a full run that it is."""
        share = self.epochs_of(arm, SEARCH) / self.epochs_of(arm)
        return self.trials_of(arm) * share + self.most_confirmations

    @property
    def most_points(self) -> int:
        """Pooled points of a condition over all searches, at most."""
        return self.points * self.replicates

    @property
    def most_confirmations(self) -> int:
        """Confirmation runs of an arm, at most: at every point with every seed."""
        return self.most_points * self.seeds

    # Indices of trials and points run through the searches; with one search every point is of it, however many an
    # extension has added.

    def search_of_trial(self, trial_index: int) -> int:
        """Return the number of the search that a trial belongs to."""
        return trial_index // self.trials_per_arm if self.replicates > 1 else 0

    def search_of_point(self, point_index: int) -> int:
        """Return the number of the search that a pooled point comes from."""
        return point_index // self.points if self.replicates > 1 else 0

    @cached_property
    def _conditions(self) -> dict[str, ConditionRecord]:
        return {condition.name: condition for condition in self.conditions}

    @cached_property
    def _arms(self) -> dict[tuple[str, str], ArmRecord]:
        return {(arm.condition, arm.method): arm for arm in reversed(self.arms)}
