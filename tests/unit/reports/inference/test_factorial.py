"""Factorial effects: main effects and interactions, and their section of the report."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.anova import AnovaRM

from reports.data.frames import StudyData, read_study
from reports.inference.factorial import LevelChange, factorial_effects
from reports.inference.verdicts import judge
from reports.page.context import Context
from reports.page.sections import factorial as section
from tests.support.journal_builder import JournalBuilder, make_factorial
from trainables import records
from trainables.records import EQUIVALENT, HELPS

FACTORS = {"optimizer": ["adam", "sgd"], "batch_size": [16, 128]}
TRIPLE = {**FACTORS, "stem": ["imagenet", "cifar"]}


def factorial_study(folder: Path, plan: dict[str, object], values: np.ndarray, missing: int | None = None) -> StudyData:
    """Return a study with one point and the given test accuracies, float (arms, seeds)."""
    plan.update(points=1, trials_per_arm=0, seeds=values.shape[1])
    with JournalBuilder(folder, plan) as journal:
        for place, arm in enumerate(journal.plan["arms"]):
            if place == missing:
                journal.end(journal.run("c", arm["method"]), records.FAILED, reason="out of memory")
            else:
                journal.cells("c", arm["method"], values[place][None], values[place][None])
        journal.decide(records.POOL, {"condition": "c", "points": [{"k": 0, "arm": "", "votes": 1, "values": {}}]})
    return read_study(folder)


def test_p_values_equal_those_of_a_repeated_measures_anova(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = 0.8 + rng.normal(0, 0.01, (4, 8)) + np.array([0, 0, 0.01, 0.03])[:, None]
    found = factorial_effects(factorial_study(tmp_path, make_factorial(FACTORS), values))
    rows = [
        {"seed": seed, "optimizer": optimizer, "batch": batch, "value": values[place, seed]}
        for place, (optimizer, batch) in enumerate(product(*FACTORS.values()))
        for seed in range(8)
    ]
    expected = AnovaRM(pd.DataFrame(rows), "value", "seed", within=["optimizer", "batch"]).fit().anova_table
    assert [effect.decision.p for effect in found] == pytest.approx(list(expected["Pr > F"]))
    assert [effect.cells for effect in found] == [2, 2, 1]
    assert all(effect.seeds == 8 and not effect.provisional for effect in found)


def test_known_effects_are_recovered_as_means_over_the_other_factors(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    plan = make_factorial(TRIPLE)
    cells = [arm["levels"] for arm in plan["arms"]]
    worth = [
        0.02 * (cell["optimizer"] == "sgd")
        + 0.03 * (cell["stem"] == "cifar")
        + 0.04 * (cell["optimizer"] == "sgd" and cell["batch_size"] == 128)
        for cell in cells
    ]
    values = 0.7 + np.array(worth)[:, None] + rng.normal(0, 0.002, (8, 6))
    found = {effect.term.changes: effect for effect in factorial_effects(factorial_study(tmp_path, plan, values))}
    optimizer, batch, stem = (LevelChange(name, *levels) for name, levels in TRIPLE.items())
    means = {
        changes: effect.decision.estimate.mean
        for changes, effect in found.items()
        if effect.decision.estimate is not None
    }
    expected = {(optimizer,): 0.04, (batch,): 0.02, (stem,): 0.03, (optimizer, batch): 0.04}
    for changes, effect in expected.items():
        assert means[changes] == pytest.approx(effect, abs=0.004)
        assert found[changes].decision.verdict == HELPS
    assert found[optimizer, stem].decision.verdict == EQUIVALENT  # less than half a point
    assert len(found) == 3 + 3


def test_each_of_several_levels_is_compared_with_the_base_level(tmp_path: Path) -> None:
    plan = make_factorial({"optimizer": ["adam", "sgd", "lion"], "batch_size": [16, 128]})
    found = factorial_effects(factorial_study(tmp_path, plan, np.random.default_rng(0).random((6, 5))))
    assert [tuple(change.level for change in effect.term.changes) for effect in found] == [
        ("sgd",), ("lion",), (128,), ("sgd", 128), ("lion", 128),
    ]  # fmt: skip
    assert {change.base for effect in found for change in effect.term.changes} == {"adam", 16}


def test_a_failed_cell_affects_only_comparisons_that_need_it(tmp_path: Path) -> None:
    values = 0.8 + np.random.default_rng(0).normal(0, 0.01, (8, 6))
    found = factorial_effects(factorial_study(tmp_path, make_factorial(TRIPLE), values, missing=7))
    assert [effect.cells for effect in found] == [3, 3, 3, 1, 1, 1]
    assert all(effect.seeds == 6 for effect in found)


def test_a_single_compared_factor_is_not_a_factorial(tmp_path: Path) -> None:
    study = factorial_study(tmp_path, make_factorial({"stem": ["imagenet", "cifar"]}), np.full((2, 4), 0.8))
    assert factorial_effects(study) == []
    assert section.build(Context(study, judge(study))) is None


def test_the_section_describes_and_draws_the_effect_of_each_change(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    values = 0.8 + np.array([0, 0, 0.05, 0.05])[:, None] + rng.normal(0, 0.004, (4, 8))
    study = factorial_study(tmp_path, make_factorial(FACTORS), values)
    found = section.build(Context(study, judge(study)))
    assert found is not None
    (block,) = found.blocks
    assert block.sentences[0].startswith("optimizer sgd instead of adam: helps; +")
    assert block.picture is not None
    notes = [note["text"] for note in block.picture.figure["layout"]["annotations"]]
    assert notes[2].startswith("<b>optimizer sgd and batch_size 128</b>".replace("batch_size", "batch size"))
    assert block.table is not None
    assert [len(row.cells) for row in block.table.rows] == [7, 7, 7]
    assert list(found.data["gains"]["factors"]) == ["optimizer", "batch_size", "optimizer x batch_size"]


def test_a_factorial_without_results_has_a_section(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path, make_factorial(FACTORS)):
        pass
    study = read_study(tmp_path)
    found = section.build(Context(study, judge(study)))
    assert found is not None
    assert "all 3 effects are undecided" in found.blocks[0].sentences[0]
