"""Claims examined in addition to the atlas: the four published cases and the checks of its assumptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from reports.data.frames import StudyData
from reports.inference.factorial import FactorialEffect, factorial_effects
from reports.inference.verdicts import Verdict, judge
from reports.statistics.estimators import Estimate, over_seeds
from trainables.records import COMPLETED, CONFIRM

CHECK = "check"
"""In place of the number of a case: the claim is one that the atlas is based on, and was not published."""


class Claim(NamedTuple):
    """A claim, and what the study that examines it shows.

    Args:
        number: number of the published case, or `CHECK`.
        claim: what was claimed.
        answer: what stands, in a sentence or two; a test holds its figures to those of the study.
    """

    number: str
    claim: str
    answer: str


CLAIMS: Mapping[str, Claim] = {
    "case_maxup_one_image": Claim(
        "1",
        "MaxUp does not train with one image per step; with the mean of the copies it begins to",
        "It is the single image: with one image per step, and so 64 times fewer images, nothing trains in 1,400 steps, "
        "whatever the reduction. With 64 images per step the mean of the copies reaches 36.6 %, MaxUp 26.4 %, and the "
        "maximum over the whole batch stays at 10.0 %.",
    ),
    "case_maxup_one_image_noise": Claim(
        "1",
        "Gaussian noise instead of augmentation changes little",
        "Confirmed: with one image per step nothing trains with noise either (10.2 to 10.6 %), and MaxUp and the "
        "mean of the copies are equivalent. With 64 images the mean reaches 35.2 % and MaxUp 29.7 %.",
    ),
    "case_mixup_published": Claim(
        "2",
        "mixup loses 1.1 points on Fashion-MNIST (86.92 to 85.82 %, one run each)",
        "A loss, but a smaller one than published: 86.9 % without and 86.5 % with mixup, 0.4 points "
        "(0.2 to 0.7) over 16 pairs. One run each cannot distinguish it from chance.",
    ),
    "case_mixup_loses": Claim(
        "2",
        "the same, and no word on alpha, training length and wrong labels",
        "It depends on alpha and on the length. On 6,000 images with clean labels, alpha 1 loses 1.7 points (0.9 to "
        "2.4) after 10 epochs, and alpha 0.1 gains 1.1 points (0.4 to 1.7) after 50. With 20 % wrong labels, alpha 0.4 "
        "and alpha 1 lose 1.2 to 2.0 points at either length, and no interval extends above 0.3 points.",
    ),
    "case_sample_pairing": Claim(
        "3",
        "SamplePairing gains 6 points and mixup 3 with GoogLeNet, neither anything with VGG",
        "No gain in 200 epochs on 160 images, with either network. SamplePairing changes GoogLeNet by -0.9 points "
        "(-2.2 to 0.4), with dropout and weight decay by -1.1 (-2.9 to 0.7), which excludes a gain of 6. VGG "
        "loses with all three methods, by 2.2 to 2.7 points, once it has dropout and weight decay; without, nothing "
        "is decided.",
    ),
    "case_resnet_cifar": Claim(
        "4",
        "the ImageNet ResNet-50 stays at 70 to 77 % on CIFAR-10 against a quoted 93 %",
        "The stem costs most: one for small images gains 7.8 points (7.0 to 8.6) at equal epochs and 6.7 (6.3 to 7.2) "
        "at equal steps, crop with mirror images 2.4 (1.5 to 3.4) and 4.7 (3.9 to 5.4). SGD gains 3.5 points (2.3 to "
        "4.8) at equal epochs and is undecided at equal steps. Batches of 128 lose 1.9 points (0.8 to 3.1) at equal "
        "epochs, with an eighth of the steps, and gain 7.2 (6.0 to 8.3) at equal steps, with eight times the images.",
    ),
    "case_tuned_rates": Claim(
        CHECK,
        "the effects come from a learning rate that was chosen for plain training",
        "No: with a learning rate searched in every arm, mixup loses 2.4 and 0.2 points in two conditions, "
        "SamplePairing 5.3 and 2.5, MaxUp 1.5 and 0.4, and the mean of the copies gains 2.2 and 1.8; the atlas has the "
        "same signs, and effects that differ by not much more than a point.",
    ),
    "case_precision": Claim(
        CHECK,
        "mixed precision in bfloat16 is as accurate as float32, so it may be the default",
        "As far as tested: they differ by 0.0 points, -0.2 to 0.2 for a small CNN and -0.3 to 0.2 for a ResNet-8, "
        "so they are equivalent within half a point. Deeper networks and longer training have not been tested.",
    ),
}
"""Claims by name of the study that examines them, in the order of the page."""


@dataclass(frozen=True)
class ArmAccuracy:
    """Accuracy of an arm, diagnostics included.

    Args:
        condition: name of the condition.
        method: display name of the method or cell.
        accuracy: mean test accuracy of the completed runs, a fraction, with its 95 % interval over seeds.
        seeds: number of these runs.
    """

    condition: str
    method: str
    accuracy: Estimate
    seeds: int


@dataclass(frozen=True)
class Case:
    """A claim and the study that examines it.

    Args:
        number: number of the published case, or `CHECK`.
        study: name of the study.
        claim: what was claimed.
        answer: what stands, in a sentence or two.
        verdicts: what stands, by claim.
        arms: accuracy of every arm.
        changes: main effects, if several factors are compared.
        runs: number of runs.
        minutes: time that they took on their core.
    """

    number: str
    study: str
    claim: str
    answer: str
    verdicts: tuple[Verdict, ...]
    arms: tuple[ArmAccuracy, ...]
    changes: tuple[FactorialEffect, ...]
    runs: int
    minutes: float

    @property
    def title(self) -> str:
        """Title of its section."""
        return "A check" if self.number == CHECK else f"Case {self.number}"

    @property
    def seeds(self) -> int:
        """Fewest seeds of an arm."""
        return min(arm.seeds for arm in self.arms)

    @property
    def methods(self) -> list[str]:
        """Display names of the methods, in the order of the study."""
        return list(dict.fromkeys(arm.method for arm in self.arms))

    @property
    def conditions(self) -> list[str]:
        """Names of the conditions, in the order of the study."""
        return list(dict.fromkeys(arm.condition for arm in self.arms))

    def accuracy(self, condition: str, method: str) -> Estimate | None:
        """Return the accuracy of an arm, None if it has no completed run."""
        found = (arm.accuracy for arm in self.arms if (arm.condition, arm.method) == (condition, method))
        return next(found, None)


def answers(studies: Mapping[str, StudyData]) -> list[Case]:
    """Return the cases that have a study, in the order of their numbers, checks last."""
    return [_case(name, studies[name]) for name in CLAIMS if name in studies]


def _case(name: str, study: StudyData) -> Case:
    claim = CLAIMS[name]
    return Case(
        number=claim.number,
        study=name,
        claim=claim.claim,
        answer=claim.answer,
        verdicts=tuple(judge(study)),
        arms=_accuracies(study),
        changes=tuple(effect for effect in factorial_effects(study) if len(effect.term.changes) == 1),
        runs=len(study.runs),
        minutes=study.core_seconds / 60,
    )


def _accuracies(study: StudyData) -> tuple[ArmAccuracy, ...]:
    metric = study.plan.unit.metric
    found = []
    for arm in study.plan.arms:
        runs = study.runs_of(CONFIRM, arm.condition, arm.method)
        values = runs.loc[runs["outcome"] == COMPLETED, metric].to_numpy(float)
        if len(values):
            found.append(ArmAccuracy(arm.condition, arm.method, over_seeds(values), len(values)))
    return tuple(found)
