"""Checkpoints of one run: atomic folders, the newest two kept, a damaged one skipped."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from trainables.engine.protocol import Engine
from trainables.errors import TrialError

log = logging.getLogger(__name__)
KEEP = 2
UNFINISHED = ".unfinished"


def save(engine: Engine, folder: Path) -> None:
    """Write a checkpoint of the epoch reached, then remove the oldest ones.

    Args:
        engine: what trains.
        folder: the run's own folder.

    Raises:
        OSError: the disk is full or gone; earlier checkpoints stay.
    """
    final = folder / f"epoch-{engine.epoch:06d}"
    if final.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    left = list(folder.glob(f"*{UNFINISHED}"))
    # A name of its own: a worker that was given up, on a node that went away, may still write to this folder.
    unfinished = Path(tempfile.mkdtemp(UNFINISHED, f"{final.name}.", folder))
    try:
        engine.save(unfinished)
        unfinished.rename(final)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    for old in [*found(folder)[:-KEEP], *left]:
        shutil.rmtree(old, ignore_errors=True)


def found(folder: Path) -> list[Path]:
    """Return the finished checkpoints in a run's folder, oldest first."""
    return sorted(path for path in folder.glob("epoch-*") if path.suffix != UNFINISHED)


def restore_newest(engine: Engine, folder: Path) -> None:
    """Continue from the newest checkpoint that is whole; start from the beginning where there is none."""
    for path in reversed(found(folder)):
        try:
            engine.restore(path)
        except TrialError as error:
            log.warning("%s", error)
            continue
        log.info("continuing after epoch %d from %s", engine.epoch, path.name)
        return
