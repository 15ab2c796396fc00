"""MaxUp: training on the worst of several augmented copies of each image."""

from __future__ import annotations

from typing import Any

import keras

from trainables.augmentation import NONE
from trainables.errors import InputError
from trainables.keras.augment import Augment
from trainables.keras.settings import made_method
from trainables.keras.wrapper import Wrapper
from trainables.methods import Method

METHODS_BY_REDUCTION = {"max": "maxup", "softmax": "maxup", "mean": "maxup_mean"}


@keras.saving.register_keras_serializable("assay")
class MaxUp(Wrapper):
    """MaxUp (Gong et al. 2020, arXiv 2002.09024) around a Keras model: m augmented copies of each image in a step.

    With `reduction="max"`, a forward pass over all copies in training mode finds the worst copy of each image, which is
    then trained on. That pass has no gradient and changes no variable, so a step costs m + 3 forward passes instead of
    3 m. The loss is the compiled one, of any kind that gives one number per example.

    Args:
        model: the model to train; `wrapper.model` afterwards, which can be saved and used without Assay.
        m: number of copies.
        reduction: `max`; `mean`, the control, with gradients of all copies; or `softmax`, all copies weighted by the
            softmax of loss / temperature over the copies of an image.
        augment: what makes the copies differ: an `Augment`, a policy for one, or any other layer that changes images
            in training, such as `keras.layers.GaussianNoise`. Random layers inside the model do not count: they would
            change the worst copy again before it is trained on.
        temperature: of `softmax`, in nats.
        keywords: `name`, `dtype` and `trainable`, as in all Keras models.

    Raises:
        InputError: an argument is not valid.

    Examples:
        >>> network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
        >>> model = MaxUp(network, m=4, augment=keras.layers.GaussianNoise(0.1))
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> model.compile("sgd", loss, metrics=["accuracy"])
        >>> sorted(model.fit(keras.ops.ones((6, 8, 8, 1)), keras.ops.arange(6), shuffle=False, verbose=0).history)
        ['accuracy', 'loss']
    """

    def __init__(
        self,
        model: keras.Model,
        m: int = 4,
        reduction: str = "max",
        augment: Any = None,
        temperature: float = 1.0,
        **keywords: Any,
    ) -> None:
        super().__init__(model, _method(m, reduction, temperature), augment, **keywords)
        if self.augment is None or (isinstance(self.augment, Augment) and self.augment.policy.name == NONE):
            raise InputError(
                "MaxUp needs `augment`, or all copies of an image are identical: an augmentation other than `none`, as "
                'in MaxUp(model, augment=Augment("crop_flip"))'
            )
        self.m, self.reduction, self.temperature = m, reduction, temperature

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal wrapper (see `Wrapper.get_config`)."""
        own = {"m": self.m, "reduction": self.reduction, "temperature": self.temperature}
        return {**super().get_config(), **own}


def _method(m: int, reduction: str, temperature: float) -> Method:
    if not isinstance(reduction, str) or reduction not in METHODS_BY_REDUCTION:
        raise InputError(f"`reduction` is one of {', '.join(METHODS_BY_REDUCTION)}, but got {reduction!r}")
    name = METHODS_BY_REDUCTION[reduction]
    own = {"reduction": reduction, "temperature": temperature} if name == "maxup" else {}
    return made_method(name, m=m, **own)
