"""The contract of cnn_core's own kernels, run on these, and what is particular to them."""

import numpy as np
import pytest
from cnn_core.testing import check_function, check_layer

from my_kernel import MyKernel, my_kernel, my_kernel_backward
from my_kernel.reference import my_kernel as expected

# Odd ones, an empty one, and one that is large enough for several threads.
SHAPES = [(2, 3, 5, 7), (1,), (0, 3), (17,), (64, 1000)]


def test_function() -> None:
    rng = np.random.default_rng(0)
    cases = [(rng.normal(0, 3, shape),) for shape in SHAPES]
    report = check_function(
        my_kernel,
        expected,
        cases,
        backward=my_kernel_backward,
        flops=lambda x: 4 * x.size,
    )
    print(report.assert_ok())  # pytest -s shows it


def test_layer() -> None:
    print(check_layer(MyKernel, SHAPES, reference=expected).assert_ok())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_limits(dtype: type) -> None:
    x = np.array([-1000, 0, 1000, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(my_kernel(x), [0, 0, 1000, np.inf, np.nan])


def test_what_is_refused() -> None:
    x = np.ones((2, 3))
    with pytest.raises(TypeError, match="expects float32 or float64, got int64"):
        my_kernel(np.arange(3))
    with pytest.raises(TypeError, match="expects float64 like the other arrays, got float32"):
        my_kernel_backward(x.astype(np.float32), x)
    with pytest.raises(ValueError, match=r"expects shape \(2, 3\) of x, got \(3, 2\)"):
        my_kernel_backward(x.T, x)
