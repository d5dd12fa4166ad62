"""Bringing numbers into the range in which networks learn well."""

from typing import Any

import numpy as np

from cnn_core._checks import real_number

# Examples worked on at once: few enough for the cache, and for double precision without a second copy of all.
_ROWS = 256


def to_float(x: np.ndarray, *, maximum: float = 255, out: np.ndarray | None = None) -> np.ndarray:
    """Scale integers 0 ... ``maximum`` to float32 0 ... 1: ``y = x / maximum``.

    Parameters
    ----------
    x : ndarray of integers
    maximum : float
        What becomes 1: 255 for bytes.
    out : ndarray of float32, in the shape of ``x``, optional
        Where to write the result.

    Raises
    ------
    TypeError
        If ``x`` is not an array of integers, or ``out`` not one of float32.
    ValueError
        If ``maximum`` is not positive, or ``out`` has another shape.
    """
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "iu":
        raise TypeError(f"x: expects an array of integers, got {getattr(x, 'dtype', type(x).__name__)}")
    divisor = np.float32(real_number(maximum, "maximum", above=0))
    if out is None:
        out = np.empty(x.shape, np.float32)
    elif not isinstance(out, np.ndarray) or out.dtype != np.float32:
        raise TypeError(f"out: expects an array of float32, got {getattr(out, 'dtype', type(out).__name__)}")
    elif out.shape != x.shape:
        raise ValueError(f"out: expects shape {x.shape} of x, got {out.shape}")
    blocks = [slice(start, start + _ROWS) for start in range(0, len(x), _ROWS)] if x.ndim else [...]
    for block in blocks:
        np.divide(x[block], divisor, out=out[block], dtype=np.float32)
    return out


class Normalize:
    """Give each channel mean 0 and standard deviation 1: ``y = (x - mean) / std``.

    The statistics come from the training images alone, and are applied to validation and test images as they
    are: ``normalize = Normalize.fit(data.train.x)``, then ``normalize(data.test.x)``.

    Parameters
    ----------
    mean, std : array-like, shape (C,)
        One number for each channel, the second axis. A channel with a standard deviation of 0 is not scaled.

    Raises
    ------
    ValueError
        If they differ in shape, are not finite, or a standard deviation is negative.
    """

    def __init__(self, mean: Any, std: Any) -> None:
        self.mean = np.atleast_1d(np.asarray(mean, np.float64))
        self.std = np.atleast_1d(np.asarray(std, np.float64))
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape:
            shapes = f"{self.mean.shape} and {self.std.shape}"
            raise ValueError(f"mean and std: expect one number for each channel, got shapes {shapes}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.std).all() and (self.std >= 0).all()):
            raise ValueError(f"mean and std: expect finite numbers and std >= 0, got {self.mean}, {self.std}")

    @classmethod
    def fit(cls, x: np.ndarray) -> "Normalize":
        """The mean and standard deviation of each channel of ``x`` (N, C, ...), summed in double precision.

        Raises
        ------
        TypeError
            If ``x`` is not an array of floating-point numbers.
        ValueError
            If it has no channels or is empty.
        """
        x = _as_channels(x)
        if x.size == 0:
            raise ValueError(f"x: expects examples to take statistics of, got shape {x.shape}")
        axes = (0, *range(2, x.ndim))
        count = x.size // x.shape[1]
        parts = [x[start : start + _ROWS] for start in range(0, len(x), _ROWS)]
        mean = sum(part.sum(axes, np.float64) for part in parts) / count
        centre = mean.reshape(-1, *[1] * (x.ndim - 2))
        variance = sum(np.square(part - centre).sum(axes) for part in parts) / count
        return cls(mean, np.sqrt(variance))

    def __call__(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """``(x - mean) / std``, in the dtype of ``x``; ``out`` may be ``x`` itself.

        Raises
        ------
        TypeError
            If ``x`` is not an array of floating-point numbers.
        ValueError
            If it has another number of channels.
        """
        x, mean, scale = self._operands(x)
        out = np.subtract(x, mean, out=out)
        return np.divide(out, scale, out=out)

    def inverse(self, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """``y * std + mean``: undoes `__call__` but for rounding."""
        y, mean, scale = self._operands(y)
        out = np.multiply(y, scale, out=out)
        return np.add(out, mean, out=out)

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean.tolist()}, std={self.std.tolist()})"

    def _operands(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = _as_channels(x)
        if x.shape[1] != len(self.mean):
            raise ValueError(f"x: expects {len(self.mean)} channels, got {x.shape[1]} in shape {x.shape}")
        shape = (-1, *[1] * (x.ndim - 2))
        scale = np.where(self.std == 0, 1, self.std)
        return x, self.mean.astype(x.dtype).reshape(shape), scale.astype(x.dtype).reshape(shape)


def _as_channels(x: Any) -> np.ndarray:
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        raise TypeError(
            f"x: expects an array of floating-point numbers, got {getattr(x, 'dtype', type(x).__name__)}"
        )
    if x.ndim < 2:
        raise ValueError(f"x: expects (N, C, ...), got shape {x.shape}")
    return x
