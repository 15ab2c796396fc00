"""Moderation: changes of effects between neighbouring conditions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from scipy import stats

from reports.data.frames import StudyData, read_study
from reports.inference.moderation import effect_changes, neighbour_pairs
from reports.inference.verdicts import judge
from reports.page.context import Context
from reports.page.layout import Section
from reports.page.sections import moderation as when
from reports.statistics import estimators
from tests.support.journal_builder import JournalBuilder, make_plan
from trainables.records import EQUIVALENT, HELPS, HURTS, UNDECIDED, PlanRecord

LUCK = np.array([0.004, -0.002, 0.002, -0.004, 0.003, -0.003])
GRID = {
    f"{model}-{share}": {"model": model, "train_fraction": share}
    for model in ("resnet20", "vgg11")
    for share in (0.5, 0.1, 0.25)
}
STEP = {name: 0.03 if values["train_fraction"] == 0.5 and "resnet" in name else -0.02 for name, values in GRID.items()}


def grid_study(
    folder: Path, effects: Mapping[str, float], conditions: Mapping[str, Any], seeds: Mapping[str, Any] | None = None
) -> StudyData:
    """Return a study with one point and a known effect of mixup in every condition."""
    rng = np.random.default_rng(5)
    with JournalBuilder(folder, make_plan(conditions, ("baseline", "mixup"), points=1, trials_per_arm=0)) as journal:
        for name in conditions:
            shared = rng.permutation(LUCK)
            for seed in (seeds or {}).get(name, range(6)):
                for method, level in (("baseline", 0.8), ("mixup", 0.8 + effects[name] + shared[seed % 6])):
                    journal.end(journal.run(name, method, seed=seed), selection=level, test=level)
    return read_study(folder)


def section_of(study: StudyData) -> Section:
    found = when.build(Context(study, judge(study)))
    assert found is not None
    return found


def test_neighbours_differ_in_one_factor_and_by_one_step_of_numbers() -> None:
    conditions = {
        f"{model}-{share}": {"model": model, "train_fraction": share}
        for model in ("a", "b", "c")
        for share in (0.5, 0.1, 0.25)
    }
    plan = PlanRecord.parse(make_plan(conditions, ("baseline", "mixup")))
    pairs = [(pair.factor, pair.first.condition, pair.second.condition) for pair in neighbour_pairs(plan)]
    assert ("train_fraction", "a-0.1", "a-0.25") in pairs
    assert ("train_fraction", "a-0.25", "a-0.5") in pairs
    assert ("model", "a-0.1", "c-0.1") in pairs  # names have no order, so any two are neighbours
    assert not any({"a-0.1", "a-0.5"} == {one, other} for _, one, other in pairs)
    assert len(pairs) == 3 * 2 + 3 * 3


def test_a_change_of_the_effect_is_found_where_it_occurs(tmp_path: Path) -> None:
    found = effect_changes(grid_study(tmp_path, STEP, GRID))
    assert len(found) == 2 * 2 + 3
    decided = {
        (change.pair.first.condition, change.pair.second.condition): change.decision.verdict
        for change in found
        if change.decision.verdict in (HELPS, HURTS)
    }
    assert decided == {("resnet20-0.25", "resnet20-0.5"): HELPS, ("resnet20-0.5", "vgg11-0.5"): HURTS}


def test_the_difference_equals_scipys_paired_t_test_over_shared_seeds(tmp_path: Path) -> None:
    conditions = {"low": {"train_fraction": 0.1}, "high": {"train_fraction": 0.2}}
    study = grid_study(tmp_path, {"low": 0.0, "high": 0.004}, conditions, {"high": range(1, 6)})
    (found,) = effect_changes(study)
    runs = study.runs.pivot_table(index=["condition", "seed_index"], columns="method", values="test_accuracy")
    effect = runs["mixup"] - runs["baseline"]
    expected = stats.ttest_rel(effect["high"].loc[1:5], effect["low"].loc[1:5])
    assert found.seeds == 5
    assert found.decision.p == pytest.approx(expected.pvalue)
    assert found.effects == pytest.approx((effect["low"].mean(), effect["high"].mean()))


def test_conditions_without_shared_seeds_are_compared_by_their_means(tmp_path: Path) -> None:
    conditions = {"low": {"train_fraction": 0.1}, "high": {"train_fraction": 0.2}}
    study = grid_study(tmp_path, {"low": 0, "high": 0.05}, conditions, {"low": range(6), "high": range(6, 12)})
    (found,) = effect_changes(study)
    assert found.seeds == 0
    assert found.decision.verdict == HELPS


def test_welchs_test_equals_scipys() -> None:
    one, other = np.array([1.0, 2.0, 4.0, 3.5]), np.array([2.0, 2.5, 7.0])
    found = estimators.unpaired(one, other)
    expected = stats.ttest_ind(one, other, equal_var=False)
    assert 2 * stats.t.sf(abs(found.mean) / found.error, found.freedom) == pytest.approx(expected.pvalue)
    assert estimators.unpaired(one[:1], other).interval is None
    assert estimators.unpaired(np.ones(3), np.zeros(3)).interval is None


def test_the_section_describes_the_changes_and_draws_the_grid(tmp_path: Path) -> None:
    section = section_of(grid_study(tmp_path, STEP, GRID))
    (block,) = section.blocks
    first = next(sentence for sentence in block.sentences if "train fraction" in sentence)
    assert first.startswith(
        "mixup’s effect on resnet20 changes between train fraction 0.25 and 0.5: from −2.00 to +3.00"
    )
    (panel,) = block.panels
    figure = go.Figure(panel.picture.figure)
    assert np.array(figure.data[0].z, dtype=float).shape == (2, 3)
    assert list(figure.layout.xaxis.ticktext) == ["0.1", "0.25", "0.5"]
    assert "▲<br>+3.00" in [note.text for note in figure.layout.annotations]
    assert block.table is not None
    assert len(block.table.rows) == len(section.data["when"]) == 7


def test_no_dependence_is_claimed_without_a_significant_change(tmp_path: Path) -> None:
    section = section_of(grid_study(tmp_path, dict.fromkeys(GRID, 0.01), GRID))
    assert section.blocks[0].sentences[0].startswith("No effect is shown to depend on the condition; 7 differences")


def test_an_equivalent_effect_is_reported_as_unchanged(tmp_path: Path) -> None:
    conditions = {"low": {"train_fraction": 0.1}, "high": {"train_fraction": 0.2}}
    study = grid_study(tmp_path, {"low": 0.1, "high": 0.1}, conditions)
    (found,) = effect_changes(read_study(tmp_path))
    expected = EQUIVALENT if found.decision.equivalence_p <= 0.05 else UNDECIDED
    assert found.decision.verdict == expected
    sentences = section_of(study).blocks[0].sentences
    assert any("change by less than 0.5 points" in sentence for sentence in sentences) is (expected == EQUIVALENT)


def test_a_grid_with_missing_and_unanswered_conditions_has_a_heat_map(tmp_path: Path) -> None:
    conditions = {name: values for name, values in GRID.items() if name != "vgg11-0.1"}
    section = section_of(grid_study(tmp_path, STEP, conditions, {"vgg11-0.5": ()}))
    grid = section.blocks[0].panels[0].picture.figure["data"][0]["z"]
    assert sum(cell is None for row in grid for cell in row) == 2


def test_a_study_with_one_condition_has_no_moderation_section(tmp_path: Path) -> None:
    study = grid_study(tmp_path, {"c": 0.0}, {"c": {"model": "resnet8"}})
    assert when.build(Context(study, judge(study))) is None
