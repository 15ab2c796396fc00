"""One epoch of training and one evaluation, as pure functions of tensors, compiled once for many runs.

A step: take, repeat, augment, normalise, mix, forward, loss per example and copy, reduce, backward, update.
Learning rate, weight decay, label smoothing, the method's draws, whether it and the augmentation are on, the
number of copies, guests and images are arguments, so a change of theirs traces nothing anew. Only the network,
the augmentation, the way of mixing, the kind of objective and the optimizer's rule are compiled in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from keras import ops

from trainables.augmentation import NONE, policy_apply, policy_compiles
from trainables.backends.selection import backend
from trainables.engine.network import Network
from trainables.methods.base import Method
from trainables.optimizers import Optimizer

Tensor = Any
Apply = Callable[[Tensor, Tensor, dict[str, Tensor]], tuple[Tensor, Tensor]]


@lru_cache(maxsize=16)
def epoch_function(
    network: Network,
    augmentation: str,
    apply: Apply,
    objective: str,
    optimizer: Optimizer,
    xla: bool = False,
    fused: bool = False,
) -> Callable[..., Any]:
    """Return the compiled epoch: (state, data, constants, batches) to (state, loss of each step).

    state: `weights` float32 (p,), `slots` of the optimizer, `moving` of the network, `step` float32, the
        number of steps done.
    data: `images` uint8 (n, height, width, channels), `labels` int32 (n,).
    constants: `mean`, `deviation` float32 (channels,), `smoothing`, `temperature`, `rates` of the optimizer,
        `decayed` float32 (p,).
    batches: of s steps, what `draw_batches` returns, and `learning_rate` float32 (s,).

    Args:
        network: what is trained.
        augmentation: name of the base augmentation (see `Policy.name`).
        apply: the method's `apply`.
        objective: the kind of the method's `objective`, or `plain_max`.
        optimizer: whose rule updates the weights; its `structure`.
        xla: whether XLA compiles the network's passes and the update.
        fused: whether XLA compiles the augmentation, if it can.
    """
    augment = policy_apply(augmentation)

    def looked_at(images: Tensor, draws: dict[str, Tensor], scale: Tensor) -> Tensor:
        return _normalised(augment(images, draws), scale)

    look = backend.jitted(looked_at, fused and policy_compiles(augmentation))

    def examples(data: Tensor, constants: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        index = batch["index"]
        shape: Tensor = ops.shape(index)
        flat: Tensor = ops.reshape(index, (-1,))
        draws = {name: ops.reshape(value, (-1, *value.shape[3:])) for name, value in batch["augmentation"].items()}
        scale = {name: constants[name] for name in ("mean", "deviation")}
        images: Tensor = ops.take(data["images"], flat, axis=0)
        seen: Tensor = (
            _normalised(images, scale)
            if augmentation == NONE
            else ops.cond(batch["augmented"], lambda: look(images, draws, scale), lambda: _normalised(images, scale))
        )
        labels = ops.one_hot(ops.take(data["labels"], flat, axis=0), network.classes, dtype="float32")
        labels = labels * (1 - constants["smoothing"]) + constants["smoothing"] / network.classes
        pool = (shape[0], shape[1] * shape[2])
        images = ops.reshape(seen, (*pool, *data["images"].shape[1:]))
        labels = ops.reshape(labels, (*pool, network.classes))
        return mixed(images, labels, shape[2], batch)

    def mixed(images: Tensor, labels: Tensor, size: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        if apply is Method.apply:
            return images, labels
        made: Tensor = ops.cond(
            batch["active"],
            lambda: apply(images, labels, batch["method"]),
            lambda: (images[:, :size], labels[:, :size]),
        )
        return made

    def worst(state: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        shape: Tensor = ops.shape(labels)
        images, labels = _flat(images), _flat(labels)
        logits, _ = network.logits(state["weights"], state["moving"], images, training=True)
        chosen = worst_copies(cross_entropy(labels, logits), shape[0])
        worst_images: Tensor = ops.take(images, chosen, axis=0)
        worst_labels: Tensor = ops.take(labels, chosen, axis=0)
        return worst_images[None], worst_labels[None]

    def train(
        state: Tensor, images: Tensor, labels: Tensor, constants: Tensor, on: Tensor, rate: Tensor
    ) -> tuple[Tensor, Tensor]:
        def loss(weights: Tensor) -> tuple[Tensor, Tensor]:
            shape: Tensor = ops.shape(labels)
            logits, moving = network.logits(weights, state["moving"], _flat(images), training=True)
            losses: Tensor = ops.reshape(cross_entropy(_flat(labels), logits), (shape[0], shape[1]))
            return reduced(objective, losses, constants["temperature"], on), moving

        value, moving, gradient = backend.value_and_gradient(loss, state["weights"])
        done = state["step"] + 1
        rates = {**constants["rates"], "learning_rate": rate, "step": done}
        weights, slots = optimizer.update(state["weights"], gradient, state["slots"], constants["decayed"], rates)
        return {"weights": weights, "slots": slots, "moving": moving, "step": done}, value

    choose, learn = backend.jitted(worst, xla), backend.jitted(train, xla)

    def run(state: Tensor, data: Tensor, constants: Tensor, batches: Tensor) -> tuple[Tensor, Tensor]:
        def step(state: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
            images, labels = examples(data, constants, batch)
            if objective == "max":
                chosen: Tensor = ops.cond(
                    batch["on"], lambda: choose(state, images, labels), lambda: (images[:1], labels[:1])
                )
                images, labels = chosen
            return learn(state, images, labels, constants, batch["on"], batch["learning_rate"])

        return backend.scan(step, state, batches)

    batches = {"index": 4, "learning_rate": 1, "active": 1, "on": 1, "augmented": 1, "augmentation": 4, "method": 4}
    return backend.Compiled(run, 0, 1, 0, batches)


def reduced(objective: str, losses: Tensor, temperature: Tensor, on: Tensor) -> Tensor:
    """Return the loss that is minimised, a scalar.

    Args:
        objective: see `trainables.methods.Objective`; `max` has its worst copies chosen before; `plain_max` takes
            the maximum over copies here, with all of them in the backward pass: the same gradient at more cost,
            where examples do not act on each other in the network.
        losses: float32 (copies, batch).
        temperature: of `softmax`.
        on: bool; if not, it is the mean.
    """
    if objective in {"mean", "max"}:
        return ops.mean(losses)

    def own() -> Tensor:
        if objective == "softmax":
            powers: Tensor = ops.exp((losses - ops.max(losses, axis=0, keepdims=True)) / temperature)
            weights = ops.stop_gradient(powers / ops.sum(powers, axis=0, keepdims=True))
            return ops.mean(ops.sum(weights * losses, axis=0))
        if objective == "plain_max":
            return ops.mean(ops.max(losses, axis=0))
        return ops.max(losses)

    return ops.cond(on, own, lambda: ops.mean(losses))


@lru_cache(maxsize=8)
def evaluation_function(network: Network, xla: bool = False) -> Callable[..., Any]:
    """Return the compiled evaluation: (weights, moving, data, constants, index) to float32 (s, 3, batch).

    Of each image its log loss in nats, the most probable class and that class's probability. `index` is int32
    (s, batch) into the data. Where a logit is not finite, all classes count as equally likely.
    """

    def logits_of(weights: Tensor, moving: Tensor, images: Tensor) -> Tensor:
        return network.logits(weights, moving, images, training=False)[0]

    forward = backend.jitted(logits_of, xla)

    def run(weights: Tensor, moving: Tensor, data: Tensor, constants: Tensor, index: Tensor) -> Tensor:
        def chunk(state: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
            images = _normalised(ops.take(data["images"], positions, axis=0), constants)
            labels = ops.take(data["labels"], positions, axis=0)
            logits = forward(weights, moving, images)
            finite = ops.all(ops.isfinite(logits), axis=1, keepdims=True)
            logits = ops.where(finite, logits, ops.zeros_like(logits))
            losses = cross_entropy(ops.one_hot(labels, network.classes, dtype="float32"), logits)
            likely = ops.cast(ops.argmax(logits, axis=1), "float32")
            return state, ops.stack([losses, likely, ops.max(ops.softmax(logits), axis=1)])

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


def _normalised(images: Tensor, scale: Tensor) -> Tensor:
    return (ops.cast(images, "float32") - scale["mean"]) / scale["deviation"]


def _flat(array: Tensor) -> Tensor:
    """Join the first two dimensions, (copies, batch), into one."""
    return ops.reshape(array, (-1, *array.shape[2:]))
