"""The four published cases: what was claimed, and what stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.data.frames import StudyData
from reports.inference.verdicts import Verdict, judge

CLAIMS = {
    "case_maxup_one_image": (
        "1",
        "MaxUp does not train with one image per step; with the mean of the copies it begins to",
    ),
    "case_maxup_one_image_noise": ("1", "Gaussian noise instead of augmentation changes little"),
    "case_mixup_published": ("2", "mixup loses 1.1 points on Fashion-MNIST (86.92 to 85.82 %, one run each)"),
    "case_mixup_loses": ("2", "the same, and no word on alpha, training length and wrong labels"),
    "case_sample_pairing": (
        "3",
        "SamplePairing gains 6 points and mixup 3 with GoogLeNet, neither anything with VGG",
    ),
    "case_resnet_cifar": ("4", "the ImageNet ResNet-50 stays at 70 to 77 % on CIFAR-10 against a quoted 93 %"),
}
"""Number of the case and published claim, by name of the study that examines it."""


@dataclass(frozen=True)
class Case:
    """A published claim and the study that examines it.

    Args:
        number: number of the case.
        study: name of the study.
        claim: what was published.
        verdicts: what stands.
        runs: number of runs.
        minutes: time that they took on their core.
    """

    number: str
    study: str
    claim: str
    verdicts: tuple[Verdict, ...]
    runs: int
    minutes: float


def answers(studies: Mapping[str, StudyData]) -> list[Case]:
    """Return the cases that have a study, in the order of their numbers."""
    found = []
    for name, (number, claim) in CLAIMS.items():
        if name not in studies:
            continue
        study = studies[name]
        found.append(
            Case(
                number=number,
                study=name,
                claim=claim,
                verdicts=tuple(judge(study)),
                runs=len(study.runs),
                minutes=float((study.runs["ended"] - study.runs["started"]).sum()) / 60,
            )
        )
    return found
