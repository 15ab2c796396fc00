"""The atlas's claims judged from few seeds by the former rule and by the present one: how many does each decide?

The former rule is a paired t-test of each contrast alone on the official test images; the present one estimates
standard errors from all contrasts of a study and uses the extended test part. Both correct for all claims of a study.
A claim is contradicted if the verdict from few seeds and the one from all seeds of the study name opposite signs, or
one is `equivalent` and the other is not, nor undecided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reports.atlas.__main__ import ATLAS
from reports.atlas.archive import read_archive
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
        claims: number of claims.
        decided: claims that are not undecided.
        contradicted: decided claims that the verdict from all seeds contradicts.
        half: median half width of the 95 % intervals, in points.
    """

    claims: int
    decided: int
    contradicted: int
    half: float


def main(arguments: Sequence[str]) -> None:
    """Print a table for each number of seeds, by default 3, 4, 6 and 8."""
    studies = list(read_archive(ATLAS).values())
    final = [judge(study) for study in studies]
    for seeds in [int(text) for text in arguments] or SEEDS:
        print(f"{seeds} seeds")
        found = {name: decided(studies, final, seeds, changes) for name, changes in RULES.items()}
        table(
            ("rule", "claims", "decided", "contradicted", "half width of the interval, points"),
            [[name, one.claims, one.decided, one.contradicted, one.half] for name, one in found.items()],
        )


def decided(
    studies: Sequence[StudyData], final: Sequence[Sequence[Verdict]], seeds: int, changes: Mapping[str, Any]
) -> Decided:
    """Judge the first seeds of studies by a rule.

    Args:
        studies: the studies.
        final: their verdicts from all seeds.
        seeds: number of seeds that count.
        changes: changes of the plan that make the rule.
    """
    pairs = [
        (early, late)
        for study, verdicts in zip(studies, final, strict=True)
        for early, late in zip(judge(first_seeds(study, seeds, changes)), verdicts, strict=True)
    ]
    halves = [
        50 * (early.tuned.interval.high - early.tuned.interval.low)
        for early, _ in pairs
        if early.tuned and early.tuned.interval
    ]
    return Decided(
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
