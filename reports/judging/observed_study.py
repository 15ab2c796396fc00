"""Observed study: usable runs as the data of a study, so that they are judged by the rules of a native one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reports.data.frames import StudyData
from reports.judging.duplicates import ARM, CONDITION, PAIR, SELECTION, SETTING, VALUE
from reports.judging.metrics import smallest_effect
from reports.judging.question import Question
from reports.judging.run_table import EPOCH, RUN, joined, short_list, short_name
from reports.judging.usable_runs import Levels, UsableRuns
from trainables import records
from trainables.errors import InputError
from trainables.records import (
    ArmRecord,
    ConditionRecord,
    ContrastRecord,
    Facts,
    ObservedRecord,
    PlanRecord,
)

USUAL_REFERENCES = ("baseline", "control", "reference", "none", "default")
"""Arms that are the reference if none is named, in this order."""
ALL = "these conditions"
"""Name of the only condition if no condition columns are named."""


def observed_study(usable: UsableRuns, question: Question, name: str) -> StudyData:
    """Return the runs as the data of a study whose plan is inferred from them.

    Each arm and condition that has runs takes part; every arm is compared with the reference of its condition. The
    family consists of all these comparisons. Without pairs, runs are numbered within each arm; such a study must be
    judged by `judging.unpaired`.

    Args:
        usable: the runs.
        question: what is asked about them.
        name: name of the study.

    Raises:
        InputError: the reference is not among the arms, or has no runs together with another arm.
    """
    arms = dict(enumerate(_names(question.arm, usable.arms)))
    conditions = dict(enumerate(_names(question.condition, usable.conditions)))
    reference = reference_code(usable, question)
    present = usable.runs[[CONDITION, ARM]].drop_duplicates().sort_values([CONDITION, ARM])
    contrasts = _contrasts(present, reference, arms, conditions)
    if not contrasts:
        raise InputError(f"the reference {arms[reference]} has no condition in common with another arm")
    seeds = usable.runs.groupby([CONDITION, ARM])[PAIR].nunique().max() if usable.pairs else _most_runs(usable)
    plan = PlanRecord(
        name=name,
        metric=short_name(usable.select),
        smallest_effect=smallest_effect(question.smallest, usable.unit),
        alpha=question.alpha,
        variances="pooled",
        choice="shrunken",
        seeds=int(seeds),
        points=max(1, len(usable.settings)),
        trials_per_arm=0,
        conditions=_conditions(usable, question, conditions),
        arms=tuple(
            _arm(question, usable.arms[arm], arms[arm], conditions[condition], arm == reference)
            for condition, arm in present.itertuples(index=False)
        ),
        contrasts=tuple(contrasts),
        observed=ObservedRecord(unit=usable.unit, selection_higher_is_better=usable.selection_higher),
    )
    runs = _runs(usable, arms, conditions)
    return StudyData(
        journal=None, plan=plan, facts=Facts(), runs=runs, curves=_curves(usable, runs), decisions=(), updated=None
    )


def reference_code(usable: UsableRuns, question: Question) -> int:
    """Return the code of the reference arm.

    Raises:
        InputError: there is no such arm, or none is named and no arm has a usual name.
    """
    present = [int(code) for code in sorted(usable.runs[ARM].unique())]
    names = {code: joined(usable.arms[code]) for code in present}
    if question.reference is None:
        usual = [code for name in USUAL_REFERENCES for code in present if names[code].lower() == name]
        if not usual:
            listed = short_list(names.values(), 6)
            raise InputError(f"name the arm that the others are compared with: --reference {listed}")
        return usual[0]
    asked = _plain_name(question.reference)
    spelled = {code: _spellings(question.arm, usable.arms[code]) for code in present}
    found = [code for code, spellings in spelled.items() if asked in spellings]
    if not found:
        raise InputError(
            f"--reference {question.reference}: no run has this arm. The arms are {short_list(names.values())}."
        )
    return found[0]


def _plain_name(text: str) -> str:
    return ",".join(part.strip() for part in text.split(","))


def _spellings(columns: Sequence[str], levels: Levels) -> set[str]:
    """Return how a user may name an arm: `sgd,0.1` or `optimizer=sgd,lr=0.1`."""
    named = (f"{column}={level}" for column, level in zip(columns, levels, strict=True))
    return {_plain_name(",".join(map(str, levels))), _plain_name(",".join(named))}


def _names(columns: Sequence[str], levels: Sequence[Levels]) -> list[str]:
    """Return display names: the level itself of one column, `a=1, b=2` of several."""
    if not columns:
        return [ALL for _ in levels]
    if len(columns) == 1:
        return [str(level) for (level,) in levels]
    return [
        ", ".join(f"{short_name(column)}={level}" for column, level in zip(columns, own, strict=True)) for own in levels
    ]


def _values(columns: Sequence[str], levels: Levels) -> dict[str, object]:
    return {short_name(column): level for column, level in zip(columns, levels, strict=True)}


def _conditions(usable: UsableRuns, question: Question, names: Mapping[int, str]) -> tuple[ConditionRecord, ...]:
    length = _lengths(usable)
    return tuple(
        ConditionRecord(
            name=names[code],
            values=_values(question.condition, usable.conditions[code]),
            epochs=length.get(code, 1),
            selection_epochs=question.last,
            rungs=(),
        )
        for code in sorted(usable.runs[CONDITION].unique())
    )


def _arm(question: Question, levels: Levels, name: str, condition: str, reference: bool) -> ArmRecord:
    return ArmRecord(
        name=f"{name}, {condition}",
        method=name,
        condition=condition,
        cost=1.0,
        reference=reference,
        levels=_values(question.arm, levels),
    )


def _contrasts(
    present: pd.DataFrame, reference: int, arms: Mapping[int, str], conditions: Mapping[int, str]
) -> list[ContrastRecord]:
    """Return the comparison of every arm with the reference, in every condition in which both have runs."""
    with_reference = set(present.loc[present[ARM] == reference, CONDITION])
    return [
        ContrastRecord(condition=conditions[condition], method=arms[arm], reference=arms[reference])
        for condition, arm in present.itertuples(index=False)
        if condition in with_reference and arm != reference
    ]


def unanswered(plan: PlanRecord) -> tuple[tuple[str, str], ...]:
    """Return arm and condition of the comparisons without a verdict, because one side has no usable run there."""
    answered = {(contrast.method, contrast.condition) for contrast in plan.contrasts}
    arms = dict.fromkeys(arm.method for arm in plan.arms if not arm.reference)
    grid = [(arm, condition.name) for condition in plan.conditions for arm in arms]
    return tuple(one for one in grid if one not in answered)


def _most_runs(usable: UsableRuns) -> int:
    return int(usable.runs.groupby([CONDITION, ARM, SETTING]).size().max())


def _lengths(usable: UsableRuns) -> dict[int, int]:
    """Return the number of epochs of the longest run by condition."""
    if usable.curves is None:
        return {}
    last = usable.curves.groupby(RUN)[EPOCH].max()
    of_runs = usable.runs.loc[last.index, CONDITION].to_numpy()
    longest = last.groupby(of_runs).max()
    return {int(str(code)): max(1, int(epochs)) for code, epochs in longest.items()}


def _runs(usable: UsableRuns, arms: Mapping[int, str], conditions: Mapping[int, str]) -> pd.DataFrame:
    """Return `StudyData.runs`."""
    own = usable.runs
    epochs = np.ones(len(own), dtype=int)
    if usable.curves is not None:
        last = usable.curves.groupby(RUN)[EPOCH].max()
        epochs[last.index.to_numpy()] = np.maximum(last.to_numpy().astype(int), 1)
    condition, arm = own[CONDITION].map(conditions), own[ARM].map(arms)
    pair = own[PAIR] if usable.pairs else own.groupby([CONDITION, ARM, SETTING]).cumcount()
    return pd.DataFrame(
        {
            "run": _unique(own[RUN]),
            "phase": records.CONFIRM,
            "condition": condition,
            "arm": arm + ", " + condition,
            "method": arm,
            "index": own[SETTING].astype(int),
            "seed_index": pair.astype(int),
            "audit": False,
            "parameters": [{} for _ in range(len(own))],
            "searched": [{} for _ in range(len(own))],
            "started": np.nan,
            "ended": 0.0,
            "outcome": records.COMPLETED,
            "epoch": epochs,
            "reason": "",
            records.SELECTION: own[SELECTION],
            usable.unit.metric: own[VALUE],
        }
    )


def _unique(names: pd.Series) -> pd.Series:
    """Return the names of the runs, with a number appended where they repeat."""
    number = names.groupby(names).cumcount()
    return names.where(number == 0, names + " (" + (number + 1).astype(str) + ")")


def _curves(usable: UsableRuns, runs: pd.DataFrame) -> pd.DataFrame:
    """Return `StudyData.curves` with the selection metric, or the judged metric if that has no epochs."""
    curves, metric = usable.curves, short_name(usable.select)
    if curves is None or usable.select not in curves:
        return pd.DataFrame({"run": pd.Categorical([]), "epoch": np.array([], dtype=int), metric: []})
    found = curves[[RUN, EPOCH, usable.select]].dropna().rename(columns={usable.select: metric})
    run = pd.Categorical.from_codes(found[RUN].to_numpy(dtype=int), categories=pd.Index(runs["run"]))
    return found.assign(run=run).astype({EPOCH: int, metric: float}).reset_index(drop=True)
