"""A folder of the cache that is being filled: one process at a time, and what an interrupted one decoded is kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.records.atomic import atomic_file

if TYPE_CHECKING:
    import numpy as np

IMAGES, LOCK, STATE = "images.npy", "lock", "state.bin"
SAVE_SECONDS = 10.0
"""Time after which the state is written again."""
BLOCK = 512
"""Items that wait for a thread, at most."""
OPEN, DONE, TRANSPARENT = 0, 1, 2
"""States of an image: not decoded yet, decoded, and decoded from one with transparent pixels."""
Make = Callable[[Path, tuple[int, ...]], "np.ndarray"]


class Partial:
    """The array of images that are being decoded, and which of them are.

    The state is written after the images that it is about, so that it is right also after a power failure.

    Args:
        folder: the folder of both; it exists.
        allocate: makes a new memory-mapped array in a file.
    """

    def __init__(self, folder: Path, allocate: Make) -> None:
        self._folder = folder
        self._allocate = allocate
        self._images: Any = None
        self._state: Any = None
        self._saved = time.monotonic()

    def make(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the array, uint8 of the given shape; that of an interrupted process if there is one."""
        import numpy as np

        found = self._found(shape)
        if found is None:
            (self._folder / STATE).unlink(missing_ok=True)
            found = self._allocate(self._folder / IMAGES, shape), np.zeros(shape[0], "uint8")
        self._images, self._state = found
        return self._images

    def each(
        self, function: Callable[[int], tuple[str, bool]], places: Iterable[int], title: str
    ) -> list[tuple[str, bool]]:
        """Decode the images that are not decoded yet, in parallel.

        Args:
            function: decodes an image; returns why it failed, or nothing, and whether it has transparent pixels.
            places: their positions.
            title: heading of the progress bar.
        """

        def put(place: int) -> tuple[str, bool]:
            if self._state[place] != OPEN:
                return "", bool(self._state[place] == TRANSPARENT)
            fault, transparent = function(place)
            if not fault:
                self._state[place] = TRANSPARENT if transparent else DONE
            return fault, transparent

        before = int((self._state != OPEN).sum())
        title += f", {before} before the interruption" if before else ""
        try:
            return in_parallel(put, places, title, self._save_if_due)
        finally:
            self._save()

    def pick(self, images: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Return the images at ascending positions, moved to the beginning of the array."""
        (self._folder / STATE).unlink(missing_ok=True)  # it is about other positions from here on
        for place, position in enumerate(kept):
            if place != position:
                images[place] = images[position]
        return images[: len(kept)]

    def finish(self) -> None:
        """Remove what only an interrupted process leaves."""
        for name in (STATE, LOCK):
            (self._folder / name).unlink(missing_ok=True)

    def _found(self, shape: tuple[int, ...]) -> tuple[Any, Any] | None:
        """Return images and state of an interrupted process, or None."""
        import numpy as np

        try:
            state = np.frombuffer((self._folder / STATE).read_bytes(), "uint8").copy()
            images = np.load(self._folder / IMAGES, mmap_mode="r+")
        except (OSError, ValueError):
            return None
        fits = images.shape == shape and images.dtype == np.uint8 and state.shape == shape[:1]
        return (images, state) if fits else None

    def _save_if_due(self) -> None:
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        state = self._state.tobytes()
        self._images.flush()
        with atomic_file(self._folder / STATE) as file:
            file.write_bytes(state)
        self._saved = time.monotonic()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait until no other process of this machine works in the folder, which exists; on Windows, do not wait."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / LOCK).open("ab") as file:
        with suppress(OSError):  # file systems without locks: both decode, and one result is used
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def in_parallel(
    function: Callable[[Any], Any], items: Iterable[Any], title: str, beat: Callable[[], None] = lambda: None
) -> list[Any]:
    """Apply a function to all items in parallel, with a progress bar if stderr is a terminal; keep the order.

    An interruption ends it after the items in progress.

    Args:
        function: called in threads.
        items: its arguments.
        title: heading of the progress bar.
        beat: called from time to time.
    """
    from rich.console import Console
    from rich.progress import track

    items = list(items)
    console = Console(stderr=True)

    def results(pool: ThreadPoolExecutor) -> Iterator[Any]:
        for start in range(0, len(items), BLOCK):
            yield from pool.map(function, items[start : start + BLOCK])
            beat()

    with ThreadPoolExecutor(max_workers=min(32, (os.cpu_count() or 1) + 1)) as pool:
        try:
            shown = track(
                results(pool), title, len(items), console=console, transient=True, disable=not console.is_terminal
            )
            return list(shown)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
