"""Dividing examples among training, validation and test."""

from collections.abc import Sequence

import numpy as np

from cnn_core._checks import integer, real_number
from cnn_core.data.dataset import Arrays


def split(
    data: Arrays,
    lengths: Sequence[float],
    *,
    stratify: bool = False,
    rng: np.random.Generator | int | None = None,
) -> tuple[Arrays, ...]:
    """Divide examples at random into parts that share none: ``train, validation = split(data, [0.9, 0.1])``.

    Parameters
    ----------
    data : Arrays
    lengths : sequence of int, or of float
        Numbers of examples, which add up to ``len(data)``, or fractions, which add up to 1. With fractions,
        the parts with the largest remainders are rounded up.
    stratify : bool
        Give each part the classes in the proportions of the whole, as nearly as whole examples allow. Needs
        targets that are class numbers.
    rng : numpy.random.Generator or int, optional
        Source of the division, or a seed for one.

    Returns
    -------
    tuple of Arrays
        One for each length, each with its examples in their original order.

    Raises
    ------
    TypeError
        If ``data`` is not `Arrays`, or ``stratify`` meets targets that are not class numbers.
    ValueError
        If the lengths are negative or do not add up.
    """
    if not isinstance(data, Arrays):
        raise TypeError(
            f"data: expects cnn_core.data.Arrays, got {type(data).__name__}; make it with Arrays(x, t)"
        )
    if stratify and (data.t.ndim != 1 or data.t.dtype.kind not in "iu"):
        raise TypeError(f"stratify: expects class numbers (N,), got targets {data.t.dtype} {data.t.shape}")
    counts = _counts(lengths, len(data))
    order = np.random.default_rng(rng).permutation(len(data))
    if stratify:
        order = order[np.argsort(data.t[order], kind="stable")]
        owner = _dealt(counts)
    else:
        owner = np.repeat(np.arange(len(counts)), counts)
    return tuple(data[np.sort(order[owner == part])] for part in range(len(counts)))


def _dealt(counts: np.ndarray) -> np.ndarray:
    """Part numbers, each ``counts[part]`` times, dealt so evenly that any run of them has its share of each.

    Part ``k`` takes the places ``(j + 1/2) / counts[k]`` of the unit interval, as rhythm spaces its beats.
    """
    places = np.concatenate([(np.arange(count) + 0.5) / max(count, 1) for count in counts])
    return np.repeat(np.arange(len(counts)), counts)[np.argsort(places, kind="stable")]


def _counts(lengths: Sequence[float], total: int) -> np.ndarray:
    """Whole numbers of examples that add up to ``total``."""
    if len(lengths) == 0:
        raise ValueError("lengths: expects at least one")
    if all(isinstance(length, (int, np.integer)) for length in lengths):
        counts = np.array([integer(length, "lengths", at_least=0) for length in lengths])
        if counts.sum() != total:
            raise ValueError(
                f"lengths: {list(lengths)} add up to {counts.sum()}, but there are {total} examples"
            )
        return counts
    shares = np.array([real_number(length, "lengths", at_least=0) for length in lengths])
    if abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"lengths: fractions {list(lengths)} add up to {shares.sum():g} instead of 1")
    exact = shares / shares.sum() * total
    # A hair is added so that 0.7 * 10 = 6.999... counts as 7.
    counts = np.floor(exact + 1e-9).astype(int)
    by_remainder = np.argsort(counts - exact, kind="stable")
    counts[by_remainder[: total - counts.sum()]] += 1
    return counts
