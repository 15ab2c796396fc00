"""A study driven in this process: the controller and a worker that replays curves, without Ray."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reports.data.frames import read_study
from reports.inference.verdicts import decided_arms
from search.orchestration.controller import StudyController
from search.plan.model import Plan
from search.plan.record import study_record
from search.store.journal import Journal
from tests.support.faults import FaultyReplay
from trainables import records
from trainables.errors import DivergedError, TrialError
from trainables.records import Run
from trainables.worker.replay import RunKeys, read_curves
from trainables.worker.requests import RunResult


class Worker:
    """Does what the Ray trainable does, one epoch at a time, in this process; `fuse` events, then it is gone."""

    def __init__(self, controller: StudyController, curves: Path, fuse: int = 10**9) -> None:
        self.controller, self.table, self.fuse = controller, read_curves(curves), fuse

    def work(self) -> None:
        while not self.controller.done:
            run = self.controller.next_run()
            if run is None:
                raise AssertionError("nothing to do, and not done")
            self._train(run)

    def _train(self, run: Run) -> None:
        engine = FaultyReplay(self.table, RunKeys.of(run), 0.1, 1.0)
        while engine.epoch < run.config["epochs"]:
            self._burn()
            try:
                metrics = engine.train_epoch()
            except DivergedError as error:
                return self.controller.ended(run.name, RunResult(records.DIVERGED, str(error), error.epoch))
            except TrialError as error:
                return self.controller.ended(run.name, RunResult(records.FAILED, str(error), engine.epoch))
            if self.controller.reported(run.name, [(engine.epoch, metrics)]):
                self._burn()
                return self.controller.ended(run.name, RunResult())
        self._burn()
        test = engine.test() if run.phase == records.CONFIRM else None
        final = RunResult(records.COMPLETED, "", engine.epoch, test.metrics if test else {})
        return self.controller.ended(run.name, final)

    def _burn(self) -> None:
        self.fuse -= 1
        if self.fuse < 0:
            raise KeyboardInterrupt


def carry_out(plan: Plan, path: Path, curves: Path, fuse: int = 10**9) -> StudyController:
    """Run a study, or go on with it, in a journal; `fuse` events long."""
    journal = Journal.open(path) if path.exists() else Journal.create(path)
    plan = replace(plan, study=plan.study.on_official_test())  # curves know no unused images
    with journal:
        if journal.meta(records.META_PLAN) is None:
            journal.set_meta_once(records.META_STUDY, plan.study.document())
            journal.set_meta_once(records.META_PLAN, study_record(plan).dump())
        controller = StudyController(plan, journal, lambda seeds: decided_arms(read_study(path, curves=False), seeds))
        Worker(controller, curves, fuse).work()
        return controller
