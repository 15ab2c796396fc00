"""Plan record builder: writes down the plan of a study, or of a final training, for the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from search.plan.model import Arm, Condition, Plan
from spaces.distributions import space_document
from trainables import records
from trainables.methods import METHODS
from trainables.records import (
    ArmRecord,
    ConditionRecord,
    ContrastRecord,
    ExtensionDecision,
    ExtensionRecord,
    PlanRecord,
    PrecisionRecord,
)
from trainables.schedules import selection_epochs


def study_record(
    plan: Plan, extensions: Sequence[ExtensionDecision] = (), precision: PrecisionRecord | None = None
) -> PlanRecord:
    """Return the plan of a study as the journal keeps it.

    Args:
        plan: the plan.
        extensions: how the study was extended until now, in order; a contrast that an extension added belongs to a
            family of its own.
        precision: how its precision was decided, if by timing; an extension keeps it.
    """
    study = plan.study
    looks, is_open = study.looks, study.confirm.is_open
    return PlanRecord(
        name=study.name,
        metric=study.metric,
        smallest_effect=study.smallest_effect / 100,
        alpha=study.alpha,
        seeds=study.confirm.most_seeds,
        points=plan.points,
        trials_per_arm=plan.trials,
        factors={factor: [level.name for level in options] for factor, options in study.compare.items()},
        looks=looks,
        look_alphas=(study.alpha,) * len(looks) if is_open else tuple(look_alphas(study.alpha, len(looks))),
        replicates=plan.searches,
        match=study.search.match,
        test=plan.test_part,
        variances="own" if is_open else extensions[0].plan.variances if extensions else "pooled",
        choice=extensions[0].plan.choice if extensions else "shrunken",
        open_ended=is_open,
        precision=extensions[0].plan.precision if extensions else precision,
        version=2 if is_open else 1,
        designed=plan.designed,
        conditions=tuple(map(_condition_record, plan.conditions)),
        arms=tuple(_arm_record(plan, arm) for arm in plan.arms),
        contrasts=tuple(_contrast_records(plan, extensions)),
        extensions=tuple(ExtensionRecord(what=step.what, exploratory=step.exploratory) for step in extensions),
    )


def _condition_record(condition: Condition) -> ConditionRecord:
    return ConditionRecord(
        name=condition.name,
        values=condition.values,
        epochs=condition.epochs,
        selection_epochs=condition.selection_epochs,
        trial_epochs=condition.trial_epochs if condition.trial_epochs < condition.epochs else None,
        rungs=condition.rungs,
        unstopped=condition.unstopped,
        data=condition.data,
    )


def _contrast_records(plan: Plan, extensions: Sequence[ExtensionDecision]) -> Iterator[ContrastRecord]:
    """Yield the contrasts; the family of each is the number of extensions before it was declared."""
    before = [{contrast.key for contrast in step.plan.contrasts} for step in extensions]
    for key in plan.contrasts:
        family = next((number for number, keys in enumerate(before) if key in keys), len(before))
        condition, method, reference = key
        yield ContrastRecord(condition=condition, method=method, reference=reference, family=family)


def _arm_record(plan: Plan, arm: Arm) -> ArmRecord:
    levels = {factor: level.name for factor, level in arm.cell.levels.items()}
    if levels and len(plan.study.methods) > 1:
        levels = {"method": arm.cell.entry.label, **levels}
    return ArmRecord(
        name=arm.name,
        method=arm.method,
        condition=arm.condition.name,
        cost=arm.cost,
        reference=arm.reference,
        parameters={**arm.cell.entry.plain(), **arm.cell.settings},
        levels=levels,
        spaces=space_document({**plan.nuisance, **arm.space}) if plan.trials and arm.searched else {},
        only_if=_conditions_of(plan, arm) if plan.trials and arm.searched else {},
        off_from=arm.off.start,
        block_ends=arm.off.block_ends,
        epochs=arm.epochs,
        compute_of=arm.compute_of,
        same_as=arm.cell.name if arm.compute_of else None,
    )


def _conditions_of(plan: Plan, arm: Arm) -> dict[str, tuple[str, Any]]:
    """Return the searched dimensions that have an effect only if another has a value."""
    own = METHODS.get(arm.cell.entry.name).conditional()
    return {**plan.only_if, **{name: rule for name, rule in own.items() if {name, rule[0]} <= arm.space.keys()}}


def look_alphas(alpha: float, looks: int) -> list[float]:
    """Return the error rate of each look: the first one has half the weight, since early data decide least.

    They add up to `alpha`.

        >>> [round(share, 3) for share in look_alphas(0.05, 3)]
        [0.01, 0.02, 0.02]
    """
    weights = [1.0] if looks == 1 else [1.0] + [2.0] * (looks - 1)
    return [alpha * weight / sum(weights) for weight in weights]


def training_record(name: str, arm: str, method: str, epochs: int, cost: float, seeds: int) -> PlanRecord:
    """Return the plan of a final training as the journal keeps it: one arm, nothing searched or compared.

    Args:
        name: title of the training.
        arm: name of its arm and of its condition.
        method: display name of the method.
        epochs: training length.
        cost: of an epoch, in plain epochs.
        seeds: number of runs.
    """
    condition = ConditionRecord(name=arm, values={}, epochs=epochs, selection_epochs=selection_epochs(epochs), rungs=())
    return PlanRecord(
        name=name,
        metric=records.VALIDATION_ACCURACY,
        smallest_effect=0,
        alpha=0.05,
        seeds=0,
        points=0,
        trials_per_arm=0,
        final_seeds=seeds,
        conditions=(condition,),
        arms=(ArmRecord(name=arm, method=method, condition=arm, cost=cost, reference=True),),
        contrasts=(),
    )
