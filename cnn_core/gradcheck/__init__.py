"""Compare hand-written backward passes with differences of the forward pass, in float64.

Small arrays are checked along every coordinate, large ones along random unit directions: a gradient that is
wrong anywhere is wrong along a random direction too. A coordinate or direction with a kink between the
evaluations (ReLU at zero, a tie in max-pool) has no derivative to compare with; it is skipped and counted.
Whether to skip is decided from the forward pass alone, so a wrong backward pass cannot hide in it, and an
array with too many skips fails.

    report = check_layer(Conv2d(3, 8, 3), tie_free((2, 3, 6, 6)))
    print(report)
    report.assert_ok()

Random unit directions: Tokui et al., "Chainer: A Deep Learning Framework for Accelerating the Research Cycle"
(2019). How kinks are found: `cnn_core.gradcheck.differences`.
"""

from cnn_core.gradcheck.checks import check_function, check_layer, check_model
from cnn_core.gradcheck.compare import tie_free
from cnn_core.gradcheck.differences import numerical_gradient
from cnn_core.gradcheck.report import ArrayReport, GradientError, GradientReport

__all__ = [
    "ArrayReport",
    "GradientError",
    "GradientReport",
    "check_function",
    "check_layer",
    "check_model",
    "numerical_gradient",
    "tie_free",
]
