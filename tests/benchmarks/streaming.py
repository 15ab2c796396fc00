"""A streamed step beside a resident one, in turns, and the decoding of JPEGs at 224 px: its speed and peak memory.

`steps` measures `small_cnn` and `resnet20`; `decode N` decodes N files (32 photographs, each under several names) into
a cache of their own, in a process of its own that may have 4 GB of private memory. Peak memory is the largest sum of
anonymous and shared memory (`RssAnon` and `RssShmem` of /proc), without pages of files, which the system takes back
when it needs them. Aim: at most 10 % per step on the small network, nothing measurable on ResNet-20, less than 4 GB.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.common import ours, table

BATCH, SIDE, PHOTOGRAPHS, CLASSES = 64, 224, 32, 8
WORK = {"small_cnn": ("none", 150), "resnet20": ("crop_flip", 8)}
TURNS = 7
FILES = 20_000
POLL_SECONDS = 0.05
LIMIT = 4 * 2**30
"""Bytes of private writable memory that the decoding process may have (`RLIMIT_DATA`)."""
DECODE = """
import resource
resource.setrlimit(resource.RLIMIT_DATA, ({limit}, {limit}))
from tests.benchmarks.streaming import decode
decode({folder!r})
"""


def main(arguments: Sequence[str]) -> None:
    """Print the tables."""
    if not arguments or "steps" in arguments:
        _steps()
    if not arguments or "decode" in arguments:
        _decoding(next((int(text) for text in arguments if text.isdigit()), FILES))


def _steps() -> None:
    from trainables.backends.selection import backend
    from trainables.engine.feeding import Placement

    backend.configure(threads=1, deterministic=False)
    header = ("network", "resident cpu ms", "streamed cpu ms", "wall ratio", "(quartiles)", "cpu ratio", "(quartiles)")
    for model, (augmentation, steps) in WORK.items():
        runs = [
            ours(model, "baseline", augmentation, BATCH, steps, placement=Placement(data))
            for data in ("resident", "streamed")
        ]
        pairs = [[_cost(run) for run in runs] for _ in range(TURNS + 1)][1:]
        walls, cpus = ([pair[1][i] / pair[0][i] for pair in pairs] for i in range(2))
        milliseconds = [1000 * statistics.median(pair[i][1] for pair in pairs) / steps for i in range(2)]
        ratios = [cell for values in (walls, cpus) for cell in (statistics.median(values), _range(values))]
        table(header, [[model, *milliseconds, *ratios]])


def _cost(work: Callable[[], Any]) -> tuple[float, float]:
    """Return the seconds of wall clock and of all CPUs that a piece of work takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _range(values: list[float]) -> str:
    low, _, high = statistics.quantiles(values, n=4)
    return f"{low:.2f} to {high:.2f}"


def _decoding(files: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_photographs(root / "images", files)
        environment = {**os.environ, "ASSAY_CACHE": str(root / "cache")}
        wall = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", DECODE.format(folder=folder, limit=LIMIT)], env=environment)
        peak = _peak(process)
        seconds = time.perf_counter() - wall
        size = sum(path.stat().st_size for path in (root / "cache").glob("*/images.npy"))
        rows = [[f"{files} JPEGs of {SIDE} px", seconds, files / seconds, size / 1e9, peak / 1e9]]
    table(("", "seconds", "files per second", "cache GB", "peak GB without pages of files"), rows)


def decode(folder: str) -> None:
    """Load the images of a folder as a study does, share them with workers, and open them as a worker does."""
    from trainables.data import SOURCES
    from trainables.data.sharing import shared

    source = SOURCES.get("directory").model_validate({"source": "directory", "path": str(Path(folder) / "images")})
    images = shared(source.load(), source).open()["images"]
    assert images[:: max(1, len(images) // 100)].std() > 1


def _write_photographs(root: Path, files: int) -> None:
    """Write JPEGs: a few photographs, and links to them under all other names."""
    from PIL import Image

    rng = np.random.default_rng(0)
    originals = []
    for number in range(min(PHOTOGRAPHS, files)):
        coarse = Image.fromarray(rng.integers(0, 256, (14, 14, 3), "uint8"))
        originals.append(root / f"c{number % CLASSES}" / f"{number}.jpg")
        originals[-1].parent.mkdir(parents=True, exist_ok=True)
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(originals[-1], quality=90)
    for number in range(len(originals), files):
        os.link(originals[number % len(originals)], root / f"c{number % CLASSES}" / f"{number}.jpg")


def _peak(process: subprocess.Popen[Any]) -> int:
    """Return the peak memory of a process in bytes, without pages of files; wait for its end."""
    found, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(POLL_SECONDS):
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                return
            found.append(sum(1024 * int(kilobytes) for kilobytes in re.findall(r"Rss(?:Anon|Shmem):\s+(\d+)", status)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    over.set()
    watcher.join()
    if code:
        raise RuntimeError(f"the process ended with {code}")
    return max(found)
