"""Session: what happens when all runs have ended and the results cannot be written."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search import session
from search.monitor.counts import StudyProgress
from search.session import Options
from search.store.delivery_state import DeliveryState
from search.study.resources import Resources
from search.tracking import supervisor
from trainables.errors import InputError, StoppedError


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), InputError("no space left")])
def test_results_that_cannot_be_written_leave_a_study_to_resume(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []
    delivery = SimpleNamespace(
        ensure=lambda: None,
        finish=lambda timeout: ended.append(timeout) or DeliveryState(False, 1, 1),
        stop=lambda: ended.append("stopped"),
    )
    monkeypatch.setattr(supervisor, "start_delivery", lambda *_: delivery)
    source: Any = SimpleNamespace(done=True)

    def conclude() -> None:
        raise error

    with pytest.raises(StoppedError, match=r"all runs have finished, but the results could not be written \(.*o space"):
        session.execute_runs(
            source, tmp_path, Resources(), None, Options(), {}, "small", lambda: StudyProgress([], 0, 0), conclude
        )
    assert ended == [session.INTERRUPTED_SECONDS, "stopped"]
