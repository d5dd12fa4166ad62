"""Data sets, and what is done to them on their way into a network.

For example::

    data = load_digits()
    train, validation = split(data.train, [0.9, 0.1], stratify=True, rng=0)
    for x, t in Batches(train.x, train.t, 100, shuffle=True, rng=0, augment=RandomShift(1)):
        ...
"""

from collections.abc import Callable

from cnn_core.data.augment import Compose, PadCrop, RandomFlip, RandomRotation, RandomShift, rotate
from cnn_core.data.batches import Augmentation, Batches
from cnn_core.data.cifar import load_cifar10, read_cifar_binary, read_cifar_python
from cnn_core.data.dataset import Arrays, DataSet
from cnn_core.data.digits import load_digits
from cnn_core.data.download import Download, DownloadError, fetch
from cnn_core.data.folder import data_folder
from cnn_core.data.idx import read_idx
from cnn_core.data.mnist import load_fashion_mnist, load_mnist
from cnn_core.data.normalize import Normalize, to_float
from cnn_core.data.split import split

__all__ = [
    "DATASETS",
    "Arrays",
    "Augmentation",
    "Batches",
    "Compose",
    "DataSet",
    "Download",
    "DownloadError",
    "Normalize",
    "PadCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomShift",
    "data_folder",
    "fetch",
    "load_cifar10",
    "load_digits",
    "load_fashion_mnist",
    "load_mnist",
    "read_cifar_binary",
    "read_cifar_python",
    "read_idx",
    "rotate",
    "split",
    "to_float",
]

DATASETS: dict[str, Callable[..., DataSet]] = {
    "digits": load_digits,
    "mnist": load_mnist,
    "fashion-mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
}
