"""NumPy archives with the keys `x_train`, `y_train`, `x_test` and `y_test`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal
from zipfile import ZipFile

from pydantic import Field

from trainables.data.archives import SUFFIX, mapped_members
from trainables.data.arrays import EXTRA, KEYS, dataset_of
from trainables.data.base import SOURCES, Dataset
from trainables.data.memory import HOST_SHARE, host_memory
from trainables.data.resizing import ResizableSource
from trainables.data.text import printable
from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np


@SOURCES.register("npz")
class Npz(ResizableSource):
    """Images of a `.npz` file: uint8, (n, height, width) or (n, height, width, channels); labels from 0.

    `size` and `resize` resize them. `class_names`, a validation part (`x_val`, `y_val`) and groups (`group_train`,
    `group_val`) are optional. `mirror_keeps_class: false` refuses augmentations that mirror.

    Examples:
        >>> import numpy as np
        >>> images, labels = np.zeros((4, 8, 8), "uint8"), np.array([0, 1, 0, 1])
        >>> np.savez_compressed("small.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
        >>> Npz(path=Path("small.npz")).load().class_names
        ('0', '1')
    """

    summary: ClassVar[str] = "a .npz file with x_train, y_train, x_test, y_test"
    source: Literal["npz"] = "npz"
    path: Annotated[Path, Field(description="the file; a relative path is relative to the study file")]

    def load(self) -> Dataset:
        """Load the images (see `Source.load`)."""
        return self.at_size(dataset_of(_read(self.path), printable(self.path)))


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the archive; of those that a data set does not use, the names only."""
    import numpy as np

    if not path.is_file():
        raise InputError(f"{printable(path)}: there is no such file; `path` must be a .npz file")
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # about what is refused
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.lib.npyio.NpzFile):
                used = {*KEYS, *EXTRA}
                mapped = mapped_members(path, used)
                _check_memory(path, used - {*mapped})
                return {
                    key: mapped[key] if key in mapped else archive[key] if key in used else np.empty(0)
                    for key in archive.files
                }
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{printable(path)} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # what a damaged archive raises depends on the place of the damage
        why = "" if isinstance(error, ValueError) else f" ({type(error).__name__})"
        raise InputError(
            f"{printable(path)} cannot be read as a NumPy archive of plain arrays{why}: it is damaged, or contains "
            "Python objects. Write it again with numpy.savez_compressed"
        ) from None
    raise InputError(f"{printable(path)} contains a single array; save an archive with numpy.savez_compressed")


def _check_memory(path: Path, names: set[str]) -> None:
    """Refuse arrays that would fill the memory: a small file may unpack to any size."""
    with ZipFile(path) as archive:
        members = {info.filename.removesuffix(SUFFIX): info.file_size for info in archive.infolist()}
    sizes = {name: size for name, size in members.items() if name in names}
    memory = host_memory()
    if sum(sizes.values()) <= HOST_SHARE * memory:
        return
    largest = max(sizes, key=lambda name: sizes[name])
    raise InputError(
        f"{printable(path)}: `{largest}` unpacks to {sizes[largest] / 1e9:,.1f} GB, but the arrays that are read into "
        f"memory may take only {HOST_SHARE:.0%} of {memory / 1e9:,.1f} GB of memory. Save images as uint8, which are "
        "memory-mapped and may be larger"
    )
