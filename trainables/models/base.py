"""What a network is: settings that a study may vary, and how they become a Keras model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field, model_validator

from trainables.errors import InputError
from trainables.registration.fields import Frozen, Range
from trainables.registration.registry import Registry

if TYPE_CHECKING:
    import keras
    import numpy as np

T = TypeVar("T")
Tensor = Any
Shape = tuple[int, int, int]
Dropout = Annotated[float, Field(ge=0, lt=1, description="share of features left out in training"), Range(0.0, 0.5)]
Width = Annotated[float, Field(ge=1 / 16, le=16, description="what the published widths are multiplied by")]
Stem = Annotated[
    Literal["cifar", "imagenet"],
    Field(description="`cifar`: 3x3, stride 1, no pool; `imagenet`: a large stride and a pool, for large images"),
]
Preprocessing = Literal["standard", "unit", "signed", "network"]
REFERENCE = "module:function"
"""The registered name of what stands for every builder of a user's own."""


class Models(Registry[T]):
    """The registered networks; a name with a colon is a user's own builder."""

    def get(self, name: str) -> T:
        """Return the class of a network (see `Registry.get`)."""
        return super().get(REFERENCE if ":" in name else name)


MODELS: Models[type[Model]] = Models("model")


class Model(Frozen):
    """A network's settings. Every field is a recipe factor of that name.

    L2 regularisation is no field here: it is the optimizer's `weight_decay`, which with `sgd` is part of the
    gradient, as the gradient of an L2 penalty is.

    `preprocessing` says what the network gets for the pixel values 0 to 255: `standard` subtracts mean and
    divides by standard deviation of each channel over the development images; `unit` gives 0 to 1; `signed`
    gives -1 to 1; `network` what the published weights were trained on, where there are any.
    """

    paper: ClassVar[str] = ""
    own_means: ClassVar[tuple[float, ...]] = ()
    """What `preprocessing: network` subtracts from red, green and blue."""
    name: str
    preprocessing: Annotated[Preprocessing, Field(description="what becomes of pixel values")] = "standard"

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    @model_validator(mode="after")
    def _is_of_this_kind(self) -> Model:
        if self.name not in MODELS and ":" not in self.name:
            MODELS.get(self.name)
        if MODELS.get(self.name) is not type(self):
            raise ValueError(f"`{self.name}` is not among the networks of {type(self).__name__}")
        if self.preprocessing == "network" and not self.own_means:
            raise ValueError(f"model `{self.name}` has no preprocessing of its own; use standard, unit or signed")
        return self

    @property
    def summary(self) -> str:
        """What it is, in a few words."""
        return ""

    @property
    def smallest(self) -> int:
        """Smallest height and width in pixels."""
        return 1

    @property
    def dropout_rate(self) -> float | None:
        """The rate of all dropout layers, which may differ between runs of one network; None if it is built in."""
        return None

    def check(self, image_shape: Shape, classes: int) -> None:
        """Refuse images that do not fit, and whatever else can be known before a run starts.

        Args:
            image_shape: (height, width, channels).
            classes: number of classes.

        Raises:
            InputError: height or width is below `smallest`, or the channels do not fit the preprocessing.
        """
        height, width, channels = image_shape
        if min(height, width) < self.smallest:
            raise InputError(
                f"model `{self.name}` needs images of at least {self.smallest} x {self.smallest} pixels, but they "
                f"are {height} x {width}; choose a model for smaller images or enlarge them"
            )
        if self.preprocessing == "network" and channels != len(self.own_means):
            raise InputError(
                f"model `{self.name}`: `preprocessing: network` is for {len(self.own_means)} channels, but the images "
                f"have {channels}; use standard, unit or signed"
            )

    def scale(self, mean: np.ndarray, deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is subtracted from pixel values and what they are then divided by.

        Args:
            mean: float32 (channels,), of the development images.
            deviation: float32 (channels,), of the same.

        Returns:
            two float32 (channels,).
        """
        import numpy as np

        if self.preprocessing == "network":
            return np.array(self.own_means, dtype="float32"), np.ones_like(deviation)
        middle, half = {"unit": (0.0, 255.0), "signed": (127.5, 127.5)}.get(self.preprocessing, (None, None))
        if middle is None or half is None:
            return mean, deviation
        return np.full_like(mean, middle), np.full_like(deviation, half)

    def structure(self) -> Model:
        """Return the settings that the network is built from: those that differ share no compiled step."""
        return self.model_copy(update={"preprocessing": "standard"})

    def build(self, image_shape: Shape, classes: int) -> keras.Model:
        """Return a new Keras model that takes float32 images (see `scale`) and gives logits.

        It is made of layers that come with Keras, so that the saved model opens without Assay.

        Args:
            image_shape: (height, width, channels).
            classes: number of classes.

        Raises:
            InputError: the images do not fit.
        """
        raise TypeError(f"{type(self).__name__} does not say how to build")

    def keeps(self, layer: str) -> bool:
        """Return whether a layer keeps the weights that `build` gave it; else they are drawn from the run's seed."""
        return False


class Architecture(Model):
    """A network that Assay brings: subclasses say what stands between image and logits."""

    dropout: Dropout = 0.0

    @property
    def dropout_rate(self) -> float | None:
        """See `Model.dropout_rate`."""
        return self.dropout

    def structure(self) -> Model:
        """Return the settings that the network is built from; of the dropout only whether there is any."""
        return self.model_copy(update={"preprocessing": "standard", "dropout": 0.5 if self.dropout else 0.0})

    def build(self, image_shape: Shape, classes: int) -> keras.Model:
        """Return a new Keras model (see `Model.build`)."""
        import keras

        self.check(image_shape, classes)
        image = keras.Input(image_shape, name="image")
        return keras.Model(image, self.logits(image, classes), name=self.name)

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return the logits, (n, classes), of a symbolic image (n, height, width, channels)."""
        raise TypeError(f"{type(self).__name__} does not say how to build")
