"""Unused imports: packages that Keras imports where they are installed, though training does not need them.

They are a quarter of the seconds that a worker needs before its first run: scikit-learn is for Keras's wrappers,
Matplotlib for its galleries of pictures.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

UNUSED = ("matplotlib", "sklearn")


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Let imports of these packages fail during the block, as if they were not installed; for workers only.

    Packages that are loaded already stay.

    Examples:
        >>> with without("this"):
        ...     import this
        Traceback (most recent call last):
        ...
        ModuleNotFoundError: import of this halted; None in sys.modules
    """
    modules: dict[str, Any] = sys.modules
    hidden = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            modules.pop(name, None)
