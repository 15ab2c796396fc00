"""What a study costs and what it can find, before it is paid for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from search.plan import Plan

POWER = 0.8


@dataclass(frozen=True)
class Budget:
    """The size of a study.

    Args:
        conditions, methods, arms, contrasts: how many.
        search_runs, confirmation_runs: how many at most.
        plain_epochs: all work, in epochs of plain training, with no early stop.
        detectable: the smallest true effect, in seed spreads, that is found with 80 % power in the whole family.
        detectable_points: the same in points of accuracy at the assumed spread.
        spread_points: the assumed standard deviation of a paired difference over seeds, in points.
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
    warnings: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return asdict(self)


def budget(plan: Plan, spread_points: float) -> Budget:
    """Return the size of a study.

    Args:
        plan: what it does.
        spread_points: standard deviation of a paired difference over seeds, in points of accuracy.
    """
    study = plan.study
    confirmations = plan.points * study.confirm.seeds
    per_arm = plan.trials + confirmations
    epochs = sum(arm.cost * arm.condition.epochs * per_arm for arm in plan.arms)
    found = detectable_effect(study.confirm.seeds, study.alpha / max(len(plan.contrasts), 1))
    points = found * spread_points
    return Budget(
        conditions=len(plan.conditions),
        methods=len(study.methods),
        arms=len(plan.arms),
        contrasts=len(plan.contrasts),
        search_runs=plan.trials * len(plan.arms),
        confirmation_runs=confirmations * len(plan.arms),
        plain_epochs=epochs,
        detectable=found,
        detectable_points=points,
        spread_points=spread_points,
        warnings=_warnings(plan, points),
    )


def detectable_effect(seeds: int, alpha: float) -> float:
    """Return the smallest standardised effect that a two-sided paired t-test finds with 80 % power.

    Args:
        seeds: number of pairs.
        alpha: level of the single test, after the correction for the family.
    """
    from scipy.optimize import root_scalar

    from reports.significance import power

    found = root_scalar(lambda effect: power(effect, seeds, alpha) - POWER, bracket=(1e-3, 1e4), method="brentq")
    return float(found.root)


def _warnings(plan: Plan, points: float) -> tuple[str, ...]:
    found = []
    smallest = plan.study.smallest_effect
    if points > smallest:
        found.append(
            f"an effect of {smallest:g} points, the smallest of interest, would mostly stay undecided: with "
            f"{plan.study.confirm.seeds} seeds and {len(plan.contrasts)} contrasts about {points:.1f} points are "
            "needed. Raise confirm.seeds, or compare fewer methods or conditions."
        )
    if plan.trials and plan.trials < 8:
        found.append(f"{plan.trials} trials an arm is a thin search: the best point may be far from the optimum.")
    return tuple(found)
