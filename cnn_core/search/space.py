"""What is searched: the values that each hyperparameter may take.

A space is a dict of names to ranges: ``{"lr": LogUniform(1e-6, 1e-2), "batch_size": Choice(16, 32, 64)}``.
"""

import decimal
import math
import statistics
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core._checks import integer, real_number

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial as OptunaTrial

_DIGITS = 6  # of a drawn value: enough to tell values apart, few enough to be the same with every libm
_BOUND_DIGITS = 3  # of a narrowed range, which people read


class Parameter:
    """The base class of ranges."""

    def sample(self, rng: np.random.Generator) -> Any:
        """Draw a value."""
        raise NotImplementedError

    def narrowed(self, values: Sequence[Any]) -> "Parameter":
        """Return the range, within this one, that holds ``values``."""
        raise NotImplementedError

    def centre(self, values: Sequence[Any]) -> Any:
        """Return the value in the middle of ``values``."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the range as what JSON can hold."""
        return {"kind": type(self).__name__, **vars(self)}

    def distribution(self) -> "BaseDistribution":
        """Return the range as Optuna's object."""
        raise NotImplementedError

    def suggest(self, trial: "OptunaTrial", name: str) -> Any:
        """Let Optuna's sampler choose a value."""
        raise NotImplementedError


@dataclass(frozen=True)
class Uniform(Parameter):
    """Real numbers from ``low`` to ``high``, all equally likely.

    Raises
    ------
    TypeError, ValueError
        If the bounds are not finite numbers, or ``low > high``.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self, -math.inf)

    def sample(self, rng: np.random.Generator) -> float:
        return self._within(_rounded(rng.uniform(self.low, self.high)))

    def narrowed(self, values: Sequence[Any]) -> "Uniform":
        low = self._within(_rounded_to(min(values), decimal.ROUND_FLOOR))
        return type(self)(low, self._within(_rounded_to(max(values), decimal.ROUND_CEILING)))

    def centre(self, values: Sequence[Any]) -> float:
        return self._within(_rounded(statistics.median(values)))

    def distribution(self) -> "BaseDistribution":
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high)

    def suggest(self, trial: "OptunaTrial", name: str) -> float:
        return trial.suggest_float(name, self.low, self.high)

    def _within(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def __str__(self) -> str:
        return f"{self.low:.3g} ... {self.high:.3g}"


@dataclass(frozen=True)
class LogUniform(Uniform):
    """Positive numbers from ``low`` to ``high`` whose logarithms are equally likely: each power of ten is.

    For learning rates and weight decays, of which only the order of magnitude is known beforehand.

    Raises
    ------
    TypeError, ValueError
        If the bounds are not positive and finite, or ``low > high``.

    Notes
    -----
    *Deep Learning from Scratch*, section 6.5.2. Bergstra and Bengio (2012), "Random Search for
    Hyper-Parameter Optimization".
    """

    def __post_init__(self) -> None:
        _check_bounds(self, 0)

    def sample(self, rng: np.random.Generator) -> float:
        return self._within(_rounded(math.exp(rng.uniform(math.log(self.low), math.log(self.high)))))

    def centre(self, values: Sequence[Any]) -> float:
        return self._within(_rounded(math.exp(statistics.median(map(math.log, values)))))

    def distribution(self) -> "BaseDistribution":
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=True)

    def suggest(self, trial: "OptunaTrial", name: str) -> float:
        return trial.suggest_float(name, self.low, self.high, log=True)


@dataclass(frozen=True)
class Integer(Parameter):
    """Whole numbers from ``low`` to ``high``, both included, all equally likely.

    Raises
    ------
    TypeError, ValueError
        If the bounds are not integers, or ``low > high``.
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        for bound in ("low", "high"):
            object.__setattr__(
                self, bound, integer(getattr(self, bound), f"Integer: {bound}", at_least=-(2**53))
            )
        if self.low > self.high:
            raise ValueError(f"Integer: expects low <= high, got {self.low} and {self.high}")

    def sample(self, rng: np.random.Generator) -> int:
        return int(rng.integers(self.low, self.high, endpoint=True))

    def narrowed(self, values: Sequence[Any]) -> "Integer":
        return Integer(min(values), max(values))

    def centre(self, values: Sequence[Any]) -> int:
        return int(statistics.median_low(values))

    def distribution(self) -> "BaseDistribution":
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high)

    def suggest(self, trial: "OptunaTrial", name: str) -> int:
        return trial.suggest_int(name, self.low, self.high)

    def __str__(self) -> str:
        return f"{self.low} ... {self.high}"


@dataclass(frozen=True, init=False)
class Choice(Parameter):
    """One of a few values, all equally likely: ``Choice("sgd", "adam")``.

    Parameters
    ----------
    *options : str, int, float, bool or None

    Raises
    ------
    TypeError, ValueError
        If there are none, one comes twice, or one is of another type.
    """

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        for option in options:
            if option is not None and not isinstance(option, str | int | float):
                raise TypeError(f"Choice: expects strings, numbers, bools or None, got {option!r}")
        if not options:
            raise ValueError("Choice: expects at least one option")
        if len(set(options)) < len(options) or any(option != option for option in options):
            raise ValueError(f"Choice: expects options that differ from one another, got {options}")
        object.__setattr__(self, "options", options)

    def sample(self, rng: np.random.Generator) -> Any:
        return self.options[rng.integers(len(self.options))]

    def narrowed(self, values: Sequence[Any]) -> "Choice":
        return Choice(*(option for option in self.options if option in values))

    def centre(self, values: Sequence[Any]) -> Any:
        return max(self.options, key=list(values).count)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "Choice", "options": list(self.options)}

    def distribution(self) -> "BaseDistribution":
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.options)

    def suggest(self, trial: "OptunaTrial", name: str) -> Any:
        return trial.suggest_categorical(name, self.options)

    def __str__(self) -> str:
        return ", ".join(map(str, self.options))


Space = Mapping[str, Parameter]


def check_space(space: Any) -> dict[str, Parameter]:
    """Return the space as a dict of its own.

    Raises
    ------
    TypeError
        If it does not map strings to `Parameter` objects.
    ValueError
        If it is empty.
    """
    if not isinstance(space, Mapping):
        raise TypeError(f"space: expects a dict of names to ranges, got {type(space).__name__}")
    if not space:
        raise ValueError('space: expects at least one range, such as {"lr": LogUniform(1e-6, 1e-2)}')
    for name, parameter in space.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"space: expects names that are strings, got {name!r}")
        if not isinstance(parameter, Parameter):
            raise TypeError(
                f"space: {name!r} expects LogUniform, Uniform, Integer or Choice, got {parameter!r}"
            )
    return dict(space)


def sample(space: Space, seed: int, number: int) -> dict[str, Any]:
    """Draw the parameters of one trial: they depend on the space, the seed and the trial's number alone.

    Each parameter has a stream of its own, so that leaving one out does not change the others.
    """
    return {
        name: parameter.sample(np.random.default_rng([seed, number, zlib.crc32(name.encode())]))
        for name, parameter in space.items()
    }


def _check_bounds(parameter: Uniform, above: float) -> None:
    kind = type(parameter).__name__
    for bound in ("low", "high"):
        value = real_number(getattr(parameter, bound), f"{kind}: {bound}", above=above)
        object.__setattr__(parameter, bound, value)
    if parameter.low > parameter.high:
        raise ValueError(f"{kind}: expects low <= high, got {parameter.low:g} and {parameter.high:g}")


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _rounded_to(value: float, direction: str) -> float:
    """Round to a few significant digits, ``decimal.ROUND_FLOOR`` or ``ROUND_CEILING``."""
    return float(decimal.Context(prec=_BOUND_DIGITS, rounding=direction).create_decimal(repr(float(value))))
