"""A user's own network: `model: package.module:function`, or a name from the entry point group `assay.models`.

    def build(image_shape: tuple[int, int, int], classes: int) -> keras.Model: ...

The function gives a functional or sequential model of layers that come with Keras, from float32 images
(height, width, channels) to logits. Weights are drawn anew from each run's seed by the layers' own initializers, so
those that the function loads are not kept. The module has to be installed or on PYTHONPATH, also where runs train.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trainables.errors import InputError
from trainables.models.base import MODELS, REFERENCE, Model, Shape
from trainables.registration.plugins import installed, load_reference

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)
GROUP = "assay.models"
REFERENCES: dict[str, str] = {}
"""Where the function of each entry point is, by name."""


@MODELS.register(REFERENCE)
class BuilderModel(Model):
    """A network that a function outside of Assay builds."""

    @property
    def reference(self) -> str:
        """Where the function is, as `package.module:function`."""
        return REFERENCES.get(self.name, self.name)

    @property
    def summary(self) -> str:
        """What it is, in a few words."""
        if self.name == REFERENCE:
            return "your own: a function of (image_shape, classes) that gives a Keras model"
        return f"from {self.reference}"

    def check(self, image_shape: Shape, classes: int) -> None:
        """Build the network once, and refuse what cannot be trained (see `Model.check`)."""
        super().check(image_shape, classes)
        from trainables.backends.selection import backend

        backend.configure(deterministic=False)
        from trainables.engine.network import network_of

        network_of(self.structure(), image_shape, classes)

    def build(self, image_shape: Shape, classes: int) -> keras.Model:
        """Return what the function gives (see `Model.build`).

        Raises:
            InputError: the function cannot be imported, raises, or gives something else than such a model.
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
        function = load_reference(self.reference, f"model `{self.name}`")
        if not callable(function):
            raise InputError(f"model `{self.name}`: a function is needed, but `{self.reference}` is {function!r}")
        return function


def refuse_unfit(name: str, model: Any, image_shape: Shape, classes: int) -> None:
    """Refuse a network that cannot be trained or saved.

    Raises:
        InputError: it is no functional or sequential Keras model of layers that come with Keras, has another input
            or output, or gives probabilities.
    """
    import keras

    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise InputError(
            f"model `{name}`: a functional or sequential Keras model with an input shape is needed, but the function "
            f"gave {type(model).__name__}"
        )
    if model.input_shape != (None, *image_shape) or model.output_shape != (None, classes):
        raise InputError(
            f"model `{name}`: it has to go from {(None, *image_shape)} to {(None, classes)}, but goes from "
            f"{model.input_shape} to {model.output_shape}"
        )
    for layer in layers_of(model):
        kind = type(layer)
        if not kind.__module__.startswith("keras.") or kind is keras.layers.Lambda:
            raise InputError(
                f"model `{name}`: layer `{layer.name}` ({kind.__name__}) does not come with Keras, or is a Lambda, so "
                "a saved model could not be opened elsewhere; use built-in layers and keras.ops"
            )
        wrong = [weight.dtype for weight in layer.trainable_weights if weight.dtype != "float32"]
        if wrong:
            raise InputError(f"model `{name}`: layer `{layer.name}` has {wrong[0]} weights; float32 is needed")
    if not model.trainable_variables:
        raise InputError(f"model `{name}`: it has no trainable weights")
    last = model.layers[-1]
    if isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax:
        raise InputError(
            f"model `{name}`: layer `{last.name}` gives probabilities, and logits are needed; leave the softmax out"
        )


def layers_of(layer: Any) -> list[Any]:
    """Return the innermost layers of a model."""
    inner = getattr(layer, "layers", None)
    return [layer] if inner is None else [innermost for each in inner for innermost in layers_of(each)]


def register_entry_points() -> None:
    """Register the networks that installed packages declare, without importing them."""
    for name, entry in installed(GROUP).items():
        if name in MODELS:
            log.warning("model `%s` of %s is left out: the name is taken", name, entry.value)
            continue
        REFERENCES[name] = entry.value
        MODELS.register(name)(BuilderModel)


register_entry_points()
