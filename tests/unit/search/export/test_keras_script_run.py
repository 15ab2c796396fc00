"""The exported script runs from an empty folder, without Assay, and gives the product's run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.export.keras_script import write_script
from tests.support.scripts import recipe
from trainables.backends import tensorflow as tensorflow_backend
from trainables.data import SOURCES
from trainables.engine.classifier import Classifier
from trainables.engine.network import network_of

pytestmark = pytest.mark.usefixtures("own_code")

tensorflow_backend.configure(threads=1)
WITHOUT_ASSAY = """
import runpy, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("search", "trainables", "spaces", "reports"):
            raise ImportError(f"{name} is part of Assay")

sys.meta_path.insert(0, Refuse())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
RUNS: list[tuple[float, dict[str, Any]]] = [
    (
        0.002,
        {
            "model": "tests.support.networks:convolutional",
            "method": "maxup+mixup",
            "augmentation": "crop",
            "learning_rate": 0.02,
            "epochs": 2,
        },
    ),
    (
        0.03,
        {
            "model": "resnet8",
            "method": {"name": "cutmix", "partner": "dataset"},
            "augmentation": "affine_flip+photometric",
            "optimizer": "adamw",
            "adamw.learning_rate": 0.003,
            "label_noise": 0.1,
            "epochs": 4,
        },
    ),
    (
        0.15,  # bfloat16
        {
            "model": "resnet8",
            "dropout": 0.2,
            "method": {"name": "maxup", "reduction": "softmax"},
            "augmentation": "one_of+cutout",
            "optimizer": "rmsprop",
            "rmsprop.learning_rate": 0.003,
            "schedule": "cosine",
            "epochs": 4,
            "steps": 60,
            "precision": "mixed",
        },
    ),
]
"""The largest difference in accuracy from the product's run, and settings."""


def run(where: Path, *arguments: str) -> str:
    """Run the script in its folder and return what it prints."""
    command = [sys.executable, "-I", "-c", WITHOUT_ASSAY, "train.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=where, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def elementary(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Train with Keras's own batch norm: the product's fused one rounds differently, which adds up over the steps."""
    monkeypatch.setattr(tensorflow_backend, "_is_fusible", lambda layer: False)
    network_of.cache_clear()
    yield
    network_of.cache_clear()


@pytest.mark.usefixtures("elementary")
@pytest.mark.parametrize(
    ("tolerance", "plain"), [RUNS[0], *(pytest.param(*each, marks=pytest.mark.slow) for each in RUNS[1:])]
)
def test_the_script_gives_the_products_run(tolerance: float, plain: dict[str, Any], tmp_path: Path) -> None:
    data = SOURCES.get("digits")().load()
    settings = {"data": "digits", "batch_size": 32, "train_fraction": 0.5}
    made = recipe(shape=(8, 8, 1), class_count=10, **{**settings, **plain})
    write_script(made, tmp_path / "train.py")
    printed = run(tmp_path, "--seed", "3", "--split-seed", "4", "--model", "own.keras")
    assert {path.name for path in tmp_path.iterdir()} == {"train.py", "own.keras", "own.json"}
    product = Classifier(made.train.model_copy(update={"seed": 3, "split_seed": 4}), data.arrays(), 10)
    expected = [product.train_epoch()["validation_accuracy"] for _ in range(made.train.epochs)]
    expected.append(product.test().metrics["test_accuracy"])
    found = [float(value) for value in re.findall(r"accuracy ([\d.]+)", printed)]
    assert found == pytest.approx(expected, abs=tolerance)

    import keras

    model = keras.saving.load_model(tmp_path / "own.keras")
    likely = np.asarray(model.predict_on_batch(data.test_images)).argmax(axis=1)
    assert (likely == data.test_labels).mean() == pytest.approx(found[-1], abs=0.005)
