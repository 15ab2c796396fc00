"""A real study on two data sets, interrupted and resumed: the runs of each, its recipe, its model and the report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from reports.data.frames import StudyData, read_study
from reports.descriptive.secondary_metrics import class_accuracies
from reports.inference.verdicts import judge
from tests.support.command_line import assay, command, wait_for_outcomes
from trainables import records
from trainables.records import JournalReader, Outcome

SECONDS = 900
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
STUDY = {
    "recipe": {"model": "resnet8", "augmentation": "crop", "epochs": 6, "batch_size": 32, "train_fraction": 0.4},
    "methods": ["baseline", {"name": "mixup", "alpha": {"low": 0.1, "high": 1.0}}],
    "search": {"trials_per_arm": 2},
    "confirm": {"points": 1, "seeds": 2},
}
TOY = {"source": "npz", "path": "toy.npz"}
SIZES = {"digits": (10, [8, 8, 1], 596), "toy": (3, [12, 12, 3], 90)}
"""Classes, shape of an image, and test images."""


def write_toy(folder: Path) -> None:
    """Write colour images whose brightest third is their class."""
    rng, arrays = np.random.default_rng(0), dict[str, Any]()
    for part, count in (("train", 300), ("test", 90)):
        labels = np.arange(count) % 3
        pixels = rng.normal(110, 30, (count, 12, 12, 3))
        for image, label in zip(pixels, labels, strict=True):
            image[:, 4 * label : 4 * label + 4, label] += 35
        arrays |= {f"x_{part}": np.clip(pixels, 0, 255).astype("uint8"), f"y_{part}": labels}
    np.savez(folder / "toy.npz", **arrays, class_names=np.array(["red", "green", "blue"]))


def run_study(folder: Path, name: str, **changes: Any) -> Path:
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({**STUDY, **changes}))
    done = assay("run", folder / f"{name}.yaml", "-o", folder / name, seconds=SECONDS)
    assert done.returncode == 0, done.stderr
    return folder / name


def outcomes(folder: Path) -> dict[tuple[str, str, int, int, str], Outcome]:
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        runs = {run.name: run for _, run, _ in journal.runs()}
        return {
            (runs[row.run].phase, runs[row.run].method, runs[row.run].index, runs[row.run].seed_index,
             runs[row.run].config["data"]["source"]): row.outcome
            for row in journal.outcomes()
        }  # fmt: skip


def killed_in_the_middle(arguments: list[str], folder: Path) -> None:
    log = folder.with_suffix(".log")
    with log.open("w") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_for_outcomes(folder, more_than=4, seconds=600, driver=process)
        assert process.poll() is None, f"the study ended before it was interrupted: {log.read_text()}"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_study_on_two_data_sets_ends_in_the_runs_recipes_and_models_of_each(tmp_path: Path) -> None:
    write_toy(tmp_path)
    path, both = tmp_path / "both.yaml", tmp_path / "both"
    path.write_text(yaml.safe_dump({**STUDY, "conditions": {"data": ["digits", {"as": "toy", **TOY}]}}))
    killed_in_the_middle(command("run", path, "-o", both), both)
    (tmp_path / "moved").mkdir()
    (tmp_path / "toy.npz").rename(tmp_path / "moved" / "toy.npz")
    refused = assay("resume", both, seconds=SECONDS)
    assert (refused.returncode, "`--data toy=PATH`" in refused.stderr) == (2, True), refused.stderr
    resumed = assay("resume", both, "--data", f"toy={tmp_path / 'moved' / 'toy.npz'}", seconds=SECONDS)
    assert resumed.returncode == 0, resumed.stderr

    found = outcomes(both)
    assert len(found) == 2 * (2 * 2 + 2 * 2)
    alone = run_study(tmp_path, "alone", data={**TOY, "path": "moved/toy.npz"})
    for key, outcome in outcomes(alone).items():
        assert _figures(found[key]) == _figures(outcome), key

    study = read_study(both)
    accuracies = class_accuracies(study, judge(study))
    assert {one.verdict.condition: len(one.accuracy) for one in accuracies} == {"data=digits": 10, "data=toy": 3}
    _assert_examples(study)
    for name, (classes, shape, _) in SIZES.items():
        recipe = tmp_path / f"{name}.yaml"
        exported = assay("export", both, "--condition", f"data={name}", "-o", recipe, seconds=SECONDS)
        assert exported.returncode == 0, exported.stderr
        written = yaml.safe_load(recipe.read_text())
        assert (len(written["class_names"]), written["image_shape"]) == (classes, shape)
        assert written["fingerprint"] == study.facts.data_sets[name].fingerprint
        trained = assay("train", recipe, "--seeds", 1, "-o", tmp_path / f"{name} final", "--json", seconds=SECONDS)
        assert trained.returncode == 0, trained.stderr
        assert Path(json.loads(trained.stdout)["models"]["0"]).is_file()


def _figures(outcome: Outcome) -> dict[str, float]:
    return {"epoch": float(outcome.epoch or 0), **outcome.metrics}


def _assert_examples(study: StudyData) -> None:
    """Check that each run recorded its results on the test images of its own data set."""
    confirmed = study.runs[study.runs["phase"] == records.CONFIRM]
    correct = study.correctness(confirmed["run"].tolist())
    for run, condition in zip(confirmed["run"], confirmed["condition"], strict=True):
        assert len(correct[run]) == SIZES[condition.removeprefix("data=")][2]
