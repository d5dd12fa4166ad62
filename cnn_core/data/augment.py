"""Random changes to images that leave their class as it is.

Each is called as ``augment(batch, rng)`` with float images (N, C, H, W), changes the batch in place where it
can (that is, if it is C-contiguous) and returns it. Each image gets its own change; the same generator state
gives the same changes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_core._checks import as_nchw, one_of, pair, real_number
from cnn_core.data.batches import Augmentation

_PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


@dataclass(frozen=True)
class RandomFlip:
    """Mirror an image with probability ``p``.

    Parameters
    ----------
    p : float
        In 0 ... 1.
    direction : {"horizontal", "vertical"}
        Horizontal exchanges left and right.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    p: float = 0.5
    direction: str = "horizontal"

    def __post_init__(self) -> None:
        real_number(self.p, "p", at_least=0, at_most=1)
        one_of(self.direction, "direction", ("horizontal", "vertical"))

    def __call__(self, batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        batch = _writable(batch)
        chosen = rng.random(len(batch)) < self.p
        batch[chosen] = np.flip(batch[chosen], -1 if self.direction == "horizontal" else -2)
        return batch


@dataclass(frozen=True)
class RandomShift:
    """Move an image by up to ``max_shift`` whole pixels in each direction; what it leaves is ``fill``.

    Parameters
    ----------
    max_shift : int or (int, int)
        Vertical and horizontal, in pixels; each shift from ``-max_shift`` to ``max_shift`` is equally likely.
    fill : float

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number or negative.
    """

    max_shift: int | tuple[int, int] = 2
    fill: float = 0.0

    def __post_init__(self) -> None:
        pair(self.max_shift, "max_shift", at_least=0)
        real_number(self.fill, "fill")

    def __call__(self, batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        batch = _writable(batch)
        rows, columns = pair(self.max_shift, "max_shift", at_least=0)
        return _crop_at_random(batch, _padded(batch, rows, columns, "constant", self.fill), rng)


@dataclass(frozen=True)
class PadCrop:
    """Pad an image by ``padding`` pixels on each side, then cut a piece of its old size out at random.

    Parameters
    ----------
    padding : int or (int, int)
        Vertical and horizontal, in pixels.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        What to pad with, as in `numpy.pad`; "constant" is zeros.

    Raises
    ------
    TypeError, ValueError
        If the padding is not an integer or negative, or the mode unknown.

    Source: K. He, X. Zhang, S. Ren, J. Sun, Deep residual learning for image recognition, CVPR 2016, section
    4.2.
    """

    padding: int | tuple[int, int] = 4
    mode: str = "constant"

    def __post_init__(self) -> None:
        pair(self.padding, "padding", at_least=0)
        one_of(self.mode, "mode", _PAD_MODES)

    def __call__(self, batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        batch = _writable(batch)
        rows, columns = pair(self.padding, "padding", at_least=0)
        return _crop_at_random(batch, _padded(batch, rows, columns, self.mode), rng)


@dataclass(frozen=True)
class RandomRotation:
    """Turn an image by up to ``degrees`` either way about its centre; see `rotate`.

    Parameters
    ----------
    degrees : float
        Each angle from ``-degrees`` to ``degrees`` is equally likely.
    fill : float
        What lies beyond the image.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a finite number, or ``degrees`` negative.
    """

    degrees: float = 10.0
    fill: float = 0.0

    def __post_init__(self) -> None:
        real_number(self.degrees, "degrees", at_least=0)
        real_number(self.fill, "fill")

    def __call__(self, batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        batch = _writable(batch)
        batch[...] = rotate(batch, rng.uniform(-self.degrees, self.degrees, len(batch)), self.fill)
        return batch


@dataclass(frozen=True, init=False)
class Compose:
    """One augmentation after the other: ``Compose(RandomFlip(), PadCrop(4))``.

    Raises
    ------
    TypeError
        If one of them cannot be called.
    """

    augmentations: tuple[Augmentation, ...]

    def __init__(self, *augmentations: Augmentation) -> None:
        for augmentation in augmentations:
            if not callable(augmentation):
                raise TypeError(f"Compose: expects functions (batch, rng) -> batch, got {augmentation!r}")
        object.__setattr__(self, "augmentations", augmentations)

    def __call__(self, batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for augmentation in self.augmentations:
            batch = augmentation(batch, rng)
        return batch


def rotate(batch: np.ndarray, degrees: Any, fill: float = 0.0) -> np.ndarray:
    """Turn images about their centres, counterclockwise, with bilinear interpolation.

    The value at (row, column) is taken at ``centre + R (position - centre)``, R the rotation by the angle.

    Parameters
    ----------
    batch : ndarray of float32 or float64, shape (N, C, H, W)
    degrees : array-like, shape (N,) or a single number
    fill : float
        What lies beyond the image.

    Returns
    -------
    ndarray
        A new array in the shape and dtype of ``batch``.

    Raises
    ------
    TypeError, ValueError
        If the batch is not four-dimensional floats, or the angles do not fit its length.
    """
    batch = as_nchw(batch, "batch")
    n, channels, height, width = batch.shape
    degrees = np.asarray(degrees, np.float64)
    if degrees.shape not in ((), (n,)):
        raise ValueError(f"degrees: expects one angle, or {n} of them, got shape {degrees.shape}")
    if not np.isfinite(degrees).all():
        raise ValueError(f"degrees: expects finite angles, got {degrees[~np.isfinite(degrees)][0]}")
    fill = real_number(fill, "fill")
    if batch.size == 0:
        return batch.copy()
    angle = np.broadcast_to(np.radians(degrees), n)[:, None, None]
    down = (np.arange(height) - (height - 1) / 2)[:, None]
    right = np.arange(width) - (width - 1) / 2
    # In an image with a frame of fill, beyond which all is fill: one pixel more each way.
    row = np.cos(angle) * down + np.sin(angle) * right + (height + 1) / 2
    column = np.cos(angle) * right - np.sin(angle) * down + (width + 1) / 2
    row = np.clip(row, 0, height + 1).reshape(n, 1, -1)
    column = np.clip(column, 0, width + 1).reshape(n, 1, -1)
    top = np.minimum(row.astype(np.intp), height)
    left = np.minimum(column.astype(np.intp), width)
    lower = (row - top).astype(batch.dtype)  # weights of the row below and the column to the right
    further = (column - left).astype(batch.dtype)

    stride = width + 2
    plane = (height + 2) * stride
    pixels = _padded(batch, 1, 1, "constant", fill).reshape(-1)
    corner = np.arange(n * channels).reshape(n, channels, 1) * plane + (top * stride + left)

    def across(offset: int) -> np.ndarray:
        """Between the pixel at an offset from the corner and its neighbour to the right."""
        # mode="clip" is the fast one; every index is in range by construction.
        one = np.take(pixels, corner + offset, mode="clip")
        other = np.take(pixels, corner + (offset + 1), mode="clip")
        return one + (other - one) * further

    above = across(0)
    return (above + (across(stride) - above) * lower).reshape(batch.shape)


def _writable(batch: np.ndarray) -> np.ndarray:
    batch = as_nchw(batch, "batch")
    if not batch.flags.writeable:
        raise ValueError("batch: is read-only and would be changed in place; pass a copy")
    return batch


def _padded(batch: np.ndarray, rows: int, columns: int, mode: str, fill: float = 0.0) -> np.ndarray:
    options = {"constant_values": fill} if mode == "constant" else {}
    return np.pad(batch, ((0, 0), (0, 0), (rows, rows), (columns, columns)), mode, **options)  # type: ignore[call-overload]


def _crop_at_random(batch: np.ndarray, padded: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fill ``batch`` with pieces of ``padded``, one of each image."""
    # (N, C, offsets down, offsets to the right, H, W)
    windows = np.lib.stride_tricks.sliding_window_view(padded, batch.shape[2:], axis=(2, 3))
    down = rng.integers(windows.shape[2], size=len(batch))
    right = rng.integers(windows.shape[3], size=len(batch))
    batch[...] = windows[np.arange(len(batch)), :, down, right]
    return batch
