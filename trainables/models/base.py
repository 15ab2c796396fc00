"""Network settings: the base classes `Model` and `Architecture`, and the registry of networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field, model_validator

from trainables.errors import InputError
from trainables.registration.fields import Frozen, Range
from trainables.registration.registry import REFERENCE, Registry

if TYPE_CHECKING:
    import keras
    import numpy as np

T = TypeVar("T")
Tensor = Any
Shape = tuple[int, int, int]
Dropout = Annotated[
    float, Field(ge=0, lt=1, description="fraction of features that are dropped in training"), Range(0.0, 0.5)
]
Width = Annotated[float, Field(ge=1 / 16, le=16, description="factor on the published widths")]
Stem = Annotated[
    Literal["cifar", "imagenet"],
    Field(description="`cifar`: 3x3, stride 1, no pool; `imagenet`: a large stride and a pool, for large images"),
]
Preprocessing = Literal["standard", "unit", "signed", "network"]


class Models(Registry[T]):
    """The registered networks; a name with a colon is a reference to a user's builder."""

    def get(self, name: str) -> T:
        """Return the class of a network (see `Registry.get`).

        Examples:
            >>> import trainables.models
            >>> MODELS.get("resnet20").__name__, MODELS.get("my_package.networks:build").__name__
            ('ResNetV1', 'BuilderModel')
        """
        return super().get(REFERENCE if ":" in name else name)


MODELS: Models[type[Model]] = Models("model")


class Model(Frozen):
    """Base class of the settings of a network. Each field is a recipe factor of that name.

    L2 regularisation is not a field of a network but the optimizer's `weight_decay`, which in `sgd` is part of the
    gradient, like the gradient of an L2 penalty.

    `preprocessing` determines how pixel values from 0 to 255 are scaled: `standard` subtracts the mean and divides by
    the standard deviation of each channel over the development images; `unit` scales to [0, 1]; `signed` scales to
    [-1, 1]; `network` is the preprocessing of the published weights, if there are any.
    """

    about: ClassVar[str] = ""
    """A description of a few words, in which `{0.depth}` stands for the settings' `depth`."""
    paper: ClassVar[str] = ""
    own_means: ClassVar[tuple[float, ...]] = ()
    """Means that `preprocessing: network` subtracts from red, green and blue."""
    name: str
    preprocessing: Annotated[Preprocessing, Field(description="how pixel values are scaled")] = "standard"

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    @model_validator(mode="after")
    def _is_of_this_kind(self) -> Model:
        if self.name not in MODELS and ":" not in self.name:
            MODELS.get(self.name)
        if MODELS.get(self.name) is not type(self):
            raise ValueError(f"`{self.name}` is not a network of {type(self).__name__}")
        if self.preprocessing == "network" and not self.own_means:
            raise ValueError(f"model `{self.name}` has no `network` preprocessing; use standard, unit or signed")
        return self

    @property
    def summary(self) -> str:
        """A description of a few words."""
        return self.about.format(self)

    @property
    def smallest(self) -> int:
        """Smallest height and width in pixels."""
        return 1

    @property
    def dropout_rate(self) -> float | None:
        """Rate of all dropout layers, which may differ between runs of a network; None if each layer has its own."""
        return None

    def check(self, image_shape: Shape, classes: int) -> None:
        """Refuse images that do not fit the network, and other problems that can be found before a run starts.

        Args:
            image_shape: (height, width, channels).
            classes: number of classes.

        Raises:
            InputError: height or width is less than `smallest`, or the channels do not fit the preprocessing.
        """
        height, width, channels = image_shape
        if min(height, width) < self.smallest:
            raise InputError(
                f"model `{self.name}` needs images of at least {self.smallest} x {self.smallest} pixels, but they "
                f"are {height} x {width}; choose a model for smaller images or enlarge the images"
            )
        if self.preprocessing == "network" and channels != len(self.own_means):
            raise InputError(
                f"model `{self.name}`: `preprocessing: network` is for {len(self.own_means)} channels, but the images "
                f"have {channels}; use standard, unit or signed"
            )

    def scale(self, mean: np.ndarray, deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the values that are subtracted from the pixels of each channel, and those they are then divided by.

        Args:
            mean: float32 (channels,), mean of the development images.
            deviation: float32 (channels,), standard deviation of the development images.

        Returns:
            two arrays, float32 (channels,).

        Examples:
            >>> import numpy as np
            >>> import trainables.models
            >>> signed = MODELS.get("lenet")(name="lenet", preprocessing="signed")
            >>> signed.scale(np.float32([80]), np.float32([60]))
            (array([127.5], dtype=float32), array([127.5], dtype=float32))
        """
        import numpy as np

        if self.preprocessing == "network":
            return np.array(self.own_means, dtype="float32"), np.ones_like(deviation)
        middle, half = {"unit": (0.0, 255.0), "signed": (127.5, 127.5)}.get(self.preprocessing, (None, None))
        if middle is None or half is None:
            return mean, deviation
        return np.full_like(mean, middle), np.full_like(deviation, half)

    def structure(self) -> Model:
        """Return the settings that determine the network; runs with equal structures share compiled steps."""
        return self.model_copy(update={"preprocessing": "standard"})

    def build(self, image_shape: Shape, classes: int) -> keras.Model:
        """Return a new Keras model that maps float32 images, scaled as by `scale`, to logits.

        It consists of built-in Keras layers, so that the saved model loads without Assay.

        Args:
            image_shape: (height, width, channels).
            classes: number of classes.

        Raises:
            InputError: the images do not fit the network.
        """
        raise TypeError(f"{type(self).__name__} does not define `build`")

    def keeps(self, layer: str) -> bool:
        """Return whether a layer keeps the weights from `build`; otherwise they are drawn from the run's seed."""
        return False


class Architecture(Model):
    """Base class of the networks that Assay contains; subclasses define `logits`.

    Examples:
        >>> class Linear(Architecture):
        ...     def logits(self, image, classes):
        ...         from keras import layers
        ...
        ...         return layers.Dense(classes)(layers.Flatten()(image))

        `MODELS.register("linear")(Linear)` makes it available as `model: linear`.
    """

    dropout: Dropout = 0.0

    @property
    def dropout_rate(self) -> float | None:
        """Rate of all dropout layers (see `Model.dropout_rate`)."""
        return self.dropout

    def structure(self) -> Model:
        """Return the settings that determine the network; the dropout rate only matters in being zero or not."""
        return self.model_copy(update={"preprocessing": "standard", "dropout": 0.5 if self.dropout else 0.0})

    def build(self, image_shape: Shape, classes: int) -> keras.Model:
        """Return a new Keras model (see `Model.build`)."""
        import keras

        self.check(image_shape, classes)
        image = keras.Input(image_shape, name="image")
        return keras.Model(image, self.logits(image, classes), name=self.name)

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return logits, (n, classes), for symbolic images, (n, height, width, channels)."""
        raise TypeError(f"{type(self).__name__} does not define `logits`")
