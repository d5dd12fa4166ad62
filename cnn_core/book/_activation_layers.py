"""Relu, Sigmoid and SoftmaxWithLoss."""

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import functional
from cnn_core.book._arrays import Array, as_labels, promote, remembered
from cnn_core.book.functions import cross_entropy_error, softmax


class Relu:
    """``max(0, x)``; the gradient passes where x > 0, so not at 0 (section 5.5.1).

    The book's backward overwrites ``dout``; this one returns a new array.
    """

    def __init__(self) -> None:
        self.out: Array | None = None

    @property
    def mask(self) -> Array | None:
        """True where x was <= 0 in the last forward pass."""
        return None if self.out is None else self.out <= 0

    def forward(self, x: ArrayLike) -> Array:
        """Return ``max(0, x)``, of the shape of x."""
        (x,) = promote(x)
        return self.done(functional.relu(x))

    def done(self, out: Array) -> Array:
        """Take ``max(0, x)`` from whoever has computed it already: as `forward`, without the work."""
        self.out = out
        return out

    def backward(self, dout: Array) -> Array:
        """Return dout where x was positive, else 0."""
        out = remembered(self.out, self)
        return functional.relu_backward(dout.astype(out.dtype, copy=False), out)


class Sigmoid:
    """``1 / (1 + exp(-x))`` (section 5.5.2)."""

    def __init__(self) -> None:
        self.out: Array | None = None

    def forward(self, x: ArrayLike) -> Array:
        """Return ``1 / (1 + exp(-x))``, of the shape of x."""
        (x,) = promote(x)
        self.out = functional.sigmoid(x)
        return self.out

    def backward(self, dout: Array) -> Array:
        """Return ``dout * (1 - out) * out``."""
        out = remembered(self.out, self)
        return functional.sigmoid_backward(dout.astype(out.dtype, copy=False), out)


class SoftmaxWithLoss:
    """Softmax and the cross-entropy error of its output (section 5.6.3).

    ``forward`` keeps the probabilities on ``y``, the targets on ``t`` and the loss on ``loss``. The loss
    has the book's ``log(y + 1e-7)``; the gradient is that of the loss without the 1e-7.
    """

    def __init__(self) -> None:
        self.loss: float | None = None
        self.y: Array | None = None
        self.t: Array | None = None

    def forward(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the mean loss of the scores x (N, K) for t: labels (N,) or one-hot rows (N, K)."""
        y = softmax(x)
        if y.ndim != 2:
            raise ValueError(f"SoftmaxWithLoss expects scores of shape (N, K), got {y.shape}")
        loss = cross_entropy_error(y, t)
        self.y, self.t, self.loss = y, np.asarray(t), loss
        return loss

    def backward(self, dout: float = 1) -> Array:
        """Return ``dout * (y - t) / N`` of shape (N, K), labels taken as one-hot rows."""
        y, t = remembered(self.y, self), remembered(self.t, self)
        dx = y.copy()
        if t.size == y.size:
            dx -= t.reshape(y.shape)
        else:
            dx[np.arange(len(y)), as_labels(t, y)] -= 1
        dx *= dout / len(y)
        return dx
