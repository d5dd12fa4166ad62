"""Functions that take ``out=``: what they may be given, and what must become of it."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from cnn_core.testing.cases import Arguments, Situation, reals_of, replace_reals
from cnn_core.testing.layouts import strided
from cnn_core.testing.outputs import watched_outputs
from cnn_core.testing.report import Problem
from cnn_core.testing.subject import Raised, Subject

Make = Callable[[tuple[int, ...], np.dtype], np.ndarray]


def takes_out(subject: Subject) -> bool:
    """Whether the function has a parameter ``out``."""
    try:
        return "out" in inspect.signature(subject.fn).parameters
    except (TypeError, ValueError):  # a builtin that does not tell
        return False


def outs(subject: Subject, situation: Situation, make: Make | None = None) -> Iterator[np.ndarray]:
    """Call the function with ``out=``, if it takes one, and give the array that was passed."""
    plain = subject.plain(situation)
    if not takes_out(subject) or len(plain) != 1:
        return
    with watched_outputs() as watch:
        out = (make or watch.empty)(plain[0].shape, plain[0].dtype)
    _call(subject, situation, subject.arguments(situation), out)
    yield out


def strided_out(subject: Subject) -> Iterator[Problem]:
    """A strided ``out=`` is filled or refused."""
    for situation in subject.situations() if takes_out(subject) else ():
        try:
            filled = list(outs(subject, situation, lambda shape, dtype: strided(np.zeros(shape, dtype))))
        except Raised as raised:
            if not _is_refusal(raised):
                yield raised.problem
            continue
        for out in filled:
            for problem in subject.errors((out,), situation):
                yield _with_out(problem, "strided out=")


def out_beside_input(subject: Subject) -> Iterator[Problem]:
    """An ``out=`` that is an input, or that overlaps one, holds the right result or is refused."""
    for situation in subject.situations() if takes_out(subject) else ():
        given = subject.arguments(situation)
        plain, reals = subject.plain(situation), reals_of(given)
        if not reals or (reals[0].shape, reals[0].dtype) != (plain[0].shape, plain[0].dtype):
            continue
        x, memory = reals[0], np.empty(reals[0].size + 1, reals[0].dtype)
        overlapping = memory[:-1].reshape(x.shape), memory[1:].reshape(x.shape)
        overlapping[0][...] = x
        for name, (one, out) in (("is", (x, x)), ("overlaps", overlapping)):
            try:
                _call(subject, situation, replace_reals(given, [one, *reals[1:]]), out)
            except Raised as raised:
                if not _is_refusal(raised):
                    yield raised.problem
                continue
            for problem in subject.errors((out,), situation):
                yield _with_out(problem, f"out= that {name} an input")


def _call(subject: Subject, situation: Situation, given: Arguments, out: np.ndarray) -> None:
    args, kwargs = given
    subject.call(situation, (args, {**kwargs, "out": out}))


def _with_out(problem: Problem, name: str) -> Problem:
    call = problem.reproduce.replace("**kwargs)", "**kwargs, out=...)")
    return replace(problem, text=f"{name}: {problem.text}", reproduce=call)


def _is_refusal(raised: Raised) -> bool:
    return isinstance(raised.__cause__, TypeError | ValueError)
