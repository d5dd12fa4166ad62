"""Layers: state around :mod:`cnn_core.functional`, each with an explicit forward and backward."""

from typing import TYPE_CHECKING

from cnn_core._lazy import lazy

if TYPE_CHECKING:
    from cnn_core.layers._shapes import ShapeError
    from cnn_core.layers.activation import LeakyReLU, ReLU, Sigmoid, Tanh
    from cnn_core.layers.base import Layer
    from cnn_core.layers.container import Concat, Container, Residual
    from cnn_core.layers.conv import Conv2d
    from cnn_core.layers.dropout import Dropout
    from cnn_core.layers.linear import Linear
    from cnn_core.layers.norm import BatchNorm1d, BatchNorm2d
    from cnn_core.layers.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
    from cnn_core.layers.sequential import Sequential
    from cnn_core.layers.shape import Flatten, Identity

__all__ = [
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Concat",
    "Container",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "Residual",
    "Sequential",
    "ShapeError",
    "Sigmoid",
    "Tanh",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "_shapes": "ShapeError",
        "activation": "LeakyReLU ReLU Sigmoid Tanh",
        "base": "Layer",
        "container": "Concat Container Residual",
        "conv": "Conv2d",
        "dropout": "Dropout",
        "linear": "Linear",
        "norm": "BatchNorm1d BatchNorm2d",
        "pool": "AdaptiveAvgPool2d AvgPool2d MaxPool2d",
        "sequential": "Sequential",
        "shape": "Flatten Identity",
    },
)
