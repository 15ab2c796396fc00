"""Caveats: sentences that qualify a verdict, shown beside it on terminal, page and Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from reports.data.completeness import Stage, is_confirmed
from reports.data.frames import StudyData
from reports.inference.contrasts import SEARCHES_TO_CLAIM, ContrastData
from reports.statistics.group_sequential import Decision
from trainables.records import (
    COMPLETED,
    CONFIRM,
    DIVERGED,
    FAILED,
    HELPS,
    HURTS,
    SEARCH,
    TEST_ACCURACY,
    UNDECIDED,
    ContrastRecord,
    ExtensionDecision,
)

MOST_LETTERS = 200
"""Characters of a run's reason in a note."""


@dataclass(frozen=True)
class Findings:
    """What was known about a contrast.

    Args:
        measured: its differences by seed.
        decision: decision of the group sequential rule.
        stage: the look that the data belong to.
        family: number of claims that are corrected together.
        provisional: whether outstanding runs may change the verdict.
        sign_flip_p: p-value of the check that repeats the choice.
        on_this_test_set: whether the verdict would not hold over other images.
        images_known: whether single images are recorded.
        for_these_searches: whether the verdict would not hold over other searches.
    """

    measured: ContrastData
    decision: Decision
    stage: Stage
    family: int
    provisional: bool
    sign_flip_p: float
    on_this_test_set: bool
    images_known: bool
    for_these_searches: bool


class _Loss(NamedTuple):
    """A way in which runs of an arm are lost, and its wording."""

    phase: str
    lost: Callable[[pd.DataFrame], pd.Series]
    words: str


_FAILED = _Loss(
    CONFIRM,
    lambda runs: runs["outcome"] == FAILED,
    "{lost} of {runs} confirmation runs of {method} failed: {reason}",
)
_LESSER = (
    _Loss(
        CONFIRM,
        lambda runs: runs["outcome"] == DIVERGED,
        "{lost} of {runs} confirmation runs of {method} diverged and count with their final metrics.",
    ),
    _Loss(
        CONFIRM,
        lambda runs: (runs["outcome"] == COMPLETED) & (runs["reason"] != ""),
        "{lost} of {runs} confirmation runs of {method}: {reason}",
    ),
    _Loss(
        SEARCH,
        lambda runs: runs["outcome"] == FAILED,
        "{lost} of {runs} search trials of {method} failed.",
    ),
)


def caveats(study: StudyData, found: Findings) -> tuple[str, ...]:
    """Return the caveats of a claim in sentences, the most serious first."""
    contrast = found.measured.contrast
    failed = _losses(study, contrast, _FAILED)
    notes = [*_replayed(study), *failed]
    if found.measured.seeds:
        notes = [*_unfinished(study, found), *notes, *_left_out(found)]
        notes += _doubts(study, found) + _reach(study, found)
    notes += _set_up(study, contrast) + _extended(study, found)
    return (*notes, *(note for loss in _LESSER for note in _losses(study, contrast, loss)))


def _replayed(study: StudyData) -> list[str]:
    table = study.facts.replayed
    return [f"Nothing was trained: the metrics are replayed from {table}."] if table else []


def _losses(study: StudyData, contrast: ContrastRecord, loss: _Loss) -> list[str]:
    notes = []
    for method in contrast.arms:
        runs = study.runs_of(loss.phase, contrast.condition, method)
        lost = runs[loss.lost(runs)]
        if len(lost):
            notes.append(loss.words.format(lost=len(lost), runs=len(runs), method=method, reason=_reason(lost)))
    return notes


def _unfinished(study: StudyData, found: Findings) -> list[str]:
    contrast, pairs, planned = found.measured.contrast, found.measured.seeds, found.stage.seeds
    confirmed = all(is_confirmed(study, contrast.condition, method, planned) for method in contrast.arms)
    if found.provisional and not confirmed:
        if len(study.plan.looks) > 1:
            return [f"{pairs} seeds are complete so far; the next look is at {planned}."]
        return [f"Only {pairs} of {planned} seeds are complete so far; testing before the end inflates the error rate."]
    notes = ["Other claims of the same family are not finished."] if found.provisional else []
    if pairs < planned:
        notes.append(f"Only {pairs} of {planned} planned seeds are complete in both arms.")
    elif pairs > planned:
        notes.append(f"{pairs} seeds instead of the {planned} planned: the claim is exploratory.")
    return notes


def _left_out(found: Findings) -> list[str]:
    if not found.measured.cells.left_out:
        return []
    numbers = ", ".join(str(point) for point in found.measured.cells.left_out)
    return [f"Left out because too few pairs are finished: setting {numbers}."]


def _doubts(study: StudyData, found: Findings) -> list[str]:
    """Return the caveats that concern these images and these configurations."""
    tuned, decision, notes = found.measured.over_seeds, found.decision, []
    if tuned is None:
        return []
    claimed = decision.verdict in (HELPS, HURTS)
    interval = tuned.interval
    if decision.verdict == UNDECIDED and interval and interval.low * interval.high > 0:
        looks = " and several looks" if len(study.plan.looks) > 1 else ""
        notes.append(
            f"The interval excludes zero, but the difference is not significant after correction for {found.family} "
            f"claims{looks} (adjusted p = {decision.p_adjusted:.2f})."
        )
    seeds = found.measured.seeds
    if claimed and 2.0 ** (1 - seeds) > study.plan.alpha:
        notes.append(f"With {seeds} seeds the sign-flip test cannot reach significance.")
    elif claimed and found.sign_flip_p > study.plan.alpha:
        notes.append(
            "The sign-flip test, which repeats the choice of the setting, does not confirm it "
            f"(p = {found.sign_flip_p:.2f})."
        )
    if claimed and tuned.mean * float(found.measured.matched.mean()) < 0:
        notes.append("At the same settings the effect has the opposite sign.")
    if tuned.error == 0:
        notes.append("The difference is the same for all seeds, so its spread cannot be estimated.")
    return notes


def _reach(study: StudyData, found: Findings) -> list[str]:
    """Return how far the verdict generalises: to other images, to other searches."""
    notes, unit, searches = [], study.plan.unit, len(found.measured.by_search)
    if found.on_this_test_set and found.images_known:
        notes.append("For this test set only: over other images of the same kind the verdict would not hold.")
    elif found.measured.seeds > 1 and not found.images_known:
        known = (
            "Single images are not recorded" if unit.metric == TEST_ACCURACY else f"Single images have no {unit.figure}"
        )
        notes.append(f"{known}, so nothing can be said about other images of the same kind.")
    if found.for_these_searches:
        notes.append("For the configurations found here only: over other searches the verdict would not hold.")
    elif 1 < searches < SEARCHES_TO_CLAIM:
        notes.append(f"{searches} searches are too few to say whether the verdict holds for other searches.")
    return notes


def _set_up(study: StudyData, contrast: ContrastRecord) -> list[str]:
    """Return the caveats that follow from the plan."""
    notes = []
    for method in contrast.arms:
        arm = study.plan.arm(contrast.condition, method)
        if arm and arm.compute_of:
            notes.append(f"{method} trains longer with the settings of {arm.same_as}, not retuned at that length.")
    return notes


def _extended(study: StudyData, found: Findings) -> list[str]:
    """Return what was added after results could be seen; a claim that was decided before is not affected."""
    notes = []
    for _, extension in study.decisions_of(ExtensionDecision):
        before = extension.plan
        decided = not found.provisional and found.decision.decided
        stands = decided and before.points == study.plan.points and found.stage.seeds <= before.seeds
        if extension.exploratory and not stands:
            what = "; ".join(extension.what)
            notes.append(f"Exploratory: the study was extended after results could be seen ({what}).")
    return notes


def _reason(lost: pd.DataFrame) -> str:
    """Return the most frequent reason on one line, shortened, with a full stop."""
    reasons = lost["reason"].replace("", "no reason given").value_counts()
    whole = " ".join(str(reasons.index[0]).split()).rstrip(".")
    return f"{whole}." if len(whole) <= MOST_LETTERS else textwrap.shorten(whole, MOST_LETTERS, placeholder=" …")
