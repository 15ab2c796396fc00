"""Judging 10 000 runs of 100 epochs from a table, Ray Tune results and TensorBoard events: time and memory."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from tests.benchmarks.common import table

RUNS, EPOCHS = 10_000, 100
ARMS = ("baseline", "mixup", "cutmix", "cutout", "maxup")
DATA = ("cifar10", "cifar100", "svhn", "stl10")
METRICS = ("train_loss", "val_accuracy", "test_accuracy")
ASKED = ("--arm", "method", "--seed", "seed", "--condition", "dataset", "--metric", "test_accuracy")


def main(arguments: Sequence[str]) -> None:
    """Measure all sources, or those that are named (`table`, `ray`, `tensorboard`)."""
    rows = []
    for name, (write, options) in SOURCES.items():
        if arguments and name not in arguments:
            continue
        with tempfile.TemporaryDirectory() as folder:
            source = write(Path(folder) / "source")
            command = [sys.executable, "-m", "search.cli", "judge", str(source), *ASKED, *options]
            begin = time.perf_counter()
            process = subprocess.Popen([*command, "-o", f"{folder}/report"], stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            if status:
                raise SystemExit(f"{name}: exit status {os.waitstatus_to_exitcode(status)}")
            wall = time.perf_counter() - begin
            rows.append((name, RUNS, EPOCHS, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6))
    table(("source", "runs", "epochs", "wall s", "CPU s", "memory GB"), rows)


def config_of(run: int) -> dict[str, Any]:
    """Return arm, condition and seed of a run."""
    return {"method": ARMS[run % 5], "dataset": DATA[run // 5 % 4], "seed": run // 20}


def metrics_of(run: int) -> np.ndarray:
    """Return the metrics of a run, float (epochs, metrics)."""
    rise = 0.8 - 0.3 / np.arange(1, EPOCHS + 1)[:, None]
    return rise + np.random.default_rng(run).normal(0, 0.01, (EPOCHS, len(METRICS)))


def write_table(path: Path) -> Path:
    """Write one row per run and epoch."""
    path = path.with_suffix(".csv")
    runs = pd.DataFrame([{"run": f"run-{run}", **config_of(run)} for run in range(RUNS)])
    frame = runs.loc[np.repeat(np.arange(RUNS), EPOCHS)].assign(epoch=np.tile(np.arange(1, EPOCHS + 1), RUNS))
    values = np.concatenate([metrics_of(run) for run in range(RUNS)]).round(5)
    frame.assign(**dict(zip(METRICS, values.T, strict=True))).to_csv(path, index=False)
    return path


def write_ray(folder: Path) -> Path:
    """Write the folders of trials as Ray Tune does."""
    usual = {"done": False, "date": "2026-01-01_00-00-00", "pid": 1, "hostname": "host", "node_ip": "10.0.0.1"}
    for run in range(RUNS):
        config = config_of(run)
        lines = [
            json.dumps({**dict(zip(METRICS, row, strict=True)), **usual, "training_iteration": epoch, "config": config,
                        "timestamp": epoch, "time_total_s": float(epoch), "time_since_restore": float(epoch)})
            for epoch, row in enumerate(metrics_of(run).tolist(), start=1)
        ]  # fmt: skip
        trial = folder / f"train_{run:05d}"
        trial.mkdir(parents=True)
        (trial / "params.json").write_text(json.dumps(config))
        (trial / "result.json").write_text("\n".join(lines) + "\n")
    return folder


def write_tensorboard(folder: Path) -> Path:
    """Write one event file per run."""
    for run in range(RUNS):
        frames = []
        for step, row in enumerate(metrics_of(run).tolist(), start=1):
            event = Event(step=step, wall_time=float(step))
            for tag, value in zip(METRICS, row, strict=True):
                event.summary.value.add(tag=tag, simple_value=value)
            data = event.SerializeToString()
            size = struct.pack("<Q", len(data))
            checksums = [struct.pack("<I", masked_crc32c(part)) for part in (size, data)]
            frames.append(size + checksums[0] + data + checksums[1])
        config = config_of(run)
        own = folder / config["dataset"] / config["method"] / f"seed{config['seed']}"
        own.mkdir(parents=True)
        (own / "events.out.tfevents.1").write_bytes(b"".join(frames))
    return folder


Source = tuple[Callable[[Path], Path], tuple[str, ...]]
SOURCES: dict[str, Source] = {
    "table": (write_table, ("--epoch", "epoch")),
    "ray": (write_ray, ()),
    "tensorboard": (write_tensorboard, ("--names", "{dataset}/{method}/seed{seed}")),
}
