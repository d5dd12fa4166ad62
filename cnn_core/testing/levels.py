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


def other_levels() -> list[str]:
    """The levels that were built and that this CPU runs, besides the one in use."""
    return [level for level in available_levels() if level != isa_level]


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
            subject = replace(subjects[0], fn=at_level(level), _plain={}, _expected={})
            problems += [_at(level, problem) for problem in _problems([subject])]
        return Finding("levels", tuple(problems), ", ".join(available_levels()))
    levels = other_levels()
    if not levels:
        return Finding("levels", note=f"{isa_level} is the only one here", checked=False)
    try:
        payload = pickle.dumps(subjects)
    except Exception as error:
        return Finding("levels", note=f"cannot be sent to another process: {error}", checked=False)
    problems = []
    for level in levels:
        kind, found = _ask(level, payload)
        if kind == "not importable":
            return Finding("levels", note=f"another process cannot import it: {found}", checked=False)
        problems += [_at(level, problem) for problem in found]
    return Finding("levels", tuple(problems), ", ".join([isa_level, *levels]))


def _at(level: str, problem: Problem) -> Problem:
    return replace(problem, where=f"CNN_CORE_ISA={level}" + (f", {problem.where}" if problem.where else ""))


def _problems(subjects: list[Subject]) -> Iterator[Problem]:
    for subject in subjects:
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
        return "problems", [Problem(text)]
    answer: tuple[str, Any] = pickle.loads(done.stdout)
    return answer


def _answer(payload: bytes) -> tuple[str, Any]:
    try:
        subjects = pickle.loads(payload)
    except Exception as error:
        return "not importable", f"{type(error).__name__}: {error}"
    return "problems", list(_problems(subjects))


def answer() -> None:
    """Read subjects from the standard input, check them, and write what was found to the standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what functions print must not get between
    answers.write(pickle.dumps(_answer(sys.stdin.buffer.read())))
    answers.close()
