"""What functions demand of their arguments, written once.

Every message says what was expected, what came, and where there is one the formula.
"""

import math
import operator
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

REAL = (np.dtype(np.float32), np.dtype(np.float64))

# Elements of one array: indices and byte counts must fit in 63 bits with room to spare.
_MOST_ELEMENTS = 2**59
_LARGEST = 2**62

Pair = int | Sequence[int]


def as_real(x: Any, name: str, *, ndim: int | None = None, like: np.ndarray | None = None) -> np.ndarray:
    """``x`` as a C-contiguous, aligned, native-endian array; a copy only where it must be one.

    Raises
    ------
    TypeError
        If ``x`` is not an array of float32 or float64, or not of the dtype of ``like``.
    ValueError
        If it does not have ``ndim`` dimensions.
    """
    if (  # an array as layers make them: one quick test, the long way for all others
        type(x) is np.ndarray
        and x.dtype in REAL
        and x.flags.carray
        and (ndim is None or x.ndim == ndim)
        and (like is None or x.dtype == like.dtype)
    ):
        return x
    if isinstance(x, np.generic):  # what numpy makes of an array without dimensions
        x = np.asarray(x)
    if not isinstance(x, np.ndarray):
        raise TypeError(
            f"{name}: expects a numpy array, got {type(x).__name__}; convert it with numpy.asarray"
        )
    dtype = x.dtype if x.dtype.isnative else x.dtype.newbyteorder("=")
    if dtype not in REAL:
        raise TypeError(
            f"{name}: expects float32 or float64, got {x.dtype}; convert it with .astype('float32')"
        )
    if like is not None and dtype != like.dtype:
        raise TypeError(
            f"{name}: expects {like.dtype} like the other arrays, got {dtype}; "
            f"convert it with .astype('{like.dtype}')"
        )
    if ndim is not None and x.ndim != ndim:
        raise ValueError(f"{name}: expects {ndim} dimensions{_LAYOUT.get(ndim, '')}, got shape {x.shape}")
    return np.require(x, dtype, ["C_CONTIGUOUS", "ALIGNED"])


_LAYOUT = {4: " (N, C, H, W)", 2: " (N, C)"}


def as_nchw(x: Any, name: str = "x") -> np.ndarray:
    """An image batch (N, C, H, W); see `as_real`."""
    return as_real(x, name, ndim=4)


def as_vector(x: Any, name: str, length: int, like: np.ndarray) -> np.ndarray:
    """One number for each channel or feature: shape ``(length,)``; see `as_real`."""
    if type(x) is np.ndarray and x.shape == (length,) and x.dtype == like.dtype and x.flags.carray:
        return x
    x = as_real(x, name, ndim=1, like=like)
    if x.shape != (length,):
        raise ValueError(f"{name}: expects shape ({length},), got {x.shape}")
    return x


def same_shape(x: np.ndarray, name: str, shape: Sequence[int], of: str) -> None:
    """Raise ValueError unless ``x`` has the shape that ``of`` gives."""
    if x.shape != tuple(shape):
        raise ValueError(f"{name}: expects shape {tuple(shape)} of {of}, got {x.shape}")


def shown(value: Any) -> str:
    """A value for a message: as it is written if that is short, else its type and shape."""
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) < 80 else f"a {type(value).__name__}"


def integer(value: Any, name: str, *, at_least: int) -> int:
    """An integer (not a bool) that is large enough."""
    if type(value) is int and at_least <= value <= _LARGEST:
        return value
    try:
        n = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expects an integer, got {shown(value)}") from None
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expects an integer, got {shown(value)}")
    if n < at_least:
        raise ValueError(f"{name}: expects an integer >= {at_least}, got {n}")
    if n > _LARGEST:
        raise ValueError(f"{name}: {n} is too large")
    return n


def pair(value: Any, name: str, *, at_least: int = 1) -> tuple[int, int]:
    """``3`` as ``(3, 3)``, ``(3, 5)`` as it is: rows first, then columns."""
    if type(value) is tuple and len(value) == 2:  # as layers keep them
        rows, columns = value
        if (
            type(rows) is type(columns) is int
            and at_least <= rows <= _LARGEST
            and at_least <= columns <= _LARGEST
        ):
            return value
    if isinstance(value, (tuple, list, np.ndarray)):
        if len(value) != 2:
            raise ValueError(f"{name}: expects an integer or a pair (rows, columns), got {shown(value)}")
        return integer(value[0], name, at_least=at_least), integer(value[1], name, at_least=at_least)
    n = integer(value, name, at_least=at_least)
    return n, n


def real_number(
    value: Any,
    name: str,
    *,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """A finite number within bounds, as a float."""
    if type(value) is float and at_least <= value <= at_most and above < value < below:
        return value  # finite, as the bounds of `above` and `below` are strict
    if isinstance(value, (bool, np.bool_, str, bytes, complex)):
        raise TypeError(f"{name}: expects a real number, got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name}: expects a finite number, got an integer beyond 1e308") from None
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expects a real number, got {shown(value)}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name}: expects a finite number, got {number}")
    if not (at_least <= number <= at_most and above < number < below):
        bounds = [
            text
            for text, binds in (
                (f">= {at_least:g}", at_least > -math.inf),
                (f"> {above:g}", above > -math.inf),
                (f"<= {at_most:g}", at_most < math.inf),
                (f"< {below:g}", below < math.inf),
            )
            if binds
        ]
        raise ValueError(f"{name}: expects a number {' and '.join(bounds)}, got {number:g}")
    return number


def one_of(value: Any, name: str, choices: Sequence[str]) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}: expects one of {', '.join(map(repr, choices))}, got {shown(value)}")
    return value


def checked_size(shape: Sequence[int], name: str) -> tuple[int, ...]:
    """The shape, if an array of it can exist at all."""
    shape = tuple(shape)
    if prod(shape) > _MOST_ELEMENTS:
        raise ValueError(f"{name}: shape {shape} has {prod(shape)} elements, more than memory can hold")
    return shape


def checked_shape(shape: Any, name: str, ndim: int) -> tuple[int, ...]:
    """A shape given by the caller: ``ndim`` integers >= 0."""
    if not isinstance(shape, (tuple, list)) or len(shape) != ndim:
        raise ValueError(f"{name}: expects {ndim} integers{_LAYOUT.get(ndim, '')}, got {shown(shape)}")
    return checked_size([integer(n, name, at_least=0) for n in shape], name)


def out_size(size: int, kernel: int, stride: int, padding: int, dilation: int = 1, *, name: str) -> int:
    """Output length along one axis: ``(size + 2*padding - dilation*(kernel - 1) - 1) // stride + 1``.

    Raises
    ------
    ValueError
        If the dilated kernel does not fit into the padded input.
    """
    extent = dilation * (kernel - 1) + 1
    if extent > size + 2 * padding:
        reach = f"{kernel}" if dilation == 1 else f"{extent} = {dilation}*({kernel} - 1) + 1"
        raise ValueError(
            f"{name}: kernel {reach} is larger than the padded input "
            f"{size + 2 * padding} = {size} + 2*{padding}: "
            "use larger images, a smaller kernel or more padding"
        )
    return (size + 2 * padding - extent) // stride + 1


def pool_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool, *, name: str
) -> int:
    """Output length of a pooling along one axis.

    As `out_size`, rounded up with ``ceil_mode``; a last window that would start beyond the input and its
    left padding is left out, so every window holds at least one input.

    Raises
    ------
    ValueError
        If the kernel does not fit, or ``padding`` is more than half the kernel.
    """
    if 2 * padding > dilation * (kernel - 1) + 1:
        raise ValueError(
            f"{name}: padding {padding} is more than half the kernel {kernel}: a window would be all padding"
        )
    out = out_size(size, kernel, stride, padding, dilation, name=name)
    if ceil_mode:
        span = size + 2 * padding - dilation * (kernel - 1) - 1
        out = -(-span // stride) + 1
        if (out - 1) * stride >= size + padding:
            out -= 1
    return out


def labels(
    target: Any, name: str, shape: tuple[int, ...], classes: int, ignore_index: int | None = None
) -> np.ndarray:
    """Class numbers as C-contiguous int64, each in ``0 <= t < classes`` (or equal to ``ignore_index``).

    Raises
    ------
    TypeError
        If they are not integers.
    ValueError
        If their shape is wrong or one is out of range (it says which).
    """
    target = np.asarray(target)
    if target.dtype.kind not in "iu":
        remedy = "; convert them with .astype('int64')" if target.dtype.kind in "fb" else ""
        if target.dtype.kind in "US":
            remedy = "; number them with numpy.unique(names, return_inverse=True)"
        raise TypeError(f"{name}: expects integer class labels, got {target.dtype}{remedy}")
    if target.shape != shape:
        remedy = _remedy_of_shape(target.shape, shape, classes)
        raise ValueError(f"{name}: expects shape {shape}, got {target.shape}{remedy}")
    # In one pass where all is well: as unsigned numbers, negative ones are too large.
    plain = target.dtype == np.int64 and target.flags.carray and target.size > 0
    if plain and target.view(np.uint64).max() < classes:
        return target
    wrong = (target < 0) | (target >= classes)
    if ignore_index is not None:
        wrong &= target != ignore_index
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        remedy = f"there are {classes} scores for each example"
        if target[where] < 0:
            remedy = f"ignore_index={target[where]} leaves such labels out"
        elif target.min() == 1 and target.max() == classes:
            remedy = f"classes count from 0: subtract 1 from labels 1 ... {classes}"
        raise ValueError(f"{name}: label {target[where]} at {where} is not in 0 ... {classes - 1}; {remedy}")
    return np.require(target, np.int64, ["C_CONTIGUOUS", "ALIGNED"])


def _remedy_of_shape(got: tuple[int, ...], shape: tuple[int, ...], classes: int) -> str:
    """What to do about labels that have another shape; they may be one-hot rows, or have an axis of 1."""
    if got == (*shape, 1):
        return "; drop the last axis: labels[..., 0]"
    if got == (*shape[:1], classes, *shape[1:]):
        return (
            "; these look like one-hot rows: give labels, t.argmax(axis=1), or make the rows floating point"
        )
    if got == shape[:1]:
        return "; there are scores for every pixel, so pool or flatten them for one label an image"
    return ""
