"""The contract between kernels and functions: outputs are overwritten whole, and nothing beside them."""

import numpy as np
import pytest
from cases import CASES, LARGE_CASES, Case
from compare import assert_identical, compute

from cnn_core import _memory
from cnn_core.testing import watched_outputs


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("case", [*CASES, *LARGE_CASES], ids=str)
def test_outputs_are_written_in_full_and_nothing_else(case: Case, dtype: type) -> None:
    expected = compute(case, dtype)
    with watched_outputs() as watch:
        got = compute(case, dtype)
    assert_identical(case, got, expected)
    assert list(watch.overruns()) == []


def test_the_watch_is_in_place() -> None:
    """Without an output that comes from the allocator, the test above would test nothing."""
    from cnn_core.functional import convolution

    with watched_outputs():
        assert np.isnan(convolution.empty((2, 3), np.float32)).all()
        assert _memory.zeros((2, 3), np.float64).sum() == 0
