"""How far a search is: a bar for people, lines for logs."""

import sys
from typing import TYPE_CHECKING, Any

from cnn_core.search.result import SearchResult, TrialResult, collect, short

if TYPE_CHECKING:
    from optuna import Study

    from cnn_core.search._study import Plan


class Progress:
    """Show the trials that are done, by whomever, and the best so far, on standard error.

    Where that is not a terminal, one line for each trial is written instead of the bar.

    Parameters
    ----------
    plan : Plan
    study : optuna.Study
        What it holds already is not told again.
    title : str
    enabled : bool
    """

    def __init__(self, plan: "Plan", study: "Study", title: str, enabled: bool) -> None:
        self._plan = plan
        self._title = title
        self._stream = sys.stderr if enabled else None  # None, too, in a program without a console
        self._told = {trial.number for trial in collect(study, plan)} if self._stream else set()
        self._bar: Any = None
        if self._stream is not None and self._stream.isatty():
            from tqdm import tqdm  # costs 40 ms: not at import

            self._bar = tqdm(
                desc=title, total=plan.trials, initial=len(self._told), unit="trial", dynamic_ncols=True
            )

    def update(self, study: "Study") -> None:
        """Show what is new."""
        if self._stream is None:
            return
        trials = collect(study, self._plan)
        complete = SearchResult("", {}, self._plan.direction, trials).complete
        best = complete[0] if complete else None
        for trial in trials:
            if trial.number in self._told:
                continue
            self._told.add(trial.number)
            if self._bar is None:
                print(self._line(trial, best), file=self._stream, flush=True)
        if self._bar is not None:
            if best is not None:
                self._bar.set_postfix_str(f"best {short(best.value)} in trial {best.number}")
            self._bar.update(len(self._told) - self._bar.n)

    def close(self) -> None:
        """Leave the terminal as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _line(self, trial: TrialResult, best: TrialResult | None) -> str:
        value = short(trial.value) if trial.state == "complete" else trial.fate()
        record = "" if best is None else f"; best {short(best.value)} in trial {best.number}"
        return (
            f"{self._title}, {len(self._told)}/{self._plan.trials}: trial {trial.number} with "
            f"{trial.describe()}: {value}, {trial.seconds:.1f} s{record}"
        )
