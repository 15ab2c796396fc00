"""What weakens a claim, in plain sentences. They stand beside the claim wherever it is shown."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from reports.data.completeness import Stage, is_confirmed
from reports.data.frames import StudyData
from reports.inference.contrasts import SEARCHES_TO_CLAIM, Measured
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
"""Of a run's reason in a note."""


@dataclass(frozen=True)
class Findings:
    """What was found about a contrast.

    Args:
        measured: its differences.
        decision: what the rule says.
        stage: the look whose data these are.
        family: claims that are corrected together.
        provisional: runs are still to come that may change the verdict.
        sign_flip_p: p-value of the check that repeats the choice.
        on_this_test_set: the verdict would not stand over other images.
        images_known: single images are recorded.
        for_these_searches: the verdict would not stand over other searches.
    """

    measured: Measured
    decision: Decision
    stage: Stage
    family: int
    provisional: bool
    sign_flip_p: float
    on_this_test_set: bool
    images_known: bool
    for_these_searches: bool


class _Loss(NamedTuple):
    """A way in which runs of an arm were lost, and how it is said."""

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
        "{lost} of {runs} confirmation runs of {method} diverged, and count as they ended.",
    ),
    _Loss(
        CONFIRM,
        lambda runs: (runs["outcome"] == COMPLETED) & (runs["reason"] != ""),
        "{lost} of {runs} confirmation runs of {method}: {reason}",
    ),
    _Loss(
        SEARCH,
        lambda runs: runs["outcome"] == FAILED,
        "The search of {method} lost {lost} of {runs} trials to failures.",
    ),
)


def weaknesses(study: StudyData, found: Findings) -> tuple[str, ...]:
    """Return what a reader must know beside the verdict, in sentences, the gravest first."""
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
    return [f"Nothing was trained here: the figures are replayed from {table}."] if table else []


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
            return [f"So far {pairs} seeds are complete; the next look is at {planned}."]
        return [f"So far only {pairs} of {planned} seeds are complete; a look before the end claims too much."]
    notes = ["Other claims that are tested together with it are not finished."] if found.provisional else []
    if pairs < planned:
        notes.append(f"{pairs} of {planned} planned seeds are complete in both arms.")
    elif pairs > planned:
        notes.append(f"{pairs} seeds where {planned} were planned: seeds added after a look are exploratory.")
    return notes


def _left_out(found: Findings) -> list[str]:
    if not found.measured.cells.left_out:
        return []
    numbers = ", ".join(str(point) for point in found.measured.cells.left_out)
    return [f"Left out for lack of finished pairs: setting {numbers}."]


def _doubts(study: StudyData, found: Findings) -> list[str]:
    """Return what speaks against the verdict on its own ground: these images, these configurations."""
    tuned, decision, notes = found.measured.over_seeds, found.decision, []
    if tuned is None:
        return []
    claimed = decision.verdict in (HELPS, HURTS)
    interval = tuned.interval
    if decision.verdict == UNDECIDED and interval and interval.low * interval.high > 0:
        looks = " at several looks" if len(study.plan.looks) > 1 else ""
        notes.append(
            f"The interval alone leaves out zero, but of {found.family} claims tested together{looks} some do so by "
            f"luck (adjusted p = {decision.p_adjusted:.2f})."
        )
    seeds = found.measured.seeds
    if claimed and 2.0 ** (1 - seeds) > study.plan.alpha:
        notes.append(f"With {seeds} seeds the check that repeats the choice cannot confirm anything.")
    elif claimed and found.sign_flip_p > study.plan.alpha:
        notes.append(f"The check that repeats the choice does not confirm it (p = {found.sign_flip_p:.2f}).")
    if claimed and tuned.mean * float(found.measured.matched.mean()) < 0:
        notes.append("At the same settings the effect points the other way.")
    if tuned.error == 0:
        notes.append("All seeds differ by exactly the same amount, so there is no spread to judge by.")
    return notes


def _reach(study: StudyData, found: Findings) -> list[str]:
    """Return how far the verdict reaches: to other images, to other searches."""
    notes, unit, searches = [], study.plan.unit, len(found.measured.by_search)
    if found.on_this_test_set and found.images_known:
        notes.append("On this test set only: over other images of the same kind it would not stand.")
    elif found.measured.seeds > 1 and not found.images_known:
        known = (
            "Single images are not recorded" if unit.metric == TEST_ACCURACY else f"Single images have no {unit.figure}"
        )
        notes.append(f"{known}: nothing can be said about other images of the kind.")
    if found.for_these_searches:
        notes.append("For the configurations found here only: over other searches like these it would not stand.")
    elif 1 < searches < SEARCHES_TO_CLAIM:
        notes.append(f"{searches} searches are too few to say whether it holds for other searches like these.")
    return notes


def _set_up(study: StudyData, contrast: ContrastRecord) -> list[str]:
    """Return what the plan itself says against the claim."""
    notes = []
    for method in contrast.arms:
        arm = study.plan.arm(contrast.condition, method)
        if arm and arm.compute_of:
            notes.append(f"{method} trains for longer with the settings of {arm.same_as}: not retuned at that length.")
    return notes


def _extended(study: StudyData, found: Findings) -> list[str]:
    """Return what was added after results could be seen; a claim that was decided before stands as it did."""
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
    """Return the most frequent reason on one line, shortened, with its full stop."""
    reasons = lost["reason"].replace("", "no reason given").value_counts()
    whole = " ".join(str(reasons.index[0]).split()).rstrip(".")
    return f"{whole}." if len(whole) <= MOST_LETTERS else textwrap.shorten(whole, MOST_LETTERS, placeholder=" …")
