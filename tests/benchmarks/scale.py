"""Large replayed studies without Ray: what a run costs the controller, and the end of the study, at several sizes.

Options: numbers of runs, by default 500, 2 000 and 5 000. Two arms, half of the runs in the search; a run has twelve
epochs and early stopping. All times are of the CPU. "Again" is the end of a resumed study with nothing left to do.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from search.lifecycle import count
from search.orchestration.controller import StudyController
from search.plan.builder import make_plan
from search.plan.record import study_record
from search.store.journal import Journal
from search.store.optuna_storage import OptunaFile
from search.study.loading import validate
from tests.benchmarks.common import table
from trainables import records
from trainables.worker.requests import RunResult

SIZES = (500, 2000, 5000)
EPOCHS = 12
POINTS = 5


def main(arguments: list[str]) -> None:
    """Print a table with a row per size."""
    rows = [_measure(int(size)) for size in arguments or SIZES]
    header = (
        "runs",
        "ms per run",
        "of them next run",
        "ms to count",
        "resume, s",
        "optuna.db, s",
        "optuna.db again, s",
    )
    table(header, rows)


def _study(runs: int) -> Any:
    quarter = runs // 4
    document = {
        "name": "scale", "data": {"source": "digits"},
        "recipe": {"model": "resnet8", "augmentation": "crop", "epochs": EPOCHS},
        "methods": ["baseline", "mixup"], "search": {"trials_per_arm": quarter, "sampler": "random"},
        "confirm": {"points": POINTS, "seeds": quarter // POINTS},
    }  # fmt: skip
    return validate(document, "study.yaml", Path.cwd())


def _measure(runs: int) -> list[Any]:
    with tempfile.TemporaryDirectory(prefix="assay-benchmark-") as scratch:
        folder, plan = Path(scratch), make_plan(_study(runs))
        rng = np.random.default_rng(1)
        with Journal.create(folder / records.JOURNAL_FILE) as journal:
            journal.set_meta_once(records.META_PLAN, study_record(plan).dump())
            controller = StudyController(plan, journal)
            began, asking, finished = time.process_time(), 0.0, 0
            while not controller.done:
                asked = time.process_time()
                run = controller.next_run()
                asking += time.process_time() - asked
                if run is None:
                    raise RuntimeError("nothing to do, and not done")
                finished += 1
                _train(controller, run.name, float(rng.normal(0.8, 0.02)))
            spent = time.process_time() - began
            counting = _seconds(lambda: count(controller, study_record(plan)))
            first = _write(controller, folder)
        with Journal.open(folder) as journal:
            began = time.process_time()
            controller = StudyController(plan, journal)
            resumed = time.process_time() - began
            again = _write(controller, folder)
        return [finished, 1000 * spent / finished, 1000 * asking / finished, 1000 * counting, resumed, first, again]


def _train(controller: StudyController, name: str, top: float) -> None:
    metrics = dict.fromkeys(records.EPOCH_METRICS, 0.5)
    for epoch in range(1, EPOCHS + 1):
        accuracy = top - 0.4 * np.exp(-epoch / 4)
        if controller.reported(name, [(epoch, {**metrics, records.VALIDATION_ACCURACY: accuracy})]):
            return controller.ended(name, RunResult())
    return controller.ended(name, RunResult(records.COMPLETED, "", EPOCHS, {records.TEST_ACCURACY: top}))


def _write(controller: StudyController, folder: Path) -> float:
    file = OptunaFile(folder / records.OPTUNA_FILE)
    spent = _seconds(lambda: file.update(controller.optuna_studies))
    if file.error:
        raise RuntimeError(file.error)
    return spent


def _seconds(work: Any) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
