"""Checkpoints of a run: folders that are written atomically; the newest two are kept, damaged ones are skipped.

A checkpoint contains the checksums of its files, so a damaged one is detected regardless of the engine.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import zlib
from pathlib import Path

from trainables.engine.protocol import Engine
from trainables.errors import TrialError

log = logging.getLogger(__name__)
KEEP = 2
"""Number of checkpoints that are kept."""
UNFINISHED = ".unfinished"
CHECKSUMS = "checksums.json"
_CHUNK = 1 << 20


def save(engine: Engine, folder: Path) -> None:
    """Write a checkpoint after the current epoch, then remove the oldest ones.

    Args:
        engine: the engine of the run.
        folder: folder for the run's checkpoints.

    Raises:
        OSError: the disk is full or not available; earlier checkpoints are kept.
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
        (unfinished / CHECKSUMS).write_text(json.dumps(_checksums(unfinished)), encoding="utf-8")
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
            _check(path)
            engine.restore(path)
        except Exception as error:  # of a damaged file anything may come: from NumPy, zipfile, JSON, the memory
            log.warning("checkpoint %s is skipped: %s: %s", path, type(error).__name__, error)
            continue
        log.info("continuing after epoch %d from %s", engine.epoch, path.name)
        return


def _check(checkpoint: Path) -> None:
    """Check the files of a checkpoint; one of an older version has no checksums.

    Raises:
        TrialError: a file is damaged or missing.
        OSError, ValueError: the checksums cannot be read.
    """
    path = checkpoint / CHECKSUMS
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != _checksums(checkpoint):
        raise TrialError("a file does not match its checksum")


def _checksums(checkpoint: Path) -> dict[str, int]:
    """Return the CRC-32 of every file of a checkpoint by name."""
    return {path.name: _checksum(path) for path in sorted(checkpoint.iterdir()) if path.name != CHECKSUMS}


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return value
