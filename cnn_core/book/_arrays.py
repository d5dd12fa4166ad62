"""What the modules of the book share: the dtype of a computation, labels, memory for backward."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnn_core.layers._hints import for_channels, for_rank

Array = NDArray[Any]
Seed = np.random.Generator | int | None
T = TypeVar("T")

_REAL = frozenset([np.dtype(np.float32), np.dtype(np.float64)])


def promote(*values: ArrayLike) -> tuple[Array, ...]:
    """Return the values as arrays of one dtype, float32 or float64, chosen by numpy's promotion.

    Integers become float64, as in the book's arithmetic; float16, which is for storage, becomes float32.

    Raises
    ------
    TypeError
        If a value is not made of real numbers in at most 64 bits.
    """
    first = values[0]
    if type(first) is np.ndarray and (kind := first.dtype) in _REAL:
        for value in values:
            if type(value) is not np.ndarray or value.dtype is not kind:
                break
        else:  # as nearly always
            return values  # type: ignore[return-value]
    arrays = [np.asarray(value) for value in values]
    # A Python number adapts to the arrays beside it: the bias 0 does not turn float32 into float64.
    dtype = np.result_type(
        *(v if isinstance(v, int | float) else a for v, a in zip(values, arrays, strict=True))
    )
    if dtype.kind in "biu":
        dtype = np.dtype(np.float64)
    elif dtype == np.float16:
        dtype = np.dtype(np.float32)
    if dtype not in (np.float32, np.float64):
        raise TypeError(
            f"expects real numbers in at most 64 bits, got {', '.join(str(a.dtype) for a in arrays)}"
        )
    return tuple(array.astype(dtype, copy=False) for array in arrays)


def as_labels(t: ArrayLike, y: Array) -> Array:
    """Return the class numbers (N,) in t, which holds either labels or one-hot rows for the scores y (N, K).

    Which of the two is decided as in the book: ``t.size == y.size`` means one-hot.
    """
    t = np.asarray(t)
    n, classes = y.shape
    if t.size == y.size:
        return t.reshape(y.shape).argmax(axis=1)
    if t.size != n:
        raise ValueError(
            f"t of shape {t.shape} is neither {n} labels nor one-hot rows for scores of shape {y.shape}"
        )
    if t.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, got {t.dtype}")
    if n and not (t.min() >= 0 and t.max() < classes):
        raise ValueError(f"labels must lie in 0..{classes - 1}, got {t.min()}..{t.max()}")
    return t.reshape(n)


def check_images(x: Array, layer: object, channels: int | None = None) -> None:
    """Raise ValueError unless x is a batch of images (N, C, H, W), of so many channels if the layer says."""
    name = type(layer).__name__
    if x.ndim != 4:
        hint = for_rank(x.shape, [4], channels)
        if x.ndim == 2:
            hint += "; load_mnist(flatten=False) gives images"
        raise ValueError(f"{name} expects images (N, C, H, W), got x of shape {x.shape}{hint}")
    if channels is not None and x.shape[1] != channels:
        hint = for_channels(x.shape, channels)
        raise ValueError(f"{name} expects images of {channels} channels, got {x.shape[1]}{hint}")


def columns_together(W: Array) -> Array:
    """Return the weight W (inputs, outputs) of an affine layer in the order of memory that suits it best.

    That is with the inputs of one output side by side, as ``cnn_core.layers.Linear`` has them: all products
    of the layer read it as it lies then. What lies so already is not copied.
    """
    return np.asfortranarray(W)


def remembered(value: T | None, layer: object) -> T:
    """Return what forward left for backward, or raise if forward has not run in training mode."""
    if value is None:
        raise RuntimeError(f"{type(layer).__name__}.backward needs a forward pass in training mode before it")
    return value
