"""Runs that must not count silently: diverged, repeated, without a value, or asked about wrongly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import reports
from reports.judging.judgement import JudgedRuns, judge_runs
from reports.judging.requirement import broken_by, parse_requirement
from reports.judging.sources.recognise import read_source
from tests.unit.reports.judging.tables import ASKED, runs_frame
from trainables.errors import InputError

FRAME = runs_frame({"baseline": 0.0, "mixup": 0.03})
MIXUP = FRAME["method"] == "mixup"


def judged(source: pd.DataFrame | Path, **changes: Any) -> JudgedRuns:
    return judge_runs(read_source(source), replace(ASKED, **changes), "runs")


def by_epoch(epochs: int = 10, every: int = 1) -> pd.DataFrame:
    """Return one row per run and epoch, with a metric that is measured every few epochs."""
    rows = pd.concat([FRAME.assign(epoch=epoch) for epoch in range(1, epochs + 1)], ignore_index=True)
    rows.loc[rows["epoch"] % every != 0, "test_accuracy"] = np.nan
    return rows


@pytest.mark.parametrize("last", [1, 3])
@pytest.mark.parametrize("ending", ["frame", "csv", "parquet"])
def test_a_run_that_loses_its_metric_before_the_last_epoch_is_not_judged_by_an_earlier_one(
    ending: str, last: int, tmp_path: Path
) -> None:
    rows = by_epoch()
    rows.loc[(rows["method"] == "mixup") & (rows["seed"] < 4) & (rows["epoch"] > 8), "test_accuracy"] = np.nan
    path = tmp_path / f"runs.{ending}"
    if ending != "frame":
        rows.to_csv(path, index=False) if ending == "csv" else rows.to_parquet(path)
    source = rows if ending == "frame" else path
    with pytest.raises(InputError, match=r"`test_accuracy` is not finite \(NaN or infinite\) in 4 runs"):
        judged(source, epoch="epoch", last=last)
    assert "4 runs whose metric" in str(judged(source, epoch="epoch", last=last, drop_nan=True).evidence.left_out)


def test_a_metric_that_is_not_measured_in_every_epoch_counts_with_its_last_value() -> None:
    rows = by_epoch(epochs=11, every=5)
    shorter = rows[(rows["seed"] > 0) | (rows["epoch"] < 8)]
    for frame in (rows, shorter):
        assert [verdict.seeds for verdict in judged(frame, epoch="epoch").verdicts] == [8]


def test_runs_without_a_value_are_a_doubt() -> None:
    crashed = FRAME.copy()
    crashed.loc[MIXUP & (FRAME["seed"] < 3), "test_accuracy"] = np.nan
    doubts = " ".join(judged(crashed).evidence.limits)
    assert "Runs without test_accuracy are excluded (mixup 3 of 8)." in doubts
    assert "favours their arm" in doubts
    assert "are excluded (" not in " ".join(judged(FRAME).evidence.limits)


@pytest.mark.parametrize("seeds", ["shared", "disjoint", "none"])
def test_a_table_that_was_appended_to_itself_counts_once(seeds: str) -> None:
    frame = FRAME.assign(run_id=[f"run-{i}" for i in range(len(FRAME))])
    if seeds == "disjoint":
        frame["seed"] += 100 * MIXUP
    changes: dict[str, Any] = {"seed": ()} if seeds == "none" else {}
    once, often = (judged(pd.concat([frame] * times, ignore_index=True), **changes) for times in (1, 4))
    assert often.verdicts == once.verdicts
    assert once.paired == (seeds == "shared")
    assert "48 runs that repeat another run exactly." in often.evidence.left_out


def test_equal_runs_of_which_nothing_else_is_known_count_each() -> None:
    accuracies = [0.8, 0.8, 0.9, 0.9, 0.9, 0.9, 1.0, 1.0]
    frame = pd.DataFrame({"method": ["baseline"] * 4 + ["mixup"] * 4, "test_accuracy": accuracies})
    (verdict,) = judged(frame, seed=()).verdicts
    assert verdict.seeds == 4


@pytest.mark.parametrize(
    ("where", "note"),
    [
        ("method!=mixpu", "no row has the value mixpu; `method` has baseline, mixup."),
        ("seed=0|1|2|3|twelve", "no row has the value twelve; `seed` has 0, 1, 2, 3, 4, 5 and 2 more."),
    ],
)
def test_a_value_of_where_that_no_row_has_is_said(where: str, note: str) -> None:
    assert f"--where {where}: {note}" in judged(FRAME, where=(where,)).evidence.left_out


def test_where_reads_booleans_in_either_case_and_lists_the_values_when_nothing_is_left() -> None:
    frame = pd.concat([FRAME.assign(smoke=False), FRAME.assign(smoke=True, test_accuracy=0.1)])
    assert judged(frame, where=("smoke!=true",)).verdicts == judged(frame, where=("smoke=False",)).verdicts
    with pytest.raises(
        InputError, match=r"leaves none of 32 rows\. .*no row has the value yes; `smoke` has False, True"
    ):
        judged(frame, where=("smoke=yes",))


@pytest.mark.parametrize("missing", ["mixup", "baseline"])
def test_a_requirement_does_not_hold_where_a_condition_has_no_runs(missing: str) -> None:
    both = pd.concat([FRAME.assign(data="A"), FRAME.assign(data="B")])
    found = judged(both[(both["data"] == "A") | (both["method"] != missing)], condition=("data",))
    doubts = {"mixup": "because there is no usable run: mixup under B.", "baseline": "baseline has no run there: B."}
    assert doubts[missing] in " ".join(found.evidence.limits)
    broken = {text: broken_by(parse_requirement(text), found.verdicts, found.unanswered)
              for text in ("mixup helps", "all helps", "mixup helps on A")}  # fmt: skip
    assert broken == {"mixup helps": ["mixup on B: no answer"], "all helps": ["mixup on B: no answer"],
                      "mixup helps on A": []}  # fmt: skip


def test_comparisons_without_runs_are_named_as_in_the_verdict_table() -> None:
    small = FRAME.assign(lr=0.1, data="A", size=1)
    frame = pd.concat([small, small[small["method"] == "baseline"].assign(size=2)])
    found = judged(frame, arm=("method", "lr"), condition=("data", "size"), reference="baseline,0.1")
    assert "there is no usable run: method=mixup, lr=0.1 under data=A, size=2." in " ".join(found.evidence.limits)
    assert found.unanswered == (("method=mixup, lr=0.1", "data=A, size=2"),)


def test_settings_are_not_chosen_on_the_judged_metric() -> None:
    frame = pd.concat([FRAME.assign(lr=lr) for lr in (0.1, 0.2)]).rename(columns={"test_accuracy": "metrics.acc"})
    with pytest.raises(InputError, match="choose its setting on the judged metric"):
        judged(frame, metric="acc", setting=("lr",), select="metrics.acc")


@pytest.mark.parametrize("kind", ["uint64", "str"])
def test_seeds_of_64_bits_stay_apart(kind: str) -> None:
    frame = FRAME.assign(seed=(FRAME["seed"].astype("uint64") + np.uint64(2**60)).astype(kind))
    (verdict,) = judged(frame).verdicts
    assert verdict.seeds == 8
    arms = FRAME.assign(method=np.where(MIXUP, 2**53 + 1, 2**53))
    assert [one.method for one in judged(arms, reference=str(2**53)).verdicts] == [str(2**53 + 1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"percent": "no"}, "`percent`: input should be a valid boolean, but got 'no'"),
        ({"higher": "yes"}, "`higher`: input should be a valid boolean, but got 'yes'"),
        ({"last": "3"}, "`last`: input should be a valid integer, but got '3'"),
        ({"alpha": "x"}, "`alpha`: input should be a valid number, but got 'x'"),
        ({"where": [1]}, "`where`: input should be a valid string"),
        ({"arm": [3]}, "`arm`: input should be a valid string"),
        ({"names": 3}, "`names`: input should be a valid string, but got 3"),
        ({"reference": ["baseline"]}, "`reference`: input should be a valid string"),
        ({"name": 3}, "`name` is a text, but got 3"),
    ],
)
def test_values_of_another_type_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        reports.judge(FRAME, **{"arm": "method", "metric": "test_accuracy", "seed": "seed", **options})
    assert message in str(caught.value)


def test_numbers_may_name_columns_and_arms() -> None:
    frame = FRAME.assign(method=MIXUP.astype(int)).rename(columns={"test_accuracy": 0})
    found = reports.judge(frame, arm="method", metric="0", seed="seed", reference=0, higher=True)
    assert found.verdicts["method"].tolist() == ["1"]
    with pytest.raises(InputError, match="its values are complex"):
        reports.judge(FRAME.assign(test_accuracy=1j), arm="method", metric="test_accuracy", seed="seed")
