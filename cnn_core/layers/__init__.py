"""Layers: state around :mod:`cnn_core.functional`, each with an explicit forward and backward."""

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
