"""Tracking store: whether MLFLOW_TRACKING_URI answers, asked by a separate process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.store.sqlite_uri import is_sqlite, sqlite_path
from search.store.tracking_uri import existing_store, redact, store_uri
from search.tracking.client import limit_requests, open_client
from trainables.backends.process import MODULE, bounded
from trainables.devices.diagnosis import Problem
from trainables.errors import InputError

VARIABLE = "MLFLOW_TRACKING_URI"
PROGRAM = (*MODULE, "search.doctor.tracking_view")
REQUEST_SECONDS = 10.0
"""How long a server may take for one request."""
OWN = "mlflow.db in the folder of each study"
REMEDY = f"Start the server, or correct or unset {VARIABLE}; `assay sync` delivers later what studies did meanwhile"


@dataclass(frozen=True)
class TrackingView:
    """The tracking store of new studies.

    Args:
        store: its URI without credentials, or where it will be.
        seconds: time of a request, or None if none was made.
        problems: what is wrong.
    """

    store: str
    seconds: float | None = None
    problems: tuple[Problem, ...] = ()


def tracking_view(seconds: float, program: Sequence[str] = PROGRAM) -> TrackingView:
    """Return whether the tracking store that the environment names answers. Nothing is created.

    Args:
        seconds: how long it may take.
        program: the process that asks.
    """
    uri = os.environ.get(VARIABLE)
    if not uri:
        return TrackingView(OWN)
    try:
        store = store_uri(Path.cwd(), uri)
        path = sqlite_path(store) if is_sqlite(store) else None
        if path is not None and not path.exists():
            return _new_file(redact(store), path)
        existing_store(store)
    except InputError as error:
        return TrackingView(redact(uri), None, (Problem(str(error), f"Correct or unset {VARIABLE}"),))
    answer = bounded(program, seconds)
    words = answer.out.split()
    if not answer.end and words:
        return TrackingView(redact(store), float(words[-1]))
    said = redact(" ".join(answer.messages.split())[-300:])
    what = (
        f"the tracking store {redact(store)} cannot be reached: its process {answer.end or 'printed nothing'} ({said})"
    )
    return TrackingView(redact(store), None, (Problem(what, REMEDY),))


def _new_file(shown: str, path: Path) -> TrackingView:
    """Return the view of a SQLite file that a study will create."""
    folder = path.parent
    if folder.is_dir() and os.access(folder, os.W_OK):
        return TrackingView(f"{shown}, which the first study creates")
    what = f"the tracking store {shown} cannot be created: {folder} is missing or not writable"
    return TrackingView(shown, None, (Problem(what, f"Create the folder, or correct or unset {VARIABLE}"),))


def main() -> None:
    """Print the seconds of one request to the store."""
    limit_requests(REQUEST_SECONDS)
    client = open_client(store_uri(Path.cwd(), os.environ[VARIABLE]))
    began = time.monotonic()
    try:
        client.search_experiments(max_results=1)
    except Exception as error:  # MLflow raises errors of many libraries
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    print(f"{time.monotonic() - began:.3f}", flush=True)


if __name__ == "__main__":
    main()
