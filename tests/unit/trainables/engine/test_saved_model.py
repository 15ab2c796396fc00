"""Saved models: they load without Assay and give the predictions of the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from trainables.backends import tensorflow as tensorflow_backend
from trainables.config import RunConfig
from trainables.data import SOURCES
from trainables.engine.classifier import Classifier

tensorflow_backend.configure(threads=1, deterministic=True)

READER = """
import sys
for package in ("trainables", "search", "spaces", "reports"):
    sys.modules[package] = None  # importing it is an error
import keras, numpy as np
model = keras.saving.load_model("model.keras")
images = np.load("images.npy")
np.savez("read.npz", bytes=model(images), floats=model(images.astype("float32")), predicted=model.predict(images))
"""


@pytest.mark.parametrize(
    "backend",
    [
        "tensorflow",
        pytest.param("jax", marks=pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")),
    ],
)
def test_a_saved_model_loads_without_assay_and_agrees_with_the_run(tmp_path: Path, backend: str) -> None:
    dataset = SOURCES.get("digits")().load()
    plain = {"data": "digits", "model": "resnet8", "augmentation": "crop", "epochs": 4, "batch_size": 32}
    run = Classifier(RunConfig.from_plain({**plain, "train_fraction": 0.3}), dataset.arrays(), 10)
    for _ in range(4):
        run.train_epoch()
    names = tuple(f"digit {name}" for name in dataset.class_names)
    run.save_model(tmp_path / "model.keras", names)
    np.save(tmp_path / "images.npy", dataset.test_images)
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", READER], cwd=tmp_path, env=environment, check=True, capture_output=True)

    with np.load(tmp_path / "read.npz") as read:
        probabilities, floats, predicted = read["bytes"], read["floats"], read["predicted"]
    result = run.test()
    own = probabilities[np.arange(len(probabilities)), dataset.test_labels]
    assert np.allclose(-np.log(own), result.loss, rtol=1e-3, atol=1e-4)
    assert np.array_equal(probabilities.argmax(axis=1) == dataset.test_labels, result.correct)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(floats, probabilities, atol=1e-5)
    assert np.allclose(predicted, probabilities, atol=1e-5)
    description = json.loads((tmp_path / "model.json").read_text())
    assert description["class_names"] == list(names)
    assert description["input"]["shape"] == [8, 8, 1]
