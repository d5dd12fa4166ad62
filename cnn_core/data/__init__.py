"""Data sets, and what is done to them on their way into a network.

For example::

    train, validation = split(Arrays(images, labels), [0.9, 0.1], stratify=True, rng=0)
    for x, t in Batches(train.x, train.t, 100, shuffle=True, rng=0, augment=RandomShift(1)):
        ...
"""

from cnn_core.data.augment import Compose, PadCrop, RandomFlip, RandomRotation, RandomShift, rotate
from cnn_core.data.batches import Augmentation, Batches
from cnn_core.data.dataset import Arrays, DataSet
from cnn_core.data.normalize import Normalize, to_float
from cnn_core.data.split import split

__all__ = [
    "Arrays",
    "Augmentation",
    "Batches",
    "Compose",
    "DataSet",
    "Normalize",
    "PadCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomShift",
    "rotate",
    "split",
    "to_float",
]
