"""A small study on real images from the command line: searched, confirmed, reported, exported, trained finally."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reports.data.frames import read_study
from tests.support.command_line import assay, write_study
from trainables import records
from trainables.records import JournalReader

pytestmark = pytest.mark.timeout(300)

SAFE_LOAD = """
import sys, numpy as np, keras
from sklearn.datasets import load_digits
model = keras.saving.load_model(sys.argv[1])
digits = load_digits()
images = np.round(digits.images * 255 / 16).astype("uint8")[..., None]
print((model.predict(images, verbose=0).argmax(1) == digits.target).mean())
assert not {"search", "trainables", "spaces", "reports"} & set(sys.modules)
"""


@pytest.mark.timeout(600)
def test_a_real_study_ends_in_a_model_that_needs_no_assay(tmp_path: Path) -> None:
    study = write_study(
        tmp_path,
        conditions={},
        recipe={"model": "resnet8", "augmentation": "crop", "epochs": 6, "batch_size": 32, "train_fraction": 0.2},
        methods=["baseline", "mixup"],
        search={"trials_per_arm": 2},
        confirm={"points": 1, "seeds": 2},
    )
    folder = tmp_path / "study"
    done = assay("run", study, "-o", folder)
    assert done.returncode == 0, done.stderr
    assert "undecided" in done.stdout or "helps" in done.stdout or "hurts" in done.stdout
    seen = read_study(folder)
    assert len(seen.runs) == 2 * 2 + 2 * 2
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        outcomes = {row.run: row.outcome for row in journal.outcomes()}
        phases = {run.name: run.phase for _, run, _ in journal.runs()}
    for name, outcome in outcomes.items():
        assert (records.TEST_ACCURACY in outcome.metrics) == (phases[name] == records.CONFIRM)

    recipe = tmp_path / "elsewhere" / "recipe.yaml"
    exported = assay("export", folder, "--method", "mixup", "-o", recipe)
    assert exported.returncode == 0, exported.stderr
    assert yaml.safe_load(recipe.read_text())["train"]["method"]["name"] == "mixup"
    study_folder = folder.rename(tmp_path / "gone")
    trained = assay("train", recipe, "--epochs", 4, "--seeds", 1, "-o", tmp_path / "final", "--json")
    assert trained.returncode == 0, trained.stderr
    assert study_folder.exists()
    answer = json.loads(trained.stdout)
    model = Path(answer["models"]["0"])
    loaded = subprocess.run(
        [sys.executable, "-c", SAFE_LOAD, str(model)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert loaded.returncode == 0, loaded.stderr
    assert float(loaded.stdout) == pytest.approx(answer["test_accuracy"]["0"], abs=0.1)

    again = assay("train", recipe, "-o", tmp_path / "final")
    assert (again.returncode, "not empty" in again.stderr or "already" in again.stderr) == (2, True)
