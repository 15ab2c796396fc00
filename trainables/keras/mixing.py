"""Mixup, CutMix and SamplePairing: training on mixtures of the images of a batch."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from trainables.errors import InputError
from trainables.keras.losses import loss_name
from trainables.keras.settings import TrainingLength, made_length, made_method
from trainables.keras.wrapper import Wrapper
from trainables.methods import Method

Tensor = Any


class MixingWrapper(Wrapper):
    """Base class of wrappers that mix images of a batch.

    Args:
        model: the model to train; `wrapper.model` afterwards.
        method: the mixing method.
        augment: layer that augments the images before they are mixed, or a policy for `Augment`; None for no
            augmentation, or for one that the data have had already.
        epochs, steps_per_epoch: length of the training, if the method is off in some of its epochs.
        seed: seed of partners and weights; by default a new one.
        keywords: `name`, `dtype` and `trainable`, as in all Keras models.
    """

    def __init__(
        self,
        model: keras.Model,
        method: Method,
        augment: Any = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        seed: int | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(model, method, augment, made_length(epochs, steps_per_epoch), seed, **keywords)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal wrapper (see `Wrapper.get_config`)."""
        length = self.training_length._asdict() if self.training_length else dict.fromkeys(TrainingLength._fields)
        own = self.method.model_dump(mode="json", exclude={"name", "partner"})
        return {**super().get_config(), **own, **length, "seed": self.seed}


class LabelMixing(MixingWrapper):
    """Base class of wrappers that also mix labels, which have to be one-hot."""

    def mixed(self, pool: Tensor, labels: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the mixtures, with float32 labels (see `Wrapper.mixed`)."""
        return super().mixed(pool, ops.cast(labels, "float32"), draws)

    def _check(self, images: Any, labels: Any) -> None:
        super()._check(images, labels)
        name = loss_name(self.loss)
        if "sparse" in name or len(labels.shape) != 2 or labels.shape[1] == 1:
            raise InputError(
                f"{type(self).__name__} mixes labels, so they have to be one-hot, (batch, classes), but got labels of "
                f"shape {tuple(labels.shape)} and the loss {name}; use `keras.utils.to_categorical`, or "
                "`label_mode='categorical'` of `image_dataset_from_directory`, and the loss `categorical_crossentropy`"
            )


@keras.saving.register_keras_serializable("assay")
class Mixup(LabelMixing):
    """mixup (Zhang et al. 2018, arXiv 1710.09412) around a Keras model, with partners from the batch.

    Args:
        model: the model to train; `wrapper.model` afterwards, which can be saved and used without Assay.
        alpha: parameter of Beta(alpha, alpha).
        share: `example`, one lambda per example, or `batch`, one per batch.
        images: images in each mixture, 2 to 4.
        off_last: final fraction of the epochs in which the method is off; needs `epochs` and `steps_per_epoch`.
        augment, epochs, steps_per_epoch, seed, keywords: see `MixingWrapper`.

    Raises:
        InputError: an argument is not valid.

    Examples:
        >>> network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
        >>> Mixup(network, alpha=0.4, off_last=0.2, epochs=20, steps_per_epoch=100).method.active(17, 20)
        False
    """

    def __init__(
        self,
        model: keras.Model,
        alpha: float = 0.2,
        share: str = "example",
        images: int = 2,
        off_last: float = 0.0,
        augment: Any = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        seed: int | None = None,
        **keywords: Any,
    ) -> None:
        method = made_method("mixup", alpha=alpha, share=share, images=images, off_last=off_last)
        super().__init__(model, method, augment, epochs, steps_per_epoch, seed, **keywords)


@keras.saving.register_keras_serializable("assay")
class CutMix(LabelMixing):
    """CutMix (Yun et al. 2019, arXiv 1905.04899) around a Keras model, with partners from the batch.

    Args:
        model: the model to train; `wrapper.model` afterwards, which can be saved and used without Assay.
        alpha: parameter of Beta(alpha, alpha), the area that is kept.
        share: `example`, one box per example, or `batch`, one per batch.
        off_last: final fraction of the epochs in which the method is off; needs `epochs` and `steps_per_epoch`.
        augment, epochs, steps_per_epoch, seed, keywords: see `MixingWrapper`.

    Raises:
        InputError: an argument is not valid.
    """

    def __init__(
        self,
        model: keras.Model,
        alpha: float = 1.0,
        share: str = "example",
        off_last: float = 0.0,
        augment: Any = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        seed: int | None = None,
        **keywords: Any,
    ) -> None:
        method = made_method("cutmix", alpha=alpha, share=share, off_last=off_last)
        super().__init__(model, method, augment, epochs, steps_per_epoch, seed, **keywords)


@keras.saving.register_keras_serializable("assay")
class SamplePairing(MixingWrapper):
    """SamplePairing (Inoue 2018, arXiv 1801.02929) around a Keras model: averages of two images of the batch.

    The label is that of the first image, so that labels of any kind will do. The method is off before `start` and from
    `end` on; in between it is on for `on_epochs` epochs and off for `off_epochs`, by the number of steps done.

    Args:
        model: the model to train; `wrapper.model` afterwards, which can be saved and used without Assay.
        epochs: length of the training in epochs.
        steps_per_epoch: steps of an epoch, such as `len(train_data)`.
        start, end, on_epochs, off_epochs: the cycle, in epochs or as fractions of the training
            (see `trainables.methods.sample_pairing`).
        augment, seed, keywords: see `MixingWrapper`.

    Raises:
        InputError: an argument is not valid, or the method would be on for less than a quarter of the epochs.
    """

    def __init__(
        self,
        model: keras.Model,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        start: float = 0.1,
        end: float = 0.9,
        on_epochs: float = 8,
        off_epochs: float = 2,
        augment: Any = None,
        seed: int | None = None,
        **keywords: Any,
    ) -> None:
        method = made_method("sample_pairing", start=start, end=end, on_epochs=on_epochs, off_epochs=off_epochs)
        super().__init__(model, method, augment, epochs, steps_per_epoch, seed, **keywords)

    def mixed(self, pool: Tensor, labels: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the averages of the images, and the labels unchanged (see `Wrapper.mixed`)."""
        shape: Tensor = ops.shape(pool)
        return super().mixed(pool, ops.zeros((shape[0], shape[1], 1)), draws)[0], labels
