"""What a search has found."""

import csv
import io
import math
import os
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnn_core._checks import integer
from cnn_core.files import write_atomically
from cnn_core.search import _claims
from cnn_core.search.space import Parameter

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from cnn_core.search._study import Plan

_REASON_WIDTH = 50


@dataclass(frozen=True)
class TrialResult:
    """One training of a search.

    Parameters
    ----------
    number : int
        Of the trial, from 0; with the seed it determines the parameters.
    params : dict
    state : {"complete", "pruned", "failed"}
        Pruned trials were stopped before their end, failed ones diverged.
    value : float or None
        What the trial was judged by; of a pruned one the last value that it reported.
    steps, curve : tuple
        The steps that were reported, and the values on the validation data there.
    train_curve : tuple of float
        The values on the training data at the same steps; NaN where none was reported.
    seconds : float
        Duration of the training.
    reason : str
        Why it failed.
    """

    number: int
    params: dict[str, Any]
    state: str
    value: float | None
    steps: tuple[int, ...] = ()
    curve: tuple[float, ...] = ()
    train_curve: tuple[float, ...] = ()
    seconds: float = 0.0
    reason: str = ""

    def fate(self) -> str:
        """How the trial ended, in a few words."""
        if self.state != "failed":
            return self.state
        return "failed: " + textwrap.shorten(self.reason, _REASON_WIDTH, placeholder=" ...")

    def describe(self) -> str:
        """The parameters in one line."""
        return ", ".join(f"{name} {short(value)}" for name, value in self.params.items())


class SearchResult:
    """The trials of a search, the best ones first.

    Attributes
    ----------
    name : str
    space : dict of str to Parameter
    direction : {"maximize", "minimize"}
    trials : tuple of TrialResult
        Complete ones by their value, then pruned ones by theirs, then failed ones.
    interrupted : bool
        Whether Ctrl-C ended the search before all trials were done.
    """

    def __init__(
        self,
        name: str,
        space: dict[str, Parameter],
        direction: str,
        trials: Sequence[TrialResult],
        interrupted: bool = False,
    ) -> None:
        self.name = name
        self.space = space
        self.direction = direction
        self.trials = tuple(sorted(trials, key=lambda trial: rank(trial, direction)))
        self.interrupted = interrupted

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[TrialResult]:
        return iter(self.trials)

    def __repr__(self) -> str:
        return f"SearchResult({self.name!r}: {self.summary()})"

    @property
    def complete(self) -> tuple[TrialResult, ...]:
        """The trials that came to their end, the best ones first."""
        return tuple(trial for trial in self.trials if trial.state == "complete")

    @property
    def best(self) -> TrialResult:
        """The best trial.

        Raises
        ------
        ValueError
            If none is complete.
        """
        return self._best_few(1)[0]

    def narrowed(self, keep: int | None = None) -> dict[str, Parameter]:
        """Return the part of the space in which the best trials lie, to search again.

        Of ranges of numbers it is what their values span, of a `Choice` the options that occur among them.

        Parameters
        ----------
        keep : int, optional
            How many complete trials count as the best: by default a fifth of all, such as the 20 of 100 that
            the book draws, and at least 5.

        Raises
        ------
        ValueError
            If there are fewer than two complete trials.

        Notes
        -----
        *Deep Learning from Scratch*, section 6.5.3. Bounds are rounded outwards to three digits.
        """
        keep = max(5, len(self) // 5) if keep is None else integer(keep, "keep", at_least=2)
        best = self._best_few(keep)
        if len(best) < 2:
            raise ValueError("narrowed: needs at least two complete trials, got one")
        return {
            name: parameter.narrowed([trial.params[name] for trial in best])
            for name, parameter in self.space.items()
        }

    def chosen(self, best: int | None = None) -> dict[str, Any]:
        """Return one value for each parameter: the median over the best trials, an option by majority.

        A single best trial owes part of its rank to luck; the middle of several that are nearly as good is a
        safer choice, once the range is so narrow that all of it is good.

        Parameters
        ----------
        best : int, optional
            How many complete trials: by default a tenth of all, and at least 1. Of an even number, the two
            values in the middle are averaged: on a log scale those of `LogUniform`.

        Raises
        ------
        ValueError
            If no trial is complete.
        """
        best = max(1, len(self) // 10) if best is None else integer(best, "best", at_least=1)
        few = self._best_few(best)
        return {
            name: parameter.centre([trial.params[name] for trial in few])
            for name, parameter in self.space.items()
        }

    def summary(self) -> str:
        """Counts and the best value, in one line."""
        counts = [
            f"{count} {state}"
            for state in ("complete", "pruned", "failed")
            if (count := sum(trial.state == state for trial in self.trials))
        ]
        if self.complete:
            counts.append(f"best {short(self.best.value)} with {self.best.describe()}")
        return ", ".join(counts) or "no trial is done"

    def table(self, count: int | None = 20) -> str:
        """The best trials as text, one line each; all of them if ``count`` is None."""
        rows = [("trial", "value", *self.space, "seconds", "")]
        for trial in self.trials[:count]:
            value = "-" if trial.value is None else short(trial.value)
            params = (short(trial.params[name]) for name in self.space)
            state = "" if trial.state == "complete" else trial.fate()
            rows.append((str(trial.number), value, *params, f"{trial.seconds:.1f}", state))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
        return "\n".join(
            "  ".join(
                [*(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]
            ).rstrip()
            for row in rows
        )

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one line for each trial, the best ones first; the file is replaced in one step."""
        write_csv(path, [self])

    def _best_few(self, count: int) -> tuple[TrialResult, ...]:
        if not self.complete:
            failed = [trial for trial in self.trials if trial.state == "failed"]
            why = f"; trial {failed[0].number} failed: {failed[0].reason}" if failed else ""
            raise ValueError(f"search {self.name!r}: no trial is complete ({self.summary()}){why}")
        return self.complete[:count]


def collect(study: "Study", plan: "Plan") -> list[TrialResult]:
    """The trials of a plan that are done."""
    return [
        _result(number, trial, plan)
        for number, trial in _claims.live_claims(study).items()
        if number < plan.trials and _claims.is_final(trial)
    ]


def write_csv(path: str | os.PathLike[str], rounds: Sequence[SearchResult]) -> None:
    """Write the trials of all rounds. Numbers are written so that they read back exactly."""
    names = list(rounds[0].space)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["round", "rank", "trial", "state", "value", *names, "steps", "seconds", "reason"])
    for i, result in enumerate(rounds):
        for place, trial in enumerate(result, 1):
            value = "" if trial.value is None else trial.value
            params = [trial.params[name] for name in names]
            end = [len(trial.steps), trial.seconds, trial.reason]
            writer.writerow([i + 1, place, trial.number, trial.state, value, *params, *end])
    write_atomically(path, text.getvalue().encode())


def short(value: Any) -> str:
    """A value with as many digits as people read."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _result(number: int, trial: "FrozenTrial", plan: "Plan") -> TrialResult:
    outcome = trial.user_attrs[_claims.OUTCOME]
    steps = sorted(trial.intermediate_values)
    train = {int(step): value for step, value in outcome["train"].items()}  # JSON has made strings of them
    return TrialResult(
        number=number,
        params={name: trial.params[name] for name in plan.space},
        state={"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[trial.state.name],
        value=trial.value,
        steps=tuple(steps),
        curve=tuple(trial.intermediate_values[step] for step in steps),
        train_curve=tuple(train.get(step, math.nan) for step in steps),
        seconds=outcome["seconds"],
        reason=outcome.get("reason", ""),
    )


def rank(trial: TrialResult, direction: str) -> tuple[int, float, int]:
    """What sorts the best trials first; among equals, the one with the lower number."""
    order = ("complete", "pruned", "failed").index(trial.state)
    value = math.inf if trial.value is None else trial.value
    sign = -1 if direction == "maximize" and trial.value is not None else 1
    return order, sign * value, trial.number
