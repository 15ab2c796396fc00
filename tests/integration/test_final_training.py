"""Final training on real images: interrupted, with all images, and compared with the script of the same recipe."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean

import pytest

from search.export.keras_script import write_script
from search.export.recipe import Recipe
from tests.support.command_line import assay, command
from tests.support.recipes import written_recipe
from trainables import records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
WITHOUT_ASSAY = """
import runpy, sys
for package in ("trainables", "search", "spaces", "reports"):
    sys.modules[package] = None  # importing it is an error
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
EPOCHS = 16


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return written_recipe(tmp_path / "recipe.yaml")


def rows(folder: Path, table: str, columns: str) -> list[tuple[str, ...]]:
    with sqlite3.connect(f"file:{folder / records.JOURNAL_FILE}?mode=ro", uri=True) as db:
        return db.execute(f"SELECT {columns} FROM {table} ORDER BY run").fetchall()


def test_a_killed_training_has_the_results_of_an_uninterrupted_one(recipe: Recipe, tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with subprocess.Popen(command("train", tmp_path / "recipe.yaml", "--seeds", 2, "-o", killed)) as process:
        while process.poll() is None:
            time.sleep(0.2)
            if (killed / records.JOURNAL_FILE).exists() and len(rows(killed, "reports", "run")) >= EPOCHS // 2:
                os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len(rows(killed, "outcomes", "run")) < 2
    done = assay("resume", killed)
    assert done.returncode == 0, done.stderr
    other = assay("train", tmp_path / "recipe.yaml", "--seeds", 2, "-o", whole)
    assert other.returncode == 0, other.stderr
    assert rows(killed, "outcomes", "run, metrics") == rows(whole, "outcomes", "run, metrics")
    assert len(rows(killed, "reports", "run")) == 2 * EPOCHS


def test_the_script_gives_the_same_accuracy(recipe: Recipe, tmp_path: Path) -> None:
    write_script(recipe, tmp_path / "train.py")
    own = []
    for seed in range(3):
        run = [sys.executable, "-c", WITHOUT_ASSAY, "train.py", "--seed", str(seed)]
        done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr
        own.append(float(re.findall(r"test accuracy ([\d.]+)", done.stdout)[0]))
    answer = assay("train", tmp_path / "recipe.yaml", "--seeds", 3, "-o", tmp_path / "final", "--json")
    assert answer.returncode == 0, answer.stderr
    found = list(json.loads(answer.stdout)["test_accuracy"].values())
    assert fmean(own) == pytest.approx(fmean(found), abs=0.04)
    assert min(found) > 0.7


def test_there_is_no_validation_curve_with_all_images(recipe: Recipe, tmp_path: Path) -> None:
    done = assay("train", tmp_path / "recipe.yaml", "--full-data", "-o", tmp_path / "final", "--json")
    assert done.returncode == 0, done.stderr
    assert "no validation curve" in " ".join(done.stderr.split())
    answer = json.loads(done.stdout)
    assert (answer["agrees"], answer["incomparable"]) == (None, "the validation images were used for training")
    assert "MLflow is missing" not in done.stderr
    metrics = json.loads(rows(tmp_path / "final", "reports", "metrics")[-1][0])
    assert records.TRAIN_ACCURACY in metrics
    assert not [name for name in metrics if name.startswith("validation")]
    assert "no validation curve" in Path(answer["card"]).read_text()
