"""Start of the command line: checks that Python finds Assay's own packages, then runs `search.cli`.

Their names are general, and a folder on PYTHONPATH or the working directory may hold packages of the same names.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("search", "spaces", "reports", "trainables")
_HOME = Path(__file__).resolve().parent


def main() -> None:
    """Run the command line `assay`."""
    _tidy_path()
    for package in PACKAGES:
        place = hiding_place(package)
        if place is not None:
            sys.exit(_refused(package, place))
    from search.cli import main as run

    run()


def hiding_place(package: str) -> Path | None:
    """Return the folder in which Python finds another package of that name, or None. Nothing is imported.

    >>> hiding_place("reports") is None
    True
    """
    spec = find_spec(package)
    places = [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ()]
    origin = spec and spec.origin and Path(spec.origin).resolve()
    if places == [_HOME / package]:
        return None
    return places[0].parent if places else origin.parent if origin else _HOME


def _refused(package: str, place: Path) -> int:
    print(
        f"error: {place / package} hides Assay's own package `{package}`, which is in {_HOME}; rename it, or start "
        "Assay without it: env -u PYTHONPATH assay ...",
        file=sys.stderr,
    )
    return 2


def _tidy_path() -> None:
    """Take the working directory from the import path unless PYTHONPATH names it; give other processes full paths.

    `python -m` and an empty part of PYTHONPATH put it there, so that a `pandas.py` beside the data would be executed.
    """
    written = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    named = [str(Path(place).absolute()) for place in written if place]
    os.environ.pop("PYTHONPATH", None)
    if named:
        os.environ["PYTHONPATH"] = os.pathsep.join(named)
    here = str(Path.cwd())
    if here not in {*named, str(_HOME)}:
        sys.path[:] = [place for place in sys.path if place not in {"", here}]


if __name__ == "__main__":
    main()
