"""What the runs mean: estimators, verdicts, figures and the page.

Public Python interface: `from reports import judge`, verdicts on runs that Assay did not launch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.judging.api import judge

__all__ = ["judge"]


def __getattr__(name: str) -> Any:
    """Import a public name on first access."""
    if name not in __all__:
        raise AttributeError(f"module `reports` has no attribute `{name}`")
    from reports.judging import api

    return getattr(api, name)
