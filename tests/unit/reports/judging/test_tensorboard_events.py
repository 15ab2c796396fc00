"""TensorBoard events: several writers, hyperparameters, damaged frames."""

from __future__ import annotations

import struct
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from tensorboardX import SummaryWriter
from tensorboardX.proto.summary_pb2 import SummaryMetadata
from tensorboardX.record_writer import masked_crc32c

from reports.judging.judgement import judge_runs
from reports.judging.sources.recognise import read_source
from reports.judging.sources.tensorboard_events import _masked
from tests.unit.reports.judging.tables import ASKED, FRAME
from tests.unit.reports.judging.writers import exact_event, write_events
from trainables.errors import InputError


def test_tensorboard_runs_of_several_writers(tmp_path: Path) -> None:
    """A plain writer with restarted steps, the two folders and tensors of Keras, hyperparameters, a truncated file."""
    for row in FRAME.itertuples():
        folder = tmp_path / f"{row.method}-{row.seed}"
        with closing(SummaryWriter(str(folder), write_to_disk=True)) as writer:
            for step, share in ((0, 0.1), (1, 0.2), (1, 1.0)):
                writer.add_scalar("test_accuracy", share * row.test_accuracy, step)
            writer.add_histogram("weights", np.arange(3.0), 0)
        keras = exact_event("epoch_accuracy", 0.75, 4)
        keras.summary.value[0].tensor.Clear()
        keras.summary.value[0].tensor.dtype = 1
        keras.summary.value[0].tensor.tensor_content = struct.pack("<f", 0.75)
        write_events(folder / "validation" / "events.out.tfevents.1.v2", [keras])
    broken = tmp_path / "broken" / "events.out.tfevents.2"
    write_events(broken, [exact_event("test_accuracy", 0.5, 1), exact_event("test_accuracy", 0.6, 2)])
    broken.write_bytes(broken.read_bytes()[:-10])
    table = read_source(tmp_path)
    assert table.notes == ("The end of 1 event file, cut off or damaged.",)
    rows = table.frame.set_index("run")
    assert rows.loc["broken", "test_accuracy"] == 0.5
    assert rows.loc["mixup-1", "validation/epoch_accuracy"] == 0.75
    judged = judge_runs(table, replace(ASKED, names="{method}-{seed}"), "runs")
    expected = judge_runs(read_source(FRAME), ASKED, "runs")
    assert judged.verdicts[0].value == pytest.approx(expected.verdicts[0].value)
    assert judged.study.curves.groupby("run", observed=True).size().tolist() == [2] * 8


def test_hyperparameters_of_tensorboard_are_columns(tmp_path: Path) -> None:
    with closing(SummaryWriter(str(tmp_path / "one"), write_to_disk=True)) as writer:
        writer.add_hparams({"lr": 0.5, "method": "mixup"}, {"test_accuracy": 0.75}, name="trial")
    [row] = read_source(tmp_path).frame.to_dict("records")
    assert (row["run"], row["hparams/lr"], row["hparams/method"]) == ("one/trial", 0.5, "mixup")
    assert row["test_accuracy"] == 0.75


@pytest.mark.parametrize("place", [0, 9, 13, -6, -1])
def test_a_changed_bit_of_an_event_file_is_no_value(tmp_path: Path, place: int) -> None:
    """The bit is in the length, its checksum, the step, the value or its checksum of the last frame."""
    path = tmp_path / "run" / "events.out.tfevents.1"
    write_events(path, [exact_event("test_accuracy", value, step) for step, value in enumerate((0.5, 0.6), start=1)])
    content = bytearray(path.read_bytes())
    start = len(content) // 2 if place >= 0 else len(content)
    content[start + place] ^= 1
    path.write_bytes(content)
    table = read_source(tmp_path)
    assert table.frame["test_accuracy"].tolist() == [0.5]
    assert table.notes == ("The end of 1 event file, cut off or damaged.",)


def test_checksums_are_those_of_the_writer() -> None:
    rng = np.random.default_rng(1)
    for size in (0, 1, 2, 63, 64, 1023, 1024, 1025, 4097, 10_007):
        part = rng.bytes(size)
        assert _masked(google_crc32c.value(part)) == masked_crc32c(part)


def test_damaged_hyperparameters_are_refused(tmp_path: Path) -> None:
    event = exact_event("_hparams_/session_start_info", 0.5, 1)
    event.summary.value[0].ClearField("tensor")
    event.summary.value[0].metadata.CopyFrom(
        SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="hparams", content=b"\xff"))
    )
    write_events(tmp_path / "run" / "events.out.tfevents.1", [event])
    with pytest.raises(InputError, match=r"tfevents\.1: its hyperparameters cannot be read"):
        read_source(tmp_path)
