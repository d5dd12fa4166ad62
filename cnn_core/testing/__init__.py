"""The contract of kernels, functions and layers as a check that anybody can run on their own.

    from cnn_core.testing import check_function, check_layer

    report = check_function(silu, reference.silu, [(x,) for x in inputs], backward=silu_backward)
    print(report)
    report.assert_ok()

The rules are those that the library's own functions keep: right values and gradients in either precision, any
layout of the inputs, no write but into every element of the outputs, the same bits for any number of threads,
at every ISA level. A failure says which rule broke, where first, and how to see it again.
"""

from cnn_core.testing.cases import arguments
from cnn_core.testing.function import check_function
from cnn_core.testing.layer import check_layer
from cnn_core.testing.layouts import LAYOUTS, lay_out
from cnn_core.testing.outputs import Watch, watched_outputs
from cnn_core.testing.report import RULES, ContractError, Finding, Problem, Report

__all__ = [
    "LAYOUTS",
    "RULES",
    "ContractError",
    "Finding",
    "Problem",
    "Report",
    "Watch",
    "arguments",
    "check_function",
    "check_layer",
    "lay_out",
    "watched_outputs",
]
