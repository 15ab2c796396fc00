"""Caveats: what limits a claim, in sentences that accompany it wherever it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from reports.data.completeness import Look, is_confirmed
from reports.data.frames import StudyData
from reports.inference.contrasts import SEARCHES_TO_CLAIM, ContrastData, ContrastEstimates
from reports.statistics.group_sequential import Decision
from trainables.records import (
    COMPLETED,
    CONFIRM,
    DIVERGED,
    FAILED,
    HELPS,
    HURTS,
    SEARCH,
    UNDECIDED,
    WARNED_RUNS,
    ContrastRecord,
    ExtensionDecision,
    common_reason,
)


@dataclass(frozen=True)
class JudgedContrast:
    """A contrast with its decision and the checks of its robustness.

    Args:
        estimates: estimates of the contrast at the look.
        decision: decision of the group-sequential rule.
        matched: the same about the matched effect, without a test of equivalence.
        look: the look that provided the data.
        family: number of claims that are corrected together.
        provisional: whether outstanding runs may change the verdict.
        sign_flip_p: p-value of the sign-flip test, which repeats the selection of points.
        on_this_test_set: whether the verdict changes if the sampling of test images is included, or this is unknown.
        for_these_searches: whether the verdict changes if the variation between searches is included.
    """

    estimates: ContrastEstimates
    decision: Decision
    matched: Decision
    look: Look
    family: int
    provisional: bool
    sign_flip_p: float
    on_this_test_set: bool
    for_these_searches: bool

    @property
    def data(self) -> ContrastData:
        """Paired differences of the contrast."""
        return self.estimates.data


class _RunProblem(NamedTuple):
    """A problem that runs of an arm may have, and the sentence that reports it."""

    phase: str
    affects: Callable[[pd.DataFrame], pd.Series]
    sentence: str


_FAILED = _RunProblem(
    CONFIRM,
    lambda runs: runs["outcome"] == FAILED,
    "{count} of {runs} confirmation runs of {method} failed: {reason}",
)
_MINOR = (
    _RunProblem(
        CONFIRM,
        lambda runs: runs["outcome"] == DIVERGED,
        "{count} of {runs} confirmation runs of {method} diverged; they count with the results reached before.",
    ),
    _RunProblem(
        CONFIRM,
        lambda runs: (runs["outcome"] == COMPLETED) & (runs["reason"] != ""),
        WARNED_RUNS,
    ),
    _RunProblem(
        SEARCH,
        lambda runs: runs["outcome"] == FAILED,
        "{count} of {runs} search runs of {method} failed.",
    ),
)


def caveats(study: StudyData, judged: JudgedContrast) -> tuple[str, ...]:
    """Return what a reader must know in addition to the verdict, as sentences, the most serious first."""
    contrast = judged.data.contrast
    failed = _run_problems(study, contrast, _FAILED)
    notes = [*_replayed(study), *failed]
    if judged.data.seeds:
        notes = [*_unfinished(study, judged), *notes, *_left_out(judged)]
        notes += _doubts(study, judged) + _generalisation(study, judged)
    notes += _not_retuned(study, contrast) + _extended(study, judged)
    return (*notes, *(note for problem in _MINOR for note in _run_problems(study, contrast, problem)))


def _replayed(study: StudyData) -> list[str]:
    table = study.facts.replayed
    return [f"No network was trained: the results are replayed from {table}."] if table else []


def _run_problems(study: StudyData, contrast: ContrastRecord, problem: _RunProblem) -> list[str]:
    notes = []
    for method in contrast.arms:
        runs = study.runs_of(problem.phase, contrast.condition, method)
        affected = runs[problem.affects(runs)]
        if len(affected):
            reason = common_reason(affected["reason"])
            notes.append(problem.sentence.format(count=len(affected), runs=len(runs), method=method, reason=reason))
    return notes


def _unfinished(study: StudyData, judged: JudgedContrast) -> list[str]:
    contrast, pairs, planned = judged.data.contrast, judged.data.seeds, judged.look.seeds
    confirmed = all(is_confirmed(study, contrast.condition, method, planned) for method in contrast.arms)
    if judged.provisional and study.plan.open_ended:
        return [_going_on(study, judged)] if judged.data.seeds < study.plan.seeds else []
    if judged.provisional and not confirmed:
        consequence = (
            "the next look takes place once all runs with these seeds have ended"
            if len(study.plan.looks) > 1
            else "until all runs have ended, the verdict has a higher error rate than stated"
        )
        return [f"Seeds completed so far: {pairs} of {planned}; {consequence}."]
    notes = ["Other claims that are tested together with this one are not complete yet."] if judged.provisional else []
    if pairs < planned:
        notes.append(
            f"{pairs} of the {planned} seeds of the larger arm are in both arms."
            if study.plan.observed
            else f"{pairs} of {planned} planned seeds are complete in both arms."
        )
    elif pairs > planned:
        notes.append(
            f"There are {pairs} seeds instead of the planned {planned}: seeds added after a look at the results make "
            "the claim exploratory."
        )
    return notes


def _going_on(study: StudyData, judged: JudgedContrast) -> str:
    """Return what is still to come of a claim that open seeds have not decided yet."""
    pairs, most = judged.data.seeds, study.plan.seeds
    return (
        f"Judged with {pairs} of at most {most} seeds; the verdict holds if the study stops here, and it may continue."
    )


def _left_out(judged: JudgedContrast) -> list[str]:
    numbers = [str(point) for point in judged.data.cells.left_out]
    if not numbers:
        return []
    settings = f"Setting {numbers[0]} is" if len(numbers) == 1 else f"Settings {', '.join(numbers)} are"
    return [f"{settings} left out: too few seeds were completed there by both arms."]


def _doubts(study: StudyData, judged: JudgedContrast) -> list[str]:
    """Return what casts doubt on the verdict even for these images and configurations."""
    tuned, decision, notes = judged.decision.estimate, judged.decision, []
    if tuned is None:
        return []
    alpha, seeds = study.plan.alpha, judged.data.seeds
    if decision.verdict == UNDECIDED and tuned.interval and tuned.interval.low * tuned.interval.high > 0:
        notes.append(_not_significant(study, judged))
    claimed = decision.verdict in (HELPS, HURTS)
    if claimed and 2.0 ** (1 - seeds) > alpha:
        notes.append(
            f"The t-test alone decided: {seeds} seeds are too few for the second test, by sign flips, which also "
            "repeats the selection of settings."
        )
    elif claimed and judged.sign_flip_p > alpha:
        notes.append(
            "The sign-flip test, which repeats the selection of settings, does not confirm the difference "
            f"(p = {judged.sign_flip_p:.2f})."
        )
    if claimed and tuned.mean * float(judged.data.matched.mean()) < 0:
        notes.append("With both arms at the same settings, the effect has the opposite sign.")
    if tuned.error == 0:
        notes.append("The difference is exactly the same for all seeds, so a t-test is not possible.")
    return notes


def _not_significant(study: StudyData, judged: JudgedContrast) -> str:
    """Return why a claim is undecided although its interval excludes zero."""
    p, alpha = f"{judged.decision.p_adjusted:.2g}", f"{study.plan.alpha:g}"
    looks = 1 if study.plan.open_ended else len(study.plan.looks)
    tests = [f"{count} {name}" for count, name in ((judged.family, "claims"), (looks, "looks")) if count > 1]
    if tests:
        return (
            f"The interval excludes zero, but it is not corrected for multiple testing ({' at '.join(tests)}): the "
            f"adjusted p-value is {p}, above {alpha}."
        )
    return f"The 95 % interval excludes zero, but the p-value is {p}, above {alpha}."


def _generalisation(study: StudyData, judged: JudgedContrast) -> list[str]:
    """Return whether the verdict generalises to other images and to other searches."""
    notes, unit, searches = [], study.plan.unit, len(judged.data.by_search)
    images_known = judged.estimates.over_images is not None
    if judged.on_this_test_set and images_known:
        notes.append(
            "The verdict holds for this test set only: it changes if the sampling of test images is taken into account."
        )
    elif judged.data.seeds > 1 and not images_known:
        known = (
            "Results on single test examples are not known"
            if study.plan.observed
            else "Predictions of single images are not recorded"
            if study.plan.judges_accuracy
            else f"The {unit.figure} of single images is not recorded"
        )
        notes.append(f"{known}, so the verdict cannot be generalised to other images.")
    if judged.for_these_searches:
        notes.append(
            "The verdict holds for the configurations found here only: it changes if the variation between searches is "
            "taken into account."
        )
    elif 1 < searches < SEARCHES_TO_CLAIM:
        notes.append(f"{searches} searches are too few to determine whether the verdict generalises to other searches.")
    return notes


def _not_retuned(study: StudyData, contrast: ContrastRecord) -> list[str]:
    """Return which arms train longer than the runs in which their settings were found."""
    notes = []
    for method in contrast.arms:
        arm = study.plan.arm(contrast.condition, method)
        if arm and arm.compute_of:
            notes.append(f"{method} trains longer with the settings of {arm.same_as}, not retuned for that length.")
    return notes


def _extended(study: StudyData, judged: JudgedContrast) -> list[str]:
    """Return what was added after results could be seen; claims decided before the extension are not affected."""
    notes = []
    for _, extension in study.decisions_of(ExtensionDecision):
        before = extension.plan
        decided = not judged.provisional and judged.decision.decided
        unaffected = decided and before.points == study.plan.points and judged.look.seeds <= before.seeds
        if extension.exploratory and not unaffected:
            what = "; ".join(extension.what)
            notes.append(f"Exploratory: the study was extended after results could be seen ({what}).")
    return notes
