"""What a study costs and what it can find, before it is paid for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from search.plan.cost_estimate import Costs
from search.plan.model import Plan
from search.plan.record import look_alphas
from search.plan.validation import SHARED

POWER = 0.8
FEW_TRIALS = 8
MANY_POINTS = 4
"""Pooled points up to which the interval holds what it says (tests/benchmarks/README.md)."""
TRIALS = (4, 8, 12, 16, 24, 32, 48, 64)
SEEDS = (4, 6, 8, 10, 12, 16, 20, 24, 30, 40)


@dataclass(frozen=True)
class Size:
    """A proposed size: trials of each arm, seeds of each point, what it takes and what it finds."""

    trials: int
    seeds: int
    hours: float
    detectable_points: float


@dataclass(frozen=True)
class Budget:
    """The size of a study.

    Args:
        conditions, methods, arms, contrasts: how many; methods are cells where several factors are compared.
        search_runs, confirmation_runs: how many at most.
        plain_epochs: all work, in epochs of plain training, with no early stop.
        detectable: the smallest true effect, in seed spreads, that is found with 80 % power in the whole family.
        detectable_points: the same in points of accuracy at the assumed spread.
        spread_points: the assumed standard deviation of a paired difference over seeds, in points.
        hours: wall time, None where nothing was timed.
        gigabytes: on disk, None where nothing was timed.
        proposals: sizes that fit a budget of hours, none where none was asked for.
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
    detectable_points: float
    spread_points: float
    hours: float | None
    gigabytes: float | None
    proposals: tuple[Size, ...]
    warnings: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return asdict(self)


def budget(plan: Plan, spread_points: float, costs: Costs | None = None, hours: float | None = None) -> Budget:
    """Return the size of a study.

    Args:
        plan: what it does.
        spread_points: standard deviation of a paired difference over seeds, in points of accuracy.
        costs: what its runs take, where that is known.
        hours: a budget to propose sizes for; needs `costs`.
    """
    study = plan.study
    confirmations = plan.points * plan.searches * study.confirm.seeds
    trials = plan.trials * plan.searches
    searched = [arm for arm in plan.arms if arm.searched]
    found = _detectable(plan, study.confirm.seeds)
    taken = costs.hours(plan, plan.trials, study.confirm.seeds) if costs else None
    points = found * spread_points
    proposals = tuple(_proposals(plan, costs, hours, spread_points)) if costs and hours else ()
    return Budget(
        conditions=len(plan.conditions),
        methods=len(plan.in_condition(plan.conditions[0].name)),
        arms=len(plan.arms),
        contrasts=len(plan.contrasts),
        search_runs=trials * len(searched),
        confirmation_runs=confirmations * len(plan.arms),
        plain_epochs=sum(arm.cost * arm.epochs * (trials * arm.searched + confirmations) for arm in plan.arms),
        detectable=found,
        detectable_points=points,
        spread_points=spread_points,
        hours=taken,
        gigabytes=costs.disk_bytes(plan) / 1e9 if costs else None,
        proposals=proposals,
        warnings=tuple(_warnings(plan, points, taken, hours, bool(proposals))),
    )


def _detectable(plan: Plan, seeds: int) -> float:
    """Return the smallest effect, in spreads, that is found at the last look in the whole family."""
    looks = len(plan.study.confirm.stages)
    alpha = look_alphas(plan.study.alpha, looks)[-1] / max(len(plan.contrasts), 1)
    return detectable_effect(seeds, alpha)


def detectable_effect(seeds: int, alpha: float) -> float:
    """Return the smallest standardised effect that a two-sided paired t-test finds with 80 % power.

    Args:
        seeds: number of pairs.
        alpha: level of the single test, after the correction for the family.
    """
    from scipy.optimize import root_scalar

    from reports.statistics.significance import power

    found = root_scalar(lambda effect: power(effect, seeds, alpha) - POWER, bracket=(1e-3, 1e4), method="brentq")
    return float(found.root)


def _proposals(plan: Plan, costs: Costs, hours: float, spread_points: float) -> Iterable[Size]:
    """Yield for each number of trials the most seeds that fit into a budget of hours."""
    for trials in TRIALS if plan.trials else (0,):
        fitting = [seeds for seeds in SEEDS if costs.hours(plan, trials, seeds) <= hours]
        if fitting:
            seeds = fitting[-1]
            yield Size(trials, seeds, costs.hours(plan, trials, seeds), _detectable(plan, seeds) * spread_points)


def _warnings(plan: Plan, points: float, taken: float | None, hours: float | None, fits: bool) -> Iterable[str]:
    smallest = plan.study.smallest_effect
    if points > smallest:
        yield (
            f"an effect of {smallest:g} points, the smallest of interest, would mostly stay undecided: with "
            f"{plan.study.confirm.seeds} seeds and {len(plan.contrasts)} contrasts about {points:.1f} points are "
            "needed. Raise confirm.seeds, or compare fewer methods or conditions."
        )
    if plan.trials and plan.trials < FEW_TRIALS:
        yield f"{plan.trials} trials an arm is a thin search: the best point may be far from the optimum."
    if plan.points > MANY_POINTS:
        yield (
            f"{plan.points} pooled points: with more than {MANY_POINTS} an arm's best one may look better than it is, "
            "and the 95 % interval then holds in 91 to 92 % of studies. Lower confirm.points."
        )
    if plan.searches == 2:
        yield "two replicates say little about other searches; a claim beyond these needs three (`search.replicates`)."
    if taken is not None and hours is not None and taken > hours:
        mend = "the sizes above fit" if fits else "no size fits: compare fewer methods or conditions, or train shorter"
        yield f"the study would take {_hours(taken)}, and the budget is {_hours(hours)}; {mend}."


def rows(plan: Plan, size: Budget) -> list[tuple[str, str]]:
    """Return what `assay plan` says, a line each."""
    study = plan.study
    searches = f" in each of {plan.searches} searches" if plan.searches > 1 else ""
    looks = f", looks at {', '.join(map(str, study.confirm.looks))}" if study.confirm.looks else ""
    points = f"{plan.points * plan.searches} {'point' if plan.points * plan.searches == 1 else 'points'}"
    kind = "cells" if study.compare else "methods"
    said = [
        ("arms", f"{size.arms}: {size.methods} {kind} under {size.conditions} conditions"),
        ("search", f"{size.search_runs} runs, {plan.trials} for each arm{searches}"),
        ("confirmation", f"{size.confirmation_runs} runs at most, {points} x {study.confirm.seeds} seeds{looks}"),
        ("work", f"{size.plain_epochs:,.0f} epochs of plain training, if nothing is stopped early"),
        ("time", "unknown; `--timed` times every network here, `--images-per-second N` takes a throughput"),
        ("disk", "unknown, as above"),
        ("family", f"{size.contrasts} contrasts, Holm at {100 * study.alpha:g} %"),
        (
            "detectable",
            f"{size.detectable_points:.2f} points with 80 % power, if differences spread by {size.spread_points:g} "
            f"points over seeds ({size.detectable:.2f} times the spread)",
        ),
        ("fair", "equal in all arms of a condition: " + "; ".join(SHARED)),
    ]
    known = {}
    if size.hours is not None and size.gigabytes is not None:
        known = {"time": f"{_hours(size.hours)}, if nothing is stopped early", "disk": f"{size.gigabytes:.2g} GB"}
    return [(name, known.get(name, text)) for name, text in said]


def proposed(size: Budget) -> list[tuple[str, str, str, str]]:
    """Return the proposed sizes, a line each."""
    return [
        (str(one.trials), str(one.seeds), f"{one.hours:.2g}", f"{one.detectable_points:.2f} points")
        for one in size.proposals
    ]


def _hours(hours: float) -> str:
    minutes = 60 * hours
    if minutes < 1.5:
        return f"{60 * minutes:.0f} seconds"
    return f"{minutes:.0f} minutes" if hours < 1.5 else f"{hours:.1f} hours"
