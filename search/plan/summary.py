"""Summary of a plan: the lines and tables that `assay plan` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.monitor.messages import copyable
from search.plan.power import StudySize
from search.plan.precision import could_gain
from trainables.records import PlanRecord, PrecisionRecord, duration, number_of

if TYPE_CHECKING:
    from search.study.schema import Study


def summary_rows(plan: PlanRecord, size: StudySize) -> list[tuple[str, str]]:
    """Return the output of `assay plan`: (heading, text) of each line."""
    matched = sum(not arm.searched for arm in plan.arms)
    own = size.methods - matched // size.conditions
    methods = number_of(own, "cell" if plan.factors else "method")
    longer = f", and {matched} at the compute of another arm, which take its search" if matched else ""
    points, seeds = number_of(plan.most_points, "point"), number_of(plan.seeds, "seed")
    searches = f" in each of {plan.replicates} searches" if plan.replicates > 1 else ""
    looks = f", looks at {', '.join(map(str, plan.looks))}" if len(plan.looks) > 1 and not plan.open_ended else ""
    most = "at most " if plan.open_ended else ""
    stops = ", without early stopping" if any(one.rungs for one in plan.conditions) else ""
    unstopped = {one.unstopped: one.name for one in plan.conditions if one.unstopped and plan.trials_per_arm}
    off = [("early stopping", f"off under {name}: {why}") for why, name in unstopped.items()]
    short = list(dict.fromkeys(f"{one.trial_epochs} of {one.epochs}" for one in plan.conditions if one.trial_epochs))
    lengths = f"complete schedules of {', '.join(short)} epochs; no early stopping"
    return [
        ("arms", f"{size.arms}: {methods} x {number_of(size.conditions, 'condition')}{longer}"),
        ("search", f"{number_of(size.search_runs, 'run')}, {plan.trials_per_arm} per arm{searches}"),
        *([("fidelity", lengths)] if short else []),
        *off,
        (
            "confirmation",
            f"at most {number_of(size.confirmation_runs, 'run')}, {points} x {most}{seeds} per arm{looks}",
        ),
        *([("seeds", f"open: claims are {plan.stopping_rule}")] if plan.open_ended else []),
        ("work", f"{size.plain_epochs:,.0f} epochs of plain training{stops}"),
        *_cost_rows(size, stops),
        ("family", f"{number_of(size.contrasts, 'contrast')}, Holm correction at {100 * plan.alpha:g} %"),
        ("power", _power(plan, size)),
        ("shared", f"the same in all arms of a condition: {'; '.join(shared_by_arms(plan))}"),
    ]


def _cost_rows(size: StudySize, stops: str) -> list[tuple[str, str]]:
    if size.hours is None or size.gigabytes is None:
        time = "unknown; `--timed` measures it on this machine, `--images-per-second N` estimates it from a throughput"
        unread = copyable("not read yet; `assay list data --check STUDY` checks it")
        return [("data", unread), ("time", time), ("disk", "unknown, see time")]
    time = f"{duration(3600 * size.hours)} of training{stops}; starting and the report take another minute or two"
    return [("time", time), ("disk", f"{size.gigabytes:.2g} GB")]


def _power(plan: PlanRecord, size: StudySize) -> str:
    standardised = f"{size.detectable:.2f} standard deviations"
    if size.spread_points is None or size.detectable_points is None:
        unit = plan.unit.many
        return (
            f"80 % to detect an effect of {standardised} of a paired difference over seeds; `--spread` in {unit} or "
            f"`--noise` gives it in {unit}"
        )
    detectable, spread = (plan.unit.scaled_amount(each) for each in (size.detectable_points, size.spread_points))
    return (
        f"80 % to detect an effect of {detectable}, if paired differences have a standard deviation of {spread} over "
        f"seeds ({standardised})"
    )


def shared_by_arms(plan: PlanRecord) -> tuple[str, ...]:
    """Return what all arms of a condition have in common, except for what is compared; `check_plan` enforces it."""
    tuned = f"the first {plan.designed} search points, and the number of trials"
    return (
        "data and fingerprint",
        "train/validation split of each seed",
        "order of the images",
        "evaluation" if any(arm.compute_of for arm in plan.arms) else "training length and evaluation",
        tuned if plan.designed < plan.trials_per_arm else "search points and trials",
        "confirmation points and seeds",
        "selection on validation data only, never on the test set",
        "early stopping and checkpoints",
    )


def precision_rows(study: Study, precision: PrecisionRecord | None) -> list[tuple[str, str]]:
    """Return the line of `assay plan` about the precision, unless the study file sets it.

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


def proposal_rows(plan: PlanRecord, size: StudySize) -> list[tuple[str, str, str, str]]:
    """Return the proposed sizes as table rows: trials, seeds, hours and detectable effect."""
    return [
        (
            str(one.trials),
            str(one.seeds),
            f"{one.hours:.2g}",
            "" if one.detectable_points is None else plan.unit.scaled_amount(one.detectable_points),
        )
        for one in size.proposals
    ]
