"""TensorBoard event files: scalars and hyperparameters of every run folder, read without TensorFlow.

The container is TFRecord: length (uint64), its checksum (uint32), data, their checksum (uint32), both CRC-32C; the
content is the message `Event`, whose definition comes with tensorboardX.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports.judging.run_table import EPOCH, RUN, RunTable, recorded, stacked_curves
from reports.judging.sources.extras import needs
from trainables.errors import InputError
from trainables.records import number_of

EVENTS = "events.out.tfevents."
PARTS = ("train", "validation", "val", "test", "eval")
"""Folders of these names are parts of the run in the folder above: Keras writes `train` and `validation`."""
_HPARAMS = "_hparams_/session_start_info"
_HEADER = struct.Struct("<QI")
_LENGTH = 8
"""Bytes of the length in the header, of which it has a checksum."""
_CHECKSUM = struct.Struct("<I")
_FLOAT, _DOUBLE = 1, 2

Series = dict[str, dict[int, float]]


def read_tensorboard(folder: Path, files: list[Path]) -> RunTable:
    """Read the scalars of every run; of repeated steps the last one counts.

    Columns: `run` (its path in the folder), the last value of every tag, and `hparams/NAME`. The tags of Keras's
    folders `train` and `validation` are `train/TAG` and `validation/TAG` of one run.

    Args:
        folder: the folder that the user has named.
        files: its event files.

    Raises:
        InputError: no file has a scalar, or its hyperparameters cannot be read.
    """
    scalars: dict[str, Series] = defaultdict(lambda: defaultdict(dict))
    hparams: dict[str, dict[str, Any]] = defaultdict(dict)
    cut = 0
    for path in sorted(files):
        run, part = _run_of(folder, path)
        for event in _events(path):
            if event is None:
                cut += 1
                continue
            step, own = event.step, scalars[run]
            for value in event.summary.value:
                number = _scalar(value)
                if number is not None:
                    own[part + value.tag][step] = number
                elif value.tag == _HPARAMS:
                    hparams[run].update(_hyperparameters(value, path))
    notes = (f"The end of {number_of(cut, 'event file')}, cut off or damaged.",) if cut else ()
    scalars = {run: series for run, series in scalars.items() if series}
    if not scalars:
        raise InputError(" ".join((f"no event file in {folder} has a scalar.", *notes)))
    rows = [
        {RUN: run, **{tag: points[max(points)] for tag, points in series.items()}, **hparams[run]}
        for run, series in scalars.items()
    ]
    curves = stacked_curves([_curve(series) for series in scalars.values()])
    return RunTable(f"the TensorBoard events in {folder}", pd.DataFrame(rows), curves, notes)


def _curve(series: Series) -> dict[str, np.ndarray]:
    """Return the tags of a run at all its steps, NaN where a tag was not written."""
    epochs = sorted({step for points in series.values() for step in points})
    return {
        EPOCH: np.array(epochs, dtype=float),
        **{tag: np.array([points.get(step, np.nan) for step in epochs]) for tag, points in series.items()},
    }


def _run_of(folder: Path, path: Path) -> tuple[str, str]:
    """Return the name of the run that an event file belongs to, and the prefix of its tags."""
    own = path.parent.relative_to(folder)
    if own.name in PARTS and len(own.parts) > 1:
        return str(own.parent), f"{own.name}/"
    return str(own) if own.parts else folder.resolve().name, ""


def _events(path: Path) -> Iterator[Any]:
    """Yield the events of a file, and None at the end if it is cut off or damaged."""
    event = needs("tensorboardX.proto.event_pb2", "TensorBoard event files").Event
    damage = needs("google.protobuf.message", "TensorBoard event files").DecodeError
    try:
        for data in _frames(path.read_bytes()):
            yield None if data is None else event.FromString(data)
    except damage:
        yield None


def _frames(content: bytes) -> Iterator[bytes | None]:
    """Yield the data of all frames, and None at the first that is cut off or does not have its checksums."""
    crc32c = needs("google_crc32c", "TensorBoard event files").value
    position = 0
    while position + _HEADER.size <= len(content):
        size, own = _HEADER.unpack_from(content, position)
        start = position + _HEADER.size
        end = start + size
        if end + _CHECKSUM.size > len(content) or _masked(crc32c(content[position : position + _LENGTH])) != own:
            break
        if _CHECKSUM.unpack_from(content, end) != (_masked(crc32c(content[start:end])),):
            break
        yield content[start:end]
        position = end + _CHECKSUM.size
    if position != len(content):
        yield None


def _masked(crc: int) -> int:
    """Return a checksum as TFRecord files keep it: rotated by 15 bits, plus a constant.

    >>> hex(_masked(0xE3069283))
    '0xc78ab0e5'
    """
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _scalar(value: Any) -> float | None:
    """Return the number of a summary value, infinity for NaN; None if it is not a scalar."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        number = value.simple_value
    elif kind == "tensor" and not any(axis.size > 1 for axis in value.tensor.tensor_shape.dim):
        number = _from_tensor(value.tensor)
    else:
        return None
    return recorded(number)


def _from_tensor(tensor: Any) -> float | None:
    if tensor.dtype not in (_FLOAT, _DOUBLE):
        return None
    packed = tensor.float_val if tensor.dtype == _FLOAT else tensor.double_val
    if packed:
        return packed[0]
    kind = np.dtype("<f4" if tensor.dtype == _FLOAT else "<f8")
    return float(np.frombuffer(tensor.tensor_content, kind)[0]) if len(tensor.tensor_content) == kind.itemsize else None


def _hyperparameters(value: Any, path: Path) -> dict[str, Any]:
    """Return the hyperparameters that the plug-in of TensorBoard records."""
    plugin = needs("tensorboardX.proto.plugin_hparams_pb2", "TensorBoard event files")
    damage = needs("google.protobuf.message", "TensorBoard event files").DecodeError
    try:
        data = plugin.HParamsPluginData.FromString(value.metadata.plugin_data.content)
    except damage:
        raise InputError(f"{path}: its hyperparameters cannot be read; write the file again or remove it") from None
    found = {}
    for name, own in data.session_start_info.hparams.items():
        kind = own.WhichOneof("kind")
        found[f"hparams/{name}"] = (
            getattr(own, kind) if kind in ("number_value", "string_value", "bool_value") else None
        )
    return found
