"""Export of a trained network as a `.keras` file that loads without Assay."""

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
    """Write a model that maps uint8 images to probabilities, and a `.json` file next to it that describes it.

    `keras.saving.load_model(path)` loads it in safe mode, because it consists of built-in Keras layers only. Its
    inputs are raw images, (n, height, width, channels) with values from 0 to 255; the model normalises them.

    Args:
        path: a file name that ends in `.keras`; missing folders are created.
        network: a model that maps normalised images to logits.
        mean: float32 (channels,), subtracted from the pixel values.
        deviation: float32 (channels,), what they are then divided by.
        class_names: names of the classes, in the order of the probabilities.
    """
    image = keras.Input(network.input_shape[1:], dtype="uint8", name="image")
    variance = deviation.astype("float64") ** 2
    normalised = layers.Normalization(mean=mean.tolist(), variance=variance.tolist(), name="normalised")
    probabilities = layers.Softmax(name="probabilities")(network(normalised(image)))
    model = keras.Model(image, probabilities, name=f"{network.name}_classifier")
    path.parent.mkdir(parents=True, exist_ok=True)
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
