"""A trained network as a `.keras` file that opens without Assay."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import keras
import numpy as np
from keras import layers


def save_model(
    path: Path, network: keras.Model, mean: np.ndarray, deviation: np.ndarray, class_names: tuple[str, ...]
) -> None:
    """Write a model from uint8 images to probabilities, and a `.json` beside it that describes it.

    `keras.saving.load_model(path)` opens it in safe mode: it is made of layers that come with Keras. Images
    go in as they are, (n, height, width, channels) with values from 0 to 255; the model normalises them.

    Args:
        path: ends in `.keras`.
        network: from normalised images to logits.
        mean: float32 (channels,).
        deviation: float32 (channels,).
        class_names: in the order of the probabilities.
    """
    image = keras.Input(network.input_shape[1:], dtype="uint8", name="image")
    variance = deviation.astype("float64") ** 2
    normalised = layers.Normalization(mean=mean.tolist(), variance=variance.tolist(), name="normalised")
    probabilities = layers.Softmax(name="probabilities")(network(normalised(image)))
    model = keras.Model(image, probabilities, name=f"{network.name}_classifier")
    with warnings.catch_warnings():
        # Keras converts its variables in a way that NumPy 2 deprecates.
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        model.save(path)
    description = {
        "class_names": list(class_names),
        "input": {"shape": list(network.input_shape[1:]), "dtype": "uint8", "values": [0, 255]},
        "output": "probabilities, in the order of class_names",
    }
    path.with_suffix(".json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
