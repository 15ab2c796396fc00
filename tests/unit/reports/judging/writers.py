"""Writers: runs as the files of other tools."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

CONFIG = ["condition", "method", "k", "seed"]


def config_of(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in CONFIG}


def write_ray(runs: pd.DataFrame, folder: Path) -> Path:
    for row in runs.itertuples():
        trial = folder / "train" / f"train_{row.Index:05d}"
        trial.mkdir(parents=True)
        (trial / "params.json").write_text(json.dumps({name: plain(value) for name, value in config_of(row).items()}))
        results = [
            {"training_iteration": epoch, "pid": 1, "config": {}, "test_accuracy": share * row.test_accuracy,
             "selection": row.selection, "timers": {"load": 0.1}}
            for epoch, share in ((1, 0.5), (2, 1.0))
        ]  # fmt: skip
        (trial / "result.json").write_text("".join(json.dumps(result) + "\n" for result in results))
    return folder


def plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def write_optuna(runs: pd.DataFrame, folder: Path) -> Path:
    path = folder / "optuna.db"
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="mine", direction="maximize")
    study.add_trials([
        optuna.create_trial(
            value=row.test_accuracy,
            params={"k": row.k},
            distributions={"k": optuna.distributions.IntDistribution(0, 9)},
            user_attrs={name: plain(value) for name, value in config_of(row).items() if name != "k"}
            | {"selection": row.selection, "test_accuracy": row.test_accuracy},
        )
        for row in runs.itertuples()
    ])  # fmt: skip
    study.ask()
    return path


def write_events(path: Path, events: list[Event]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(frame(event.SerializeToString()) for event in events))


def frame(data: bytes) -> bytes:
    """Return data as a frame of an event file, with the checksums that tensorboardX computes."""
    size = struct.pack("<Q", len(data))
    return size + struct.pack("<I", masked_crc32c(size)) + data + struct.pack("<I", masked_crc32c(data))


def exact_event(tag: str, value: float, step: int) -> Event:
    """Return an event with a double; `add_scalar` would keep seven digits."""
    event = Event(step=step)
    entry = event.summary.value.add(tag=tag)
    entry.tensor.dtype = 2
    entry.tensor.double_val.append(value)
    return event


def write_tensorboard(runs: pd.DataFrame, folder: Path) -> Path:
    for row in runs.itertuples():
        path = folder / f"{row.condition}/{row.method}/k{row.k}/s{row.seed}" / "events.out.tfevents.1"
        tags = {"test_accuracy": row.test_accuracy, "selection": row.selection}
        write_events(path, [exact_event(tag, float(value), 1) for tag, value in tags.items()])
    return folder


def write_wandb(runs: pd.DataFrame, folder: Path) -> Path:
    rows = [
        {"name": f"run-{row.Index}", "config": str({name: plain(value) for name, value in config_of(row).items()}),
         "summary": str({"test_accuracy": row.test_accuracy, "selection": row.selection, "x": float("nan")})}
        for row in runs.itertuples()
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "project.csv")
    return folder / "project.csv"
