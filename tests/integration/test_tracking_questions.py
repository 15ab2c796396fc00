"""Tests of the ten questions of the tracking README on a real store."""

import re
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.support.mlflow_stores import Study
from tests.support.runs import run_of
from trainables import records
from trainables.records import Outcome

README = Path(__file__).parents[2] / "search" / "tracking" / "README.md"
ROW = re.compile(r"^\| ([^|]+\?) \| `([^`]+)` \| `([^`]+)` \| ([^|]+) \|$", re.MULTILINE)
QUESTIONS = {question: (where, order, re.findall(r"`([^`]+)`", columns)) for question, where, order, columns in
             ROW.findall(README.read_text())}  # fmt: skip
CONDITIONS = [
    {
        "name": f"train_fraction={share}",
        "values": {"train_fraction": share},
        "epochs": 12,
        "selection_epochs": 3,
        "rungs": [],
    }
    for share in (0.1, 0.3)
]
DONE, STOPPED, FAILED = records.COMPLETED, records.STOPPED, records.FAILED
# name, phase, share, method, k, seed, model, outcome, selection, test accuracy, train accuracy, plain epochs
RUNS = [
    ("s1", "search", 0.1, "mixup", 0, 0, "resnet20", DONE, 0.7, None, 0.95, 12),
    ("s2", "search", 0.1, "mixup", 1, 0, "resnet20", DONE, 0.75, None, 0.85, 12),
    ("s3", "search", 0.1, "baseline", 0, 0, "resnet20", STOPPED, 0.6, None, 0.7, 4),
    ("s4", "search", 0.3, "baseline", 1, 0, "resnet20", FAILED, None, None, 0.5, 2),
    ("s5", "search", 0.3, "mixup", 1, 0, "resnet8", DONE, 0.8, None, 0.85, 12),
    ("c1", "confirm", 0.1, "baseline", 0, 1, "resnet20", DONE, 0.71, 0.70, 0.85, 12),
    ("c2", "confirm", 0.1, "mixup", 0, 1, "resnet20", DONE, 0.74, 0.73, 0.85, 12),
    ("c3", "confirm", 0.1, "maxup", 0, 2, "resnet20", DONE, 0.72, 0.72, 0.85, 28),
    ("now", "search", 0.3, "maxup", 2, 0, "resnet20", None, None, None, 0.5, 6),
]
EXPECTED = {
    "All mixup runs of resnet20 that completed, best first?": ["s2", "c2", "s1"],
    "What did the confirmation find, method by method?": ["c2", "c3", "c1"],
    "Which runs make up one paired comparison?": ["c2", "c1"],
    "Which runs failed, and why?": ["s4"],
    "Which were stopped early, and when?": ["s3"],
    "What is being trained now?": ["now"],
    "What works on little data?": ["s2", "s1", "s3"],
    "What were the costliest runs?": ["c3"],
    "Which runs overfit?": ["s1"],
    "Which studies are there, and are they complete?": ["questions"],
}


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_the_questions_of_the_readme(tmp_path, store, monkeypatch):
    monkeypatch.setattr("search.tracking.synchronizer.PATIENCE", 0.0)
    study = Study(tmp_path / "study", store, name="questions", conditions=CONDITIONS)
    for name, phase, share, method, k, seed, model, end, selection, test, train, cost in RUNS:
        where = f"train_fraction={share}"
        values = {"model": model, "learning_rate": 0.1, "mixup.alpha": 0.2, "weight_decay": 0.0}
        study.add(run_of(name, phase, where, f"{where}: {method}", method, k, seed, False, {}, values))
        metrics = {"train_accuracy": train, "validation_accuracy": 0.7, "validation_loss": 1.0}
        study.journal.report(name, [(1, {**metrics, "plain_epochs": cost, "seconds": 2.0})])
        finals = {"selection": selection, "test_accuracy": test}
        if end:
            study.journal.end(name, Outcome(end, 1, "", {key: x for key, x in finals.items() if x is not None}))
    with study.synchronizer() as synchronizer:
        synchronizer.round(last=False)
    study.journal.close()
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("questions").experiment_id
    found = {
        question: client.search_runs([experiment], where, order_by=[order])
        for question, (where, order, _) in QUESTIONS.items()
    }
    names = {
        question: [run.data.tags.get(records.TAG_RUN, run.info.run_name) for run in runs]
        for question, runs in found.items()
    }
    assert names == EXPECTED
    (pair, *_) = found["Which runs make up one paired comparison?"]
    assert pair.info.run_name == "mixup, train_fraction=0.1, seed 1, point 0"
    for question, (_, _, columns) in QUESTIONS.items():
        data = [run.data for run in found[question]]
        told = {name for one in data for part in (one.params, one.metrics, one.tags) for name in part}
        assert set(columns) - {records.TAG_DATA} <= told, question
