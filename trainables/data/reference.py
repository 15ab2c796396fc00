"""User-defined data: the data set that a function returns, `source: module:function`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from trainables.data.arrays import dataset_of
from trainables.data.base import REFERENCE, SOURCES, Dataset, Source
from trainables.errors import InputError
from trainables.registration.plugins import check_reference, load_reference

if TYPE_CHECKING:
    import numpy as np


@SOURCES.register(REFERENCE)
class Reference(Source):
    """The result of a user's function: a `trainables.data.Dataset`, or a dictionary of arrays as in `npz`.

    The function is called with `options` as keyword arguments. Its module may be in the folder of the study file. It
    must be allowed to run (see `trainables.registration.plugins`).

    Examples:
        >>> _ = Path("shapes.py").write_text(
        ...     "import numpy as np\\n"
        ...     "def load(size):\\n"
        ...     "    x, y = np.zeros((4, size, size), 'uint8'), np.array([0, 1, 0, 1])\\n"
        ...     "    return {'x_train': x, 'y_train': y, 'x_test': x, 'y_test': y}\\n"
        ... )
        >>> from trainables.registration.plugins import code_allowed
        >>> with code_allowed():
        ...     Reference(source="shapes:load", options={"size": 8}, path=Path.cwd()).load().images.shape
        (4, 8, 8, 1)
    """

    summary: ClassVar[str] = "the result of your own function: a Dataset, or arrays as in npz"
    source: Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")]
    options: Annotated[dict[str, Any], Field(description="keyword arguments of the function")] = {}
    path: Annotated[Path | None, Field(description="folder of the module; by default that of the study file")] = None

    def load(self) -> Dataset:
        """Call the function (see `Source.load`)."""
        check_reference(self.source, "data source")
        folder = str(self.path) if self.path else ""
        added = bool(folder) and folder not in sys.path
        if added:
            sys.path.append(folder)
        try:
            function = load_reference(self.source, "data source")
            found = function(**self.options)
        except InputError:
            raise
        except (Exception, SystemExit) as error:
            raise InputError(f"data source `{self.source}` failed: {type(error).__name__}: {error}") from error
        finally:
            if added:
                sys.path.remove(folder)
        return _checked(found, self.source)


def _checked(found: Any, name: str) -> Dataset:
    """Return the result of a function as a data set.

    Raises:
        InputError: it is none, or something in it is invalid.
    """
    where = f"data source `{name}`"
    if isinstance(found, Dataset):
        arrays = {
            "x_train": found.images, "y_train": found.labels, "x_test": found.test_images, "y_test": found.test_labels,
            "class_names": found.class_names,
        }  # fmt: skip
        if found.groups is not None:
            arrays["group_train"] = found.groups
        made = dataset_of(_arrays(arrays, where), where)
        return replace(
            made,
            validation=_flags(found.validation, len(made.images), where),
            test_groups=found.test_groups,
            notes=found.notes,
        )
    if not isinstance(found, Mapping):
        raise InputError(
            f"{where} must return a trainables.data.Dataset or a dictionary of arrays, but returned "
            f"{type(found).__name__}"
        )
    return dataset_of(_arrays(found, where), where)


def _arrays(found: Mapping[Any, Any], where: str) -> dict[str, np.ndarray]:
    """Return values as arrays."""
    import numpy as np

    arrays = {}
    for key, value in found.items():
        try:
            arrays[str(key)] = np.asarray(value)
        except Exception as error:  # what it raises depends on the value
            raise InputError(f"{where}: `{key}` is not an array: {error}") from None
    return arrays


def _flags(validation: Any, images: int, where: str) -> np.ndarray | None:
    """Return the validation part as bool (n,), or None if there is none."""
    import numpy as np

    flags = None if validation is None else np.asarray(validation)
    if flags is not None and (flags.dtype != np.bool_ or flags.shape != (images,)):
        raise InputError(
            f"{where}: `validation` must have one boolean per image ({images}), but is {flags.dtype} of shape "
            f"{flags.shape}"
        )
    return flags
