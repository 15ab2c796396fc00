"""Cache of decoded images: memory-mapped, keyed by the content of the files, and verified whenever it is read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.data.decoding import Decoded, TargetFormat, decode_files
from trainables.data.partial import IMAGES, LOCK, Partial, in_parallel, locked
from trainables.data.pixels import ImageFacts, survey
from trainables.data.text import printable
from trainables.errors import InputError
from trainables.records.atomic import write_atomically
from trainables.records.descriptions import number_of

if TYPE_CHECKING:
    import numpy as np

CACHE_FOLDER = "ASSAY_CACHE"
"""Environment variable of the cache for decoded images, by default `assay` in the user's cache folder."""
FORMAT = 2
"""Version of the cache's format."""
FACTS = "files.json"
SCRATCH = "decoding-"
"""Prefix of folders that are being written."""
ABANDONED_SECONDS = 86_400.0
"""Age of a folder that is being written above which its process is assumed to have been killed."""
_DIGEST = re.compile(r"[0-9a-f]{40}")
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def cache_folder() -> Path:
    """Return the folder of the cache for decoded images.

    Raises:
        InputError: the user has no home folder, and no other folder is set.
    """
    try:
        if os.environ.get(CACHE_FOLDER):
            return Path(os.environ[CACHE_FOLDER]).expanduser().absolute()
        if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
            return Path(os.environ["LOCALAPPDATA"]) / "assay" / "cache"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "assay"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay"
    except RuntimeError:
        raise InputError(
            f"there is no home folder for the cache of decoded images; set {CACHE_FOLDER} to a folder for it"
        ) from None


def decode_cached(root: Path, files: Sequence[str], target_format: TargetFormat) -> Decoded:
    """Return the images of files, from the cache if files with the same contents were decoded before.

    Files whose names, sizes and modification times are those of an earlier call are assumed to be unchanged. Size and
    SHA-256 of what the cache has are verified; what is not whole is decoded again.

    Args:
        root: the folder that file names are relative to.
        files: distinct file names.
        target_format: size, colour and scale of the images.

    Raises:
        InputError: the images cannot be decoded (see `decode_files`), or there is no room for them.
    """
    folder = cache_folder()
    stats = [(root / file).stat() for file in files]
    listing = [[file, stat.st_size, stat.st_mtime_ns] for file, stat in zip(files, stats, strict=True)]
    seen = folder / "seen" / _digest([FORMAT, str(root.resolve()), listing, asdict(target_format)])
    key = _key(seen)
    found = _read(folder / key) if key else None
    if found is not None:
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about images that are refused or read
        headers = in_parallel(lambda file: _header(root / file), files, f"reading {number_of(len(files), 'file')}")
        key = _digest([FORMAT, [digest for digest, _ in headers], list(files), asdict(target_format)])
        found = _read(folder / key) or _write(folder / key, root, files, [facts for _, facts in headers], target_format)
    with _room(folder):
        write_atomically(seen, key)
    return found


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:40]


def _key(seen: Path) -> str:
    """Return the name of the folder with the images of known files, or nothing."""
    try:
        text = seen.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
    return text if _DIGEST.fullmatch(text) else ""


def _header(path: Path) -> tuple[str, ImageFacts]:
    """Return the digest of a file, and the facts about its image."""
    try:
        return _file_digest(path), survey(path)
    except OSError as error:
        return "", ImageFacts(fault=f"cannot be read: {error.strerror}")


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(folder: Path) -> Decoded | None:
    """Return the images in a folder of the cache, or None if it is missing or not whole."""
    import numpy as np

    try:
        images, facts = _whole(folder)
        kept = np.array(facts["kept"], dtype="int64")
        chosen = images[: len(kept)] if facts.get("packed") or len(kept) == len(images) else images[kept]
        return Decoded(chosen, kept, facts["bad"], tuple(facts["notes"]))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _whole(folder: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the memory-mapped array in a folder of the cache, and what is known about it.

    Raises:
        OSError, ValueError, KeyError, TypeError: it is missing or not whole.
    """
    import numpy as np

    path = folder / IMAGES
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    if path.stat().st_size != facts["size"] or _file_digest(path) != facts["digest"]:
        raise ValueError(f"{path} is damaged")
    return np.load(path, mmap_mode="r").view(np.ndarray), facts


def _write(
    folder: Path, root: Path, files: Sequence[str], facts: Sequence[ImageFacts], target_format: TargetFormat
) -> Decoded:
    """Decode all files into a new folder of the cache, which appears once it is complete and on the disk.

    What an interrupted process has decoded is not decoded again.
    """
    with _scratch(folder) as scratch:
        if found := _read(folder):  # by another process, for which this one has waited
            return found
        partial = Partial(scratch, _allocate)
        decoded = decode_files(root, files, target_format, facts, partial.each, partial.make, partial.pick)
        about = {"kept": decoded.kept.tolist(), "bad": decoded.bad, "notes": decoded.notes, "packed": True}
        partial.finish()
        _publish(scratch, folder, about)
        return replace(decoded, images=_whole_images(folder, len(decoded.images)))


def cached_array(name: Any, write: Callable[[Path], None]) -> np.ndarray:
    """Return a memory-mapped array of the cache, which is made if it is missing or not whole.

    Args:
        name: what identifies it; a value that can be written as JSON.
        write: writes the array to a `.npy` file.

    Raises:
        InputError: there is no room for it.
    """
    folder = cache_folder() / _digest([FORMAT, name])
    with suppress(OSError, ValueError, KeyError, TypeError):
        return _whole(folder)[0]
    with _scratch(folder) as scratch:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return _whole(folder)[0]
        with _room(folder.parent):
            write(scratch / IMAGES)
        (scratch / LOCK).unlink(missing_ok=True)
        _publish(scratch, folder, {})
    return _whole_images(folder)


def _whole_images(folder: Path, count: int | None = None) -> np.ndarray:
    """Return the first images in a folder that has just been written, not writable."""
    import numpy as np

    return np.load(folder / IMAGES, mmap_mode="r").view(np.ndarray)[:count]


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Create or enter the folder in which a folder of the cache is made; it stays if the process is interrupted."""
    scratch = folder.parent / f"{SCRATCH}{folder.name}"
    with ExitStack() as lock:
        with _room(folder.parent):
            folder.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(folder.parent)
            scratch.mkdir(exist_ok=True)
            lock.enter_context(locked(scratch))
            scratch.mkdir(exist_ok=True)  # another process has moved or removed it
        try:
            yield scratch
        except Exception:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        if folder.exists():
            shutil.rmtree(scratch, ignore_errors=True)


def _publish(scratch: Path, folder: Path, about: dict[str, Any]) -> None:
    """Write to the disk what has been made, and move it to its place."""
    path = scratch / IMAGES
    with _room(folder.parent):
        _sync(path)
        about |= {"size": path.stat().st_size, "digest": _file_digest(path)}
        (scratch / FACTS).write_text(json.dumps(about), encoding="utf-8")
        _sync(scratch / FACTS)
        _replace(scratch, folder)


def _allocate(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return a new memory-mapped array of zeros, uint8, whose place on the disk is certain.

    Raises:
        InputError: there is no room for it.
    """
    import numpy as np

    needed = int(np.prod(shape, dtype="int64"))
    with _room(path.parent.parent, needed):
        if needed > shutil.disk_usage(path.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        return images


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _replace(scratch: Path, folder: Path) -> None:
    """Move a complete folder to its place, also if one that is not whole is there."""
    if folder.exists():
        folder.rename(scratch / "damaged")
    try:
        scratch.rename(folder)
    except OSError:
        if not folder.exists():  # otherwise another process was faster
            raise
    shutil.rmtree(folder / "damaged", ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove folders that processes left behind when they were killed."""
    for path in folder.glob(f"{SCRATCH}*"):
        if not _DIGEST.fullmatch(path.name.removeprefix(SCRATCH)):  # of somebody else, if the cache is in their folder
            continue
        if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _room(folder: Path, needed: int = 0) -> Iterator[None]:
    """Turn the errors of a file system into a refusal that names the cache and its variable."""
    try:
        yield
    except OSError as error:
        size = f" ({needed / 1e6:.1f} MB are needed)" if needed else ""
        what = "there is no room" if error.errno in FULL else f"there is no place ({error.strerror or error})"
        raise InputError(
            f"{what} for decoded images in {printable(folder)}{size}; set {CACHE_FOLDER} to another folder"
        ) from None
