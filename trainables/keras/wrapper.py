"""Base class of the wrappers: a method's training step inside Keras's own `fit`, on any backend.

Keras's training step calls the model, then its loss and its metrics. A wrapper's step first puts the labels next to the
images, so that the call may choose or mix examples, and returns them with the predictions. All of it happens in `call`,
`compute_loss` and `compute_metrics`, which TensorFlow and JAX share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras import ops

from trainables.engine.objectives import copy_weights, worst_copies
from trainables.errors import InputError
from trainables.keras.augment import Augment
from trainables.keras.draws import ROWS, DrawTable, seed_or_new
from trainables.keras.losses import example_losses
from trainables.keras.settings import TrainingLength, active_epochs
from trainables.methods import Method, Mixing
from trainables.randomness import stream

Tensor = Any
IMAGES, LABELS, PREDICTIONS, WEIGHTS = (f"assay_{name}" for name in ("images", "labels", "predictions", "weights"))


class Wrapper(keras.Model):
    """A model that trains another one by a method; evaluation and prediction are those of the other.

    Args:
        model: the model to train; `wrapper.model` afterwards.
        method: the method.
        augment: layer that augments every copy of an image, or a policy for `Augment`; None for no augmentation.
        training_length: length of the training, needed by methods that are off in some epochs.
        seed: seed of the method's random numbers; by default a new one.
        keywords: `name`, `dtype` and `trainable`, as in all Keras models.

    Raises:
        InputError: `model` is not a Keras model, or the method needs a training length or is hardly ever on.
    """

    def __init__(
        self,
        model: keras.Model,
        method: Method,
        augment: Any = None,
        training_length: TrainingLength | None = None,
        seed: int | None = None,
        **keywords: Any,
    ) -> None:
        if not isinstance(model, keras.Model):
            raise InputError(f"{type(self).__name__} wraps a keras.Model, but got {model!r}")
        if inner := next((each for each in _models_of(model) if isinstance(each, Wrapper)), None):
            raise InputError(
                f"{type(self).__name__} cannot wrap a {type(inner).__name__}, whose method would not be applied: a "
                "wrapper acts in the training step of `fit` only. Wrap the plain model with one method"
            )
        super().__init__(autocast=False, **keywords)
        self.model = model
        self.method = method
        self.augment = augment if augment is None or isinstance(augment, keras.layers.Layer) else Augment(augment)
        self.training_length = training_length
        self.seed = seed_or_new(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.steps = self.add_weight(name="steps", shape=(), dtype="int", initializer="zeros", trainable=False)
        self._active_epochs = active_epochs(method, training_length)
        draws = method.drawing.draw(stream(self.seed, "method"), ROWS, 1, active=True)
        self._partners = draws.pop("partner").shape[1] if "partner" in draws else 0
        self._table = DrawTable(draws)

    def build(self, input_shape: Any) -> None:
        """Build the model and the augmentation for images of a shape."""
        shape = input_shape[IMAGES] if isinstance(input_shape, Mapping) else input_shape
        for part in (self.model, self.augment):
            if part is not None and not part.built:
                part.build(shape)
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return the model's predictions; in a training step, a dictionary with the labels that belong to them."""
        if isinstance(inputs, Mapping) and IMAGES in inputs:
            return self._train(inputs[IMAGES], inputs[LABELS])
        return self.model(inputs, training=training)

    def train_step(self, *arguments: Any, **keywords: Any) -> Any:
        """Perform a step of the backend's own trainer, with the labels next to the images."""
        *state, data = arguments
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        self._check(images, labels)
        packed = keras.utils.pack_x_y_sample_weight({IMAGES: images, LABELS: labels}, labels, weights)
        return super().train_step(*state, packed, **keywords)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Return the compiled loss, in a training step of the examples that it chose or made."""
        y, predictions, sample_weight = self._unpacked(y, y_pred, sample_weight)
        if predictions is not y_pred and WEIGHTS in y_pred:
            sample_weight = _product(y_pred[WEIGHTS], sample_weight)
        return super().compute_loss(x, y, predictions, sample_weight, training)

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> Any:
        """Return the compiled metrics, in a training step of the examples that it chose or made."""
        y, predictions, sample_weight = self._unpacked(y, y_pred, sample_weight)
        return super().compute_metrics(x, y, predictions, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal wrapper around an equal model."""
        serialize = keras.saving.serialize_keras_object
        return {**super().get_config(), "model": serialize(self.model), "augment": serialize(self.augment)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Wrapper:
        """Return the wrapper of a configuration that `get_config` returned."""
        read = keras.saving.deserialize_keras_object
        parts = {name: read(config[name], custom_objects) for name in ("model", "augment")}
        return cls(**{**config, **parts})

    def draw(self, batch: Any) -> dict[str, Tensor]:
        """Draw the method's random numbers for all copies of a batch (see `Method.draw`): arrays (copies, batch, ...).

        Args:
            batch: images in the batch, an integer or a scalar tensor.
        """
        copies, one = self.method.copies, getattr(self.method.drawing, "share", "example") == "batch"
        draws = self._table.pick((copies, 1 if one else batch), self.seed_generator)
        if one:
            draws = {name: ops.repeat(value, batch, axis=1) for name, value in draws.items()}
        if self._partners:
            order = keras.random.uniform((copies, self._partners, batch), seed=self.seed_generator)
            permutations: Tensor = ops.argsort(order, axis=2)
            draws["partner"] = ops.cast(ops.transpose(permutations, (0, 2, 1)), "int32")
        return draws

    def pool(self, images: Tensor) -> Tensor:
        """Return the augmented copies of each image, (copies, batch, height, width, channels)."""
        repeated: Tensor = ops.tile(images, (self.method.copies, 1, 1, 1)) if self.method.copies > 1 else images
        if self.augment is not None:
            if not isinstance(self.augment, Augment):
                repeated = ops.cast(repeated, "float32")  # Keras's layers do not all take uint8
            repeated = self.augment(repeated, training=True)
        return ops.reshape(repeated, (self.method.copies, -1, *repeated.shape[1:]))

    def mixed(self, pool: Tensor, labels: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return what the method makes of images and labels, a pure function (see `Method.apply`)."""
        return self.method.drawing.apply(pool, labels, draws)

    def active(self) -> Tensor:
        """Return whether the method is on in the current step, a bool."""
        if self._active_epochs is None or self.training_length is None:
            return ops.convert_to_tensor(True)
        epoch = ops.minimum(self.steps // self.training_length.steps_per_epoch, self.training_length.epochs - 1)
        return ops.take(self._active_epochs, epoch)

    def _train(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return predictions and labels of the examples that a step trains on."""
        copies, objective = self.method.copies, self.method.objective
        pool, labels = self.pool(images), _repeated(labels, copies)
        if isinstance(self.method.drawing, Mixing):
            pool, labels = self._mixed_if_on(pool, labels)
        self.steps.assign_add(1)
        pool, labels = _flat(pool), _flat(labels)
        if objective.kind == "max" and copies > 1:
            chosen = worst_copies(example_losses(self.loss, labels, self._candidates(pool)), copies)
            pool, labels = ops.take(pool, chosen, axis=0), ops.take(labels, chosen, axis=0)
        made = {PREDICTIONS: self.model(pool, training=True), LABELS: labels}
        if objective.kind == "softmax" and copies > 1:
            losses = ops.reshape(example_losses(self.loss, labels, made[PREDICTIONS]), (copies, -1))
            made[WEIGHTS] = ops.reshape(copy_weights(losses, objective.temperature) * copies, (-1,))
        return made

    def _mixed_if_on(self, pool: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        shape: Tensor = ops.shape(pool)
        draws, pool = self.draw(shape[1]), ops.cast(pool, "float32")
        if self._active_epochs is None:
            return self.mixed(pool, labels, draws)
        made: Any = ops.cond(self.active(), lambda: self.mixed(pool, labels, draws), lambda: (pool, labels))
        return made

    def _candidates(self, images: Tensor) -> Tensor:
        """Return the model's predictions in training mode, without gradient and without changing any variable."""
        values: list[Any] = [(each, ops.stop_gradient(each.value)) for each in self.model.trainable_variables]
        values += [(each, ops.convert_to_tensor(each.value)) for each in self.model.non_trainable_variables]
        with keras.StatelessScope(values):
            return self.model(images, training=True)

    def _unpacked(self, y: Tensor, y_pred: Tensor, sample_weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return labels, predictions and weights of the examples of a training step; of another one, those given."""
        if not isinstance(y_pred, Mapping) or PREDICTIONS not in y_pred:
            return y, y_pred, sample_weight
        if sample_weight is not None and self.method.objective.kind != "max":
            sample_weight = _flat(_repeated(sample_weight, self.method.copies))
        return y_pred[LABELS], y_pred[PREDICTIONS], sample_weight

    def _check(self, images: Any, labels: Any) -> None:
        """Refuse images and labels that a step cannot train on."""
        if isinstance(images, Mapping | list | tuple) or len(images.shape) != 4:
            shapes = keras.tree.map_structure(lambda each: tuple(each.shape), images)
            raise InputError(
                f"{type(self).__name__} trains on one tensor of images, (batch, height, width, channels), but got "
                f"{shapes}"
            )
        if labels is None or isinstance(labels, Mapping | list | tuple):
            raise InputError(f"{type(self).__name__} needs one tensor of labels, but got {labels!r}")


def _product(one: Tensor, other: Tensor) -> Tensor:
    return one if other is None else one * ops.cast(ops.reshape(other, (-1,)), one.dtype)


def _repeated(array: Tensor, copies: int) -> Tensor:
    """Return (copies, batch, ...) of (batch, ...)."""
    return ops.tile(ops.expand_dims(array, 0), (copies, *([1] * len(array.shape))))


def _flat(array: Tensor) -> Tensor:
    """Join the first two dimensions, (copies, batch), into one."""
    return ops.reshape(array, (-1, *array.shape[2:]))


def _models_of(model: keras.Model) -> Iterator[keras.Model]:
    """Yield a model and the models within it."""
    yield model
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _models_of(layer)
