"""The book's networks as chapters 5 to 8 explain them, in plain numpy and float64: the yardstick.

Every convolution and pooling lays its windows out as a matrix, every product is ``np.dot``, every layer makes
new arrays. :mod:`cnn_core.book.speed` measures the library against it, and the tests hold the networks of
:mod:`cnn_core.book` to its numbers. Nothing else uses it: train with :mod:`cnn_core.book`.

The parameters are those of the networks in :mod:`cnn_core.book`, so that one can be made from the other::

    network = cnn_core.book.simple_convnet.SimpleConvNet()
    slow = SimpleConvNet(network.params)  # the same arrays
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnn_core.book._arrays import Array, Seed

__all__ = ["Adam", "DeepConvNet", "MultiLayerNet", "SimpleConvNet"]


def im2col(x: Array, height: int, width: int, stride: int, pad: int) -> Array:
    """Return every window of x (N, C, H, W) as a row, ``(N * OH * OW, C * height * width)`` (section 7.4.3).

    The loop is over the places in a window: each gives its column for all windows at once.
    """
    n, c, h, w = x.shape
    oh, ow = (h + 2 * pad - height) // stride + 1, (w + 2 * pad - width) // stride + 1
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.empty((n, c, height, width, oh, ow))
    for i in range(height):
        for j in range(width):
            windows[:, :, i, j] = padded[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride]
    return windows.transpose(0, 4, 5, 1, 2, 3).reshape(n * oh * ow, c * height * width)


def col2im(col: Array, shape: tuple[int, ...], height: int, width: int, stride: int, pad: int) -> Array:
    """Add the rows of a column matrix back into images of the shape (N, C, H, W)."""
    n, c, h, w = shape
    oh, ow = (h + 2 * pad - height) // stride + 1, (w + 2 * pad - width) // stride + 1
    windows = col.reshape(n, oh, ow, c, height, width).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * pad, w + 2 * pad))
    for i in range(height):
        for j in range(width):
            padded[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride] += windows[:, :, i, j]
    return padded[:, :, pad : pad + h, pad : pad + w]


class _Convolution:
    """A product of the column matrix and the filters (section 7.4.3)."""

    def __init__(self, W: Array, b: Array, pad: int) -> None:
        self.W, self.b, self.pad = W, b, pad

    def forward(self, x: Array, train_flg: bool) -> Array:
        filters, _, height, width = self.W.shape
        self.x_shape = x.shape
        self.col = im2col(x, height, width, 1, self.pad)
        oh, ow = (size + 2 * self.pad - k + 1 for size, k in zip(x.shape[2:], (height, width), strict=True))
        out = np.dot(self.col, self.W.reshape(filters, -1).T) + self.b
        return out.reshape(len(x), oh, ow, filters).transpose(0, 3, 1, 2)

    def backward(self, dout: Array) -> Array:
        filters, _, height, width = self.W.shape
        rows = dout.transpose(0, 2, 3, 1).reshape(-1, filters)
        self.dW = np.dot(self.col.T, rows).T.reshape(self.W.shape)
        self.db = rows.sum(axis=0)
        return col2im(np.dot(rows, self.W.reshape(filters, -1)), self.x_shape, height, width, 1, self.pad)


class _Pooling:
    """The maximum of each row of a column matrix, over 2x2 windows at stride 2 (section 7.4.4)."""

    def forward(self, x: Array, train_flg: bool) -> Array:
        n, c, h, w = self.x_shape = x.shape
        windows = im2col(x, 2, 2, 2, 0).reshape(-1, 4)
        self.arg_max = windows.argmax(axis=1)
        return windows.max(axis=1).reshape(n, h // 2, w // 2, c).transpose(0, 3, 1, 2)

    def backward(self, dout: Array) -> Array:
        windows = np.zeros((dout.size, 4))
        windows[np.arange(dout.size), self.arg_max] = dout.transpose(0, 2, 3, 1).ravel()
        return col2im(windows, self.x_shape, 2, 2, 2, 0)


class _Affine:
    """``x @ W + b`` (section 5.6.2)."""

    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b = W, b

    def forward(self, x: Array, train_flg: bool) -> Array:
        self.x_shape, self.x = x.shape, x.reshape(len(x), -1)
        return np.dot(self.x, self.W) + self.b

    def backward(self, dout: Array) -> Array:
        self.dW = np.dot(self.x.T, dout)
        self.db = dout.sum(axis=0)
        return np.dot(dout, self.W.T).reshape(self.x_shape)


class _Relu:
    """Zero where x is not positive (section 5.5.1)."""

    def forward(self, x: Array, train_flg: bool) -> Array:
        self.off = x <= 0
        out = x.copy()
        out[self.off] = 0
        return out

    def backward(self, dout: Array) -> Array:
        dx = dout.copy()
        dx[self.off] = 0
        return dx


class _Dropout:
    """Half of the values in training, half of each value in testing (section 6.4.3)."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def forward(self, x: Array, train_flg: bool) -> Array:
        if not train_flg:
            return x * 0.5
        self.on = self._rng.random(x.shape) > 0.5
        return x * self.on

    def backward(self, dout: Array) -> Array:
        return dout * self.on


class _Network:
    """Layers with softmax and cross-entropy error on top."""

    params: dict[str, Array]
    layers: list[Any]

    def predict(self, x: Array, train_flg: bool = False) -> Array:
        """Return the scores (N, classes) of the images x (N, C, H, W) or rows x (N, inputs)."""
        for layer in self.layers:
            x = layer.forward(x, train_flg)
        return x

    def loss(self, x: Array, t: Array, train_flg: bool = False) -> float:
        """Return the cross-entropy error for the labels t (N,)."""
        scores = self.predict(x, train_flg)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        self._y = powers / powers.sum(axis=1, keepdims=True)
        return float(-np.log(self._y[np.arange(len(t)), t] + 1e-7).mean())

    def gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradient of the loss for every parameter, by backpropagation."""
        self.loss(x, t, train_flg=True)
        dout = self._y.copy()
        dout[np.arange(len(t)), t] -= 1
        dout /= len(t)
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        weighted = [layer for layer in self.layers if isinstance(layer, _Convolution | _Affine)]
        grads = {}
        for n, layer in enumerate(weighted, start=1):
            grads[f"W{n}"], grads[f"b{n}"] = layer.dW, layer.db
        return grads


class MultiLayerNet(_Network):
    """Affine and ReLU, once per hidden layer, and affine (section 6.1.8).

    Parameters
    ----------
    params : dict of arrays
        Of :class:`cnn_core.book.multi_layer_net.MultiLayerNet` without weight decay, W1, b1, W2, ...;
        they are not copied.
    """

    def __init__(self, params: dict[str, Array]) -> None:
        self.params = params
        self.layers = [_Affine(params["W1"], params["b1"])]
        for n in range(2, len(params) // 2 + 1):
            self.layers += [_Relu(), _Affine(params[f"W{n}"], params[f"b{n}"])]


class SimpleConvNet(_Network):
    """Convolution, ReLU, pooling, affine, ReLU, affine (section 7.5).

    Parameters
    ----------
    params : dict of arrays
        Of :class:`cnn_core.book.simple_convnet.SimpleConvNet`, W1 to W3 and b1 to b3; they are not copied.
    pad : int
        Of the convolution, whose stride is 1.
    """

    def __init__(self, params: dict[str, Array], pad: int = 0) -> None:
        self.params = params
        self.layers = [
            _Convolution(params["W1"], params["b1"], pad),
            _Relu(),
            _Pooling(),
            _Affine(params["W2"], params["b2"]),
            _Relu(),
            _Affine(params["W3"], params["b3"]),
        ]


class DeepConvNet(_Network):
    """Six convolutions and two affine layers (section 8.1.1).

    Parameters
    ----------
    params : dict of arrays
        Of :class:`cnn_core.book.deep_convnet.DeepConvNet`, W1 to W8 and b1 to b8; they are not copied.
    rng : numpy.random.Generator, int or None
        Source of the dropout masks.
    """

    def __init__(self, params: dict[str, Array], *, rng: Seed = None) -> None:
        rng = np.random.default_rng(rng)
        self.params = params
        self.layers = []
        for n, pad in enumerate((1, 1, 1, 2, 1, 1), start=1):
            self.layers += [_Convolution(params[f"W{n}"], params[f"b{n}"], pad), _Relu()]
            if n % 2 == 0:
                self.layers.append(_Pooling())
        self.layers += [_Affine(params["W7"], params["b7"]), _Relu(), _Dropout(rng)]
        self.layers += [_Affine(params["W8"], params["b8"]), _Dropout(rng)]


class Adam:
    """``p -= lr_t * m / (sqrt(v) + 1e-7)`` with running means m of g and v of g**2 (section 6.1.6)."""

    def __init__(self, lr: float = 0.001, beta1: float = 0.9, beta2: float = 0.999) -> None:
        self.lr, self.beta1, self.beta2 = lr, beta1, beta2
        self.iter = 0
        self.m: dict[str, Array] = {}
        self.v: dict[str, Array] = {}

    def update(self, params: dict[str, Array], grads: Mapping[str, Array]) -> None:
        """Move every array of params in place, by the gradient of the same name."""
        self.iter += 1
        rate = self.lr * np.sqrt(1 - self.beta2**self.iter) / (1 - self.beta1**self.iter)
        if not self.m:
            self.m = {key: np.zeros_like(g) for key, g in grads.items()}
            self.v = {key: np.zeros_like(g) for key, g in grads.items()}
        for key, g in grads.items():
            self.m[key] += (1 - self.beta1) * (g - self.m[key])
            self.v[key] += (1 - self.beta2) * (g**2 - self.v[key])
            params[key] -= rate * self.m[key] / (np.sqrt(self.v[key]) + 1e-7)
