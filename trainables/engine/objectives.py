"""Losses and objectives: cross-entropy per example, and how the losses of all examples and copies become one scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

Tensor = Any


def cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Return the cross-entropy of each example, float32 (n,), in nats.

    Args:
        labels: float32 (n, classes), probabilities.
        logits: float32 (n, classes).
    """
    return ops.categorical_crossentropy(labels, logits, from_logits=True)


def worst_copies(losses: Tensor, copies: Tensor) -> Tensor:
    """Return the position of each example's largest loss, int32 (batch,).

    Args:
        losses: float32 (copies x batch,), copy by copy.
        copies: number of copies.
    """
    by_copy: Tensor = ops.reshape(losses, (copies, -1))
    shape: Tensor = ops.shape(by_copy)
    return ops.cast(ops.argmax(by_copy, axis=0), "int32") * shape[1] + ops.arange(shape[1], dtype="int32")


def reduce_losses(objective: str, losses: Tensor, temperature: Tensor, on: Tensor) -> Tensor:
    """Return the training loss, a scalar.

    Args:
        objective: the kind of a `trainables.methods.base.Objective`; for `max` the worst copies have been selected
            before, so that it is a mean here.
        losses: float32 (copies, batch).
        temperature: temperature of `softmax`, in nats.
        on: bool; if False, the result is the mean.
    """
    if objective in {"mean", "max"}:
        return ops.mean(losses)
    reduction = REDUCTIONS[objective]
    return ops.cond(on, lambda: reduction(losses, temperature), lambda: ops.mean(losses))


def softmax_over_copies(losses: Tensor, temperature: Tensor) -> Tensor:
    """Return the mean over examples of the losses of their copies, weighted by softmax(loss / temperature)."""
    return ops.mean(ops.sum(copy_weights(losses, temperature) * losses, axis=0))


def copy_weights(losses: Tensor, temperature: Tensor) -> Tensor:
    """Return softmax(loss / temperature) over the copies of each example, without gradient.

    Args:
        losses: float32 (copies, batch).
        temperature: in nats.
    """
    powers: Tensor = ops.exp((losses - ops.max(losses, axis=0, keepdims=True)) / temperature)
    return ops.stop_gradient(powers / ops.sum(powers, axis=0, keepdims=True))


def batch_max(losses: Tensor, temperature: Tensor) -> Tensor:
    """Return the largest loss of the batch."""
    return ops.max(losses)


REDUCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"softmax": softmax_over_copies, "batch_max": batch_max}
"""Functions of (losses, temperature) by kind of objective, for the kinds that are not a mean."""
