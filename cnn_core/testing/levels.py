"""The contract at the other ISA levels: each in a process of its own, as a process loads one level, once."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from cnn_core._kernels import available_levels, isa_level
from cnn_core.testing.report import Finding, Problem
from cnn_core.testing.rules import judge
from cnn_core.testing.subject import Subject

# What depends on how the kernel was compiled.
_RULES = ("bounds", "values", "dtypes", "written", "threads")
_TIMEOUT = 600  # seconds
_PROBLEMS, _NOT_IMPORTABLE = "problems", "not importable"  # kinds of answers


def judge_levels(subjects: list[Subject], at_level: Callable[[str], Callable[..., Any]] | None) -> Finding:
    """Check subjects at every level.

    Parameters
    ----------
    subjects : list of Subject
    at_level : callable or None
        Returns the first subject's function for a level. Without one, processes are started with
        ``CNN_CORE_ISA`` set; the functions must then be such that another process can import them.
    """
    if at_level is not None:
        problems = []
        for level in available_levels():
            subject = replace(subjects[0], fn=at_level(level), _plain={})
            problems += [_at(level, problem) for problem in _problems(subject)]
        return Finding("levels", tuple(problems), ", ".join(available_levels()))
    levels = [level for level in available_levels() if level != isa_level]
    if not levels:
        return Finding("levels", note=f"{isa_level} is the only one here", checked=False)
    problems, left_out = [], {}
    for subject in subjects:
        try:
            payload = pickle.dumps(subject)
        except Exception:  # whatever a class of the function's does when it is pickled
            left_out[subject.name] = "is not a function of a module, or has a tolerance that is none"
            continue
        for level in levels:
            kind, found = _ask(level, payload)
            if kind == _NOT_IMPORTABLE:
                left_out[subject.name] = f"another process cannot import it: {found}"
                break
            problems += [_at(level, problem) for problem in found]
    notes = [f"{name} {reason}" for name, reason in left_out.items()]
    if len(left_out) < len({subject.name for subject in subjects}):
        notes.insert(0, ", ".join([isa_level, *levels]))
        return Finding("levels", tuple(problems), "; not ".join(notes))
    return Finding("levels", tuple(problems), "; ".join(notes), checked=False)


def _at(level: str, problem: Problem) -> Problem:
    return replace(problem, where=f"CNN_CORE_ISA={level}" + (f", {problem.where}" if problem.where else ""))


def _problems(subject: Subject) -> Iterator[Problem]:
    for finding in judge(subject, _RULES, subject.name):
        for problem in finding.problems:
            yield replace(problem, text=f"{finding.rule}: {problem.text}")


def _ask(level: str, payload: bytes) -> tuple[str, Any]:
    """Check in a new process; the kind of answer, and the answer."""
    environment = {
        **os.environ,
        "CNN_CORE_ISA": level,
        "PYTHONPATH": os.pathsep.join(os.path.abspath(folder) for folder in sys.path),
        "PYTHONSAFEPATH": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from cnn_core.testing.levels import answer; answer()"],
        input=payload,
        env=environment,
        capture_output=True,
        timeout=_TIMEOUT,
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        text = f"the process ended with {done.returncode}: {lines[-1] if lines else 'no message'}"
        return _PROBLEMS, [Problem(text)]
    answer: tuple[str, Any] = pickle.loads(done.stdout)
    return answer


def _answer(payload: bytes) -> tuple[str, Any]:
    try:
        subject = pickle.loads(payload)
    except Exception as error:
        return _NOT_IMPORTABLE, f"{type(error).__name__}: {error}"
    return _PROBLEMS, list(_problems(subject))


def answer() -> None:
    """Read a subject from the standard input, check it, and write what was found to the standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what functions print must not get between
    answers.write(pickle.dumps(_answer(sys.stdin.buffer.read())))
    answers.close()
