"""The plan of a study, as its journal holds it: what was fixed before the first run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reports.data.units import Unit, unit_of
from trainables.errors import InputError
from trainables.records import LOWER_IS_BETTER


@dataclass(frozen=True)
class Condition:
    """The circumstances of a comparison.

    Args:
        name: unique name.
        values: the factors that make it, such as {"model": "resnet20", "train_fraction": 0.1}.
        epochs: length of a full run.
        selection_epochs: the last epochs over which the validation metric is averaged.
        rungs: epochs at which a search run may be stopped.
    """

    name: str
    values: Mapping[str, Any]
    epochs: int
    selection_epochs: int
    rungs: tuple[int, ...]

    @property
    def description(self) -> str:
        """The condition in words: `on resnet8 with 10 % of the data`."""
        return describe(self.values) or f"under {self.name}"


@dataclass(frozen=True)
class Arm:
    """One method under one condition.

    Args:
        name: unique name.
        method: display name of the method.
        condition: name of the condition.
        cost: epochs of plain training that one epoch costs.
        reference: whether the others of the condition are held against it.
        parameters: what is fixed in this arm, by plain name.
        levels: the cell of a factorial, a level of every compared factor.
        epochs: its training length, None for the condition's.
        compute_of: display name of the method whose compute it was given; such an arm is not searched.
        same_as: display name of the arm whose points and values it takes, None where it has its own.
        spaces: what its search varies: `{low, high, log, integer}`, or a list of choices, by dimension.
        off_from: epoch, from 0, from which the method is off in every run; None where it is on to the end.
        block_ends: epochs finished at the ends of the off blocks of its on/off cycle.
    """

    name: str
    method: str
    condition: str
    cost: float
    reference: bool
    parameters: Mapping[str, Any]
    levels: Mapping[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    spaces: Mapping[str, Any] = field(default_factory=dict)
    off_from: int | None = None
    block_ends: tuple[int, ...] = ()
    compute_of: str | None = None
    same_as: str | None = None


@dataclass(frozen=True)
class Contrast:
    """A paired difference, method minus reference, under one condition.

    Args:
        family: claims of one family are corrected together; what was added later has one of its own.
    """

    condition: str
    method: str
    reference: str
    family: int = 0

    @property
    def arms(self) -> tuple[str, str]:
        """Display names of both sides, the method first."""
        return self.method, self.reference


@dataclass(frozen=True)
class Plan:
    """What the study fixed before it ran.

    Args:
        name: name of the study.
        metric: the validation metric on which runs are chosen.
        smallest_effect: smallest effect of interest, a fraction (of a loss: nats).
        alpha: family-wise error rate.
        seeds: confirmation seeds of every arm and pooled point.
        points: pooled points of one search, at most.
        trials_per_arm: runs in one search of each arm.
        designed: the first of them, drawn without looking at results.
        match: what methods of other cost are compared at: `epochs`, `steps` or `compute`.
        conditions: all conditions.
        arms: all arms.
        contrasts: all claims, in order.
        looks: seeds at which the families are judged; the last is `seeds`.
        look_alphas: the error rate of each look; they add up to `alpha`.
        replicates: searches of every arm.
    """

    name: str
    metric: str
    smallest_effect: float
    alpha: float
    seeds: int
    points: int
    trials_per_arm: int
    conditions: tuple[Condition, ...]
    arms: tuple[Arm, ...]
    contrasts: tuple[Contrast, ...]
    looks: tuple[int, ...]
    look_alphas: tuple[float, ...]
    replicates: int
    designed: int = 0
    match: str = "epochs"

    @classmethod
    def from_json(cls, plan: Mapping[str, Any]) -> Plan:
        """Build the plan from `records.PLAN`; entries that are not known here are left aside.

        Raises:
            InputError: an entry is missing or of the wrong kind.
        """
        try:
            seeds, alpha = int(plan["seeds"]), float(plan["alpha"])
            looks = tuple(int(look) for look in plan.get("looks", [seeds]))
            alphas = tuple(float(share) for share in plan.get("look_alphas", [alpha]))
            if not looks or len(looks) != len(alphas):
                raise ValueError(f"{len(looks)} looks have {len(alphas)} error rates")
            return cls(
                name=str(plan["name"]),
                metric=str(plan["metric"]),
                smallest_effect=float(plan["smallest_effect"]),
                alpha=alpha,
                seeds=seeds,
                points=int(plan["points"]),
                trials_per_arm=int(plan["trials_per_arm"]),
                conditions=tuple(_condition(entry) for entry in plan["conditions"]),
                arms=tuple(_arm(entry) for entry in plan["arms"]),
                contrasts=tuple(_contrast(entry) for entry in plan["contrasts"]),
                looks=looks,
                look_alphas=alphas,
                replicates=int(plan.get("replicates", 1)),
                designed=int(plan.get("designed", plan["trials_per_arm"])),
                match=str(plan.get("match", "epochs")),
            )
        except KeyError as error:
            raise InputError(f"the journal's plan has no {error}: it was not written by Assay") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the journal's plan cannot be read: {error}") from None

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher selection metric is better (no for losses)."""
        return self.metric not in LOWER_IS_BETTER

    @property
    def unit(self) -> Unit:
        """What effects are measured in: the test figure that belongs to the metric."""
        return unit_of(self.metric)

    @property
    def families(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the claims of each family, families in order."""
        numbers = sorted({contrast.family for contrast in self.contrasts})
        return tuple(
            tuple(index for index, contrast in enumerate(self.contrasts) if contrast.family == number)
            for number in numbers
        )

    def search_of(self, k: int) -> int:
        """Return the number of the search that a pooled point comes from."""
        return k // self.points if self.replicates > 1 else 0

    @property
    def methods(self) -> tuple[str, ...]:
        """Display names of all methods, references first, else in the order of the plan."""
        ordered = sorted(self.arms, key=lambda arm: not arm.reference)
        return tuple(dict.fromkeys(arm.method for arm in ordered))

    def condition(self, name: str) -> Condition:
        """Return the condition of that name."""
        return next(condition for condition in self.conditions if condition.name == name)

    def arm(self, condition: str, method: str) -> Arm | None:
        """Return the arm of that condition and method, or None."""
        return next((arm for arm in self.arms if (arm.condition, arm.method) == (condition, method)), None)

    def reference(self, condition: str) -> str | None:
        """Return the display name of the condition's reference, or None."""
        return next((arm.method for arm in self.arms if arm.condition == condition and arm.reference), None)


def _condition(entry: Mapping[str, Any]) -> Condition:
    return Condition(
        name=str(entry["name"]),
        values=dict(entry["values"]),
        epochs=int(entry["epochs"]),
        selection_epochs=int(entry["selection_epochs"]),
        rungs=tuple(int(rung) for rung in entry["rungs"]),
    )


def _arm(entry: Mapping[str, Any]) -> Arm:
    return Arm(
        name=str(entry["name"]),
        method=str(entry["method"]),
        condition=str(entry["condition"]),
        cost=float(entry["cost"]),
        reference=bool(entry["reference"]),
        parameters=dict(entry["parameters"]),
        levels=dict(entry.get("levels") or {}),
        epochs=None if entry.get("epochs") is None else int(entry["epochs"]),
        compute_of=None if entry.get("compute_of") is None else str(entry["compute_of"]),
        same_as=None if entry.get("same_as") is None else str(entry["same_as"]),
        spaces=dict(entry.get("spaces", {})),
        off_from=entry.get("off_from"),
        block_ends=tuple(int(epoch) for epoch in entry.get("block_ends", [])),
    )


def _contrast(entry: Mapping[str, Any]) -> Contrast:
    return Contrast(str(entry["condition"]), str(entry["method"]), str(entry["reference"]), int(entry.get("family", 0)))


def describe(values: Mapping[str, Any]) -> str:
    """Return factors in words, `on resnet8 with 10 % of the data`; empty where there are none."""
    rest = dict(values)
    words = [f"on {rest.pop('model')}"] if "model" in rest else []
    if isinstance(rest.get("train_fraction"), int | float):
        words.append(f"with {_share(float(rest.pop('train_fraction')))} of the data")
    return " ".join([*words, *(f"with {name} {plain(value)}" for name, value in rest.items())])


def _share(fraction: float) -> str:
    """Return a fraction as a percentage with no more digits than it needs: `10 %`, `0.5 %`."""
    return "all" if fraction == 1 else f"{100 * fraction:.3g} %"


def plain(value: Any) -> str:
    """Return a factor's value in words; of a mapping, the first entry names it."""
    if isinstance(value, Mapping):
        return plain(next(iter(value.values()), ""))
    return f"{value:g}" if isinstance(value, float) else str(value)
