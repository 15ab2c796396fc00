"""Figures: valid for Plotly, user-supplied names as plain text, distinct colours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from reports.data.frames import StudyData, read_study
from reports.descriptive.learning_curves import ArmCurves, arm_curves
from reports.figures.forest_plot import effect_figure, effect_range, effect_rows
from reports.figures.learning_curves import MOST_EPOCHS, curve_ranges, learning_figure
from reports.figures.palette import COLOURS, REFERENCE, method_colours, translucent
from reports.figures.plots import axis
from reports.figures.style import shown
from reports.inference.verdicts import judge
from reports.page.view import build_view
from tests.support.journal_builder import METHODS, JournalBuilder, curve, simulate_study
from trainables import records

COLOUR = method_colours(METHODS, ["baseline"])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyData:
    return read_study(simulate_study(tmp_path_factory.mktemp("study"), effects={"mixup": 0.04}))


def effects(study: StudyData) -> dict[str, Any]:
    rows = effect_rows(judge(study)[:4], study.plan, COLOUR, digits=1)
    return effect_figure(rows, study.plan, effect_range(rows, study.plan.smallest_effect))


def learning(study: StudyData, method: str) -> dict[str, Any]:
    curves = {arm.method: arm_curves(study, arm) for arm in study.plan.arms if arm.condition == "resnet8-0.1"}
    known = [found for found in curves.values() if found]
    arm = curves[method]
    assert arm is not None
    return learning_figure(arm, curves["baseline"], curve_ranges(known), COLOUR)


def test_plotly_accepts_all_figures_of_a_report(study: StudyData) -> None:
    pictures = build_view(study, judge(study)).pictures
    figures = [picture.figure for picture in pictures]
    for figure in (*figures, effects(study), learning(study, "mixup"), learning(study, "baseline")):
        assert go.Figure(figure).data  # raises on any property that Plotly does not know
        assert json.dumps(figure, allow_nan=False)
    assert len({picture.name for picture in pictures}) == len(pictures)


def test_the_effect_plot_draws_a_dot_and_a_grey_diamond_per_effect(study: StudyData) -> None:
    markers = [trace["marker"] for trace in effects(study)["data"] if trace["mode"] == "markers"]
    dots = [marker for marker in markers if marker["symbol"].startswith("circle")]
    diamonds = [marker for marker in markers if marker["symbol"] == "diamond-tall-open"]
    assert len(dots) == len(diamonds) == 4
    assert {marker["color"] for marker in diamonds} == {REFERENCE}


@pytest.mark.parametrize(
    ("values", "log"), [((0.0, 1.0), False), ((6e-4, 1.3), True), ((1.6, 5.0), True), ((5.0, 5.0), False)]
)
def test_axes_contain_their_values_and_have_at_least_two_ticks(values: tuple[float, float], log: bool) -> None:
    made = axis(np.array(values), "value", log=log)
    low, high = made["range"]
    scaled = np.log10(values) if log else np.array(values)
    assert low < scaled.min() <= scaled.max() < high
    ticks = made.get("tickvals", [])
    assert all(low <= np.log10(tick) <= high for tick in ticks)
    assert len(ticks) >= 2 or not log or made["dtick"] == 1


def test_the_effect_plot_shows_effects_and_intervals_in_points_within_its_range(study: StudyData) -> None:
    verdict = judge(study)[0]
    assert verdict.tuned is not None
    assert verdict.tuned.interval is not None
    figure = effects(study)
    first = [trace for trace in figure["data"] if trace["y"][0] == 0]
    ends = [trace["x"] for trace in first if trace["mode"] == "lines"]
    assert ends[-1] == pytest.approx([100 * verdict.tuned.interval.low, 100 * verdict.tuned.interval.high], 1e-4)
    assert first[-1]["x"] == pytest.approx([100 * verdict.tuned.mean], 1e-4)
    low, high = figure["layout"]["xaxis"]["range"]
    assert all(low < value < high for trace in figure["data"] for value in trace["x"])
    assert {trace["line"]["color"] for trace in first if trace["mode"] == "lines"} == {COLOUR["mixup"]}


def test_verdicts_differ_by_marker_as_well_as_colour(study: StudyData) -> None:
    symbols = {trace["marker"]["symbol"] for trace in effects(study)["data"] if "marker" in trace}
    assert {"circle", "circle-open"} <= symbols


def test_learning_curves_show_training_and_validation_with_bands_and_the_reference(study: StudyData) -> None:
    traces = learning(study, "mixup")["data"]
    names = [trace["name"] for trace in traces if "name" in trace]
    assert names == ["baseline, validation", "training", "validation"] * 2
    assert sum(trace.get("fill") == "toself" for trace in traces) == 4
    dashes = {trace["name"]: trace["line"]["dash"] for trace in traces if "name" in trace}
    assert dashes["training"] == "dot"
    assert dashes["validation"] == "solid"


def test_learning_curves_are_means_over_the_seeds_at_the_best_point(study: StudyData) -> None:
    arm = study.plan.arms[1]
    found = arm_curves(study, arm)
    assert found is not None
    runs = study.runs_of(records.CONFIRM, arm.condition, arm.method)
    best = runs.groupby("index")[records.SELECTION].mean().idxmax()
    rows = study.curves_of(runs.loc[runs["index"] == best, "run"])
    expected = rows.loc[rows["epoch"] == 12, records.VALIDATION_ACCURACY]
    assert found.source == f"6 seeds at setting {best}"
    assert found.mean.loc[12, records.VALIDATION_ACCURACY] == pytest.approx(expected.mean())
    assert found.spread.loc[12, records.VALIDATION_ACCURACY] == pytest.approx(expected.std())


def test_the_best_search_run_is_shown_before_the_confirmation(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path) as journal:
        for k, final in enumerate((0.6, 0.9, 0.7)):
            run = journal.run("resnet8-0.1", "mixup", phase=records.SEARCH, k=k)
            for epoch, row in enumerate(curve(final, 5, np.random.default_rng(0), 0.1), start=1):
                journal.report(run, epoch, row)
            journal.end(run, selection=final)
    study = read_study(tmp_path)
    arms = {arm.name: arm_curves(study, arm) for arm in study.plan.arms}
    found = arms["mixup/resnet8-0.1"]
    assert found is not None
    assert found.source == "search run 1, the best so far"
    assert arms["baseline/resnet8-0.1"] is None
    traces = learning_figure(found, None, curve_ranges([found]), COLOUR)["data"]
    assert not any(trace.get("fill") for trace in traces)  # one run has no spread


def test_long_curves_are_thinned_and_keep_their_end_points() -> None:
    epochs = pd.RangeIndex(1, 2001, name="epoch")
    mean = pd.DataFrame(0.5, index=epochs, columns=list(records.EPOCH_METRICS))
    arm = ArmCurves("mixup", 1, "", mean, mean * np.nan)
    trace = learning_figure(arm, None, curve_ranges([arm]), COLOUR)["data"][0]
    assert len(trace["x"]) == MOST_EPOCHS
    assert (trace["x"][0], trace["x"][-1]) == (1, 2000)


def test_curves_without_finite_values_give_an_empty_figure() -> None:
    nothing = pd.DataFrame(np.nan, index=[1, 2], columns=list(records.EPOCH_METRICS))
    arm = ArmCurves("mixup", 1, "", nothing, nothing)
    assert learning_figure(arm, None, curve_ranges([arm]), COLOUR)["data"] == []


def test_names_are_shown_as_plain_text() -> None:
    assert shown("<b>&%{x}") == "&lt;b&gt;&amp;%\u200b{x}"
    assert shown("two\nlines") == "two lines"
    assert len(shown("x" * 500)) <= 37


def test_colours_are_assigned_to_methods_in_order() -> None:
    colours = method_colours(["baseline", *"abcdefgh"], ["baseline"])
    assert colours["baseline"] == REFERENCE
    assert [colours[name] for name in "abcdefg"] == list(COLOURS)
    assert colours["h"] == COLOURS[0]
    assert translucent("#0072B2", 0.18) == "rgba(0,114,178,0.18)"
