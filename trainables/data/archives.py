"""Large arrays of a `.npz` file without reading them into memory: mapped where they are, or unpacked into the cache."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Collection
from pathlib import Path
from typing import IO, TYPE_CHECKING
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from trainables.data.cache import cached_array

if TYPE_CHECKING:
    import numpy as np

LARGE = 2**28
"""Size in bytes from which arrays are memory-mapped, and sent to workers as a path."""
SUFFIX = ".npy"
BLOCK = 2**20
LOCAL_HEADER, LENGTHS = 30, 26
"""Size of the header before a member, and the place in it of the lengths of the name and of the extra field."""


def mapped_members(path: Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Return the large uint8 arrays of an archive by name, memory-mapped.

    What is stored without compression is mapped in the archive, after its checksum was verified; what is compressed is
    unpacked into the cache once.

    Args:
        path: the archive.
        names: names of arrays that are wanted.

    Raises:
        InputError: there is no room in the cache.
        OSError, ValueError, zipfile.BadZipFile: the archive is damaged.

    Examples:
        >>> import numpy as np
        >>> np.savez("tiny.npz", x_train=np.zeros((2, 3, 3), "uint8"))
        >>> mapped_members(Path("tiny.npz"), {"x_train"})
        {}
    """
    with ZipFile(path) as archive:
        wanted = [info for info in archive.infolist() if info.filename.removesuffix(SUFFIX) in names]
        chosen = [info for info in wanted if info.file_size >= LARGE and _is_bytes(archive, info)]
        return {info.filename.removesuffix(SUFFIX): _mapped(path, archive, info) for info in chosen}


def _is_bytes(archive: ZipFile, info: ZipInfo) -> bool:
    """Return whether a member is an array of uint8 in the order of C, in a format whose header is public."""
    with archive.open(info) as file:
        return _header(file) is not None


def _header(file: IO[bytes]) -> tuple[int, ...] | None:
    """Return the shape of the uint8 array that follows, or None for another array; read up to its first value."""
    import numpy as np

    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        return None
    shape, is_fortran, dtype = readers[version](file)
    return shape if dtype == np.uint8 and not is_fortran else None


def _mapped(path: Path, archive: ZipFile, info: ZipInfo) -> np.ndarray:
    import numpy as np

    def unpack(target: Path) -> None:
        with archive.open(info) as file, target.open("wb") as made:
            shutil.copyfileobj(file, made, BLOCK)

    if info.compress_type != ZIP_STORED:
        return cached_array(["npz", str(path.resolve()), info.filename, info.CRC, info.file_size], unpack)
    with archive.open(info) as file:
        while file.read(BLOCK):  # whose end compares the checksum
            pass
    with path.open("rb") as file:
        file.seek(info.header_offset + LENGTHS)
        file.seek(info.header_offset + LOCAL_HEADER + sum(struct.unpack("<HH", file.read(4))))
        shape = _header(file)
        return np.memmap(path, np.uint8, "r", file.tell(), shape).view(np.ndarray)
