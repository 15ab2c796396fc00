"""Journal builder: writes journals with known effects directly into SQLite, for the tests of `reports`."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from trainables import records
from trainables.records.journal_schema import seal, write_entry

START = 1_760_000_000.0
CONDITIONS = {
    "resnet8-0.1": {"model": "resnet8", "train_fraction": 0.1},
    "resnet8-0.2": {"model": "resnet8", "train_fraction": 0.2},
}
METHODS = ("baseline", "mixup", "sample_pairing", "maxup_mean", "maxup")
FACTS = {
    "versions": {"assay": "0.1.0", "keras": "3.15.0", "tensorflow": "2.21.0", "python": "3.11.7"},
    "machine": {"cpus": 2, "gpus": 0},
    "data": {
        "fingerprint": "5f1c" * 16,
        "class_names": ["one", "two", "three"],
        "image_shape": [8, 8, 1],
        "images": 1437,
        "test_images": 360,
    },
}


def make_factorial(factors: Mapping[str, Sequence[Any]], **changes: Any) -> dict[str, Any]:
    """Return a plan with one condition whose arms are the cells of a factorial, each compared with the first."""
    cells = [dict(zip(factors, levels, strict=True)) for levels in product(*factors.values())]
    names = [", ".join(f"{factor}={level}" for factor, level in cell.items()) for cell in cells]
    plan = make_plan({"c": {"model": "resnet8"}}, names, factors={name: list(own) for name, own in factors.items()})
    for arm, cell in zip(plan["arms"], cells, strict=True):
        arm["levels"] = cell
    return {**plan, **changes}


def make_plan(
    conditions: Mapping[str, Mapping[str, Any]] = CONDITIONS,
    methods: Sequence[str] = METHODS,
    **changes: Any,
) -> dict[str, Any]:
    """Return a plan that compares every method with the first one, and `maxup` with `maxup_mean`.

    Args:
        conditions: factors of every condition by name.
        methods: display names of the methods, the reference first.
        changes: entries of the plan to replace.
    """
    reference = methods[0]
    contrasts = [
        {"condition": condition, "method": method, "reference": reference}
        for condition in conditions
        for method in methods[1:]
    ]
    if {"maxup", "maxup_mean"} <= set(methods):
        contrasts += [{"condition": c, "method": "maxup", "reference": "maxup_mean"} for c in conditions]
    return {
        "name": "quickstart",
        "metric": records.VALIDATION_ACCURACY,
        "smallest_effect": 0.005,
        "alpha": 0.05,
        "seeds": 6,
        "points": 2,
        "trials_per_arm": 4,
        "conditions": [
            {"name": name, "values": dict(values), "epochs": 12, "selection_epochs": 3, "rungs": [4, 8]}
            for name, values in conditions.items()
        ],
        "arms": [
            {
                "name": f"{method}/{condition}",
                "method": method,
                "condition": condition,
                "cost": 2.0 if method.startswith("maxup") else 1.0,
                "reference": method == reference,
                "parameters": {"method": method},
            }
            for condition in conditions
            for method in methods
        ],
        "contrasts": contrasts,
        **changes,
    }


class JournalBuilder:
    """Writer of one journal in WAL mode, like the real one. Each entry is one second later than the previous one.

    Args:
        folder: folder of the study, created if missing.
        plan: plan of the study, by default `make_plan()`.
        schema: schema version of the journal.
    """

    def __init__(self, folder: Path, plan: dict[str, Any] | None = None, schema: int = records.SCHEMA_VERSION):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.plan = make_plan() if plan is None else plan
        self.connection = sqlite3.connect(folder / records.JOURNAL_FILE)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.executescript(records.JOURNAL_SCHEMA)
        self.at = START
        self._meta(records.META_SCHEMA, schema)
        self._meta(records.META_STUDY, {"name": self.plan["name"]})
        self._meta(records.META_PLAN, self.plan)
        self._meta(records.META_FACTS, FACTS)

    def __enter__(self) -> JournalBuilder:
        return self

    def __exit__(self, *_: object) -> None:
        self.commit()
        self.connection.close()

    def commit(self) -> None:
        """Write the checksums of all rows so far, and commit."""
        seal(self.connection)
        self.connection.commit()

    def _meta(self, key: str, value: Any) -> None:
        write_entry(self.connection, key, json.dumps(value))

    def _now(self) -> float:
        self.at += 1
        return self.at

    def run(
        self,
        condition: str,
        method: str,
        *,
        phase: str = records.CONFIRM,
        k: int = 0,
        seed: int = 0,
        audit: bool = False,
        parameters: Mapping[str, Any] | None = None,
        searched: Mapping[str, Any] | None = None,
    ) -> str:
        """Create a run and return its name."""
        name = f"{phase}/{method}/{condition}/k{k}/s{seed}"
        self.connection.execute(
            "INSERT INTO runs (run, phase, condition, arm, method, k, seed, audit, config, parameters, searched, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (name, phase, condition, f"{method}/{condition}", method, k, seed, int(audit), "{}",
             json.dumps(dict(parameters or {"learning_rate": 0.1})), json.dumps(dict(searched or {})), self._now()),
        )  # fmt: skip
        return name

    def report(self, run: str, epoch: int, metrics: Mapping[str, float | None]) -> None:
        self.connection.execute(
            "INSERT INTO reports (run, epoch, metrics, at) VALUES (?, ?, ?, ?)",
            (run, epoch, json.dumps(dict(metrics)), self._now()),
        )

    def end(
        self,
        run: str,
        outcome: str = records.COMPLETED,
        *,
        epoch: int = 12,
        reason: str = "",
        selection: float | None = None,
        test: float | None = None,
        other_metrics: Mapping[str, float] | None = None,
    ) -> None:
        metrics = {records.SELECTION: selection, records.TEST_ACCURACY: test}
        if test is not None:
            metrics[records.TEST_LOSS] = 2 * (1 - test)
        metrics.update(other_metrics or {})
        kept = {name: value for name, value in metrics.items() if value is not None}
        self.connection.execute(
            "INSERT INTO outcomes (run, outcome, epoch, reason, metrics, at) VALUES (?, ?, ?, ?, ?, ?)",
            (run, outcome, epoch, reason, json.dumps(kept), self._now()),
        )

    def examples(self, run: str, correct: np.ndarray) -> None:
        loss = np.where(correct, 0.1, 2.0).astype(np.float16)
        packed = zlib.compress(np.packbits(correct).tobytes())
        self.connection.execute(
            "INSERT INTO examples (run, correct, loss, n) VALUES (?, ?, ?, ?)",
            (run, packed, zlib.compress(loss.tobytes()), len(correct)),
        )

    def decide(self, kind: str, detail: Mapping[str, Any], run: str | None = None) -> None:
        self.connection.execute(
            "INSERT INTO decisions (kind, run, detail, at) VALUES (?, ?, ?, ?)",
            (kind, run, json.dumps(dict(detail)), self._now()),
        )

    def cells(self, condition: str, method: str, selection: np.ndarray, test: np.ndarray) -> None:
        """Add finished confirmation runs with the given metrics, float (points, seeds); NaN cells are left out."""
        for (k, seed), accuracy in np.ndenumerate(test):
            if np.isfinite(accuracy):
                run = self.run(condition, method, k=k, seed=seed)
                self.end(run, selection=float(selection[k, seed]), test=float(accuracy))


def curve(final: float, epochs: int, rng: np.random.Generator, gap: float) -> list[dict[str, float]]:
    """Return the epoch metrics of a run whose validation accuracy ends near `final`."""
    rise = 1 - 0.9 * np.exp(-np.arange(1, epochs + 1) / (epochs / 5))
    accuracy = final * rise + rng.normal(0, 0.008, epochs)
    return [
        {
            records.TRAIN_LOSS: 2.2 * (1 - min(1.0, (final + gap) * share)) + 0.03,
            records.TRAIN_ACCURACY: min(1.0, (final + gap) * share),
            records.VALIDATION_LOSS: 2.2 * (1 - value) + 0.1,
            records.VALIDATION_ACCURACY: float(value),
            records.LEARNING_RATE: 0.1,
            records.SECONDS: 0.8,
            records.IMAGES_PER_SECOND: 1800.0,
            records.PLAIN_EPOCHS: float(epoch),
        }
        for epoch, (share, value) in enumerate(zip(rise, accuracy, strict=True), start=1)
    ]


def simulate_study(
    folder: Path,
    *,
    plan: dict[str, Any] | None = None,
    effects: Mapping[str, float] | None = None,
    seeds: int | None = None,
    search: bool = True,
    images: int = 400,
    failing: Sequence[str] = (),
    luck: float = 0.006,
) -> Path:
    """Write a study whose methods have known true effects on test accuracy, and return its folder.

    Args:
        folder: folder of the study, created if missing.
        plan: plan of the study, by default `make_plan()`.
        effects: true effect by method or by name of the arm, a fraction (default: 0).
        seeds: number of finished confirmation seeds (default: all).
        search: whether to write the search as well.
        images: number of test images.
        failing: methods whose confirmation runs all fail.
        luck: standard deviation of the difference between two runs with the same seed.
    """
    plan = make_plan() if plan is None else plan
    effects = effects or {}
    rng = np.random.default_rng(20_240_101)
    searches = range(plan.get("replicates", 1))
    points = plan["points"] * len(searches)
    with JournalBuilder(folder, plan) as journal:
        if search:
            _search(journal, effects, rng)
        for condition in plan["conditions"]:
            own = {arm["name"]: {} for arm in plan["arms"] if arm["condition"] == condition["name"]}
            pool = [
                {"k": 3 - k, "arm": f"{plan['arms'][0]['method']}/{condition['name']}", "votes": 1, "own": own,
                 "values": {"optimizer": "sgd", "learning_rate": 0.1 / (k + 1), "weight_decay": 5e-4}}
                for k in range(plan["points"])
            ]  # fmt: skip
            for number in searches:
                journal.decide(records.POOL, {"condition": condition["name"], "search": number, "points": pool})
            difficulty = rng.normal(1.3, 1.2, images)
            quality = rng.normal(0, 0.01, points)
            shared = rng.normal(0, 0.01, plan["seeds"])
            for arm in plan["arms"]:
                if arm["condition"] != condition["name"]:
                    continue
                for k in range(points):
                    for seed in range(plan["seeds"] if seeds is None else seeds):
                        run = journal.run(condition["name"], arm["method"], k=k, seed=seed)
                        level = _effect(effects, arm) + quality[k] + shared[seed] + rng.normal(0, luck)
                        if arm["method"] in failing:
                            journal.end(run, records.FAILED, epoch=0, reason="ResourceExhaustedError: out of memory")
                            continue
                        correct = difficulty + 6 * level + rng.normal(0, 0.35, images) > 0
                        _finish(journal, run, condition["epochs"], correct, rng)
    return folder


def _effect(effects: Mapping[str, float], arm: Mapping[str, Any]) -> float:
    return effects.get(arm["name"], effects.get(arm["method"], 0.0))


def _finish(journal: JournalBuilder, run: str, epochs: int, correct: np.ndarray, rng: np.random.Generator) -> None:
    test = float(correct.mean())
    metrics = curve(test, epochs, rng, gap=0.06)
    for epoch, row in enumerate(metrics, start=1):
        journal.report(run, epoch, row)
    selection = float(np.mean([row[records.VALIDATION_ACCURACY] for row in metrics[-3:]]))
    journal.end(run, epoch=epochs, selection=selection, test=test)
    journal.examples(run, correct)


def _search(journal: JournalBuilder, effects: Mapping[str, float], rng: np.random.Generator) -> None:
    for arm in journal.plan["arms"]:
        if arm.get("compute_of"):
            continue
        for k in range(journal.plan["trials_per_arm"] * journal.plan.get("replicates", 1)):
            audit = k < 2
            run = journal.run(arm["condition"], arm["method"], phase=records.SEARCH, k=k, audit=audit)
            stopped = not audit and rng.random() < 0.5
            final = 0.83 + _effect(effects, arm) + rng.normal(0, 0.02)
            rows = curve(final, 12, rng, gap=0.06)[: 4 if stopped else 12]
            for epoch, row in enumerate(rows, start=1):
                journal.report(run, epoch, row)
            if stopped or (audit and rng.random() < 0.4):
                action = records.STOP if stopped else records.WOULD_STOP
                detail = {
                    "rung": 4,
                    "value": rows[3][records.VALIDATION_ACCURACY],
                    "cutoff": 0.7,
                    "action": action,
                }
                journal.decide(records.RUNG, detail, run)
            last = [row[records.VALIDATION_ACCURACY] for row in rows[-3:]]
            outcome = records.STOPPED if stopped else records.COMPLETED
            journal.end(run, outcome, epoch=len(rows), selection=float(np.mean(last)))
