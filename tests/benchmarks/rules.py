"""The atlas's claims judged from few seeds by the former rule and by the present one: how many does each decide?

The former rule is a paired t-test of each contrast alone on the official test images; the present one estimates
standard errors from all contrasts of a study and uses the extended test part. Both correct for all claims of a study.
A claim is contradicted if the verdict from few seeds and the one from all seeds of the study name opposite signs, or
one is `equivalent` and the other is not, nor undecided. At the end stands the same by data set: what both rules decide
of the same runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reports.atlas.__main__ import ATLAS
from reports.atlas.archive import read_archive
from reports.atlas.cells import DATA_NAMES
from reports.data.frames import StudyData
from reports.inference.verdicts import Verdict, judge
from tests.benchmarks.common import table
from trainables.records import CONFIRM, UNDECIDED

SEEDS = (3, 4, 6, 8)
RULES: Mapping[str, Mapping[str, Any]] = {
    "former": {"variances": "own", "choice": "best", "test": "official"},
    "former, extended test part": {"variances": "own", "choice": "best"},
    "present, official test images": {"test": "official"},
    "present": {},
}


@dataclass(frozen=True)
class Decided:
    """What a rule decides of all claims from a number of seeds.

    Args:
        runs: number of runs that are judged.
        minutes: time that they took, each on its core.
        claims: number of claims.
        decided: claims that are not undecided.
        contradicted: decided claims that the verdict from all seeds contradicts.
        half: median half width of the 95 % intervals, in points.
    """

    runs: int
    minutes: float
    claims: int
    decided: int
    contradicted: int
    half: float


def main(arguments: Sequence[str]) -> None:
    """Print a table for each number of seeds, by default 3, 4, 6 and 8, and one by data set."""
    judged = [(study, judge(study)) for study in read_archive(ATLAS).values()]
    numbers = [int(text) for text in arguments] or SEEDS
    for seeds in numbers:
        print(f"{seeds} seeds")
        found = {name: decided(judged, seeds, changes) for name, changes in RULES.items()}
        table(
            ("rule", "claims", "decided", "contradicted", "half width of the interval, points"),
            [[name, one.claims, one.decided, one.contradicted, one.half] for name, one in found.items()],
        )
    rows = []
    for name, title in DATA_NAMES.items():
        own = [(study, verdicts) for study, verdicts in judged if study.plan.name.split("_")[1] == name]
        for seeds in numbers if own else ():
            former, present = (decided(own, seeds, RULES[rule]) for rule in ("former", "present"))
            size = [title, seeds, former.runs, former.minutes, former.claims]
            rows.append([*size, former.decided, present.decided, former.half, present.half])
    table(
        ("data", "seeds", "runs", "core-minutes", "claims", "former", "present", "half width, former", "present"), rows
    )


def decided(judged: Sequence[tuple[StudyData, Sequence[Verdict]]], seeds: int, changes: Mapping[str, Any]) -> Decided:
    """Judge the first seeds of studies by a rule.

    Args:
        judged: the studies, each with its verdicts from all seeds.
        seeds: number of seeds that count.
        changes: changes of the plan that make the rule.
    """
    shorter = [first_seeds(study, seeds, changes) for study, _ in judged]
    pairs = [
        (early, late)
        for study, (_, verdicts) in zip(shorter, judged, strict=True)
        for early, late in zip(judge(study), verdicts, strict=True)
    ]
    halves = [
        50 * (early.tuned.interval.high - early.tuned.interval.low)
        for early, _ in pairs
        if early.tuned and early.tuned.interval
    ]
    return Decided(
        runs=sum(len(study.runs) for study in shorter),
        minutes=sum(study.core_seconds for study in shorter) / 60,
        claims=len(pairs),
        decided=sum(early.verdict != UNDECIDED for early, _ in pairs),
        contradicted=sum(
            early.verdict != late.verdict and UNDECIDED not in (early.verdict, late.verdict) for early, late in pairs
        ),
        half=float(np.median(halves)),
    )


def first_seeds(study: StudyData, seeds: int, changes: Mapping[str, Any]) -> StudyData:
    """Return a study as if it had been planned with fewer seeds and one look at its end."""
    plan = study.plan
    shorter = {"seeds": seeds, "looks": (seeds,), "look_alphas": (plan.alpha,), **changes}
    runs = study.runs[(study.runs["phase"] == CONFIRM) & (study.runs["seed_index"] < seeds)]
    return replace(study, plan=plan.model_copy(update=shorter), runs=runs.reset_index(drop=True))
