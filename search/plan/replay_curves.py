"""Curves of a replayed study: what its table of learning curves must contain."""

from __future__ import annotations

from pathlib import Path

from search.plan.model import Plan
from trainables import records
from trainables.worker.replay import check_covered, read_curves


def checked_curves(path: Path | None, plan: Plan | None = None) -> Path | None:
    """Return the absolute path of a table of curves, or None if nothing is replayed.

    Args:
        path: the table.
        plan: a plan whose arms must all have curves; None where runs without a curve may fail.

    Raises:
        InputError: the table cannot be read, or lacks an arm.
    """
    if path is None:
        return None
    table = read_curves(path)
    if plan is not None:
        check_covered(table, path, _needed_curves(plan))
    return path.absolute()


def _needed_curves(plan: Plan) -> list[tuple[dict[str, str], int]]:
    """Return the keys of the curves that the runs of a plan need, with their numbers of epochs."""
    needed = []
    for arm in plan.arms:
        run = {"condition": arm.condition.name, "method": arm.method}
        if plan.trials and arm.searched:
            needed.append(({**run, "phase": records.SEARCH}, arm.condition.trial_epochs))
        needed.append(({**run, "phase": records.CONFIRM}, arm.epochs))
    return needed
