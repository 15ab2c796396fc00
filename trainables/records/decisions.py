"""Decisions: what a study decided while it ran, one type per kind, as the journal keeps them.

Every decision is written to the journal before it takes effect. `Decision.parse` reads the journal's JSON, `dump`
writes it; fields that were added later have defaults, so that older journals open.

    >>> decision = RungDecision(rung=9, value=0.81, cutoff=0.8, action=PASS)
    >>> RungDecision.parse(decision.dump()) == decision
    True
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import AliasChoices, Field, ValidationError

from trainables.errors import InputError
from trainables.records.base import Record, problem
from trainables.records.plan import PlanRecord

RUNG = "rung"
POOL = "pool"
LOOK = "look"
EXTEND = "extend"
RESOURCES = "resources"
DATA = "data"
END = "end"
CONFUSION = "confusion"
Action = Literal["pass", "stop", "would_stop"]
PASS, STOP, WOULD_STOP = get_args(Action)


class Decision(Record):
    """A decision. Subclasses set `kind`, the value of the journal's column."""

    kind: ClassVar[str] = ""

    @classmethod
    def parse(cls, detail: Mapping[str, Any]) -> Self:
        """Return the decision from the journal's JSON.

        Raises:
            InputError: a field is missing or of the wrong type.
        """
        try:
            return cls.model_validate(detail)
        except ValidationError as error:
            raise InputError(
                f"the journal contains an unreadable decision of kind `{cls.kind}`: {problem(error)}"
            ) from None


class RungDecision(Decision):
    """Whether a search run continues after a rung of its arm.

    Args:
        rung: epochs finished.
        value: what the run is compared by there; higher is better.
        cutoff: the smallest value that passes, None for the first arrivals.
        action: `pass`, `stop`, or `would_stop` for an audited run, which continues.
    """

    kind: ClassVar[str] = RUNG
    rung: int
    value: float
    cutoff: float | None
    action: Action


class PooledPoint(Record):
    """A nuisance point at which every arm of a condition is confirmed.

    Args:
        arm: name of the arm whose best trial it is.
        trial_index: that trial.
        votes: number of arms whose best point it is, or is near to.
        values: nuisance values by plain name.
        own: for each arm with a completed trial, the method's own values from the arm's best trial.
    """

    arm: str
    trial_index: int = Field(validation_alias=AliasChoices("trial_index", "k"), serialization_alias="k")
    votes: int
    values: dict[str, Any]
    own: dict[str, dict[str, Any]] = {}


class PoolDecision(Decision):
    """The points that one search of a condition hands to the confirmation.

    Args:
        condition: its name.
        search: number of the search, from 0.
        trials: trials of each arm that were considered.
        points: in the order of their indices.
    """

    kind: ClassVar[str] = POOL
    condition: str
    search: int = 0
    trials: int = 0
    points: tuple[PooledPoint, ...]

    @property
    def arms(self) -> set[str]:
        """Names of the arms that are run at one of the points."""
        return {arm for point in self.points for arm in point.own}


class LookDecision(Decision):
    """What an interim look decided.

    Args:
        look: number of the look, from 0.
        seeds: confirmation seeds that it was based on.
        settled: conditions in which every claim is decided; they get no more seeds.
        arms: (condition, method) of further arms that get no more seeds, since every claim about them is decided.
    """

    kind: ClassVar[str] = LOOK
    look: int
    seeds: int
    settled: tuple[str, ...]
    arms: tuple[tuple[str, str], ...] = ()

    def settles(self, condition: str, method: str) -> bool:
        """Return whether an arm gets no more seeds from this look on."""
        return condition in self.settled or (condition, method) in self.arms


class ExtensionDecision(Decision):
    """How a study was extended.

    Args:
        what: the additions, one sentence each.
        exploratory: whether claims may be based on a look that was not declared.
        plan: the plan before.
    """

    kind: ClassVar[str] = EXTEND
    what: tuple[str, ...]
    exploratory: bool
    plan: PlanRecord


DataPlace = Literal["resident", "streamed", "auto"]
"""Where the images are while a run trains."""


class ResourcesDecision(Decision):
    """What one run takes from here on (see `search.study.resources.Resources`)."""

    kind: ClassVar[str] = RESOURCES
    cpus: int = 1
    gpus: float = 0
    data: DataPlace = "auto"
    concurrency: int | None = None
    checkpoint_seconds: float = 60
    epoch_minutes: float = 60
    budget_hours: float | None = None


class DataDecision(Decision):
    """Where the images are from here on: the same images at another place.

    Args:
        source: settings of the data source, with absolute paths.
        relative: its paths relative to the study folder, by field.
        label: which data set it is in a study on several, as in `ConditionRecord.data`.
    """

    kind: ClassVar[str] = DATA
    source: dict[str, Any]
    relative: dict[str, str] = {}
    label: str = ""


class EndDecision(Decision):
    """The study has done all that it was going to do, unless it is extended.

    Args:
        runs: number of its runs.
    """

    kind: ClassVar[str] = END
    runs: int


class ConfusionDecision(Decision):
    """The confusion matrix of a run of a final training.

    Args:
        counts: test images by true class (row) and predicted class (column).
    """

    kind: ClassVar[str] = CONFUSION
    counts: tuple[tuple[int, ...], ...]


KINDS: dict[str, type[Decision]] = {
    kind.kind: kind
    for kind in (
        RungDecision,
        PoolDecision,
        LookDecision,
        ExtensionDecision,
        ResourcesDecision,
        DataDecision,
        EndDecision,
        ConfusionDecision,
    )
}


def latest_pools(decisions: Iterable[PoolDecision]) -> dict[tuple[str, int], PoolDecision]:
    """Return the pool in force of each (condition, search): the last one decided."""
    return {(pool.condition, pool.search): pool for pool in decisions}


def settled_seeds(looks: Iterable[LookDecision], condition: str, method: str) -> int | None:
    """Return the number of seeds after which an arm gets no more, or None if none is decided.

    >>> looks = [LookDecision(look=0, seeds=4, settled=(), arms=(("all", "mixup"),))]
    >>> settled_seeds(looks, "all", "mixup"), settled_seeds(looks, "all", "baseline")
    (4, None)
    """
    return next((look.seeds for look in looks if look.settles(condition, method)), None)


def confirmation_runs(plan: PlanRecord, decisions: Iterable[Decision]) -> dict[str, int]:
    """Return how many confirmation runs each arm gets, by name of the arm; an upper bound until its points are chosen.

    Args:
        plan: the study's plan.
        decisions: what the study has decided; pools and looks are considered.
    """
    decided = list(decisions)
    looks = [decision for decision in decided if isinstance(decision, LookDecision)]
    points = confirmed_points(plan, (decision for decision in decided if isinstance(decision, PoolDecision)))
    seeds = {arm.name: settled_seeds(looks, arm.condition, arm.method) or plan.seeds for arm in plan.arms}
    return {name: points[name] * seeds[name] for name in points}


def confirmed_points(plan: PlanRecord, decisions: Iterable[PoolDecision]) -> dict[str, int]:
    """Return at how many points each arm is confirmed, by name of the arm; an upper bound until they are chosen.

    An arm without a completed trial in a search is not confirmed at the points of that search, and one that was there
    before an extension not at the points that the extension added for others.

    Args:
        plan: the study's plan.
        decisions: the pools that the study has decided.
    """
    pools, found = latest_pools(decisions), {}
    for arm in plan.arms:
        source = plan.arm(arm.condition, arm.same_as or arm.method) or arm
        chosen = [pools.get((arm.condition, search)) for search in range(plan.replicates)]
        found[arm.name] = sum(plan.points if pool is None else _points_of(source.name, plan, pool) for pool in chosen)
    return found


def _points_of(arm: str, plan: PlanRecord, pool: PoolDecision) -> int:
    """Return the number of points of a pool at which an arm is confirmed; without a search at all of them."""
    return sum(arm in point.own or not plan.trials_per_arm for point in pool.points)
