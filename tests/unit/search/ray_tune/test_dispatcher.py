"""Run dispatcher: which runs start again after their worker has died, and which nodes they avoid."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial

from search.ray_tune.callbacks import JournalScheduler
from search.ray_tune.capacity import Capacity, Node
from search.ray_tune.dispatcher import IDLE_SECONDS, WORKER_RESTARTS, ExecutionContext, Reply, RunDispatcher
from search.ray_tune.newcomers import NODE_LABEL, newcomer_check, placement
from search.study.resources import Resources
from trainables import records
from trainables.records import Run
from trainables.worker.requests import EPOCHS, FINAL, IDLE, RunResult


class Source:
    """Two runs; notes how they end."""

    def __init__(self) -> None:
        self.left = ["one", "two"]
        self.runs = 2
        self.stopped: set[str] = set()
        self.ends: list[tuple[str, str, str]] = []

    def next_run(self) -> Run | None:
        if not self.left:
            return None
        return Run(
            name=self.left.pop(0), phase=records.SEARCH, condition="all", arm="a", method="baseline", trial_index=0,
            point_index=None, seed_index=0, audit=False, config={}, parameters={},
        )  # fmt: skip

    @property
    def done(self) -> bool:
        return len(self.ends) == self.runs

    def rungs(self, run: Run) -> tuple[int, ...]:
        return ()

    def test_part(self, run: Run) -> None:
        return None

    def data_set(self, run: Run) -> str:
        return ""

    def reported(self, name: str, rows: Any) -> bool:
        return name in self.stopped

    def ended(self, name: str, final: Any) -> None:
        self.ends.append((name, final.outcome, final.reason))


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def dispatcher(source: Source, tmp_path: Path) -> RunDispatcher:
    return RunDispatcher(
        source, ExecutionContext(tmp_path, Resources()), lambda: 1, exclude=lambda node: f"host-{node}"
    )


def started(dispatcher: RunDispatcher) -> str:
    """Start a run and return its name."""
    request = dispatcher.next_request()
    assert request
    return request["run"]


def test_a_run_that_ray_gives_up_after_the_first_death_of_its_worker_starts_again(
    dispatcher: RunDispatcher, source: Source
) -> None:
    assert started(dispatcher) == "one"
    for death in range(WORKER_RESTARTS):
        assert dispatcher.next_request() is None, "there is one slot"
        dispatcher.worker_died("one", f"death {death}")
        dispatcher.run_lost("one")
        assert source.ends == []
        assert started(dispatcher) == "one"
    dispatcher.worker_died("one", "the last death")
    dispatcher.run_lost("one")
    assert source.ends == [("one", records.FAILED, "the last death")]
    assert started(dispatcher) == "two"


def test_a_run_on_an_unfit_node_loses_nothing_and_avoids_the_node(
    dispatcher: RunDispatcher, source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    started(dispatcher)
    for _ in range(WORKER_RESTARTS + 1):
        dispatcher.node_unfit("one", "1fa0", "has no /shared/s1")
    dispatcher.run_lost("one")
    assert capsys.readouterr().err.count("node host-1fa0 is excluded: it has no /shared/s1") == 1
    request = dispatcher.next_request()
    assert request
    assert (request["run"], request["avoided_nodes"], source.ends) == ("one", ("1fa0",), [])
    resources = placement(Resources(cpus=2, gpus=0.5), request["avoided_nodes"])
    assert resources._bound.kwargs["bundle_label_selector"] == [{NODE_LABEL: "!in(1fa0)"}]
    assert resources.bundles == [{"CPU": 2.0, "GPU": 0.5}]
    assert placement(Resources(), ()) != placement(Resources(), ("1fa0",))


def test_a_run_that_ended_and_was_then_lost_on_an_unfit_node_stays_ended(
    dispatcher: RunDispatcher, source: Source
) -> None:
    assert started(dispatcher) == "one"
    dispatcher.handle_result("one", END)
    dispatcher.node_unfit("one", "1fa0", "has no /shared/s1")
    dispatcher.run_lost("one")
    assert source.ends == [("one", records.COMPLETED, "")]


def test_rays_report_of_a_death_names_the_unfit_node(
    dispatcher: RunDispatcher, source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started(dispatcher)
    error = "The actor died because of an error raised in its creation task, ray::ImplicitFunc.__init__() (pid=7)\n"
    error += "search.ray_tune.newcomers.UnfitNodeError: 1fa0: has no /shared/s1; give it\n"
    (tmp_path / "error.txt").write_text(f"Failure # 1 (occurred at 1)\nkilled\nFailure # 2 (occurred at 2)\n{error}")
    trial: Any = SimpleNamespace(config={"run": "one"}, error_file=str(tmp_path / "error.txt"))
    JournalScheduler(dispatcher).on_trial_error(None, trial)
    assert "host-1fa0 is excluded: it has no /shared/s1; give it" in capsys.readouterr().err
    (tmp_path / "error.txt").write_text("Failure # 3 (occurred at 3)\nkilled by a signal\n")
    for _ in range(WORKER_RESTARTS + 1):
        JournalScheduler(dispatcher).on_trial_error(None, trial)
    dispatcher.run_lost("one")
    assert source.ends == [("one", records.FAILED, "the worker process died: killed by a signal")]


def test_a_free_worker_takes_the_trial_whose_own_worker_is_the_youngest(dispatcher: RunDispatcher) -> None:
    scheduler: Any = JournalScheduler(dispatcher)
    trials = [SimpleNamespace(trial_id=f"t{i}", status=Trial.PENDING) for i in range(4)]
    for trial in trials:
        scheduler.on_trial_add(None, trial)
    trials[3].status = Trial.RUNNING
    controller = SimpleNamespace(get_live_trials=lambda: trials[::-1])
    assert scheduler.choose_trial_to_run(controller) is trials[2]
    for trial in trials:
        trial.status = Trial.RUNNING
    assert scheduler.choose_trial_to_run(controller) is None


def test_a_trial_that_ends_without_a_result_is_not_started_for_ever(dispatcher: RunDispatcher, source: Source) -> None:
    scheduler: Any = JournalScheduler(dispatcher)
    trial = SimpleNamespace(config={"run": "one"})
    for _ in range(WORKER_RESTARTS + 1):
        assert started(dispatcher) == "one"
        scheduler.on_trial_complete(None, trial, {})
    assert source.ends == [("one", records.FAILED, "the run ended without a result")]


EPOCH: dict[str, Any] = {EPOCHS: [(1, {})]}
END: dict[str, Any] = {EPOCHS: [], FINAL: RunResult(records.COMPLETED)}


def idle(seconds: float = 1.0) -> dict[str, Any]:
    return {EPOCHS: [], IDLE: seconds}


def test_a_worker_waits_for_the_next_run_and_is_then_free_for_it(source: Source, tmp_path: Path) -> None:
    dispatcher = RunDispatcher(source, ExecutionContext(tmp_path, Resources()), lambda: 2)
    source.runs = 4
    for name in (started(dispatcher), started(dispatcher)):
        assert dispatcher.handle_result(name, EPOCH) is Reply.CONTINUE
    assert dispatcher.handle_result("one", END) is Reply.WAIT, "there is no run at the moment"
    assert dispatcher.handle_result("one", idle()) is Reply.WAIT
    source.left.append("three")
    assert dispatcher.handle_result("one", idle()) is Reply.FREE
    source.stopped.add("two")
    assert dispatcher.handle_result("two", EPOCH) is Reply.WAIT, "one worker is enough for one run"
    assert started(dispatcher) == "three"
    assert dispatcher.handle_result("two", idle()) is Reply.WAIT
    assert dispatcher.handle_result("three", EPOCH) is Reply.CONTINUE
    source.left.append("four")
    assert dispatcher.handle_result("two", idle()) is Reply.FREE
    assert started(dispatcher) == "four"
    assert dispatcher.handle_result("three", END) is Reply.WAIT
    assert dispatcher.handle_result("four", END) is Reply.FREE, "all runs have ended"
    assert dispatcher.handle_result("three", idle()) is Reply.FREE


def test_a_worker_with_another_run_at_hand_does_not_wait(source: Source, dispatcher: RunDispatcher) -> None:
    assert started(dispatcher) == "one"
    assert dispatcher.handle_result("one", END) is Reply.FREE
    assert started(dispatcher) == "two"


def test_a_worker_does_not_wait_for_long(source: Source, dispatcher: RunDispatcher) -> None:
    source.runs = 3
    for name in ("one", "two"):
        assert started(dispatcher) == name
        reply = dispatcher.handle_result(name, END)
    assert reply is Reply.WAIT
    assert dispatcher.handle_result("two", idle(IDLE_SECONDS - 1)) is Reply.WAIT
    assert dispatcher.handle_result("two", idle(IDLE_SECONDS + 1)) is Reply.FREE


def test_a_worker_whose_run_is_stopped_early_is_told_to_wait(source: Source, tmp_path: Path) -> None:
    told: list[str] = []
    source.runs = 3
    dispatcher = RunDispatcher(source, ExecutionContext(tmp_path, Resources()), lambda: 2)
    scheduler: Any = JournalScheduler(dispatcher)
    for name in (started(dispatcher), started(dispatcher)):
        assert dispatcher.handle_result(name, EPOCH) is Reply.CONTINUE
    actor = SimpleNamespace(end_run=SimpleNamespace(remote=lambda: told.append("one")))
    trial = SimpleNamespace(config={"run": "one"}, temporary_state=SimpleNamespace(ray_actor=actor))
    assert scheduler.on_trial_result(None, trial, EPOCH) == "CONTINUE"
    assert told == []
    source.stopped.add("one")
    assert scheduler.on_trial_result(None, trial, EPOCH) == "CONTINUE"
    assert scheduler.on_trial_result(None, trial, idle()) == "CONTINUE"
    assert told == ["one"]
    source.left.append("three")
    assert scheduler.on_trial_result(None, trial, idle()) == "STOP"


def test_an_excluded_node_no_longer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    present = [Node("a", "host a", {"CPU": 2.0}), Node("b", "host b", {"CPU": 4.0})]
    monkeypatch.setattr("search.ray_tune.capacity.nodes", lambda: present)
    capacity = Capacity(Resources(), cluster=True)
    assert (capacity.runs(), capacity.known) == (6, {"a", "b"})
    assert capacity.exclude("b") == "host b"
    assert capacity.runs() == 2


def test_the_mark_is_there_during_the_runs_only(tmp_path: Path) -> None:
    (tmp_path / ".probe-old").write_text("old")
    with newcomer_check(tmp_path, 0, frozenset()) as check:
        assert [path.read_text() for path in tmp_path.iterdir()] == [check.token]
    assert list(tmp_path.iterdir()) == []
