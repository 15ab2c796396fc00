"""Size and statistical power of a study: number of runs, work, time, disk and smallest detectable effect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.monitor.messages import copyable
from search.plan.cost_estimate import StudyCosts
from search.plan.precision import could_gain
from search.plan.validation import SHARED
from trainables.records import PlanRecord, PrecisionRecord, duration, number_of

if TYPE_CHECKING:
    from search.study.schema import Study

POWER = 0.8
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
        detectable_points: smallest detectable effect, in points of accuracy.
    """

    trials: int
    seeds: int
    hours: float
    detectable_points: float


@dataclass(frozen=True)
class StudySize:
    """Size of a study.

    Args:
        conditions, methods, arms, contrasts: numbers of each; methods are cells if several factors are compared.
        search_runs, confirmation_runs: maximum numbers of runs.
        plain_epochs: total work in epochs of plain training, without early stopping.
        detectable: smallest true effect, in seed standard deviations, that is detected with 80 % power in the whole
            family.
        detectable_points: the same in points of accuracy at the assumed spread.
        spread_points: assumed standard deviation of a paired difference over seeds, in points of accuracy.
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
    detectable_points: float
    spread_points: float
    hours: float | None
    gigabytes: float | None
    proposals: tuple[ProposedSize, ...]
    warnings: tuple[str, ...]


def study_size(
    plan: PlanRecord, spread_points: float, costs: StudyCosts | None = None, budget_hours: float | None = None
) -> StudySize:
    """Return the size of a study.

    Args:
        plan: the plan of the study.
        spread_points: standard deviation of a paired difference over seeds, in points of accuracy.
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
        detectable_points=detectable * spread_points,
        spread_points=spread_points,
        hours=hours,
        gigabytes=costs.disk_bytes(plan) / 1e9 if costs else None,
        proposals=proposals,
        warnings=tuple(_warnings(plan, detectable * spread_points, hours, budget_hours, bool(proposals))),
    )


def detectable_in_family(plan: PlanRecord) -> float:
    """Return the smallest effect, in standard deviations, that is detected at the last look in the whole family."""
    claims = max(len(plan.contrasts), 1)
    if plan.open_ended:
        from reports.statistics.anytime import equivalent_level

        return detectable_effect(plan.seeds, equivalent_level(plan.seeds, plan.alpha / claims))
    return detectable_effect(plan.seeds, plan.look_alphas[-1] / claims, claims // max(len(plan.conditions), 1))


def detectable_effect(seeds: int, alpha: float, contrasts: int = 1) -> float:
    """Return the smallest standardised effect that a two-sided paired t-test detects with 80 % power.

    Args:
        seeds: number of pairs.
        alpha: level of a single test, after correction for the family.
        contrasts: number of contrasts in a condition, whose variances are pooled.
    """
    from scipy.optimize import root_scalar

    from reports.statistics.significance import power

    found = root_scalar(
        lambda effect: power(effect, seeds, alpha, contrasts) - POWER, bracket=(1e-3, 1e4), method="brentq"
    )
    return float(found.root)


def _proposals(
    plan: PlanRecord, costs: StudyCosts, budget_hours: float, spread_points: float
) -> Iterable[ProposedSize]:
    """Yield for each number of trials the largest number of seeds that fits the budget."""
    for trials in TRIALS if plan.trials_per_arm else (0,):
        sized = [plan.model_copy(update={"trials_per_arm": trials, "seeds": seeds}) for seeds in SEEDS]
        fitting = [size for size in sized if costs.hours(size) <= budget_hours]
        if fitting:
            size = fitting[-1]
            yield ProposedSize(trials, size.seeds, costs.hours(size), detectable_in_family(size) * spread_points)


def _warnings(
    plan: PlanRecord, detectable_points: float, hours: float | None, budget_hours: float | None, proposed: bool
) -> Iterable[str]:
    seeds, contrasts = number_of(plan.seeds, "seed"), number_of(len(plan.contrasts), "contrast")
    if detectable_points > 100 * plan.smallest_effect:
        smallest, remedy = plan.unit.amount(plan.smallest_effect), "most" if plan.open_ended else "seeds"
        yield (
            f"an effect of {smallest}, the smallest of interest, would mostly remain undecided: with {seeds} and "
            f"{contrasts}, effects from about {detectable_points:.1f} points are detectable. Raise confirm.{remedy}, "
            "or compare fewer methods or conditions."
        )
    if 0 < plan.trials_per_arm < MIN_TRIALS:
        trials = number_of(plan.trials_per_arm, "trial")
        yield f"A search of {trials} per arm is thin: the best point may be far from the optimum."
    if plan.points > MAX_POINTS:
        yield (
            f"{plan.points} pooled points: with more than {MAX_POINTS}, the best point of an arm may look better than "
            "it is, and the coverage of the 95 % intervals drops to 91-92 %. Lower confirm.points."
        )
    if plan.replicates == 2:
        yield (
            "two replicates say little about other searches; claims beyond these searches need three "
            "(`search.replicates`)."
        )
    if hours is not None and budget_hours is not None and hours > budget_hours:
        taken, budget = duration(3600 * hours), duration(3600 * budget_hours)
        remedy = "the sizes above fit" if proposed else "no size fits: reduce methods, conditions or training length"
        yield f"the study would take {taken}, but the budget is {budget}; {remedy}."


def summary_rows(plan: PlanRecord, size: StudySize) -> list[tuple[str, str]]:
    """Return the output of `assay plan`: (heading, text) of each line."""
    methods = number_of(size.methods, "cell" if plan.factors else "method")
    points, seeds = number_of(plan.most_points, "point"), number_of(plan.seeds, "seed")
    searches = f" in each of {plan.replicates} searches" if plan.replicates > 1 else ""
    looks = f", looks at {', '.join(map(str, plan.looks))}" if len(plan.looks) > 1 and not plan.open_ended else ""
    most = "at most " if plan.open_ended else ""
    time = "unknown; `--timed` measures it on this machine, `--images-per-second N` estimates it from a throughput"
    disk = "unknown, see time"
    spread = plan.unit.amount(size.spread_points / plan.unit.scale)
    unread = copyable("not read yet; `assay list data --check STUDY` checks it")
    stops = ", without early stopping" if any(one.rungs for one in plan.conditions) else ""
    if size.hours is not None and size.gigabytes is not None:
        time = f"{duration(3600 * size.hours)} of training{stops}; starting and the report take another minute or two"
        disk = f"{size.gigabytes:.2g} GB"
    unstopped = {one.unstopped: one.name for one in plan.conditions if one.unstopped and plan.trials_per_arm}
    off = [("early stopping", f"off under {name}: {why}") for why, name in unstopped.items()]
    short = list(dict.fromkeys(f"{one.trial_epochs} of {one.epochs}" for one in plan.conditions if one.trial_epochs))
    lengths = f"complete schedules of {', '.join(short)} epochs; no early stopping"
    return [
        (
            "arms",
            f"{size.arms}: {methods} x {number_of(size.conditions, 'condition')}",
        ),
        ("search", f"{number_of(size.search_runs, 'run')}, {plan.trials_per_arm} per arm{searches}"),
        *([("fidelity", lengths)] if short else []),
        *off,
        (
            "confirmation",
            f"at most {number_of(size.confirmation_runs, 'run')}, {points} x {most}{seeds} per arm{looks}",
        ),
        *([("seeds", f"open: claims are {plan.stopping_rule}")] if plan.open_ended else []),
        ("work", f"{size.plain_epochs:,.0f} epochs of plain training{stops}"),
        *([("data", unread)] if size.hours is None else []),
        ("time", time),
        ("disk", disk),
        ("family", f"{number_of(size.contrasts, 'contrast')}, Holm correction at {100 * plan.alpha:g} %"),
        (
            "power",
            f"80 % to detect an effect of {size.detectable_points:.2f} points, if paired differences have a standard "
            f"deviation of {spread} over seeds ({size.detectable:.2f} standard deviations)",
        ),
        ("shared", "the same in all arms of a condition: " + "; ".join(SHARED)),
    ]


def precision_rows(study: Study, precision: PrecisionRecord | None) -> list[tuple[str, str]]:
    """Return the line of `assay plan` about the precision, unless the study file says which.

    Args:
        study: the study as it was written.
        precision: what was measured here, or None.

    >>> from search.study.loading import load_study
    >>> study = load_study("quickstart", ("recipe.precision=auto",))
    >>> precision_rows(study, PrecisionRecord(chosen="mixed", margin=1.1, gain=1.62))[0][1]
    'mixed, timed at 1.62 times the speed of float32 (needed: 1.1); the study will time both again on a worker'
    """
    if precision:
        return [("precision", f"{precision.text}; the study will time both again on a worker")]
    if study.measures_precision:
        timed = "auto: the study will time float32 and mixed on a worker when it starts; `--timed`: also here"
        return [("precision", timed)]
    if study.names_precision or not could_gain(study):
        return []
    return [("precision", "float32, or in a long study mixed if that is faster when it starts")]


def proposal_rows(size: StudySize) -> list[tuple[str, str, str, str]]:
    """Return the proposed sizes as table rows: trials, seeds, hours and detectable effect."""
    return [
        (str(one.trials), str(one.seeds), f"{one.hours:.2g}", f"{one.detectable_points:.2f} points")
        for one in size.proposals
    ]
