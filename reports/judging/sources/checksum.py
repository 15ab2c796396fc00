"""CRC-32C, the checksum of TFRecord files; Castagnoli, Bräuer and Herrmann (1993), https://doi.org/10.1109/26.231911."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

_POLYNOMIAL = 0x82F63B78
_MASK = 0xFFFFFFFF
_MASKED = 0xA282EAD8
_LANE = 64
"""Bytes of a long text that are read one after another, in all lanes at once."""
_LONG = 1024
"""Bytes from which a text is divided into lanes."""
_BLOCK = 2000
"""Short texts that are read at once, which bounds the memory."""


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
    return _masked(crc32c(data))


def masked_crc32c_of_parts(content: bytes, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the masked checksums of parts of a text; several times faster than one after another.

    Args:
        content: the whole text.
        starts, sizes: of the parts in bytes, int64 (n,).

    Returns:
        Checksums, uint32 (n,).

    >>> masked_crc32c_of_parts(b"0123456789", np.array([1]), np.array([9])).tolist() == [masked_crc32c(b"123456789")]
    True
    """
    found = np.zeros(len(starts), dtype=np.uint32)  # of empty parts
    for part in np.flatnonzero(sizes >= _LONG):
        found[part] = crc32c(content[starts[part] : starts[part] + sizes[part]])
    every = np.frombuffer(content, np.uint8)
    short = np.flatnonzero((sizes > 0) & (sizes < _LONG))
    for first in range(0, len(short), _BLOCK):
        block = short[first : first + _BLOCK]
        found[block] = _of_short_parts(every, starts[block], sizes[block])
    return _masked(found.astype(np.int64)).astype(np.uint32)


def _masked(crc: Any) -> Any:
    """Return checksums, int or int64, as TFRecord files keep them."""
    return ((crc >> 15 | crc << 17) + _MASKED) & _MASK


def _of_short_parts(every: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the checksums of parts of 1 to `_LONG` - 1 bytes.

    The state is linear: it combines what the start and every byte leave, moved over the bytes behind them.
    """
    by_distance, of_start = _states_by_distance()
    firsts = np.cumsum(sizes) - sizes
    places = np.arange(sizes.sum()) - np.repeat(firsts, sizes)
    data = every[np.repeat(starts, sizes) + places]
    of_bytes = by_distance[np.repeat(sizes - 1, sizes) - places, data]
    return of_start[sizes] ^ np.bitwise_xor.reduceat(of_bytes, firsts) ^ np.uint32(_MASK)


@lru_cache(maxsize=1)
def _states_by_distance() -> tuple[np.ndarray, np.ndarray]:
    """Return what a byte leaves, by the bytes behind it, uint32 (`_LONG`, 256), and the start, uint32 (`_LONG`,)."""
    states = np.empty((_LONG, 257), dtype=np.uint32)
    states[0] = [*_TABLE, _MASK]
    for distance in range(1, _LONG):
        states[distance] = _STEP[states[distance - 1] & 0xFF] ^ states[distance - 1] >> 8
    return np.ascontiguousarray(states[:, :256]), states[:, 256]


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
