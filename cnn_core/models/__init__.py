"""Networks: functions that return a :class:`cnn_core.layers.Sequential`."""

from collections.abc import Callable

from cnn_core.layers import Sequential
from cnn_core.models.deep import DeepConvNet
from cnn_core.models.digits import DigitsNet
from cnn_core.models.lenet import LeNet
from cnn_core.models.mlp import MLP
from cnn_core.models.resnet import ResNet20
from cnn_core.models.simple import SimpleConvNet
from cnn_core.models.vgg import VGG

__all__ = ["MLP", "MODELS", "VGG", "DeepConvNet", "DigitsNet", "LeNet", "ResNet20", "SimpleConvNet"]

# The networks by the names that the command line uses; each takes (input_shape, classes, *, rng, dtype, ...).
MODELS: dict[str, Callable[..., Sequential]] = {
    "digits": DigitsNet,
    "simple": SimpleConvNet,
    "deep": DeepConvNet,
    "mlp": MLP,
    "lenet": LeNet,
    "vgg": VGG,
    "resnet20": ResNet20,
}
