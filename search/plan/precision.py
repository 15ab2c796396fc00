"""Precision of a study that leaves it open: both are timed before its first run, and the faster one serves all runs.

A study leaves it open with `precision: auto`, or by saying nothing if it is long enough for the timing to pay and its
runs have a GPU or a processor that computes in bfloat16. The gain of mixed precision is that in the training time of
the whole study, so that networks count as much as they are trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from search.plan.cost_estimate import StudyCosts, costs, run_work
from search.plan.model import Plan
from search.plan.network_timing import NetworkWork, TimedNetwork, network_works, time_networks
from search.plan.record import study_record
from trainables.devices.processor import multiplies_bfloat16
from trainables.records import FLOAT32, MIXED, NetworkGain, PrecisionRecord

if TYPE_CHECKING:
    from search.study.schema import Study
    from trainables.data import Dataset

MARGIN = 1.1
"""How many times as fast as float32 mixed precision must be to be chosen."""
LEAST_PIXELS = 2e9
"""Pixels of training images, over all runs and epochs, from which timing pays: minutes for a small CNN."""


def unmeasured(why: str) -> PrecisionRecord:
    """Return the decision without timing: float32.

    Args:
        why: why nothing was timed, in words.
    """
    return PrecisionRecord(chosen=FLOAT32, margin=MARGIN, why=why)


def is_timed(study: Study, plan: Plan, data: Mapping[str, Dataset]) -> bool:
    """Return whether both precisions are timed before the first run of a new study.

    Args:
        study: the study as it was written.
        plan: its plan.
        data: its data sets by label.

    >>> from search.plan.builder import make_plan
    >>> from search.study.loading import load_study
    >>> study = load_study("quickstart")
    >>> plan = make_plan(study)
    >>> is_timed(study, plan, {"": plan.sources[""].load()})
    False
    """
    if study.measures_precision:
        return True
    if study.names_precision or not could_gain(study):
        return False
    record, pixels = study_record(plan), 0.0
    for arm, planned in zip(plan.arms, record.arms, strict=True):
        own = data[arm.condition.data]
        work = run_work(plan, arm, data, 0.5)
        pixels += record.full_runs_of(planned) * work.steps * work.config.batch_size * math.prod(own.images.shape[1:3])
        if pixels >= LEAST_PIXELS:
            return True
    return False


def could_gain(study: Study) -> bool:
    """Return whether mixed precision could be faster for runs with the resources of a study."""
    return bool(study.resources.gpus) or multiplies_bfloat16()


def decide(works: Sequence[NetworkWork], timed: Mapping[str, TimedNetwork]) -> PrecisionRecord:
    """Return the precision of a study: mixed if it saves enough time in total and every network can be trained so.

    Args:
        works: its networks, as far as they were timed.
        timed: their speeds by `NetworkWork.key`.
    """
    for work in works:
        if fault := timed[work.key].fault:
            return unmeasured(f"mixed precision cannot be used for {work.title}: {fault}")
    before, after = (
        {work.key: timed[work.key].speed(precision).seconds(work.steps, work.images) for work in works}
        for precision in (FLOAT32, MIXED)
    )
    total = sum(before.values())
    gain = total / sum(after.values())
    networks = tuple(
        NetworkGain(network=work.title, share=before[work.key] / total, gain=before[work.key] / after[work.key])
        for work in works
    )
    return PrecisionRecord(
        chosen=MIXED if gain >= MARGIN else FLOAT32,
        margin=MARGIN,
        gain=gain,
        networks=tuple(sorted(networks, key=lambda one: -one.share)),
    )


def measure_both(plan: Plan, data: Mapping[str, Dataset]) -> tuple[StudyCosts, PrecisionRecord]:
    """Return the costs of a study in the precision that is faster here, in this process, and that decision.

    Args:
        plan: the plan.
        data: its data sets by label.

    Raises:
        InputError: a network does not fit the images.
        DivergedError: the loss is not finite even in float32.
    """
    works = network_works(plan, data)
    timed = time_networks(works, {label: own.arrays() for label, own in data.items()}, plan.study.resources)
    decided = decide(works, timed)
    return costs(plan, data, lambda work, own: timed[work.network].speed(decided.chosen)), decided
