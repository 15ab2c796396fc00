"""Page of the atlas: `README.md` with its pictures, written from the archives of the studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reports.atlas.cases import answers
from reports.atlas.cells import Cell, against_reference, cells_of
from reports.atlas.pictures import GAP as GAP_AXIS, STEPS, write_effects, write_effects_by
from reports.atlas.prediction import ALL, ALWAYS, GAP, Score, scores
from reports.atlas.replication import Replication
from reports.data.frames import StudyData
from reports.jinja import environment
from reports.page.sections.factorial import name_of
from trainables.errors import InputError
from trainables.records import EQUIVALENT, HELPS, HURTS, UNDECIDED
from trainables.records.marks import PICTURE_MARK, is_marked

TITLES = {
    "mixup": "mixup",
    "sample_pairing": "SamplePairing",
    "maxup": "MaxUp",
    "maxup_mean": "mean of its copies",
}
"""Displayed names of the methods, in the order of the page."""
PAGE = "README.md"
MARK = b"# The atlas: when each method helps"
"""Beginning of the page, by which an earlier one is recognised."""
PICTURE, GAP_PICTURE, STEPS_PICTURE = "effects.png", "effects_by_gap.png", "effects_by_steps.png"


@dataclass(frozen=True)
class Summary:
    """Effects of a method over all cells.

    Args:
        title: displayed name of the method.
        counts: number of cells by verdict.
        median: median effect in points.
        best, worst: the cells with the largest and the smallest effect.
    """

    title: str
    counts: Mapping[str, int]
    median: float
    best: Cell
    worst: Cell


@dataclass(frozen=True)
class Totals:
    """Size of the atlas.

    Args:
        studies, conditions, runs: how many there are.
        core_hours: time that runs took on their core, in hours.
        seeds: fewest and most seeds of a cell.
    """

    studies: int
    conditions: int
    runs: int
    core_hours: float
    seeds: tuple[int, int]


def write_page(
    atlas: Mapping[str, StudyData],
    cases: Mapping[str, StudyData],
    folder: Path,
    replications: Sequence[Replication] = (),
) -> None:
    """Write the page and its pictures.

    Args:
        atlas: the studies of the atlas by name.
        cases: the studies of the published cases by name; those without a finished study are left out of the page.
        folder: folder to write to.
        replications: cells of the atlas that were trained again with fresh seeds.

    Raises:
        InputError: a file would be replaced that no earlier page left there.
        OSError: the files cannot be written.
    """
    _refuse_foreign(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cells = [cell for study in atlas.values() for cell in cells_of(study)]
    compared = against_reference(cells)
    write_effects(folder / PICTURE, compared, TITLES)
    write_effects_by(folder / GAP_PICTURE, compared, TITLES, GAP_AXIS)
    write_effects_by(folder / STEPS_PICTURE, compared, TITLES, STEPS)
    (folder / PAGE).write_text(page_text(atlas, cells, cases, replications), encoding="utf-8")


def _refuse_foreign(folder: Path) -> None:
    """Refuse to replace files that are neither a page of the atlas nor its pictures."""
    marks = {PAGE: MARK, **dict.fromkeys((PICTURE, GAP_PICTURE, STEPS_PICTURE), PICTURE_MARK)}
    taken = [name for name, mark in marks.items() if (folder / name).exists() and not is_marked(folder / name, mark)]
    if taken:
        raise InputError(f"`{folder}` contains {', '.join(taken)} of somebody else; choose another `--output`")


def page_text(
    atlas: Mapping[str, StudyData],
    cells: Sequence[Cell],
    cases: Mapping[str, StudyData],
    replications: Sequence[Replication],
) -> str:
    """Return the page in Markdown.

    Args:
        atlas: the studies of the atlas by name.
        cells: all their cells, those between two methods included.
        cases: the studies of the published cases by name.
        replications: cells of the atlas that were trained again with fresh seeds.
    """
    compared = against_reference(cells)
    found = scores(compared)
    templates = environment(Path(__file__).parent / "templates", autoescape=False)
    return templates.get_template("page.md.j2").render(
        totals=totals(atlas, compared),
        summaries=[
            summary(title, [cell for cell in compared if cell.method == method]) for method, title in TITLES.items()
        ],
        maximum=summary(
            "MaxUp against the mean of its copies",
            [cell for cell in cells if (cell.method, cell.verdict.reference) == ("maxup", "maxup_mean")],
        ),
        cells=compared,
        undecided=sum(cell.verdict.verdict == UNDECIDED for cell in compared) / len(compared),
        provisional=sum(cell.verdict.provisional for cell in compared),
        scores=found,
        best=best_rules(found),
        rules=(ALWAYS, GAP, ALL),
        titles=TITLES,
        verdicts=(HELPS, HURTS, EQUIVALENT, UNDECIDED),
        cases=answers(cases),
        replications=replications,
        places={(cell.study, cell.verdict.condition): cell.place for cell in compared},
        name_of=name_of,
        picture=PICTURE,
        gap_picture=GAP_PICTURE,
        steps_picture=STEPS_PICTURE,
    )


def totals(studies: Mapping[str, StudyData], cells: Sequence[Cell]) -> Totals:
    """Return the size of the atlas."""
    seeds = [cell.verdict.seeds for cell in cells]
    return Totals(
        studies=len(studies),
        conditions=sum(len(study.plan.conditions) for study in studies.values()),
        runs=sum(len(study.runs) for study in studies.values()),
        core_hours=sum(study.core_seconds for study in studies.values()) / 3600,
        seeds=(min(seeds), max(seeds)),
    )


def summary(title: str, cells: Sequence[Cell]) -> Summary:
    """Return the summary of some cells."""
    ordered = sorted(cells, key=lambda cell: cell.effect)
    return Summary(
        title=title,
        counts=Counter(cell.verdict.verdict for cell in cells),
        median=float(np.median([cell.effect for cell in cells])),
        best=ordered[-1],
        worst=ordered[0],
    )


def best_rules(found: Sequence[Score]) -> list[Score]:
    """Return the scores whose lead over the gap alone has an interval above zero."""
    return [score for score in found if score.low > 0]
