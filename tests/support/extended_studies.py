"""Studies that grow: curves for every arm, and extensions in a journal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from search.orchestration.controller import StudyController
from search.plan.builder import make_plan
from search.plan.extension import check_kept, find_extension
from search.plan.model import Plan
from search.plan.record import study_record
from search.store.journal import Journal
from tests.support.studies import make_study
from trainables.records import ExtensionDecision


def curves(plan: Plan, path: Path, effects: dict[str, float] | None = None, seeds: int = 40) -> Path:
    """Write a curve for every method, trial and seed; `effects` are added to final accuracies by `condition/method`."""
    rng = np.random.default_rng(3)
    rows = []
    for arm in plan.arms:
        effect = (effects or {}).get(f"{arm.condition.name}/{arm.method}", 0.0)
        for k in range(max(plan.trials * plan.searches, plan.points)):
            for seed in range(seeds):
                top = 0.7 + 0.01 * (k % 3) + effect + rng.normal(0, 0.005)
                for epoch in range(1, arm.epochs + 1):
                    accuracy = round(top - 0.3 * np.exp(-epoch / 3), 6)
                    rows.append((arm.condition.name, arm.method, k, seed, epoch, accuracy))
    columns = ["condition", "method", "k", "seed", "epoch", "validation_accuracy"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    return path


def runs(controller: StudyController, phase: str) -> Counter[tuple[str, str]]:
    """Return how many runs each arm had in a phase."""
    found = (state.run for state in controller.states.values() if state.run.phase == phase)
    return Counter((run.condition, run.method) for run in found)


def extend(path: Path, before: Plan, **changes: object) -> Plan:
    """Extend the study in a journal, as `assay run --extend` does."""
    study = make_study(**changes)
    extension, plan = find_extension(before.study, study), make_plan(study)
    check_kept(before, plan)
    with Journal.open(path) as journal:
        old = journal.plan()
        assert old
        decision = extension.decision(old)
        history = [*(row.decision for row in journal.decisions(ExtensionDecision)), decision]
        journal.extend(study.document(), study_record(plan, history), decision)
    return plan
