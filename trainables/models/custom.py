"""User-defined networks: `model: package.module:function`, or a name from the entry point group `assay.models`.

    def build(image_shape: tuple[int, int, int], classes: int) -> keras.Model: ...

The function returns a functional or sequential model of built-in Keras layers, from float32 images (height, width,
channels) to logits. Each run draws the weights from its seed with the layers' own initializers, so weights that the
function loads are not kept. The module must be on PYTHONPATH, also where runs train, and the user must allow its code
(see `trainables.registration.plugins`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trainables.errors import InputError
from trainables.models.base import MODELS, REFERENCE, Model, Shape
from trainables.models.variables import layers_of, random_variables
from trainables.registration.plugins import installed, load_installed, load_reference

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)
GROUP = "assay.models"
REFERENCES: dict[str, str] = {}
"""References to the functions of entry points, by name."""


@MODELS.register(REFERENCE)
class BuilderModel(Model):
    """A network that a user's function builds."""

    @property
    def reference(self) -> str:
        """The function, as `package.module:function`."""
        return REFERENCES.get(self.name, self.name)

    @property
    def summary(self) -> str:
        """A description of a few words."""
        if self.name == REFERENCE:
            return "your own: a function of (image_shape, classes) that returns a Keras model"
        return f"from {self.reference}"

    def check(self, image_shape: Shape, classes: int) -> None:
        """Build the network once and refuse it if it cannot be trained (see `Model.check`)."""
        super().check(image_shape, classes)
        from trainables.backends.selection import backend

        backend.configure(deterministic=False)
        model = self.build(image_shape, classes)
        list(random_variables(model, self))  # raises if a weight cannot be drawn
        backend.accelerated(model, "float32", xla=False)

    def build(self, image_shape: Shape, classes: int) -> keras.Model:
        """Return the model that the function returns (see `Model.build`).

        Raises:
            InputError: the function cannot be imported, raises, or returns a model that cannot be trained.
        """
        function = self._function()
        try:
            model = function(image_shape, classes)
        except Exception as error:
            raise InputError(
                f"model `{self.name}`: the function failed for images {image_shape} and {classes} classes: "
                f"{type(error).__name__}: {error}"
            ) from error
        refuse_unfit(self.name, model, image_shape, classes)
        return model

    def _function(self) -> Callable[[Shape, int], Any]:
        if self.name in REFERENCES:
            function = load_installed(GROUP, self.name)
        else:
            function = load_reference(self.name, f"model `{self.name}`")
        if not callable(function):
            raise InputError(f"model `{self.name}`: a function is needed, but `{self.reference}` is {function!r}")
        return function


def refuse_unfit(name: str, model: Any, image_shape: Shape, classes: int) -> None:
    """Refuse a model that cannot be trained or saved.

    Raises:
        InputError: it is not a functional or sequential Keras model of built-in layers, has other inputs or outputs,
            or returns probabilities.
    """
    import keras

    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise InputError(
            f"model `{name}`: the function must return a functional or sequential Keras model with an input shape, but "
            f"returned {type(model).__name__}"
        )
    if model.input_shape != (None, *image_shape) or model.output_shape != (None, classes):
        raise InputError(
            f"model `{name}` must map {(None, *image_shape)} to {(None, classes)}, but maps {model.input_shape} to "
            f"{model.output_shape}"
        )
    for layer in layers_of(model):
        kind = type(layer)
        if not kind.__module__.startswith("keras.") or kind is keras.layers.Lambda:
            raise InputError(
                f"model `{name}`: layer `{layer.name}` ({kind.__name__}) is not a built-in Keras layer, or is a "
                "Lambda, so a saved model could not be loaded elsewhere; use built-in layers and keras.ops"
            )
        wrong = [weight.dtype for weight in layer.trainable_weights if weight.dtype != "float32"]
        if wrong:
            raise InputError(f"model `{name}`: layer `{layer.name}` has {wrong[0]} weights; they must be float32")
    if not model.trainable_variables:
        raise InputError(f"model `{name}` has no trainable weights")
    last = model.layers[-1]
    if isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax:
        raise InputError(
            f"model `{name}`: layer `{last.name}` returns probabilities, but logits are needed; remove the softmax"
        )


def register_entry_points() -> None:
    """Register the networks that installed packages declare, without importing them."""
    for name, entry in installed(GROUP).items():
        if name in MODELS:
            log.warning("model `%s` of %s is ignored: the name is taken", name, entry.value)
            continue
        REFERENCES[name] = entry.value
        MODELS.register(name)(BuilderModel)


register_entry_points()
