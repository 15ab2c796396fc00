"""Network architectures: one module per family, one registration per variant."""

from trainables.models import resnet, vgg
from trainables.models.base import MODELS, Architecture

__all__ = ["MODELS", "Architecture", "resnet", "vgg"]
