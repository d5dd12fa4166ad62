"""What a search that narrows its space has found."""

import os
from collections.abc import Sequence
from typing import Any

from cnn_core.search.result import SearchResult, TrialResult, rank, short, write_csv


class NarrowingResult:
    """The rounds of a search that narrows its space.

    Attributes
    ----------
    rounds : tuple of SearchResult
        Each in the space to which the one before was narrowed.
    interrupted : bool
        Whether Ctrl-C ended the search before all rounds were done.
    """

    def __init__(self, rounds: Sequence[SearchResult]) -> None:
        self.rounds = tuple(rounds)

    def __repr__(self) -> str:
        return f"NarrowingResult({len(self.rounds)} rounds: {self.rounds[-1].summary()})"

    @property
    def interrupted(self) -> bool:
        return any(result.interrupted for result in self.rounds)

    @property
    def best(self) -> TrialResult:
        """The best trial of all rounds.

        Raises
        ------
        ValueError
            If none is complete.
        """
        complete = [result for result in self.rounds if result.complete] or self.rounds[-1:]
        return min((result.best for result in complete), key=lambda trial: rank(trial, complete[0].direction))

    def chosen(self, best: int | None = None) -> dict[str, Any]:
        """One value for each parameter, from the best trials of the last round; see `SearchResult.chosen`."""
        complete = [result for result in self.rounds if result.complete] or self.rounds[-1:]
        return complete[-1].chosen(best)

    def table(self) -> str:
        """The space and the outcome of each round as text, and the values chosen at the end."""
        lines = []
        for i, result in enumerate(self.rounds):
            ranges = "; ".join(f"{name} {parameter}" for name, parameter in result.space.items())
            lines += [f"round {i + 1}: {ranges}", f"  {result.summary()}"]
        if any(result.complete for result in self.rounds):
            lines.append("chosen: " + ", ".join(f"{name} {short(v)}" for name, v in self.chosen().items()))
        return "\n".join(lines)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one line for each trial of each round; the file is replaced in one step."""
        write_csv(path, self.rounds)
