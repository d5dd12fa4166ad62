"""Forward and backward through a stack of layers, with steps left out that change no number.

Layers that a script has made its own, by a subclass or by a method put on the object, are called as they are.
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from cnn_core.book._arrays import Array
from cnn_core.book.layers import Affine, BatchNormalization, Convolution, Dropout, Pooling, Relu

_KNOWS_TRAINING = (Dropout, BatchNormalization)


def forward(layers: Sequence[Any], x: ArrayLike, train_flg: bool) -> ArrayLike:
    """Return what the last layer makes of x; a layer with weights and the ReLU after it run in one pass."""
    i = 0
    while i < len(layers):
        layer = layers[i]
        if i + 1 < len(layers) and _has_weights(layer) and _is(layers[i + 1], Relu):
            x = layer.forward_relu(x, layers[i + 1])
            i += 1
        elif isinstance(layer, _KNOWS_TRAINING):
            x = layer.forward(x, train_flg)
        else:
            x = layer.forward(x)
        i += 1
    return x


def backward(layers: Sequence[Any], dout: Array) -> None:
    """Leave the gradients of all parameters on the layers.

    The gradient of the network's input, which is often the most expensive one, is not computed; and the ReLU
    before a pooling is done with the pooling.
    """
    i = len(layers) - 1
    while i >= 0:
        layer = layers[i]
        if i == 0 and _has_weights(layer):
            layer.backward_params(dout)
        elif i > 0 and _is(layer, Pooling) and _is(layers[i - 1], Relu) and layer.follows(layers[i - 1]):
            dout = layer.backward_relu(dout)
            i -= 1
        else:
            dout = layer.backward(dout)
        i -= 1


def _has_weights(layer: Any) -> bool:
    return _is(layer, Convolution) or _is(layer, Affine)


def _is(layer: Any, kind: type) -> bool:
    """Whether a layer is of this kind and does as this kind does."""
    return type(layer) is kind and "forward" not in vars(layer) and "backward" not in vars(layer)
