"""The rules of the contract for functions: each looks for ways in which a subject breaks it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from cnn_core._kernels import runtime
from cnn_core.testing.cases import (
    Arguments,
    Situation,
    arrays_of,
    reals_of,
    replace_arrays,
    replace_reals,
    replace_values,
)
from cnn_core.testing.compare import differences, errors, wrong_elements
from cnn_core.testing.layouts import LAYOUTS
from cnn_core.testing.out import out_beside_input, outs, strided_out, takes_out
from cnn_core.testing.outputs import unwritten, watched_outputs
from cnn_core.testing.report import Finding, Problem
from cnn_core.testing.subject import Raised, Subject

Rule = Callable[[Subject], Iterator[Problem]]

_REPEATS = 4  # of a call with several threads: a race may be won now and then
_NO_BATCH = "no batch"
_MAY_BE_REFUSED = ("byte_swapped", "unaligned")  # with an error that says so


def values(subject: Subject) -> Iterator[Problem]:
    """Compare with the reference."""
    for situation in subject.situations():
        yield from subject.errors(subject.plain(situation), situation)


def dtypes(subject: Subject) -> Iterator[Problem]:
    """Results have the dtype of the inputs, and its precision."""
    for situation in subject.situations():
        if not reals_of(subject.arguments(situation)):
            continue
        for got in subject.plain(situation):
            if got.dtype.kind == "f" and got.ndim and got.dtype != np.dtype(situation.dtype):
                order = "" if got.dtype.isnative else " of another byte order"
                yield subject.problem(f"{got.dtype}{order} from {situation.dtype}", situation)
        if situation.dtype == "float64" and (text := _as_float32(subject, situation)):
            yield subject.problem(text, situation)


def _as_float32(subject: Subject, situation: Situation) -> str:
    """Whether errors in float64 are those of float32."""
    got, expected = subject.plain(situation), subject.expected(situation)
    bounds = subject.bounds(situation)
    for number, (a, e) in enumerate(zip(got, expected, strict=False)):
        if a.shape != e.shape or a.dtype.kind != "f":
            continue
        bound = bounds if np.isscalar(bounds) else bounds[number]
        wrong, _ = wrong_elements(a, e, np.float64, bound)
        if wrong.any() and not wrong_elements(a, e, np.float32, bound)[0].any():
            with np.errstate(all="ignore"):
                error = np.nanmax(np.abs(a - e)[wrong])
            return f"float64 is computed in float32: {int(wrong.sum())} elements are off by up to {error:.1g}"
    return ""


def layouts(subject: Subject) -> Iterator[Problem]:
    """Any layout of the inputs gives the same, or, where it is a rare one, an error."""
    for layout in LAYOUTS:
        for situation in subject.situations(layout.__name__):
            try:
                got = subject.call(situation)
            except Raised as raised:
                is_refusal = isinstance(raised.__cause__, TypeError | ValueError)
                if not (is_refusal and layout.__name__ in _MAY_BE_REFUSED):
                    yield raised.problem
                continue
            plain = subject.plain(situation)
            for text in errors(got, plain, situation.dtype, subject.bounds(situation)):
                yield subject.problem(text, situation)
    yield from strided_out(subject)


def inputs(subject: Subject) -> Iterator[Problem]:
    """No input is written to."""
    for situation in subject.situations():
        given = subject.arguments(situation)
        kept = [value for name, value in _named(given) if name not in subject.inout]
        before = [x.tobytes() if isinstance(x, np.ndarray) else b"" for x in kept]
        subject.call(situation, given)
        for number, (x, bits) in enumerate(zip(kept, before, strict=True)):
            if isinstance(x, np.ndarray) and x.tobytes() != bits:
                wrong = np.frombuffer(bits, x.dtype).reshape(x.shape) != x
                where = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.any() else ()
                text = f"argument {number}, {x.shape}, was written to in {int(wrong.sum())} elements"
                yield subject.problem(f"{text}, the first at {where}", situation)


def _named(given: Arguments) -> list[tuple[str, Any]]:
    args, kwargs = given
    return [*((str(i), value) for i, value in enumerate(args)), *kwargs.items()]


def aliasing(subject: Subject) -> Iterator[Problem]:
    """Results own their memory, are not overwritten by the next call, and an array may be given twice."""
    for situation in subject.situations():
        given = subject.arguments(situation)
        results = subject.call(situation, given)
        results = results[: len(results) - len(subject.inout)]
        shared = any(np.shares_memory(y, x) for y in results for x in arrays_of(given))
        if shared and not subject.returns_view:
            yield subject.problem("the result shares memory with an input", situation)
        before = tuple(y.copy() for y in results)
        other = replace_reals(given, [np.roll(x.ravel(), 1).reshape(x.shape) for x in reals_of(given)])
        try:
            subject.call(situation, other)
        except Raised:
            continue  # not a question of memory
        for text in differences(results, before) if not shared else ():
            yield subject.problem(f"the result changed when the function was called again: {text}", situation)
        yield from _same_array_twice(subject, situation)
    yield from out_beside_input(subject)


def _same_array_twice(subject: Subject, situation: Situation) -> Iterator[Problem]:
    if subject.inout:
        return
    reals = reals_of(subject.arguments(situation))
    for i, j in combinations(range(len(reals)), 2):
        if reals[i].shape != reals[j].shape:
            continue
        twice = [reals[i] if k == j else x for k, x in enumerate(reals)]
        apart = [reals[i].copy() if k == j else x for k, x in enumerate(reals)]
        given = subject.arguments(situation)
        one, two = (subject.call(situation, replace_reals(given, arrays)) for arrays in (twice, apart))
        for text in differences(one, two):
            yield subject.problem(f"arrays {i} and {j} of numbers being one array: results {text}", situation)


def empty(subject: Subject) -> Iterator[Problem]:
    """Nothing in, nothing out: batches without elements."""
    for situation in subject.situations():
        given = subject.arguments(situation)
        for name, emptied in _emptied(given):
            where = replace(situation, shapes=" and ".join(str(x.shape) for x in arrays_of(emptied)))
            try:
                expected = subject.refer(emptied)
            except Exception:  # the reference cannot take it either
                continue
            try:
                got = subject.call(where, emptied)
            except Raised as raised:
                # An image without columns may be refused; a batch without images may not.
                if name == _NO_BATCH or not isinstance(raised.__cause__, ValueError):
                    yield Problem(f"{name}: {raised.problem.text}", str(where))
                continue
            for text in errors(got, expected, situation.dtype, 1e3):
                yield Problem(f"{name}: {text}", str(where))


def _emptied(given: Arguments) -> Iterator[tuple[str, Arguments]]:
    """The arguments without a batch, and without anything along the last axis where all arrays are alike."""
    arrays = arrays_of(given)
    if not arrays or not arrays[0].ndim:
        return
    batch = arrays[0].shape[0]
    if batch != 1 or len(arrays) == 1:  # else one cannot tell what else is as long as the batch by chance
        yield _NO_BATCH, replace_values(given, lambda value: _without_batch(value, batch))
    if arrays[0].ndim > 1 and all(x.shape == arrays[0].shape for x in arrays):
        yield "an empty last axis", replace_arrays(given, lambda x: x[..., :0])


def _without_batch(value: Any, batch: int) -> Any:
    """An array, or the shape of one, that begins with the batch, without it."""
    if isinstance(value, np.ndarray):
        return value[:0] if value.ndim and value.shape[0] == batch else value
    is_shape = isinstance(value, tuple) and len(value) > 2 and value[0] == batch
    return (0, *value[1:]) if is_shape else value


def written(subject: Subject) -> Iterator[Problem]:
    """Memory that was full of NaN makes no difference."""
    for situation in subject.situations():
        try:
            plain = subject.plain(situation)
            with watched_outputs():
                got = subject.call(situation)
        except Raised:
            continue  # which the next rule will tell
        left = [unwritten(a) & ~unwritten(e) for a, e in zip(got, plain, strict=False) if a.shape == e.shape]
        for where in left:
            if where.any():
                first = tuple(int(i) for i in np.argwhere(where)[0])
                text = f"{int(where.sum())} of {where.size} elements were never written, the first at {first}"
                yield subject.problem(text, situation)
        if not any(where.any() for where in left):
            yield from _uninitialised(subject, replace(situation, threads=1))
        for x in outs(subject, situation):
            if (missed := unwritten(x)).any():
                first = tuple(int(i) for i in np.argwhere(missed)[0])
                text = f"{int(missed.sum())} elements of out= were never written, the first at {first}"
                yield subject.problem(text, situation)


def _uninitialised(subject: Subject, alone: Situation) -> Iterator[Problem]:
    """Whether memory full of NaN makes a difference to one thread; several might differ by a race."""
    plain = subject.call(alone)
    with watched_outputs():
        got, again = subject.call(alone), subject.call(alone)
    if not list(differences(again, got)):  # else there is chance in it
        for text in differences(got, plain):
            text = f"uninitialised memory is read: results on memory as it was and full of NaN {text}"
            yield subject.problem(text, alone)


def bounds(subject: Subject) -> Iterator[Problem]:
    """Guards around the outputs stay as they were."""
    for situation in subject.situations():
        with watched_outputs() as watch, suppress(Raised):  # which the next rule will tell
            subject.call(situation)
        for text in watch.overruns():
            yield subject.problem(text, situation)
        if takes_out(subject):
            with watched_outputs() as watch, suppress(Raised):
                list(outs(subject, situation, watch.empty))
            for text in watch.overruns():
                yield subject.problem(f"out=: {text}", situation)


def threads(subject: Subject) -> Iterator[Problem]:
    """One thread, several, and one that goes backwards give the same bits."""
    for situation in subject.situations():
        one = replace(situation, threads=1)
        alone = subject.call(one)
        if text := next(differences(subject.call(one), alone), ""):
            yield subject.problem(f"chance or memory: two runs with 1 thread {text}", one)
            continue
        yield from _backwards(subject, one, alone)
        for count in subject.thread_counts:
            among = replace(situation, threads=count)
            first, *others = [subject.call(among) for _ in range(_REPEATS)]
            repeated = [text for other in others for text in differences(other, first)]
            if repeated:
                yield subject.problem(f"race: two runs with {count} threads {repeated[0]}", among)
            elif text := next(differences(first, alone), ""):
                yield subject.problem(f"race: 1 and {count} threads {text}", among)


def _backwards(subject: Subject, situation: Situation, alone: Any) -> Iterator[Problem]:
    runtime.set_backwards(True)
    try:
        got = subject.call(situation)
    finally:
        runtime.set_backwards(False)
    for text in differences(got, alone):
        yield subject.problem(f"race: ranges in order and ranges backwards, one by one, {text}", situation)


FUNCTION_RULES: dict[str, Rule] = {
    "bounds": bounds,  # first: who writes elsewhere may break whatever comes next
    "written": written,  # next: what was never written is another thing every time
    "values": values,
    "dtypes": dtypes,
    "layouts": layouts,
    "inputs": inputs,
    "aliasing": aliasing,
    "empty": empty,
    "threads": threads,
}


def judge(subject: Subject, rules: Iterable[str] = FUNCTION_RULES, part: str = "") -> list[Finding]:
    """Let rules look at a subject, which is a part of what is checked."""
    findings: list[Finding] = []
    hopeless = ""
    for rule in rules:
        name = f"{part} {rule}" if part else rule
        if hopeless:
            findings.append(Finding(name, note=hopeless, checked=False))
            continue
        finding = _judge(name, FUNCTION_RULES[rule], subject)
        findings.append(finding)
        if rule == "bounds" and not finding.ok:
            hopeless = "after a write out of bounds nothing is certain"
        if rule == "written" and not finding.ok:
            hopeless = "what is not written is left to chance"
        if rule == "values" and any(problem.text.startswith("raised ") for problem in finding.problems):
            hopeless = "there are no values"
    return findings


def _judge(name: str, rule: Rule, subject: Subject) -> Finding:
    problems: list[Problem] = []
    shared = runtime.jobs_shared()
    try:
        problems.extend(rule(subject))
    except Raised as raised:
        problems.append(raised.problem)
    note = ""
    if rule is threads and runtime.jobs_shared() == shared:
        note = "no case was large enough to be shared among threads"
    return Finding(name, tuple(problems), note)
