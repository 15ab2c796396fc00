"""NumPy archives with the keys `x_train`, `y_train`, `x_test` and `y_test`."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from trainables.data.arrays import EXTRA, KEYS, dataset_of
from trainables.data.base import SOURCES, Dataset, Source
from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np


@SOURCES.register("npz")
class Npz(Source):
    """Images of a `.npz` file: uint8, (n, height, width) or (n, height, width, channels); labels from 0.

    `class_names`, a validation part (`x_val`, `y_val`) and groups (`group_train`, `group_val`) are optional.
    `mirror_keeps_class: false` refuses augmentations that mirror.

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
        return dataset_of(_read(self.path), str(self.path))


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the archive that a data set uses."""
    import numpy as np

    if not path.is_file():
        raise InputError(f"{path}: there is no such file; `path` must be a .npz file")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{path} contains a single array; save an archive with numpy.savez_compressed")
            wanted = [key for key in archive.files if key in {*KEYS, *EXTRA}] or archive.files
            return {key: archive[key] for key in wanted}
    except ValueError:
        raise InputError(
            f"{path} cannot be read as a NumPy archive of plain arrays; write it with numpy.savez_compressed"
        ) from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read as a NumPy archive (without pickles): {error}") from None
