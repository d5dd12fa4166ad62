"""What is checked: a function, what is expected of it, and the cases to try it with."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnn_core.bench.threads import using_threads
from cnn_core.testing.cases import DTYPES, Arguments, Case, Situation, arguments, arrays_of, shapes_of
from cnn_core.testing.compare import Outputs, errors, outputs_of
from cnn_core.testing.report import Problem


class Raised(Exception):
    """The function raised where it should have computed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


@dataclass
class Subject:
    """A function under test.

    Attributes
    ----------
    name : str
        How messages call it.
    fn : callable
    cases : sequence
    reference : callable or None
        Computes the same, slowly. Without one, the function's own result in float64 is what is expected.
    tolerance : float or callable
        See `cnn_core.testing.check_function`.
    inout : collection of str
        Arguments, given by name, that are updated in place.
    returns_view : bool
        Whether results may share memory with inputs.
    thread_counts : tuple of int
    """

    name: str
    fn: Callable[..., Any]
    cases: Sequence[Case]
    reference: Callable[..., Any] | None = None
    tolerance: float | Callable[..., Any] = 32.0
    inout: Collection[str] = ()
    returns_view: bool = False
    thread_counts: tuple[int, ...] = (2, 3, 8)
    _plain: dict[tuple[int, str], Outputs] = field(default_factory=dict, repr=False)
    _expected: dict[tuple[int, str], Outputs] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: what is expected is sent, what the function gives is computed there."""
        for situation in self.situations():
            self.expected(situation)
        return {**self.__dict__, "reference": None, "_plain": {}}

    def situations(self, layout: str = "plain", threads: int | None = None) -> Iterator[Situation]:
        """Every case in every dtype."""
        for number, case in enumerate(self.cases):
            for dtype in DTYPES:
                yield Situation(number, shapes_of(case), dtype, layout, threads)

    def arguments(self, situation: Situation) -> Arguments:
        """The arguments of a situation, afresh."""
        case = self.cases[situation.number]
        return arguments(case, situation.dtype, situation.layout, except_for=self.inout)

    def call(self, situation: Situation, given: Arguments | None = None) -> Outputs:
        """Call the function; its outputs are what it returns, and then what it updated in place.

        Raises
        ------
        Raised
            If it raises.
        """
        args, kwargs = self.arguments(situation) if given is None else given
        try:
            with using_threads(situation.threads), np.errstate(all="ignore"):
                result = outputs_of(self.fn(*args, **kwargs))
        except Exception as error:
            raise Raised(self.problem(f"raised {type(error).__name__}: {error}", situation)) from error
        return (*result, *(kwargs[name] for name in self.inout if kwargs.get(name) is not None))

    def plain(self, situation: Situation) -> Outputs:
        """The result for plain arrays of a situation's case and dtype, computed once."""
        key = situation.number, situation.dtype
        if key not in self._plain:
            self._plain[key] = self.call(Situation(situation.number, situation.shapes, situation.dtype))
        return self._plain[key]

    def expected(self, situation: Situation) -> Outputs:
        """What the reference makes of the rounded inputs, in float64, computed once."""
        key = situation.number, situation.dtype
        if key not in self._expected:
            self._expected[key] = self.refer(self.arguments(Situation(situation.number, "", situation.dtype)))
        return self._expected[key]

    def refer(self, given: Arguments) -> Outputs:
        """What the reference makes of arguments."""

        def exact(value: Any) -> Any:
            is_real = isinstance(value, np.ndarray) and value.dtype.kind == "f"
            return value.astype(np.float64) if is_real else value

        args, kwargs = [exact(v) for v in given[0]], {k: exact(v) for k, v in given[1].items()}
        with np.errstate(all="ignore"):
            result = outputs_of((self.reference or self.fn)(*args, **kwargs))
        return (*result, *(kwargs[name] for name in self.inout if kwargs.get(name) is not None))

    def bounds(self, situation: Situation) -> Any:
        """What errors are allowed, in units of epsilon; see `cnn_core.testing.compare.errors`."""
        if not callable(self.tolerance):
            return self.tolerance
        args, kwargs = self.arguments(Situation(situation.number, "", "float64"))
        bounds = self.tolerance(*args, **kwargs)
        return bounds if isinstance(bounds, tuple | list) else (bounds,)

    def errors(self, got: Outputs, situation: Situation) -> Iterator[Problem]:
        """Compare a result of a situation with what is expected."""
        for text in errors(got, self.expected(situation), situation.dtype, self.bounds(situation)):
            yield self.problem(text, situation)

    def problem(self, text: str, situation: Situation) -> Problem:
        """A problem, and how to have it again."""
        how = getattr(self.fn, "reproduce", None)
        return Problem(text, str(situation), how(situation) if how else situation.reproduce(self.name))

    def has_elements(self, situation: Situation) -> bool:
        """Whether no array of the case is empty."""
        return all(x.size for x in arrays_of(self.arguments(situation)))
