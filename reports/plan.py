"""The plan of a study, as its journal holds it: what was fixed before the first run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
        values = dict(self.values)
        words = [f"on {values.pop('model')}"] if "model" in values else []
        if isinstance(values.get("train_fraction"), int | float):
            words.append(f"with {_share(float(values.pop('train_fraction')))} of the data")
        words += [f"with {name} {_plain(value)}" for name, value in values.items()]
        return " ".join(words) or f"under {self.name}"


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
    """

    name: str
    method: str
    condition: str
    cost: float
    reference: bool
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Contrast:
    """A paired difference, method minus reference, under one condition."""

    condition: str
    method: str
    reference: str


@dataclass(frozen=True)
class Plan:
    """What the study fixed before it ran.

    Args:
        name: name of the study.
        metric: the validation metric on which runs are chosen.
        smallest_effect: smallest effect of interest, a fraction of test accuracy.
        alpha: family-wise error rate.
        seeds: confirmation seeds of every arm and pooled point.
        points: pooled points at most.
        trials_per_arm: runs in the search of each arm.
        conditions: all conditions.
        arms: all arms.
        contrasts: the family of claims, in order.
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

    @classmethod
    def from_json(cls, plan: Mapping[str, Any]) -> Plan:
        """Build the plan from `records.PLAN`; entries that are not known here are left aside.

        Raises:
            InputError: an entry is missing or of the wrong kind.
        """
        try:
            return cls(
                name=str(plan["name"]),
                metric=str(plan["metric"]),
                smallest_effect=float(plan["smallest_effect"]),
                alpha=float(plan["alpha"]),
                seeds=int(plan["seeds"]),
                points=int(plan["points"]),
                trials_per_arm=int(plan["trials_per_arm"]),
                conditions=tuple(_condition(entry) for entry in plan["conditions"]),
                arms=tuple(_arm(entry) for entry in plan["arms"]),
                contrasts=tuple(
                    Contrast(str(entry["condition"]), str(entry["method"]), str(entry["reference"]))
                    for entry in plan["contrasts"]
                ),
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
    )


def _share(fraction: float) -> str:
    """Return a fraction as a percentage with no more digits than it needs: `10 %`, `0.5 %`."""
    return "all" if fraction == 1 else f"{100 * fraction:.3g} %"


def _plain(value: Any) -> str:
    """Return a factor's value in words; of a mapping, the first entry names it."""
    if isinstance(value, Mapping):
        return _plain(next(iter(value.values()), ""))
    return f"{value:g}" if isinstance(value, float) else str(value)
