"""Training step and training epoch as pure functions of tensors, compiled once for many runs.

A step takes images, repeats them, augments, normalises, mixes, computes the loss of each example and copy, reduces the
losses to a scalar, and updates the weights. Learning rate, weight decay, label smoothing, the method's draws, whether
the method and the augmentation are on, and the numbers of copies, guests and images are arguments, so that changing
them needs no new trace. Only the network, the augmentation, the method's `apply`, the kind of objective and the
optimizer's update rule are compiled in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from keras import ops

from trainables.augmentation import NONE, policy_apply, policy_compiles
from trainables.backends.selection import backend
from trainables.engine.network import Network
from trainables.engine.objectives import cross_entropy, reduce_losses, worst_copies
from trainables.engine.resident import normalise
from trainables.methods.base import Method
from trainables.optimizers import Optimizer

Tensor = Any
Apply = Callable[[Tensor, Tensor, dict[str, Tensor]], tuple[Tensor, Tensor]]
OPEN_DIMENSIONS = {
    "index": 4, "learning_rate": 1, "active": 1, "on": 1, "augmented": 1, "augmentation": 4, "method": 4,
}  # fmt: skip
"""Number of leading dimensions of each array of an epoch's batches that may differ between runs and epochs."""


@lru_cache(maxsize=16)
def epoch_function(step: TrainingStep) -> Callable[..., Any]:
    """Return the compiled epoch: a function of (state, data, constants, batches) to (state, loss of each step).

    The first three arguments are those of the step. `batches` contains, for s steps, what `draw_batches` returns, and
    `learning_rate`, float32 (s,). The losses are float32 (s,).

    Args:
        step: the step; equal steps share a compiled epoch.
    """
    return backend.Loop(step, OPEN_DIMENSIONS, step.devices)


@dataclass(frozen=True)
class TrainingStep:
    """One training step: a function of (state, data, constants, batch) to (next state, loss).

    state: `weights` float32 (p,), the optimizer's `slots`, `moving` of the network, and `step`, float32, the number of
        completed steps.
    data: `images` uint8 (n, height, width, channels), `labels` int32 (n,).
    constants: `mean`, `deviation` float32 (channels,), `smoothing`, `temperature`, the optimizer's `rates`, and
        `decayed`, float32 (p,).
    batch: one step of what `draw_batches` returns, and `learning_rate`, a float32 scalar.

    Args:
        network: the network to train.
        augmentation: name of the base augmentation (see `Policy.name`).
        apply: the method's `apply`.
        objective: the kind of the method's `objective`.
        optimizer: the `structure` of the optimizer whose rule updates the weights.
        xla: whether XLA compiles the network's passes and the update.
        fused: whether XLA compiles the augmentation, if it can.
        devices: number of devices among which the examples of a step are divided; each has all weights.
    """

    network: Network
    augmentation: str
    apply: Apply
    objective: str
    optimizer: Optimizer
    xla: bool = False
    fused: bool = False
    devices: int = 1

    @cached_property
    def _augmented(self) -> Callable[..., Tensor]:
        return backend.jitted(self._augment, self.fused and policy_compiles(self.augmentation))

    @cached_property
    def _worst(self) -> Callable[..., Tensor]:
        return backend.jitted(self.worst, self.xla)

    @cached_property
    def _update(self) -> Callable[..., Tensor]:
        return backend.jitted(self.update, self.xla)

    def __call__(self, state: Tensor, data: Tensor, constants: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next state, and the loss that the step minimised."""
        images, labels = self.mixed(*self.pools(data, constants, batch), batch)
        if self.objective == "max":
            images, labels = self._worst_if_on(state, images, labels, batch["on"])
        return self._update(state, images, labels, constants, batch["on"], batch["learning_rate"])

    def pools(self, data: Tensor, constants: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return the examples of a step: augmented, normalised images, and smoothed labels.

        Returns:
            float32 (copies, pool, height, width, channels) and float32 (copies, pool, classes); a pool is the batch
            followed by its guests.
        """
        shape: Tensor = ops.shape(batch["index"])
        index: Tensor = ops.reshape(batch["index"], (-1,))
        draws = {name: ops.reshape(value, (-1, *value.shape[3:])) for name, value in batch["augmentation"].items()}
        index, draws = backend.divided((index, draws), self.devices)
        scale = {name: constants[name] for name in ("mean", "deviation")}
        images = self._normalised(ops.take(data["images"], index, axis=0), draws, scale, batch["augmented"])
        labels = smooth_labels(ops.take(data["labels"], index, axis=0), self.network.classes, constants["smoothing"])
        pool = (shape[0], shape[1] * shape[2])
        return (
            ops.reshape(images, (*pool, *data["images"].shape[1:])),
            ops.reshape(labels, (*pool, self.network.classes)),
        )

    def mixed(self, images: Tensor, labels: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the method makes of pools, or their batches alone in an epoch in which it is off."""
        if self.apply is Method.apply:
            return images, labels
        index: Tensor = ops.shape(batch["index"])
        made: Tensor = ops.cond(
            batch["active"],
            lambda: self.apply(images, labels, batch["method"]),
            lambda: (images[:, : index[2]], labels[:, : index[2]]),
        )
        return made

    def worst(self, state: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the copy of each example that has the largest loss at the current weights.

        The forward pass is in training mode over all copies; the state that it returns is discarded, so that the
        moving averages of batch norm depend on the selected copies only.

        Args:
            state: see `TrainingStep`.
            images: float32 (copies, batch, height, width, channels).
            labels: float32 (copies, batch, classes).

        Returns:
            images and labels with one copy.
        """
        shape: Tensor = ops.shape(labels)
        images, labels = self._divided(images), self._divided(labels)
        logits, _ = self.network.logits(state["weights"], state["moving"], images, training=True)
        chosen = worst_copies(cross_entropy(labels, logits), shape[0])
        worst_images: Tensor = ops.take(images, chosen, axis=0)
        worst_labels: Tensor = ops.take(labels, chosen, axis=0)
        return worst_images[None], worst_labels[None]

    def loss(
        self, weights: Tensor, moving: Tensor, images: Tensor, labels: Tensor, temperature: Tensor, on: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the loss that a step minimises, a scalar, and the network's state after the forward pass."""
        shape: Tensor = ops.shape(labels)
        logits, moved = self.network.logits(weights, moving, self._divided(images), training=True)
        losses: Tensor = ops.reshape(cross_entropy(self._divided(labels), logits), (shape[0], shape[1]))
        return reduce_losses(self.objective, losses, temperature, on), moved

    def update(
        self, state: Tensor, images: Tensor, labels: Tensor, constants: Tensor, on: Tensor, learning_rate: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the state after a gradient step on the given examples, and their loss."""
        value, moving, gradient = backend.value_and_gradient(
            lambda weights: self.loss(weights, state["moving"], images, labels, constants["temperature"], on),
            state["weights"],
        )
        done = state["step"] + 1
        rates = {**constants["rates"], "learning_rate": learning_rate, "step": done}
        weights, slots = self.optimizer.update(state["weights"], gradient, state["slots"], constants["decayed"], rates)
        return {"weights": weights, "slots": slots, "moving": moving, "step": done}, value

    def _divided(self, array: Tensor) -> Tensor:
        """Join the first two dimensions, (copies, batch), into one, and divide it among the devices."""
        return backend.divided(ops.reshape(array, (-1, *array.shape[2:])), self.devices)

    def _normalised(self, images: Tensor, draws: dict[str, Tensor], scale: Tensor, augmented: Tensor) -> Tensor:
        """Return normalised images, augmented if there is an augmentation and it is on."""
        if self.augmentation == NONE:
            return normalise(images, scale)
        return ops.cond(augmented, lambda: self._augmented(images, draws, scale), lambda: normalise(images, scale))

    def _augment(self, images: Tensor, draws: dict[str, Tensor], scale: Tensor) -> Tensor:
        return normalise(policy_apply(self.augmentation)(images, draws), scale)

    def _worst_if_on(self, state: Tensor, images: Tensor, labels: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        chosen: Tensor = ops.cond(on, lambda: self._worst(state, images, labels), lambda: (images[:1], labels[:1]))
        return chosen


def smooth_labels(labels: Tensor, classes: int, smoothing: Tensor) -> Tensor:
    """Return smoothed one-hot labels, float32 (n, classes).

    Args:
        labels: int32 (n,).
        classes: number of classes.
        smoothing: share of the label that is spread evenly over all classes.
    """
    one_hot = ops.one_hot(labels, classes, dtype="float32")
    return one_hot * (1 - smoothing) + smoothing / classes
