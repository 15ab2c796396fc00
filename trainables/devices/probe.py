"""Probe: tries the backend in a separate process, `python -m trainables.devices.probe`.

Prints one line of JSON when a stage begins and one when it ends, so that the reader knows where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

BEGIN, STAGE, VALUE, ERROR = "begin", "stage", "value", "error"
"""Keys of the lines."""
LOAD, DEVICES, XLA, MIXED = "load", "devices", "xla", "mixed"
"""Stages: import of the backend, its devices, a product compiled by XLA, a convolution in mixed precision."""
CUDA_PACKAGES = ("nvidia-cudnn-cu12", "jax-cuda12-plugin")
"""Packages whose absence means that the extra `cuda`, or `jax-cuda`, is not installed."""


def main() -> None:
    """Try every stage; all but the first may fail."""
    if not _try(LOAD, _load):
        return
    for stage, attempt in ((DEVICES, _devices), (XLA, _xla), (MIXED, _mixed)):
        _try(stage, attempt)


def _try(stage: str, attempt: Callable[[], Any]) -> bool:
    _say({BEGIN: stage})
    try:
        _say({STAGE: stage, VALUE: attempt()})
    except Exception as error:  # whatever it is, it is the answer
        _say({STAGE: stage, ERROR: f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"})
        return False
    return True


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def _load() -> dict[str, Any]:
    from trainables.backends.selection import backend

    backend.configure(deterministic=False)
    import keras

    name = keras.backend.backend()
    return {"framework": name, "version": version(name), "packages": [*filter(_installed, CUDA_PACKAGES)]}


def _installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _devices() -> list[dict[str, Any]]:
    from trainables.backends.selection import backend

    return [asdict(device) for device in backend.devices()]


def _xla() -> bool:
    """Multiply two matrices, compiled by XLA, on the first device."""
    import keras
    import numpy as np

    from trainables.backends.selection import backend

    values = np.arange(16, dtype="float32").reshape(4, 4)
    product = backend.jitted(lambda x: keras.ops.matmul(x, x), True)
    found = np.asarray(keras.ops.convert_to_numpy(product(values)), "float32")
    if not np.allclose(found, values @ values, rtol=1e-2):
        raise ArithmeticError("a product of two matrices is wrong")
    return True


def _mixed() -> bool:
    """Apply a convolution in bfloat16 on the first device, which on a GPU loads cuDNN."""
    import keras
    import numpy as np

    from trainables.backends.selection import backend

    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, kernel_initializer="ones")])
    outputs = backend.accelerated(network, "mixed", False)(np.ones((2, 8, 8, 3), "float32"))
    found = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32")), "float32")
    if not np.allclose(found, 27, rtol=2e-2):
        raise ArithmeticError("a convolution is wrong")
    return True


if __name__ == "__main__":
    main()
