"""Data sets that Keras downloads: MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100."""

from __future__ import annotations

import importlib
import os
from typing import Any, ClassVar, Literal

from trainables.data.arrays import KEYS, dataset_of
from trainables.data.base import SOURCES, Dataset
from trainables.data.resizing import ResizableSource
from trainables.errors import InputError

DIGITS = tuple(str(digit) for digit in range(10))
CLOTHES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


class _Downloaded(ResizableSource):
    """A data set of `keras.datasets`, from Keras's cache (`KERAS_HOME`, by default ~/.keras) or downloaded."""

    class_names: ClassVar[tuple[str, ...]]

    @property
    def module(self) -> str:
        """The module's name in `keras.datasets`."""
        return str(type(self).model_fields["source"].default)

    def load(self) -> Dataset:
        """Return the images (see `Source.load`)."""
        import numpy as np

        train, test = _load(self.module)
        arrays = {key: np.asarray(array) for key, array in zip(KEYS, (*train, *test), strict=True)}
        where = f"data source `{self.module}`, in Keras's cache ({_cache()})"
        return self.at_size(dataset_of({**arrays, "class_names": np.array(self.class_names)}, where))


def _load(name: str) -> Any:
    """Return images and labels for training, and those of the test, as pairs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    importlib.import_module("keras.config").set_image_data_format("channels_last")  # regardless of keras.json
    module = importlib.import_module(f"keras.datasets.{name}")
    try:
        return module.load_data()
    except Exception as error:  # Keras raises a bare Exception if a download fails
        raise InputError(
            f"data source `{name}` is not in Keras's cache ({_cache()}) and cannot be downloaded: {error}. Copy the "
            "file there from another machine, or use the images with `source: npz` or `source: directory`"
        ) from None


def _cache() -> str:
    return os.environ.get("KERAS_HOME", "~/.keras") + "/datasets"


@SOURCES.register("mnist")
class Mnist(_Downloaded):
    """60 000 + 10 000 handwritten digits, 28 x 28, grey."""

    summary: ClassVar[str] = "60 000 + 10 000 handwritten digits, 28 x 28, grey, downloaded by Keras"
    class_names: ClassVar[tuple[str, ...]] = DIGITS
    source: Literal["mnist"] = "mnist"
    mirror_keeps_class: bool = False


@SOURCES.register("fashion_mnist")
class FashionMnist(_Downloaded):
    """60 000 + 10 000 pieces of clothing, 28 x 28, grey."""

    summary: ClassVar[str] = "60 000 + 10 000 pieces of clothing, 28 x 28, grey, downloaded by Keras"
    class_names: ClassVar[tuple[str, ...]] = CLOTHES
    source: Literal["fashion_mnist"] = "fashion_mnist"


@SOURCES.register("cifar10")
class Cifar10(_Downloaded):
    """50 000 + 10 000 photographs in ten classes, 32 x 32, colour."""

    summary: ClassVar[str] = "50 000 + 10 000 photographs in 10 classes, 32 x 32, colour, downloaded by Keras"
    class_names: ClassVar[tuple[str, ...]] = CIFAR10
    source: Literal["cifar10"] = "cifar10"


@SOURCES.register("cifar100")
class Cifar100(_Downloaded):
    """50 000 + 10 000 photographs in a hundred classes, 32 x 32, colour."""

    summary: ClassVar[str] = "50 000 + 10 000 photographs in 100 classes, 32 x 32, colour, downloaded by Keras"
    class_names: ClassVar[tuple[str, ...]] = CIFAR100
    source: Literal["cifar100"] = "cifar100"
