"""Plain Ray Tune and KerasTuner, as their documentation shows them; used by `tests.benchmarks.study`.

Prints one line of JSON: runs, epochs, seconds in epochs, and slots.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

EPOCHS = 8
BATCH = 64
SLOTS = 2
RATES = (0.01, 0.3)
"""Bounds of the learning rate."""


def network(rate: float, alpha: float) -> Any:
    """Return case 2's network, written in Keras and compiled; `alpha` is that of mixup, which is off at 0."""
    import keras
    from keras import layers

    net = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 64, offset=-2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss: Any = keras.losses.CategoricalCrossentropy if alpha else keras.losses.SparseCategoricalCrossentropy
    net.compile(keras.optimizers.SGD(rate, momentum=0.9), loss(from_logits=True), metrics=["accuracy"])
    return net


def batches(images: np.ndarray, labels: np.ndarray, alpha: float) -> tuple[Any, Any]:
    """Return the usual pipelines for training, with mixup if `alpha` is positive, and for validation."""
    import keras
    import tensorflow as tf

    held = len(images) // 5
    parts = [(images[held:], labels[held:]), (images[:held], labels[:held])]
    train, validation = (tf.data.Dataset.from_tensor_slices((x[..., None], y)) for x, y in parts)
    train, validation = train.shuffle(len(images)).batch(BATCH), validation.batch(512)
    if alpha:
        mix = keras.layers.MixUp(alpha=alpha)

        def one_hot(x: Any, y: Any) -> tuple[Any, Any]:
            return tf.cast(x, "float32"), tf.one_hot(tf.cast(y, "int32"), 10)

        def mixed(x: Any, y: Any) -> tuple[Any, Any]:
            out: Any = mix({"images": x, "labels": y})
            return out["images"], out["labels"]

        train, validation = train.map(one_hot).map(mixed), validation.map(one_hot)
    return train.prefetch(tf.data.AUTOTUNE), validation.prefetch(tf.data.AUTOTUNE)


def trial(config: dict[str, Any], images: np.ndarray, labels: np.ndarray) -> None:
    """Train one run for Ray Tune, and report every epoch."""
    import keras
    from ray import tune

    keras.utils.set_random_seed(0)
    net = network(config["rate"], config["alpha"])
    train, validation = batches(images, labels, config["alpha"])
    for _ in range(EPOCHS):
        began = time.perf_counter()
        history = net.fit(train, validation_data=validation, verbose=0).history
        tune.report({"accuracy": history["val_accuracy"][-1], "seconds": time.perf_counter() - began})


def plain(images: np.ndarray, labels: np.ndarray, trials: int) -> dict[str, Any]:
    """Run plain Ray Tune with Optuna, ASHA and Ray's callback for MLflow."""
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    ray.init(num_cpus=SLOTS, include_dashboard=False, log_to_driver=False)
    here = Path.cwd()
    tuner = tune.Tuner(
        tune.with_parameters(trial, images=images, labels=labels),
        param_space={"rate": tune.loguniform(*RATES), "alpha": tune.choice([0.0, 0.2])},
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            num_samples=trials,
            max_concurrent_trials=SLOTS,
            search_alg=OptunaSearch(seed=0),
            scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=2, reduction_factor=3),
        ),
        run_config=tune.RunConfig(
            storage_path=str(here / "ray"),
            verbose=0,
            callbacks=[MLflowLoggerCallback(f"sqlite:///{here / 'mlflow.db'}", experiment_name="small")],
        ),
    )
    frames = [result.metrics_dataframe for result in tuner.fit()]
    seconds = [value for frame in frames if frame is not None for value in frame["seconds"]]
    ray.shutdown()
    return {"runs": len(frames), "epochs": len(seconds), "training": sum(seconds), "slots": SLOTS}


def tuner(images: np.ndarray, labels: np.ndarray, trials: int) -> dict[str, Any]:
    """Run KerasTuner's Hyperband, once; it chooses the number of trials itself."""
    import keras

    keras_tuner: Any = importlib.import_module("keras_tuner")
    seconds: list[float] = []

    class Clock(keras.callbacks.Callback):
        """Notes the time of every epoch."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seconds.append(time.perf_counter() - self.began)

    def build(choices: Any) -> Any:
        return network(choices.Float("rate", *RATES, sampling="log"), 0.0)

    train, validation = batches(images, labels, 0.0)
    search = keras_tuner.Hyperband(
        build, objective="val_accuracy", max_epochs=EPOCHS, factor=3, hyperband_iterations=max(1, trials // 16), seed=0,
        directory="tuner", project_name="small",
    )  # fmt: skip
    search.search(train, validation_data=validation, callbacks=[Clock()], verbose=0)
    runs = len(search.oracle.trials)
    return {"runs": runs, "epochs": len(seconds), "training": sum(seconds), "slots": 1}


def main(arguments: list[str]) -> None:
    """Run one of the ways and print what it took."""
    way, path, trials = arguments
    with np.load(path) as data:
        images, labels = data["x_train"], data["y_train"]
    found = {"plain": plain, "tuner": tuner}[way](images, labels, int(trials))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
