"""Convolution, Pooling and AveragePooling."""

from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import functional
from cnn_core.book._activation_layers import Relu
from cnn_core.book._arrays import Array, check_images, promote, remembered
from cnn_core.functional._convolution import arguments
from cnn_core.functional.convolution import conv2d_relu


class Convolution:
    """Slide the filters W over a batch of images (section 7.4.3).

    ``out[n, f, i, j] = b[f] + sum over c, u, v of W[f, c, u, v] * x[n, c, i*stride + u - pad, j*stride + v
    - pad]``

    Parameters
    ----------
    W : array (FN, C, FH, FW)
    b : array (FN,) or number
    stride, pad : int
        The same in both directions.
    """

    def __init__(self, W: Array, b: ArrayLike, stride: int = 1, pad: int = 0) -> None:
        self.W, self.b, self.stride, self.pad = W, b, stride, pad
        self.x: Array | None = None
        self.dW: Array | None = None
        self.db: Array | None = None

    def forward(self, x: ArrayLike) -> Array:
        """Return the convolution of x (N, C, H, W), of shape (N, FN, OH, OW).

        ``OH = (H + 2*pad - FH) // stride + 1``, OW likewise.
        """
        return self._forward(x, relu=False)

    def forward_relu(self, x: ArrayLike, relu: Relu) -> Array:
        """Return ``relu.forward(self.forward(x))``, computed in one pass over memory."""
        return relu.done(self._forward(x, relu=True))

    def _forward(self, x: ArrayLike, relu: bool) -> Array:
        x, W, b = promote(x, self.W, self.b)
        if W.ndim != 4 or b.size not in (1, len(W)):
            raise ValueError(
                f"Convolution expects W (FN, C, FH, FW) and b (FN,) or a number, got {W.shape} and {b.shape}"
            )
        check_images(x, self, W.shape[1])
        self.x = x
        if b.shape != W.shape[:1]:
            b = np.broadcast_to(b, len(W))
        return conv2d_relu(*arguments("conv2d", x, W, self.stride, self.pad, 1, 1), bias=b, relu=relu)

    def backward(self, dout: Array) -> Array:
        """Return the gradient of x and leave those of W and b on dW and db."""
        return cast(Array, self._backward(dout, True))

    def backward_params(self, dout: Array) -> None:
        """Leave the gradients on dW and db as `backward` does, without the work for that of x."""
        self._backward(dout, False)

    def _backward(self, dout: Array, need_dx: bool) -> Array | None:
        x = remembered(self.x, self)
        dout, W = dout.astype(x.dtype, copy=False), self.W.astype(x.dtype, copy=False)
        dx, self.dW, self.db = functional.conv2d_backward(dout, x, W, self.stride, self.pad, need_dx=need_dx)
        return dx


class Pooling:
    """Take the maximum of every window; of equal maxima the first one gets the gradient (section 7.4.4).

    Padding never wins: it counts as minus infinity. (The book pads with 0, which beats negative values, and
    leaves ``pad`` out of the output size.)

    Parameters
    ----------
    pool_h, pool_w : int
    stride, pad : int
        The same in both directions; pad at most half of the window.
    """

    def __init__(self, pool_h: int, pool_w: int, stride: int = 2, pad: int = 0) -> None:
        self.pool_h, self.pool_w, self.stride, self.pad = pool_h, pool_w, stride, pad
        self.x: Array | None = None
        self.arg_max: Array | None = None
        self._out: Array | None = None

    def forward(self, x: ArrayLike) -> Array:
        """Return the maxima of x (N, C, H, W), of shape (N, C, OH, OW), and keep their places on arg_max.

        ``OH = (H + 2*pad - pool_h) // stride + 1``, OW likewise; ``arg_max`` holds ``row * W + column`` in x.
        """
        (x,) = promote(x)
        check_images(x, self)
        size = self.pool_h, self.pool_w
        out, self.arg_max = functional.max_pool2d(x, size, self.stride, self.pad, return_indices=True)
        self.x, self._out = x, out
        return out

    def backward(self, dout: Array) -> Array:
        """Return an array of the shape of x with every dout at the place of its maximum."""
        (dout,) = promote(dout)
        x = remembered(self.x, self)
        return functional.max_pool2d_backward(dout, remembered(self.arg_max, self), x.shape)

    def follows(self, relu: Relu) -> bool:
        """Whether the last forward pass was over what ``relu`` had returned last."""
        return self.x is not None and self.x is relu.out

    def backward_relu(self, dout: Array) -> Array:
        """Return ``relu.backward(self.backward(dout))`` for the ReLU that it follows.

        A maximum is positive exactly if the ReLU lets the gradient through at its place, and there are fewer
        maxima to ask.
        """
        out = remembered(self._out, self)
        return self.backward(functional.relu_backward(dout.astype(out.dtype, copy=False), out))


class AveragePooling:
    """Take the mean of every window, zeros of the padding included (section 7.4: the book names it, without
    code).

    Parameters
    ----------
    pool_h, pool_w : int
    stride, pad : int
        The same in both directions; pad at most half of the window.
    """

    def __init__(self, pool_h: int, pool_w: int, stride: int = 2, pad: int = 0) -> None:
        self.pool_h, self.pool_w, self.stride, self.pad = pool_h, pool_w, stride, pad
        self._x_shape: tuple[int, ...] | None = None

    def forward(self, x: ArrayLike) -> Array:
        """Return the means of x (N, C, H, W), of shape (N, C, OH, OW)."""
        (x,) = promote(x)
        check_images(x, self)
        self._x_shape = x.shape
        return functional.avg_pool2d(x, (self.pool_h, self.pool_w), self.stride, self.pad)

    def backward(self, dout: Array) -> Array:
        """Return an array of the shape of x in which every window shares its dout evenly."""
        (dout,) = promote(dout)
        size, x_shape = (self.pool_h, self.pool_w), remembered(self._x_shape, self)
        return functional.avg_pool2d_backward(dout, x_shape, size, self.stride, self.pad)
