"""The contract of functions."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from cnn_core import gradcheck
from cnn_core.testing.cases import Case, Situation, arguments, reals_of, replace_reals, shapes_of
from cnn_core.testing.compare import outputs_of
from cnn_core.testing.levels import judge_levels
from cnn_core.testing.position import position_of
from cnn_core.testing.report import Finding, Problem, Report
from cnn_core.testing.rules import judge
from cnn_core.testing.subject import Subject


def check_function(
    fn: Callable[..., Any],
    reference: Callable[..., Any],
    cases: Sequence[Case],
    *,
    backward: Callable[..., Any] | None = None,
    tolerance: float | Callable[..., Any] = 32.0,
    gradient_tolerance: float = 1e-6,
    inout: Collection[str] = (),
    returns_view: bool = False,
    thread_counts: Sequence[int] = (2, 3, 8),
    at_level: Callable[[str], Callable[..., Any]] | None = None,
    levels: bool = True,
    roofline: bool = True,
    flops: Callable[..., float] | None = None,
) -> Report:
    """Check that a function keeps the contract of this library's functions, in float32 and float64.

    The rules are in `cnn_core.testing.RULES`. All of them are tried; the report says which are broken, where,
    and with which statements one sees it again.

    Parameters
    ----------
    fn : callable
        Returns an array or a tuple of them. If it takes ``out=``, that is checked, too.
    reference : callable
        Takes the same arguments and returns the same, slowly and obviously. It is given float64 arrays.
    cases : sequence of tuple or dict
        Arguments by position or by name. Arrays of floating-point numbers are rounded to either dtype. There
        should be odd shapes among them, and one large enough to be shared among threads.
    backward : callable, optional
        ``backward(dy, *arguments)`` returns the gradient for each array of floating-point numbers among the
        arguments, or None for one that has none. It is compared with differences of ``fn``, for which cases
        should stay away from kinks (`cnn_core.gradcheck.tie_free`), and keeps the other rules itself.
    tolerance : float or callable
        How far a result may be from the reference, in units of the dtype's epsilon, relative to the size of
        the element plus the median size of all; or a function of the arguments that returns the largest error
        of each element of each output in units of epsilon.
    gradient_tolerance : float
        Relative, as in `cnn_core.gradcheck.check_function`.
    inout : collection of str
        Arguments, given by name, that are documented to be updated in place.
    returns_view : bool
        Whether the result may share memory with an input.
    thread_counts : sequence of int
        Results must be the same for all of them, and for one thread.
    at_level : callable, optional
        ``at_level("avx2")`` returns the function at that ISA level, where one process can load several. By
        default, processes are started with ``CNN_CORE_ISA`` set.
    levels : bool
        Whether to check other ISA levels at all.
    roofline : bool
        Whether to time the largest case (about half a second, once for each process).
    flops : callable, optional
        Operations for given arguments, for the roofline. Without it, bytes alone count.

    Returns
    -------
    report : Report
        ``report.assert_ok()`` raises `ContractError` with the whole text.
    """
    name = _name(fn)
    subject = Subject(
        name, fn, list(cases), reference, tolerance, tuple(inout), returns_view, tuple(thread_counts)
    )
    if not subject.cases:
        raise ValueError(f"check_function: {name} has no cases")
    subjects = [subject]
    findings = judge(subject)
    if backward is not None and _kept(
        findings, "bounds", "written", "values"
    ):  # else there is nothing to go by
        findings.append(_gradients(subject, backward, gradient_tolerance))
        subjects.append(_backward_subject(subject, backward))
        findings += judge(subjects[-1], part="backward")
    return finish(name, findings, subjects, levels=levels, at_level=at_level, roofline=roofline, flops=flops)


def finish(
    name: str,
    findings: list[Finding],
    subjects: list[Subject],
    *,
    levels: bool,
    roofline: bool,
    flops: Callable[..., float] | None,
    at_level: Callable[[str], Callable[..., Any]] | None = None,
    timed: Subject | None = None,
) -> Report:
    """Make the report; other levels and the roofline are for what keeps the rules so far."""
    if levels and all(finding.ok for finding in findings):
        findings = [*findings, judge_levels(subjects, at_level)]
    elif levels:
        findings = [*findings, Finding("levels", note="what is broken here comes first", checked=False)]
    is_sound = all(finding.ok for finding in findings)
    position = position_of(timed or subjects[0], flops) if roofline and is_sound else ""
    return Report(name, tuple(findings), position)


def _kept(findings: Sequence[Finding], *rules: str) -> bool:
    return all(finding.ok for finding in findings if finding.rule in rules)


def _name(fn: Callable[..., Any]) -> str:
    return str(getattr(fn, "__name__", type(fn).__name__))


def _gradients(subject: Subject, backward: Callable[..., Any], tolerance: float) -> Finding:
    """Compare backward with differences of the function, case by case."""
    problems: list[Problem] = []
    checked = 0
    for situation in subject.situations():
        if situation.dtype != "float64" or not subject.has_elements(situation):
            continue
        given = subject.arguments(situation)
        reals = reals_of(given)

        def forward(*values: np.ndarray, given: Any = given) -> Any:
            args, kwargs = replace_reals(given, values)
            return outputs_of(subject.fn(*args, **kwargs))[0]

        def gradients(dy: np.ndarray, *values: np.ndarray, given: Any = given) -> Any:
            args, kwargs = replace_reals(given, values)
            return backward(dy, *args, **kwargs)

        try:
            report = gradcheck.check_function(
                forward, gradients, reals, tolerance=tolerance, max_coordinates=32
            )
        except Exception as error:
            problems.append(subject.problem(f"{type(error).__name__}: {error}", situation))
            continue
        checked += report.checked
        for array in report.arrays:
            if array.problem:
                problems.append(subject.problem(f"{array.name}: {array.problem}", situation))
    note = f"{checked} coordinates and directions"
    return Finding("gradients", tuple(problems), note, checked > 0 or bool(problems))


def _backward_subject(subject: Subject, backward: Callable[..., Any]) -> Subject:
    """The backward function as a subject: its cases are those of the function behind a gradient."""
    cases: list[Case] = []
    for number, case in enumerate(subject.cases):
        y = subject.plain(Situation(number, shapes_of(case), "float64"))[0]
        dy = np.random.default_rng(number).uniform(-1.5, 1.5, y.shape)
        args, kwargs = arguments(case, "float64")
        cases.append({"dy": dy, **kwargs} if kwargs else (dy, *args))
    return Subject(
        _name(backward),
        backward,
        cases,
        None,
        4 * _number(subject.tolerance),
        (),
        False,
        subject.thread_counts,
    )


def _number(tolerance: Any) -> float:
    """A callable tolerance is one of the forward function: the backward one has the default."""
    return 32.0 if callable(tolerance) else float(tolerance)
