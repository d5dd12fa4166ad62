"""What functions are called with: the cases of a check, in every dtype and layout."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cnn_core.testing import layouts

Case = Sequence[Any] | Mapping[str, Any]
Arguments = tuple[list[Any], dict[str, Any]]

DTYPES = ("float32", "float64")
_LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    layout.__name__: layout for layout in (layouts.plain, *layouts.LAYOUTS)
}


def arguments(
    case: Case, dtype: npt.DTypeLike = "float32", layout: str = "plain", except_for: Collection[str] = ()
) -> Arguments:
    """Return the arguments of a case, afresh: ``args, kwargs = arguments(case); fn(*args, **kwargs)``.

    Parameters
    ----------
    case : sequence or mapping
        Positional arguments, or arguments by name.
    dtype : numpy.dtype
        What arrays of floating-point numbers are rounded to; others are left as they are.
    layout : str
        ``"plain"`` or the name of a function in `cnn_core.testing.layouts`.
    except_for : collection of str
        Names of arguments that stay plain.
    """
    if isinstance(case, np.ndarray):
        raise TypeError("a case is a tuple or a dict of arguments, got an array: write (x,)")
    named = dict(case) if isinstance(case, Mapping) else {str(i): value for i, value in enumerate(case)}
    rounded = {key: _round(value, dtype) for key, value in named.items()}
    laid_out = layouts.lay_out(rounded, _LAYOUTS[layout], except_for)
    return ([], laid_out) if isinstance(case, Mapping) else (list(laid_out.values()), {})


def _round(value: Any, dtype: npt.DTypeLike) -> Any:
    is_real = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return np.array(value, dtype, order="C") if is_real else value


def values_of(arguments: Arguments) -> list[Any]:
    """The arguments, whether they have names or not, in order."""
    args, kwargs = arguments
    return [*args, *kwargs.values()]


def arrays_of(arguments: Arguments) -> list[np.ndarray]:
    """The arrays among the arguments."""
    return [value for value in values_of(arguments) if isinstance(value, np.ndarray)]


def reals_of(arguments: Arguments) -> list[np.ndarray]:
    """The arrays of floating-point numbers among the arguments: those that have gradients."""
    return [value for value in arrays_of(arguments) if value.dtype.kind == "f"]


def replace_values(arguments: Arguments, change: Callable[[Any], Any]) -> Arguments:
    """Return the arguments with every value changed."""
    args, kwargs = arguments
    return [change(value) for value in args], {key: change(value) for key, value in kwargs.items()}


def replace_arrays(arguments: Arguments, change: Callable[[np.ndarray], np.ndarray]) -> Arguments:
    """Return the arguments with every array changed."""
    return replace_values(arguments, lambda value: change(value) if isinstance(value, np.ndarray) else value)


def replace_reals(arguments: Arguments, reals: Sequence[np.ndarray]) -> Arguments:
    """Return the arguments with other arrays in place of those of floating-point numbers."""
    rest = iter(reals)
    return replace_arrays(arguments, lambda x: next(rest) if x.dtype.kind == "f" else x)


@dataclass(frozen=True)
class Situation:
    """One way to call a function: the number of a case, a dtype, a layout, and threads (None: no change)."""

    number: int
    shapes: str
    dtype: str = "float32"
    layout: str = "plain"
    threads: int | None = None

    def __str__(self) -> str:
        layout = "" if self.layout == "plain" else f" {self.layout.replace('_', ' ')}"
        return f"cases[{self.number}], {self.shapes}{layout} {self.dtype}"

    def reproduce(self, call: str) -> str:
        """Statements that make this very call."""
        layout = "" if self.layout == "plain" else f', "{self.layout}"'
        return (
            f'args, kwargs = cnn_core.testing.arguments(cases[{self.number}], "{self.dtype}"{layout}); '
            f"{self.set_threads}{call}(*args, **kwargs)"
        )

    @property
    def set_threads(self) -> str:
        """The statement that sets the number of threads, if it matters."""
        return "" if self.threads is None else f"cnn_core.set_num_threads({self.threads}); "


def shapes_of(case: Case) -> str:
    """The shapes of a case's arrays, in words."""
    shapes = [str(x.shape) for x in arrays_of(arguments(case))]
    return " and ".join(shapes) or "no arrays"
