"""Reference objective: MaxUp's maximum with all copies in the backward pass."""

from __future__ import annotations

from typing import Any

from keras import ops


def plain_max(losses: Any, temperature: Any = None) -> Any:
    """Return the mean over examples of the largest loss of their copies.

    It has the same gradient as training on the worst copies alone, where examples do not act on each other in the
    network, at more cost.

    Args:
        losses: float32 (copies, batch).
        temperature: not used.
    """
    return ops.mean(ops.max(losses, axis=0))
