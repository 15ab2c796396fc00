"""A study with `precision: auto` on real images: timed once, and then as if its file named that precision."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reports.data.frames import read_study
from tests.support.command_line import assay, ended, wait_for_outcomes, write_study
from trainables import records
from trainables.records import JournalReader

pytestmark = pytest.mark.timeout(1200)
RECIPE = {
    "model": "resnet8", "width": 0.25, "augmentation": "none", "epochs": 4, "batch_size": 32, "train_fraction": 0.2,
}  # fmt: skip
EAGER = "import search.plan.precision as precision; precision.MARGIN = 0.01; import assay; assay.main()"
"""Program that chooses mixed precision even where it is slower."""
TIMING = "timing float32 and mixed precision on a worker"


def small_study(folder: Path, precision: str) -> Path:
    folder.mkdir()
    return write_study(
        folder,
        recipe={**RECIPE, "precision": precision},
        conditions={},
        methods=["baseline", "mixup"],
        search={"trials_per_arm": 2},
        confirm={"points": 1, "seeds": 3},
        resources={"concurrency": 1},
    )


@pytest.mark.slow
def test_auto_gives_the_runs_of_the_precision_that_it_chose(tmp_path: Path) -> None:
    folder, log = tmp_path / "auto" / "study", tmp_path / "log"
    run = [sys.executable, "-c", EAGER, "run", str(small_study(tmp_path / "auto", "auto")), "-o", str(folder)]
    with log.open("w") as stderr, subprocess.Popen(run, stderr=stderr) as driver:
        try:
            wait_for_outcomes(folder, more_than=0, seconds=600, driver=driver)
        finally:
            driver.send_signal(signal.SIGINT)
        assert driver.wait(timeout=120) == 130
    assert TIMING in log.read_text()
    assert len(ended(folder)) < 10
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        before = journal.required_plan()
    assert before.precision
    assert before.precision.chosen == "mixed"
    assert before.precision.gain
    assert before.precision.text in log.read_text()

    resumed = assay("resume", folder, seconds=400)
    assert resumed.returncode == 0, resumed.stderr
    assert TIMING not in resumed.stderr
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        assert journal.required_plan() == before
    assert json.loads(assay("status", folder, "--json").stdout)["precision"] == before.precision.text
    assert before.precision.text in (folder / "report" / "index.html").read_text("utf-8")
    assert "precision: mixed" in (folder / records.RECIPE_FILE).read_text()

    concrete = tmp_path / "mixed" / "study"
    done = assay("run", small_study(tmp_path / "mixed", "mixed"), "-o", concrete, seconds=400)
    assert done.returncode == 0, done.stderr
    assert TIMING not in done.stderr
    columns = ["run", "outcome", records.SELECTION, records.TEST_ACCURACY, records.TEST_LOSS]
    one, other = (read_study(each).runs[columns].sort_values("run", ignore_index=True) for each in (folder, concrete))
    assert len(one) == 2 * 2 + 2 * 3
    assert one.equals(other)
