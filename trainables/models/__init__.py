"""Networks: one module per family, one registration per variant."""

from trainables.models import applications, classic, custom, googlenet, resnet, resnet_large, vgg
from trainables.models.base import MODELS, Architecture, Model

__all__ = [
    "MODELS",
    "Architecture",
    "Model",
    "applications",
    "classic",
    "custom",
    "googlenet",
    "resnet",
    "resnet_large",
    "vgg",
]
