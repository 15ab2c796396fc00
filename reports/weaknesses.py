"""What weakens a claim, in plain sentences. They stand beside the claim wherever it is shown."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from reports.crossed import Crossed
from reports.estimators import Estimate
from reports.frames import Study
from reports.overview import planned_confirmations
from reports.plan import Contrast
from trainables.records import COMPLETED, CONFIRM, DIVERGED, FAILED, HELPS, HURTS, SEARCH, UNDECIDED


def is_provisional(study: Study, contrast: Contrast) -> bool:
    """Return whether confirmation runs of the contrast are still to come."""
    return any(
        len(_ended(study.runs_of(CONFIRM, contrast.condition, method)))
        < planned_confirmations(study, contrast.condition, method)
        for method in _arms(contrast)
    )


@dataclass(frozen=True)
class Findings:
    """What was found about a contrast, as far as its weaknesses depend on it.

    Args:
        verdict: one of `records.VERDICTS`.
        tuned: estimate of the tuned effect over seeds, None without pairs.
        matched: mean of the matched effect.
        p_adjusted: adjusted p-value of the tuned effect.
        sign_flip_p: p-value of the check that repeats the choice.
        on_this_test_set: the verdict would not stand over other images.
        images_known: single images are recorded.
    """

    verdict: str
    tuned: Estimate | None
    matched: float
    p_adjusted: float
    sign_flip_p: float
    on_this_test_set: bool
    images_known: bool


def weaknesses(study: Study, contrast: Contrast, cells: Crossed, found: Findings) -> tuple[str, ...]:
    """Return what a reader must know beside the verdict, in sentences, the gravest first."""
    notes = [*_replayed(study), *_failures(study, contrast)]
    if found.tuned is not None:
        notes = [*_unfinished(study, contrast, cells), *notes, *_left_out(cells)]
        notes += _doubts(study, found.tuned, found)
    notes += _diverged(study, contrast) + _poorly_trained(study, contrast)
    return tuple(notes + _search_losses(study, contrast))


def _replayed(study: Study) -> list[str]:
    table = study.facts.get("replayed")
    return [f"Nothing was trained here: the figures are replayed from {table}."] if table else []


def _doubts(study: Study, tuned: Estimate, found: Findings) -> list[str]:
    notes = []
    claimed = found.verdict in (HELPS, HURTS)
    interval = tuned.interval
    if found.verdict == UNDECIDED and interval and interval.low * interval.high > 0:
        family = len(study.plan.contrasts)
        notes.append(
            f"The interval alone leaves out zero, but of {family} claims tested together some do so by luck"
            f" (adjusted p = {found.p_adjusted:.2f})."
        )
    if claimed and found.sign_flip_p > study.plan.alpha:
        notes.append(f"The check that repeats the choice does not confirm it (p = {found.sign_flip_p:.2f}).")
    if claimed and tuned.mean * found.matched < 0:
        notes.append("At the same settings the effect points the other way.")
    if tuned.error == 0:
        notes.append("All seeds differ by exactly the same amount, so there is no spread to judge by.")
    if found.on_this_test_set and found.images_known:
        notes.append("On this test set only: over other images of the same kind it would not stand.")
    elif tuned.freedom > 0 and not found.images_known:
        notes.append("Single images are not recorded: nothing can be said about other images of the kind.")
    return notes


def _unfinished(study: Study, contrast: Contrast, cells: Crossed) -> list[str]:
    pairs, planned = len(cells.seeds), study.plan.seeds
    notes = []
    if is_provisional(study, contrast):
        notes.append(f"So far only {pairs} of {planned} seeds are complete; a look before the end claims too much.")
    elif pairs < planned:
        notes.append(f"{pairs} of {planned} planned seeds are complete in both arms.")
    elif pairs > planned:
        notes.append(f"{pairs} seeds where {planned} were planned: seeds added after a look are exploratory.")
    return notes


def _failures(study: Study, contrast: Contrast) -> list[str]:
    notes = []
    for method in _arms(contrast):
        runs = study.runs_of(CONFIRM, contrast.condition, method)
        failed = runs[runs["outcome"] == FAILED]
        if len(failed):
            notes.append(f"{len(failed)} of {len(runs)} confirmation runs of {method} failed: {_reason(failed)}.")
    return notes


def _left_out(cells: Crossed) -> list[str]:
    if not cells.left_out:
        return []
    numbers = ", ".join(str(point) for point in cells.left_out)
    return [f"Left out for lack of finished pairs: setting {numbers}."]


def _diverged(study: Study, contrast: Contrast) -> list[str]:
    notes = []
    for method in _arms(contrast):
        runs = study.runs_of(CONFIRM, contrast.condition, method)
        diverged = int((runs["outcome"] == DIVERGED).sum())
        if diverged:
            notes.append(f"{diverged} of {len(runs)} confirmation runs of {method} diverged, and count as they ended.")
    return notes


def _poorly_trained(study: Study, contrast: Contrast) -> list[str]:
    """Say which completed runs something was wrong with, as their reason tells."""
    notes = []
    for method in _arms(contrast):
        runs = study.runs_of(CONFIRM, contrast.condition, method)
        flagged = runs[(runs["outcome"] == COMPLETED) & (runs["reason"] != "")]
        if len(flagged):
            notes.append(f"{len(flagged)} of {len(runs)} confirmation runs of {method}: {_reason(flagged)}.")
    return notes


def _search_losses(study: Study, contrast: Contrast) -> list[str]:
    notes = []
    for method in _arms(contrast):
        runs = study.runs_of(SEARCH, contrast.condition, method)
        failed = int((runs["outcome"] == FAILED).sum())
        if failed:
            notes.append(f"The search of {method} lost {failed} of {len(runs)} trials to failures.")
    return notes


def _arms(contrast: Contrast) -> tuple[str, str]:
    return contrast.method, contrast.reference


def _ended(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["ended"].notna()]


def _reason(failed: pd.DataFrame) -> str:
    """Return the most frequent reason on one line, shortened."""
    reasons = failed["reason"].replace("", "no reason given").value_counts()
    first = " ".join(str(reasons.index[0]).split())
    return first if len(first) <= 120 else f"{first[:119]}…"
