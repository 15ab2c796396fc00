"""Section of the hyperparameters: figures of two of them show the runs in which both have an effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from reports.data.frames import read_study
from reports.inference.verdicts import judge
from reports.page.view import build_view
from tests.support.journal_builder import JournalBuilder, make_plan
from trainables import records

RANGE = {"low": 0.001, "high": 1.0, "log": True, "integer": False}
TRIALS = 8


def test_two_hyperparameters_are_shown_where_both_have_an_effect(tmp_path: Path) -> None:
    plan = make_plan({"c": {}}, ("baseline", "mixup"), trials_per_arm=TRIALS, seeds=3, points=1)
    shared: dict[str, Any] = {"optimizer": ["sgd", "adam"], "sgd.learning_rate": RANGE}
    plan["arms"][0] |= {"spaces": shared, "only_if": {"sgd.learning_rate": ["optimizer", "sgd"]}}
    own = {"switch": ["on", "off"], "mixup.alpha": RANGE}
    rules = {"sgd.learning_rate": ["optimizer", "sgd"], "mixup.alpha": ["switch", "on"]}
    plan["arms"][1] |= {"spaces": shared | own, "only_if": rules}
    both = {}
    with JournalBuilder(tmp_path, plan) as journal:
        for k in range(TRIALS):  # as many runs with sgd as with the switch on, but others
            values = {"optimizer": "sgd" if k < 4 else "adam", "sgd.learning_rate": 0.01 * (k + 1)}
            extra = {"switch": "on" if 2 <= k < 6 else "off", "mixup.alpha": 0.1 * (k + 1)}
            for method, searched, gain in (("baseline", values, 0.0), ("mixup", values | extra, 0.01 * k)):
                run = journal.run("c", method, phase=records.SEARCH, k=k, searched=searched, parameters=searched)
                journal.end(run, selection=0.5 + gain)
            if 2 <= k < 4:
                both[k] = (values["sgd.learning_rate"], extra["mixup.alpha"])
    study = read_study(tmp_path)
    (picture,) = [one for one in build_view(study, judge(study)).pictures if one.name.startswith("pairs-")]
    (points,) = picture.figure["data"]
    np.testing.assert_allclose([points["x"], points["y"]], np.transpose([*both.values()]))
