"""Networks of keras.applications, with or without their ImageNet weights."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainables.errors import InputError
from trainables.models.base import MODELS, Architecture, Shape
from trainables.models.blocks import average, classify, flatten

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

Tensor = Any
NETWORKS = {
    "keras_resnet50": "ResNet50",
    "keras_resnet101": "ResNet101",
    "keras_resnet152": "ResNet152",
    "keras_vgg16": "VGG16",
    "keras_vgg19": "VGG19",
}
"""Names in keras.applications. All were trained on BGR images minus the mean of each channel."""
WEIGHTS = "imagenet"
"""The `weights` argument of keras.applications: a name, or the path of a weights file."""
OWN_LAYERS = ("dropout", "logits")
"""Layers that pretrained networks do not have; their weights are drawn from the run's seed."""


class Application(Architecture):
    """A network of keras.applications without its top, followed by `head` and a dense layer.

    `pretrained: imagenet` starts from Keras's weights, which Keras downloads once into its cache. Only the last layer
    is then drawn from the run's seed; all layers are trained. Images stay in the order red, green, blue: the channels
    of the first pretrained kernel are reversed instead. Pretrained weights expect `preprocessing: network`; another
    preprocessing is allowed, with a warning.
    """

    own_means: ClassVar[tuple[float, ...]] = (123.68, 116.779, 103.939)
    pretrained: Annotated[Literal["none", "imagenet"], Field(description="initial weights")] = "none"
    head: Annotated[Literal["pool", "flatten"], Field(description="how feature maps become features")] = "pool"

    @property
    def summary(self) -> str:
        """A description of a few words."""
        return f"keras.applications.{NETWORKS[self.name]}, with `pretrained: none` or `imagenet`"

    @property
    def smallest(self) -> int:
        """Smallest height and width in pixels."""
        return 32

    def check(self, image_shape: Shape, classes: int) -> None:
        """Refuse images that do not fit, and weights that cannot be loaded (see `Model.check`)."""
        super().check(image_shape, classes)
        if self.pretrained == "none":
            return
        if image_shape[2] != len(self.own_means):
            raise InputError(
                f"model `{self.name}`: ImageNet weights are for 3 channels, but these images have {image_shape[2]}; "
                "use `pretrained: none`, or colour images"
            )
        if self.preprocessing != "network":
            log.warning(
                "model `%s` starts from ImageNet weights with `preprocessing: %s`; they were trained with "
                "`preprocessing: network`",
                self.name,
                self.preprocessing,
            )
        _require_weights(self.name)

    def keeps(self, layer: str) -> bool:
        """Return whether a layer keeps its pretrained weights."""
        return self.pretrained != "none" and layer not in OWN_LAYERS

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return the logits (see `Architecture.logits`)."""
        weights = None if self.pretrained == "none" else WEIGHTS
        inner = _without_top(self.name, weights, input_tensor=image)
        if weights:
            _reverse_first_kernel(inner)
        maps: Any = inner.output
        return classify(average(maps) if self.head == "pool" else flatten(maps), classes, self.dropout)


def _without_top(name: str, weights: str | None, **given: Any) -> keras.Model:
    """Return a network of keras.applications without its top.

    Raises:
        InputError: its weights cannot be loaded or downloaded.
    """
    import keras

    try:
        return getattr(keras.applications, NETWORKS[name])(include_top=False, weights=weights, **given)
    except Exception as error:  # Keras raises bare exceptions if a download fails
        if weights is None:
            raise
        raise InputError(
            f"model `{name}`: its ImageNet weights cannot be loaded ({str(error).splitlines()[0]}). Download them on a "
            f"machine with internet access, with `keras.applications.{NETWORKS[name]}(include_top=False)`, and copy "
            "the folder `models` of Keras's cache (KERAS_HOME, by default ~/.keras) to this machine; or use "
            "`pretrained: none`."
        ) from None


def _require_weights(name: str) -> None:
    """Load the pretrained weights once per process, before any run starts."""
    if (name, WEIGHTS) in _found:
        return
    from trainables.backends.selection import backend

    backend.configure(deterministic=False)
    _without_top(name, WEIGHTS, input_shape=(32, 32, 3))
    _found.add((name, WEIGHTS))


_found: set[tuple[str, str]] = set()


def _reverse_first_kernel(model: keras.Model) -> None:
    """Reverse the input channels of the first convolution, so that it expects red, green, blue."""
    first = next(layer for layer in model.layers if layer.weights)
    kernel, *rest = first.get_weights()
    first.set_weights([kernel[:, :, ::-1], *rest])


for _name in NETWORKS:
    MODELS.register(_name)(Application)
