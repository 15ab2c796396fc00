"""Studies of many training runs, from the study file to the verdicts.

Public Python interface: `from search import Study, load_study, run, resume, report`. Importing it loads neither Ray,
TensorFlow nor MLflow.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api import Result, report, resume, run
    from search.study.loading import load_study
    from search.study.schema import Study

__all__ = ["Result", "Study", "load_study", "report", "resume", "run"]

# Libraries warn in notebooks about a progress bar that Assay does not use.
warnings.filterwarnings("ignore", message="IProgress not found")
_HOMES = {"Study": "search.study.schema", "load_study": "search.study.loading"}


def __getattr__(name: str) -> Any:
    """Import a public name on first access."""
    if name not in __all__:
        raise AttributeError(f"module `search` has no attribute `{name}`")
    return getattr(import_module(_HOMES.get(name, "search.api")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
