"""One epoch of training and one evaluation, as pure functions of tensors, compiled once for many runs.

A step: take, repeat, augment, normalise, mix, forward, loss per example and copy, reduce, backward, update.
Learning rate, weight decay, label smoothing, the method's draws, the number of copies and of images are
arguments, so a change of theirs traces nothing anew. Only the network, the augmentation, the way of mixing,
the reduction and the optimizer's rule are compiled in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from keras import ops

from trainables import tensorflow_backend as backend
from trainables.augmentation import AUGMENTATIONS
from trainables.network import Network
from trainables.optimizers import Optimizer

Tensor = Any
Apply = Callable[[Tensor, Tensor, dict[str, Tensor]], tuple[Tensor, Tensor]]


@lru_cache(maxsize=16)
def epoch_function(
    network: Network, augmentation: str, apply: Apply, reduction: str, optimizer: type[Optimizer]
) -> backend.Compiled:
    """Return the compiled epoch: (state, data, constants, batches) to (state, loss of each step).

    state: `weights` float32 (p,), `slots` of the optimizer, `moving` of the network, `step` float32, the
        number of steps done.
    data: `images` uint8 (n, height, width, channels), `labels` int32 (n,).
    constants: `mean`, `deviation` float32 (channels,), `smoothing`, `rates` of the optimizer, `decayed`
        float32 (p,).
    batches: of s steps: `index` int32 (s, copies, batch) into the data, `learning_rate` float32 (s,), and the
        draws of `augmentation` (s, copies, batch, ...) and `method` (s, batch, ...) by name.

    Args:
        network: what is trained.
        augmentation: name of the base augmentation.
        apply: the method's `apply`.
        reduction: the method's `reduction`; `max` trains on the worst copy of each example.
        optimizer: whose rule updates the weights.
    """
    augment = AUGMENTATIONS.get(augmentation).apply

    def examples(data: Tensor, constants: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        index = _flat(batch["index"])
        draws = {name: _flat(value) for name, value in batch["augmentation"].items()}
        images = augment(ops.take(data["images"], index, axis=0), draws)
        labels = ops.one_hot(ops.take(data["labels"], index, axis=0), network.classes, dtype="float32")
        labels = labels * (1 - constants["smoothing"]) + constants["smoothing"] / network.classes
        return apply(_normalised(images, constants), labels, batch["method"])

    def worst(state: Tensor, images: Tensor, labels: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
        logits, _ = network.logits(state["weights"], state["moving"], images, training=True)
        chosen = worst_copies(cross_entropy(labels, logits), copies)
        return ops.take(images, chosen, axis=0), ops.take(labels, chosen, axis=0)

    def run(state: Tensor, data: Tensor, constants: Tensor, batches: Tensor) -> tuple[Tensor, Tensor]:
        def step(state: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
            images, labels = examples(data, constants, batch)
            if reduction == "max":
                shape: Tensor = ops.shape(batch["index"])
                images, labels = worst(state, images, labels, shape[0])

            def loss(weights: Tensor) -> tuple[Tensor, Tensor]:
                logits, moving = network.logits(weights, state["moving"], images, training=True)
                return ops.mean(cross_entropy(labels, logits)), moving

            value, moving, gradient = backend.value_and_gradient(loss, state["weights"])
            done = state["step"] + 1
            rates = {**constants["rates"], "learning_rate": batch["learning_rate"], "step": done}
            weights, slots = optimizer.update(state["weights"], gradient, state["slots"], constants["decayed"], rates)
            return {"weights": weights, "slots": slots, "moving": moving, "step": done}, value

        return backend.scan(step, state, batches)

    batches = {"index": 3, "learning_rate": 1, "augmentation": 3, "method": 2}
    return backend.Compiled(run, 0, 1, 0, batches)


@lru_cache(maxsize=8)
def evaluation_function(network: Network) -> backend.Compiled:
    """Return the compiled evaluation: (weights, moving, data, constants, index) to float32 (s, 2, batch).

    Of each image its log loss in nats, and 1 if it is classified rightly, else 0. `index` is int32 (s, batch)
    into the data. Where a logit is not finite, all classes count as equally likely.
    """

    def run(weights: Tensor, moving: Tensor, data: Tensor, constants: Tensor, index: Tensor) -> Tensor:
        def chunk(state: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
            images = _normalised(ops.take(data["images"], positions, axis=0), constants)
            labels = ops.take(data["labels"], positions, axis=0)
            logits, _ = network.logits(weights, moving, images, training=False)
            finite = ops.all(ops.isfinite(logits), axis=1, keepdims=True)
            logits = ops.where(finite, logits, ops.zeros_like(logits))
            losses = cross_entropy(ops.one_hot(labels, network.classes, dtype="float32"), logits)
            right = ops.cast(ops.argmax(logits, axis=1), "int32") == labels
            return state, ops.stack([losses, ops.cast(right, "float32")])

        _, outputs = backend.scan(chunk, ops.zeros(()), index)
        return outputs

    return backend.Compiled(run, 0, 0, 1, 0, 2)


def cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Return float32 (n,), in nats, of labels and logits (n, classes)."""
    return ops.categorical_crossentropy(labels, logits, from_logits=True)


def worst_copies(losses: Tensor, copies: Tensor) -> Tensor:
    """Return int32 (batch,): for each example where in `losses` its largest loss stands.

    Args:
        losses: float32 (copies x batch,), all of copy 0 first.
        copies: how many.
    """
    by_copy: Tensor = ops.reshape(losses, (copies, -1))
    shape: Tensor = ops.shape(by_copy)
    return ops.cast(ops.argmax(by_copy, axis=0), "int32") * shape[1] + ops.arange(shape[1], dtype="int32")


def _normalised(images: Tensor, constants: Tensor) -> Tensor:
    return (ops.cast(images, "float32") - constants["mean"]) / constants["deviation"]


def _flat(array: Tensor) -> Tensor:
    """Join the first two dimensions, (copies, batch), into one."""
    return ops.reshape(array, (-1, *array.shape[2:]))
