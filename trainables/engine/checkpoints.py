"""Checkpoints of a run: folders that are written atomically; the newest two are kept, damaged ones are skipped."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from trainables.engine.protocol import Engine
from trainables.errors import TrialError

log = logging.getLogger(__name__)
KEEP = 2
"""Number of checkpoints that are kept."""
UNFINISHED = ".unfinished"


def save(engine: Engine, folder: Path) -> None:
    """Write a checkpoint after the current epoch, then remove the oldest ones.

    Args:
        engine: the engine of the run.
        folder: folder for the run's checkpoints.

    Raises:
        OSError: If the disk is full or not available; earlier checkpoints are kept.
    """
    final = folder / f"epoch-{engine.epoch:06d}"
    if final.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    left = list(folder.glob(f"*{UNFINISHED}"))
    # The name is unique: a worker on a lost node, replaced by now, may still write to this folder.
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
    """Return the complete checkpoints in a run's folder, oldest first."""
    return sorted(path for path in folder.glob("epoch-*") if path.suffix != UNFINISHED)


def restore_newest(engine: Engine, folder: Path) -> None:
    """Continue from the newest checkpoint that can be read, or start from the beginning if there is none."""
    for path in reversed(found(folder)):
        try:
            engine.restore(path)
        except TrialError as error:
            log.warning("%s", error)
            continue
        log.info("continuing after epoch %d from %s", engine.epoch, path.name)
        return
