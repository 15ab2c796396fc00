"""CRC-32C, the checksum of TFRecord files; Castagnoli, Bräuer and Herrmann (1993), https://doi.org/10.1109/26.231911."""

from __future__ import annotations

import numpy as np

_POLYNOMIAL = 0x82F63B78
_MASK = 0xFFFFFFFF
_MASKED = 0xA282EAD8
_LANE = 64
"""Bytes of a long text that are read one after another, in all lanes at once."""
_LONG = 4096
"""Bytes from which NumPy is faster than a loop."""


def _table() -> list[int]:
    """Return the checksum of every byte, without the inversions at start and end."""
    table = list(range(256))
    for _ in range(8):
        table = [value >> 1 ^ (_POLYNOMIAL if value & 1 else 0) for value in table]
    return table


_TABLE = _table()
_STEP = np.array(_TABLE, dtype=np.uint32)


def masked_crc32c(data: bytes) -> int:
    """Return the checksum as TFRecord files keep it: rotated by 15 bits, plus a constant.

    >>> hex(masked_crc32c(b"123456789"))
    '0xc78ab0e5'
    """
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASKED) & _MASK


def crc32c(data: bytes) -> int:
    """Return the checksum of a text.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc, start = _MASK, 0
    if len(data) >= _LONG:
        start = len(data) - len(data) % _LANE
        crc = _of_lanes(np.frombuffer(data, np.uint8, start).reshape(-1, _LANE), crc)
    table = _TABLE
    for byte in data[start:]:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ _MASK


def _of_lanes(lanes: np.ndarray, crc: int) -> int:
    """Return the state after all lanes.

    The state is linear in the state before a lane and in the bytes of the lane: it is the state that the lane alone
    leaves, combined with the state before it, moved over a lane of zeros.

    Args:
        lanes: uint8 (n, `_LANE`).
        crc: the state before them.
    """
    alone = _moved(np.zeros(len(lanes), dtype=np.uint32), lanes)
    for own in alone.tolist():
        crc = _FIRST[crc & 0xFF] ^ _SECOND[crc >> 8 & 0xFF] ^ _THIRD[crc >> 16 & 0xFF] ^ _FOURTH[crc >> 24] ^ own
    return crc


def _moved(states: np.ndarray, lanes: np.ndarray) -> np.ndarray:
    """Return the states after the bytes of one lane each: uint32 (n,) and uint8 (n, bytes) to uint32 (n,)."""
    for column in np.ascontiguousarray(lanes.T):
        states = _STEP[(states ^ column) & 0xFF] ^ states >> 8
    return states


_FIRST, _SECOND, _THIRD, _FOURTH = (
    _moved(np.arange(256, dtype=np.uint32) << shift, np.zeros((256, _LANE), dtype=np.uint8)).tolist()
    for shift in (0, 8, 16, 24)
)
"""States after a lane of zeros, by each byte of the state before it."""
