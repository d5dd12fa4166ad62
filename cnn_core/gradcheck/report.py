"""What a gradient check found."""

from dataclasses import dataclass
from typing import Self


class GradientError(AssertionError):
    """A backward pass that does not agree with its forward pass, or that could not be checked."""


@dataclass(frozen=True)
class ArrayReport:
    """The result for one array's gradient.

    Attributes
    ----------
    name : str
        ``"x"``, or the parameter's name.
    unit : str
        "coordinates" or "directions".
    checked, skipped : int
        How many of them were compared, and how many had a kink too close to compare.
    max_error : float
        The largest relative difference between backward and differences.
    problem : str
        What is wrong, in words; empty if nothing is.
    """

    name: str
    unit: str
    checked: int
    skipped: int
    max_error: float
    problem: str

    def __str__(self) -> str:
        skipped = f" ({self.skipped} skipped at kinks)" if self.skipped else ""
        verdict = f"FAILED: {self.problem}" if self.problem else "ok"
        return f"{self.name}: {self.checked} {self.unit}{skipped}, max error {self.max_error:.1e}, {verdict}"


@dataclass(frozen=True)
class GradientReport:
    """The result of a gradient check: an `ArrayReport` for each input and parameter."""

    subject: str
    arrays: tuple[ArrayReport, ...]

    @property
    def ok(self) -> bool:
        """Whether every gradient agrees."""
        return not any(report.problem for report in self.arrays)

    @property
    def checked(self) -> int:
        """How many coordinates and directions were compared."""
        return sum(report.checked for report in self.arrays)

    @property
    def skipped(self) -> int:
        """How many coordinates and directions had a kink too close to compare."""
        return sum(report.skipped for report in self.arrays)

    @property
    def max_error(self) -> float:
        """The largest relative error of all arrays."""
        return max((report.max_error for report in self.arrays), default=0.0)

    def __getitem__(self, name: str) -> ArrayReport:
        """Return the report of one array."""
        return {report.name: report for report in self.arrays}[name]

    def assert_ok(self) -> Self:
        """Return the report; raise `GradientError` with its text if a gradient does not agree."""
        if not self.ok:
            raise GradientError(str(self))
        return self

    def __str__(self) -> str:
        verdict = "gradients agree" if self.ok else "gradients do NOT agree"
        return "\n  ".join([f"{self.subject}: {verdict}", *map(str, self.arrays)])
