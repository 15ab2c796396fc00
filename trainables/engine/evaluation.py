"""Evaluation of a network on positions of a data set, compiled once for many runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from keras import ops

from trainables.backends.selection import backend
from trainables.engine.network import Network
from trainables.engine.objectives import cross_entropy
from trainables.engine.resident import normalise

Tensor = Any
NOTHING = np.float32(0)
"""State of a loop that changes nothing."""
OPEN_DIMENSIONS = {"index": 2}
"""Number of leading dimensions of the arrays of the batches that may differ between calls."""


@lru_cache(maxsize=8)
def evaluation_function(network: Network, xla: bool = False, devices: int = 1) -> Callable[..., Any]:
    """Return the compiled evaluation, a function of (data, constants, batches).

    data: as in `TrainingStep`.
    constants: `weights` and `moving` of the network, `mean` and `deviation`.
    batches: `index`, int32 (s, batch), positions in the data.

    It returns float32 (s, 3, batch): for each image its log loss in nats, the most probable class, and the probability
    of that class. If a logit is not finite, all classes count as equally likely.

    Args:
        network: the network to evaluate.
        xla: whether XLA compiles the forward pass.
        devices: number of devices among which the images of a step are divided.
    """

    def logits_of(weights: Tensor, moving: Tensor, images: Tensor) -> Tensor:
        return network.logits(weights, moving, images, training=False)[0]

    forward = backend.jitted(logits_of, xla)

    def evaluated(nothing: Tensor, data: Tensor, constants: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        index = backend.divided(batch["index"], devices)
        images = normalise(ops.take(data["images"], index, axis=0), constants)
        labels = ops.take(data["labels"], index, axis=0)
        return nothing, scores(labels, forward(constants["weights"], constants["moving"], images))

    loop = backend.Loop(evaluated, OPEN_DIMENSIONS, devices)
    return lambda data, constants, batches: loop(NOTHING, data, constants, batches)[1]


def scores(labels: Tensor, logits: Tensor) -> Tensor:
    """Return log loss, most probable class and its probability of each image, float32 (3, n).

    Args:
        labels: int32 (n,).
        logits: float32 (n, classes); where one is not finite, all classes count as equally likely.
    """
    finite = ops.all(ops.isfinite(logits), axis=1, keepdims=True)
    logits = ops.where(finite, logits, ops.zeros_like(logits))
    losses = cross_entropy(ops.one_hot(labels, logits.shape[-1], dtype="float32"), logits)
    likely = ops.cast(ops.argmax(logits, axis=1), "float32")
    return ops.stack([losses, likely, ops.max(ops.softmax(logits), axis=1)])
