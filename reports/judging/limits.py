"""Limits: what the runs cannot support, in sentences that accompany the verdicts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from reports.judging.duplicates import ARM, CONDITION, PAIR, SETTING, VALUE
from reports.judging.observed_study import unanswered
from reports.judging.question import Question
from reports.judging.run_table import EPOCH, FACTORS, RUN, RUN_NAMES, count, joined, short_list, short_name
from reports.judging.usable_runs import UsableRuns
from reports.judging.values import is_numbers
from trainables.records import PlanRecord

MORE_RUNS = 1.2
"""Arms whose numbers of runs differ by more than this factor may have been searched unequally."""
RUNNING_BEST_FROM = 10
"""Minimum number of epochs in which a running best can be recognised, with at least `CHANGES` improvements."""
CHANGES = 3
STAYS = 0.2
"""Minimum share of epochs in which a running best stays exactly the same; metrics that just grow do so rarely."""
MOST_RUNS = 0.8
"""A pattern of the curves is reported if at least this share of the runs show it."""
_SEEDS = {"random_seed", "random_state", "rng_seed", "seed"}
_REPETITIONS = {"fold", "rep", "repeat", "replicate", "split", "trial"}
_SAME = 1e-9
_BEST = re.compile(r"(^|[^a-z])(best|peak)([^a-z]|$)")
_CONSEQUENCE = "the epoch was chosen on the judged data, which inflates every arm, noisy ones most"
_HYPERPARAMETERS = {
    "alpha", "augmentation", "batch_size", "dropout", "epochs", "label_smoothing", "learning_rate", "lr", "model",
    "momentum", "num_epochs", "optimizer", "scheduler", "steps", "warmup", "wd", "weight_decay",
}  # fmt: skip


def limits(usable: UsableRuns, question: Question, plan: PlanRecord, reference: int, paired: bool) -> tuple[str, ...]:
    """Return what the runs cannot support, the most serious first.

    Args:
        usable: the runs.
        question: what is asked about them.
        plan: the plan that was inferred from them.
        reference: code of the reference arm.
        paired: whether runs are compared within pairs.
    """
    return (
        *_best_epoch(usable),
        *_few_runs(usable),
        *_unmeasured(usable, question),
        *_pairs_that_are_no_seeds(usable, question),
        *_unused_seeds(usable, question),
        *_missing_arms(usable),
        *_missing_references(usable, reference),
        *_missing_in_conditions(plan),
        *_missing_pairs(usable, reference, paired),
        *_unequal_numbers(usable),
        *_unequal_lengths(usable),
        *_confounded(usable, question, paired),
        *_validation(usable),
        "The comparisons were formed from the runs that are there. If arms, conditions or the metric were chosen after "
        "a look at the results, the error rate is higher than stated.",
    )


def _name(usable: UsableRuns, arm: int) -> str:
    return joined(usable.arms[arm])


def _under(usable: UsableRuns, condition: int) -> str:
    """Return ` under CONDITION`, or nothing if there is a single one."""
    return f" under {joined(usable.conditions[condition])}" if len(usable.conditions) > 1 else ""


def _few_runs(usable: UsableRuns) -> list[str]:
    runs = {key: len(own) for key, own in _pairs_by_arm(usable).items()} if usable.pairs else _counts(usable.runs)
    single = sorted({arm for (_, arm), number in runs.items() if number == 1})
    if not single:
        return []
    names = short_list([_name(usable, arm) for arm in single], 5)
    return [f"Only one seed of {names}: one run cannot distinguish a difference from chance."]


def _unmeasured(usable: UsableRuns, question: Question) -> list[str]:
    """Return which arms have runs without a value, which may have crashed or diverged."""
    lacking, every = (frame[ARM].value_counts() for frame in (usable.unmeasured, usable.candidates))
    judged = [int(arm) for arm in sorted(set(usable.runs[ARM])) if lacking.get(arm, 0)]
    if not judged:
        return []
    numbers = short_list([f"{_name(usable, arm)} {lacking[arm]:,} of {every[arm]:,}" for arm in judged], 6)
    metrics = short_list(dict.fromkeys((question.metric, question.select or question.metric)))
    return [
        f"Runs without {metrics} are excluded ({numbers}). If they crashed or diverged, this favours their arm: assign "
        "them an appropriate value. If they should not be judged, exclude them with --where."
    ]


def _pairs_that_are_no_seeds(usable: UsableRuns, question: Question) -> list[str]:
    """Return what effects over pairs mean that are circumstances, such as data sets, instead of repetitions."""
    if not usable.pairs or not question.pair or question.pair == question.seed:
        return []
    names = short_list(question.pair)
    if all(short_name(name).lower() in (*_SEEDS, *_REPETITIONS) for name in question.pair):
        return []
    return [
        f"The pairs are combinations of {names}, not repetitions: the effects are averages over them, and hold for "
        "others only as far as these are a sample of them. Chance and differences between pairs are not distinguished."
    ]


def _unused_seeds(usable: UsableRuns, question: Question) -> list[str]:
    """Return whether there are seeds by which the runs could have been paired."""
    if question.pair_columns or question.unpaired:
        return []
    found = [str(name) for name in usable.frame if short_name(str(name)).lower() in _SEEDS]
    if not found:
        return []
    return [f"The runs have a column {found[0]}: with --seed {found[0]} they are compared within pairs."]


def _counts(runs: pd.DataFrame) -> dict[tuple[int, int], int]:
    """Return the number of runs of every condition and arm."""
    return Counter((int(condition), int(arm)) for condition, arm in runs[[CONDITION, ARM]].itertuples(index=False))


def _pairs_by_arm(usable: UsableRuns) -> dict[tuple[int, int], set[int]]:
    """Return the pairs of every condition and arm."""
    found: dict[tuple[int, int], set[int]] = {}
    for condition, arm, pair in usable.runs[[CONDITION, ARM, PAIR]].itertuples(index=False):
        found.setdefault((int(condition), int(arm)), set()).add(int(pair))
    return found


def _missing_arms(usable: UsableRuns) -> list[str]:
    missing = sorted(set(usable.candidates[ARM]) - set(usable.runs[ARM]))
    if not missing:
        return []
    return [f"No usable run of {short_list([_name(usable, int(arm)) for arm in missing], 5)}."]


def _missing_references(usable: UsableRuns, reference: int) -> list[str]:
    """Return the conditions that are not judged because they have no run of the reference."""
    runs = usable.runs
    missing = sorted(set(runs[CONDITION]) - set(runs.loc[runs[ARM] == reference, CONDITION]))
    if not missing:
        return []
    names = short_list([joined(usable.conditions[int(condition)]) for condition in missing], 5)
    return [f"Not judged, because {_name(usable, reference)} has no run there: {names}."]


def _missing_in_conditions(plan: PlanRecord) -> list[str]:
    """Return the comparisons that are not judged because the arm has runs under other conditions only."""
    missing = [f"{arm} under {condition}" for arm, condition in unanswered(plan) if plan.reference(condition)]
    return [f"Not judged, because there is no usable run: {short_list(missing, 5)}."] if missing else []


def _missing_pairs(usable: UsableRuns, reference: int, paired: bool) -> list[str]:
    """Return which pairs are incomplete because one side is missing."""
    if not paired:
        return []
    found = []
    sets = _pairs_by_arm(usable)
    for (condition, arm), own in sets.items():
        other = sets.get((condition, reference))
        if arm == reference or other is None or own == other:
            continue
        sides = ((_name(usable, arm), other - own), (_name(usable, reference), own - other))
        missing = [
            f"{side} has no run for {short_list([joined(usable.pairs[one], '/') for one in sorted(lacking)], 5)}"
            for side, lacking in sides
            if lacking
        ]
        found.append(
            f"{_name(usable, arm)}{_under(usable, condition)}: {len(own & other)} pairs; {'; '.join(missing)}."
        )
    if len(found) > 5:
        return [*found[:5], f"{len(found) - 5} more comparisons have incomplete pairs."]
    return found


def _unequal_numbers(usable: UsableRuns) -> list[str]:
    """Return whether arms had different numbers of runs, which may stem from unequal searches."""
    found = []
    sizes = _counts(usable.candidates)
    for condition in sorted({condition for condition, _ in sizes}):
        by_arm = {arm: size for (own, arm), size in sizes.items() if own == condition}
        if max(by_arm.values()) > MORE_RUNS * min(by_arm.values()):
            numbers = short_list([f"{_name(usable, arm)} {size:,}" for arm, size in sorted(by_arm.items())], 6)
            where = _under(usable, condition)
            found.append(
                f"The numbers of runs differ{where}: {numbers}. If they were tuned with different numbers of trials, "
                "this favours the arm with more trials."
            )
    return found[:3]


def _unequal_lengths(usable: UsableRuns) -> list[str]:
    if usable.curves is None:
        return []
    last = usable.curves.groupby(RUN)[EPOCH].max()
    arms = usable.runs.loc[last.index, ARM].to_numpy()
    medians = {int(arm): float(last[arms == arm].median()) for arm in np.unique(arms)}
    if max(medians.values()) <= 1.05 * min(medians.values()):
        return []
    lengths = short_list([f"{_name(usable, arm)} {epochs:g}" for arm, epochs in medians.items()], 6)
    return [f"The arms were trained for different numbers of epochs (medians: {lengths})."]


def _best_epoch(usable: UsableRuns) -> list[str]:
    """Return whether the judged values are those of the best epoch, chosen on the judged metric itself."""
    curves, judged = usable.curves, short_name(usable.metric)
    if _BEST.search(judged.lower()):
        return [f"`{judged}` seems to be that of the best epoch. If it is, {_CONSEQUENCE}."]
    if curves is None:
        return []
    oriented = usable.unit.as_maximized(curves.drop(columns=EPOCH)).assign(**{RUN: curves[RUN]})
    if usable.metric in oriented and _is_running_best(oriented[[RUN, usable.metric]].dropna(), usable.metric):
        return [
            f"`{judged}` never gets worse from epoch to epoch and often stays exactly the same, as a running best "
            f"does. If it is one, {_CONSEQUENCE}."
        ]
    finals = usable.unit.as_maximized(usable.runs[VALUE])
    for name in oriented.columns.difference([RUN], sort=False):
        known = oriented.dropna(subset=name).groupby(RUN)[name]
        best, telling = known.max(), (known.size() >= RUNNING_BEST_FROM) & (known.max() - known.last() > _SAME)
        hits = (finals.loc[best.index] - best).abs() <= _SAME
        if telling.sum() > 1 and hits[telling].mean() >= MOST_RUNS:
            return [
                f"`{judged}` is the best epoch of `{short_name(str(name))}`, not the last one, in "
                f"{count(telling & hits)}: {_CONSEQUENCE}."
            ]
    return []


def _is_running_best(curves: pd.DataFrame, metric: str) -> bool:
    """Return whether most curves never fall, although they rise several times and stay the same several times."""
    steps = curves.groupby(RUN)[metric].diff()
    kinds = {"falls": steps < -_SAME, "rises": steps > _SAME, "stays": steps.abs() <= _SAME}
    by_run = pd.DataFrame(kinds).groupby(curves[RUN]).sum()
    long = by_run[(by_run.sum(axis=1) + 1 >= RUNNING_BEST_FROM) & (by_run["rises"] >= CHANGES)]
    if long.empty:
        return False
    stays = long["stays"].sum() / long.to_numpy().sum()
    return bool((long["falls"] == 0).mean() >= MOST_RUNS and stays >= STAYS)


def _confounded(usable: UsableRuns, question: Question, paired: bool) -> list[str]:
    """Return which other settings differ between the arms, or within pairs."""
    frame, runs = usable.frame.iloc[usable.runs["row"]], usable.runs
    taken = {*question.arm, *question.condition, *question.pair_columns, *question.setting, *RUN_NAMES}
    settings = [
        name
        for name in map(str, frame.columns)
        if (name.startswith(FACTORS) or name.lower() in _HYPERPARAMETERS)
        and not name.startswith(("tags.mlflow.", "tags.assay."))
        and short_name(name).lower() not in _SEEDS
        and name not in taken
        and short_name(name) not in taken
    ]
    by_arm, within = [], []
    arms, blocks = runs[ARM].to_numpy(), [runs[CONDITION], runs[SETTING]]
    for name in settings:
        codes = pd.Series(pd.factorize(frame[name].astype(str))[0], index=runs.index)
        if codes.nunique() < 2 or (codes.nunique() == len(codes) and not is_numbers(frame[name])):
            continue  # the same everywhere, or a name of the run
        per_arm = codes.groupby([*blocks, arms]).nunique()
        shared = codes.groupby([*blocks, runs[PAIR]] if paired else blocks).nunique()
        if (per_arm == 1).all() and (codes.groupby(blocks).nunique() > 1).any():
            by_arm.append(short_name(name))
        elif (per_arm > 1).any() and (shared > 1).any():
            within.append(short_name(name))
    found = []
    if by_arm:
        found.append(f"The arms also differ in {short_list(by_arm, 6)}: the verdicts are about all of it together.")
    if within:
        inside = "runs of a pair" if paired else "runs of an arm"
        found.append(
            f"{inside.capitalize()} also differ in {short_list(within, 6)}: the verdicts are about averages over these "
            "settings, not about tuned arms."
        )
    return found


def _validation(usable: UsableRuns) -> list[str]:
    name = short_name(usable.metric)
    if "val" not in name.lower() or "test" in name.lower():
        return []
    return [
        f"`{name}` seems to be a validation metric: if settings or epochs were chosen on it, the effects are "
        "inflated. Judge a test metric on which nothing was chosen."
    ]


def unpairable(usable: UsableRuns, reference: int) -> Sequence[str]:
    """Return the arms that share fewer than two pairs with the reference although both have several runs."""
    sets = _pairs_by_arm(usable)
    found = []
    for (condition, arm), own in sets.items():
        other = sets.get((condition, reference), set())
        if arm != reference and min(len(own), len(other)) > 1 and len(own & other) < 2:
            found.append(_name(usable, arm))
    return list(dict.fromkeys(found))
