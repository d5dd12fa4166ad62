"""What a file claims about an array, checked before memory is taken for it."""

import math
from collections.abc import Sequence

import numpy as np

_MAX_DIMENSIONS = 32
_MAX_BYTES = 2**63 - 1


def check_size(shape: Sequence[int], dtype: np.dtype, available: int) -> None:
    """Raise ValueError unless an array of this shape and dtype takes exactly ``available`` bytes."""
    if len(shape) > _MAX_DIMENSIONS:
        raise ValueError(f"has {len(shape)} dimensions; at most {_MAX_DIMENSIONS} are accepted")
    if any(not isinstance(n, int) or isinstance(n, bool) or not 0 <= n <= _MAX_BYTES for n in shape):
        raise ValueError("its shape must be a list of non-negative integers below 2**63")
    # Zeros are left out, because numpy refuses such shapes even for an empty array.
    if math.prod(n for n in shape if n) * dtype.itemsize > _MAX_BYTES:
        raise ValueError(f"shape {tuple(shape)} is beyond what can be addressed")
    needed = math.prod(shape) * dtype.itemsize
    if needed != available:
        raise ValueError(
            f"shape {tuple(shape)} of {dtype.name} takes {needed} bytes, but the file has {available} for it"
        )
