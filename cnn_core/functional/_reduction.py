"""How losses of elements become one number."""

import math

REDUCTIONS = ("mean", "sum", "none")


def over(number: float, total: float) -> float:
    """``number / total``; NaN where there is nothing to average, as in torch."""
    return number / total if total else math.nan
