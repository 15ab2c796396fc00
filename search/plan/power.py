"""Size and statistical power of a study: number of runs, work, time, disk and smallest detectable effect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from search.plan.cost_estimate import StudyCosts
from trainables.records import PlanRecord, duration, number_of

MIN_TRIALS = 8
"""Trials per arm below which a search is called thin."""
MAX_POINTS = 4
"""Pooled points up to which intervals have their nominal coverage (tests/benchmarks/README.md)."""
TRIALS = (4, 8, 12, 16, 24, 32, 48, 64)
SEEDS = (4, 6, 8, 10, 12, 16, 20, 24, 30, 40)
"""Sizes that are considered as proposals."""


@dataclass(frozen=True)
class ProposedSize:
    """A size that fits a budget of hours.

    Args:
        trials: search trials per arm.
        seeds: confirmation seeds per point.
        hours: wall time.
        detectable_points: smallest detectable effect, in points of accuracy or the unit of the metric; None if the
            spread is unknown.
    """

    trials: int
    seeds: int
    hours: float
    detectable_points: float | None


@dataclass(frozen=True)
class StudySize:
    """Size of a study.

    Args:
        conditions, methods, arms, contrasts: numbers of each; methods are cells if several factors are compared.
        search_runs, confirmation_runs: maximum numbers of runs.
        plain_epochs: total work in epochs of plain training, without early stopping.
        detectable: smallest true effect, in seed standard deviations, that is detected with 80 % power in the whole
            family.
        detectable_points: the same in points of accuracy, or the unit of the metric, at the assumed spread.
        spread_points: assumed standard deviation of a paired difference over seeds, in the same unit; None if unknown.
        hours: wall time, or None without cost estimate.
        gigabytes: disk space, or None without cost estimate.
        proposals: sizes that fit a budget of hours; empty without budget.
        warnings: what the study cannot answer.
    """

    conditions: int
    methods: int
    arms: int
    contrasts: int
    search_runs: int
    confirmation_runs: int
    plain_epochs: float
    detectable: float
    detectable_points: float | None
    spread_points: float | None
    hours: float | None
    gigabytes: float | None
    proposals: tuple[ProposedSize, ...]
    warnings: tuple[str, ...]


def study_size(
    plan: PlanRecord, spread_points: float | None, costs: StudyCosts | None = None, budget_hours: float | None = None
) -> StudySize:
    """Return the size of a study.

    Args:
        plan: the plan of the study.
        spread_points: standard deviation of a paired difference over seeds, in points of accuracy or the unit of the
            metric; None if it is unknown.
        costs: cost of its runs, if known.
        budget_hours: propose sizes that fit this wall time; needs `costs`.

    >>> from search.plan.builder import make_plan
    >>> from search.plan.record import study_record
    >>> from search.study.loading import load_study
    >>> size = study_size(study_record(make_plan(load_study("quickstart"))), spread_points=1.0)
    >>> size.search_runs, size.confirmation_runs, round(size.detectable, 2)
    (40, 160, 1.68)
    """
    confirmations = plan.most_confirmations
    detectable = detectable_in_family(plan)
    detectable_points = _scaled(detectable, spread_points)
    hours = costs.hours(plan) if costs else None
    proposals = tuple(_proposals(plan, costs, budget_hours, spread_points)) if costs and budget_hours else ()
    return StudySize(
        conditions=len(plan.conditions),
        methods=sum(arm.condition == plan.conditions[0].name for arm in plan.arms),
        arms=len(plan.arms),
        contrasts=len(plan.contrasts),
        search_runs=sum(plan.trials_of(arm) for arm in plan.arms),
        confirmation_runs=confirmations * len(plan.arms),
        plain_epochs=sum(arm.cost * plan.epochs_of(arm) * plan.full_runs_of(arm) for arm in plan.arms),
        detectable=detectable,
        detectable_points=detectable_points,
        spread_points=spread_points,
        hours=hours,
        gigabytes=costs.disk_bytes(plan) / 1e9 if costs else None,
        proposals=proposals,
        warnings=tuple(_warnings(plan, detectable_points, hours, budget_hours, bool(proposals))),
    )


def detectable_in_family(plan: PlanRecord) -> float:
    """Return the smallest effect, in standard deviations, that is detected at the last look in the whole family."""
    claims = max(len(plan.contrasts), 1)
    if plan.open_ended:
        from reports.statistics.anytime import equivalent_level

        return detectable_effect(plan.seeds, equivalent_level(plan.seeds, plan.alpha / claims))
    return detectable_effect(plan.seeds, plan.look_alphas[-1] / claims, claims // max(len(plan.conditions), 1))


def detectable_effect(seeds: int, alpha: float, contrasts: int = 1) -> float:
    """Return the smallest standardised effect that a two-sided paired t-test detects with a power of `POWER`.

    Args:
        seeds: number of pairs.
        alpha: level of a single test, after correction for the family.
        contrasts: number of contrasts in a condition, whose variances are pooled.
    """
    from scipy.optimize import root_scalar

    from reports.statistics.significance import POWER, power

    found = root_scalar(
        lambda effect: power(effect, seeds, alpha, contrasts) - POWER, bracket=(1e-3, 1e4), method="brentq"
    )
    return float(found.root)


def _proposals(
    plan: PlanRecord, costs: StudyCosts, budget_hours: float, spread_points: float | None
) -> Iterable[ProposedSize]:
    """Yield for each number of trials the largest number of seeds that fits the budget."""
    for trials in TRIALS if plan.trials_per_arm else (0,):
        sized = [plan.model_copy(update={"trials_per_arm": trials, "seeds": seeds}) for seeds in SEEDS]
        fitting = [size for size in sized if costs.hours(size) <= budget_hours]
        if fitting:
            size = fitting[-1]
            detectable = _scaled(detectable_in_family(size), spread_points)
            yield ProposedSize(trials, size.seeds, costs.hours(size), detectable)


def _scaled(standardised: float, spread: float | None) -> float | None:
    return None if spread is None else standardised * spread


def _warnings(
    plan: PlanRecord, detectable: float | None, hours: float | None, budget_hours: float | None, proposed: bool
) -> Iterable[str]:
    seeds, contrasts = number_of(plan.seeds, "seed"), number_of(len(plan.contrasts), "contrast")
    if detectable is not None and detectable > plan.unit.scale * plan.smallest_effect:
        smallest, found = plan.unit.amount(plan.smallest_effect), plan.unit.scaled_amount(detectable)
        remedy = "most" if plan.open_ended else "seeds"
        yield (
            f"The study is unlikely to detect the smallest effect of interest, {smallest}: with {seeds} and "
            f"{contrasts}, effects from about {found} are detectable. Raise confirm.{remedy}, or compare fewer methods "
            "or conditions."
        )
    if 0 < plan.trials_per_arm < MIN_TRIALS:
        trials = number_of(plan.trials_per_arm, "trial")
        yield f"A search of {trials} per arm is thin: the best point may be far from the optimum."
    if plan.points > MAX_POINTS:
        yield (
            f"The study pools {plan.points} points: with more than {MAX_POINTS}, the best point of an arm may look "
            "better than it is, and the coverage of the 95 % intervals drops to 91-92 %. Lower confirm.points."
        )
    if plan.replicates == 2:
        yield (
            "Two replicates allow few conclusions about other searches; claims beyond these searches need three "
            "(`search.replicates`)."
        )
    if hours is not None and budget_hours is not None and hours > budget_hours:
        taken, budget = duration(3600 * hours), duration(3600 * budget_hours)
        remedy = "the sizes above fit" if proposed else "no size fits: reduce methods, conditions or training length"
        yield f"The study would take {taken}, but the budget is {budget}; {remedy}."
