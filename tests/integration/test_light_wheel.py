"""The wheel without the training stack: installed into a new environment, `assay judge` works there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.reports.judging.tables import runs_frame

ROOT = Path(__file__).parents[2]
HEAVY = {"ray", "tensorflow", "keras", "mlflow", "optuna", "scikit-learn", "matplotlib"}


def run(*command: object) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not shutil.which("uv"), reason="uv is missing")
def test_the_wheel_judges_runs_without_ray_tensorflow_and_keras(tmp_path: Path) -> None:
    run("uv", "build", "-q", "--wheel", "-o", tmp_path, ROOT)
    [wheel] = tmp_path.glob("assay-*.whl")
    run("uv", "venv", "-q", "--python", sys.executable, tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    run("uv", "pip", "install", "-q", "--python", python, "-c", ROOT / "constraints.txt", wheel)
    installed = {
        one["name"] for one in json.loads(run("uv", "pip", "list", "-q", "--python", python, "--format", "json"))
    }
    assert "assay" in installed
    assert not installed & HEAVY
    table = tmp_path / "runs.csv"
    runs_frame({"baseline": 0.0, "mixup": 0.02}).to_csv(table, index=False)
    out = run(
        python.with_name("assay"), "judge", table, "--arm", "method", "--seed", "seed", "--metric", "test_accuracy",
        "-o", tmp_path / "report", "--json", "--require", "mixup helps",
    )  # fmt: skip
    assert json.loads(out)["required"] == {"mixup helps": True}
    assert (tmp_path / "report" / "index.html").is_file()
    script = "from reports import judge; import pandas; print(judge(pandas.read_csv(%r), arm='method', metric=%r))"
    assert "mixup against baseline" in run(python, "-c", script % (str(table), "test_accuracy"))
    refused = subprocess.run(
        [python.with_name("assay"), "plan", "quickstart"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert (
        refused.stderr
        == "error: `optuna` is not installed, which this command needs; install Assay with the extra `train`\n"
    )
