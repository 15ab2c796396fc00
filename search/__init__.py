"""Many training runs: a study from its file to its verdicts.

From Python, as in a notebook: `from search import Study, run, resume, report`. Importing this loads nothing heavy.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api import Result, report, resume, run
    from search.study.schema import Study, load_study

__all__ = ["Result", "Study", "load_study", "report", "resume", "run"]

# In a notebook: of a progress bar that libraries bring along and nobody shows.
warnings.filterwarnings("ignore", message="IProgress not found")
_HOMES = {"Study": "search.study.schema", "load_study": "search.study.schema"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module `search` has no attribute `{name}`")
    return getattr(import_module(_HOMES.get(name, "search.api")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
