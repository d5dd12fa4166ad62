"""The MNIST data set in the shapes of the book (``dataset/mnist.py``, section 3.6.1)."""

import numpy as np

from cnn_core import data
from cnn_core.book._arrays import Array

__all__ = ["load_mnist"]

Pair = tuple[Array, Array]


def load_mnist(
    normalize: bool = True, flatten: bool = True, one_hot_label: bool = False
) -> tuple[Pair, Pair]:
    """Return ``(x_train, t_train), (x_test, t_test)``: 60,000 and 10,000 handwritten digits.

    The files are found, or downloaded, by :func:`cnn_core.data.load_mnist`; the environment variable
    ``CNN_CORE_DATA`` names a folder that holds them.

    Parameters
    ----------
    normalize : bool
        Images as float32 in 0.0 ... 1.0; otherwise as uint8 in 0 ... 255.
    flatten : bool
        Images as rows (N, 784); otherwise as (N, 1, 28, 28).
    one_hot_label : bool
        Labels as one-hot rows (N, 10) of float64; otherwise as uint8 (N,).

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`cnn_core.data.load_mnist`.
    """
    mnist = data.load_mnist()

    def in_shape_of_book(part: data.Arrays) -> Pair:
        x = part.x if normalize else np.rint(part.x * 255).astype(np.uint8)
        t = np.eye(10)[part.t] if one_hot_label else part.t.astype(np.uint8)
        return (x.reshape(len(x), -1) if flatten else x), t

    return in_shape_of_book(mnist.train), in_shape_of_book(mnist.test)
