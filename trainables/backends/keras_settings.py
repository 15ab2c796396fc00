"""Keras settings: refuses a `keras.json` or `KERAS_BACKEND` with which Keras or Assay cannot start; no Keras import."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from trainables.errors import InputError

BACKENDS = ("tensorflow", "jax")
_WITHOUT_HOME = Path("/tmp/.keras")  # as in Keras
_ALLOWED = {"floatx": ("float16", "float32", "float64"), "image_data_format": ("channels_last", "channels_first")}


def settings_path() -> Path:
    """Return the path of the file that Keras reads when it is imported."""
    named = os.environ.get("KERAS_HOME")
    try:
        folder = Path(named).expanduser() if named is not None else Path.home() / ".keras"
    except RuntimeError:  # there is no home
        folder = _WITHOUT_HOME
    if named is None and not os.access(folder.parent, os.W_OK):
        folder = _WITHOUT_HOME
    return folder / "keras.json"


def chosen_backend() -> str:
    """Return the name of the backend that trains in this environment."""
    return os.environ.get("KERAS_BACKEND") or BACKENDS[0]


def one_device(devices: float) -> str:
    """Return why a run cannot have as many devices with the chosen backend, and what to do about it, or nothing.

    Args:
        devices: how many it asks for; JAX takes any number.
    """
    if devices <= 1 or chosen_backend() != "tensorflow":
        return ""
    return (
        f"a run asks for {devices:g} GPUs, but TensorFlow trains a run on one. JAX divides it among several: install "
        "Assay with the extra `jax-cuda` and set KERAS_BACKEND=jax (on every node of a cluster), or set "
        "`resources.gpus` (with `assay train`: `--gpus`) to 1"
    )


def check_keras_settings() -> None:
    """Refuse settings with which the import of Keras fails, as it would in every run.

    Values that Keras accepts have no effect: Assay sets the backend, the type of numbers and the image format itself.

    Raises:
        InputError: `keras.json` cannot be read or has a value that Keras refuses, or `KERAS_BACKEND` names no backend
            that Assay can use.

    Examples:
        >>> import os
        >>> os.environ["KERAS_HOME"] = "/no/such/folder"
        >>> check_keras_settings()
        >>> del os.environ["KERAS_HOME"]
    """
    backend = chosen_backend()
    if backend not in BACKENDS:
        raise InputError(
            f"KERAS_BACKEND is {backend!r}; Assay trains with {' or '.join(BACKENDS)}. Set it to one, or unset it"
        )
    path = settings_path()
    remedy = f"correct the file {path}, or remove it: Keras then writes a new one"
    try:
        settings = json.loads(path.read_text("utf-8")) if path.exists() else {}
    except ValueError:
        return  # Keras ignores a file that is not JSON
    except (OSError, RecursionError) as error:
        raise InputError(f"Keras cannot read its settings, {error}; {remedy}") from None
    if not isinstance(settings, dict):
        raise InputError(f"Keras's settings are not a JSON object, but {str(settings)[:40]!r}; {remedy}")
    _check_values(settings, remedy)


def _check_values(settings: dict[str, Any], remedy: str) -> None:
    for name, allowed in _ALLOWED.items():
        if name in settings and settings[name] not in allowed:
            raise InputError(
                f"Keras's settings have `{name}: {settings[name]!r:.40}`, and only {', '.join(allowed)} are allowed; "
                f"{remedy}"
            )
    if not isinstance(settings.get("epsilon", 0.0), float):
        raise InputError(
            f"Keras's settings have `epsilon: {settings['epsilon']!r:.40}`, which is not a number with a decimal "
            f"point; {remedy}"
        )
