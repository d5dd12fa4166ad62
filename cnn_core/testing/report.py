"""What a check of the contract found."""

import textwrap
from dataclasses import dataclass
from typing import Self

# What a kernel promises, and what to do about it where it does not.
RULES = {
    "values": "the result is that of the reference, up to rounding",
    "dtypes": "float32 gives float32 and float64 gives float64, computed in that precision",
    "layouts": "read-only, strided, reversed, Fortran-ordered, byte-swapped and unaligned arrays give the "
    "same; as_real of cnn_core.kernel_api makes them what a kernel can take",
    "inputs": "inputs stay as they were, bit for bit",
    "aliasing": "results have memory of their own, and one array may be given twice",
    "empty": "arrays without elements give the result of the reference; they should not reach the kernel",
    "written": "every element of an output is written, whatever its memory held before",
    "bounds": "nothing is written outside of the outputs",
    "threads": "the bits are the same for any number of threads: work is cut by shapes alone, and an item's "
    "result depends on no other item of the same job",
    "gradients": "backward gives the derivative of forward",
    "state": "a layer's parameters, gradients and memory change only as Layer says",
    "levels": "every ISA level keeps the other rules",
}


class ContractError(AssertionError):
    """A function or layer that breaks a rule of the contract."""


@dataclass(frozen=True)
class Problem:
    """One way in which a rule is broken.

    Attributes
    ----------
    text : str
        What is wrong, with the first place and the values there.
    where : str
        With which case, dtype, layout and threads.
    reproduce : str
        Statements that call the function in that way, given the ``cases`` of the check.
    """

    text: str
    where: str = ""
    reproduce: str = ""


@dataclass(frozen=True)
class Finding:
    """What became of one rule.

    Attributes
    ----------
    rule : str
        A key of ``RULES``, behind ``"backward "`` where it is the backward function's.
    problems : tuple of Problem
        Empty if the rule is kept.
    note : str
        How much was tried, or why it could not be.
    checked : bool
        False if the rule could not be tried.
    """

    rule: str
    problems: tuple[Problem, ...] = ()
    note: str = ""
    checked: bool = True

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        if not self.problems:
            note = f" ({self.note})" if self.note else ""
            return f"{self.rule}: {'ok' if self.checked else 'not checked'}{note}"
        first, *others = self.problems
        lines = [f"{self.rule}: FAILED: {first.text}"]
        if first.where:
            lines.append(f"with {first.where}" + (f", and {len(others)} more" if others else ""))
        lines.append(f"rule: {RULES.get(self.rule.rpartition(' ')[2], self.rule)}")
        if first.reproduce:
            lines.append(f"reproduce: {first.reproduce}")
        return "\n    ".join(lines)


@dataclass(frozen=True)
class Report:
    """The findings of a check, and where its subject stands beside what the machine allows.

    Attributes
    ----------
    subject : str
        The name of the function or layer.
    findings : tuple of Finding
    position : str
        Time and rate beside the roofline, in words; empty if it was not measured. No reason to fail.
    """

    subject: str
    findings: tuple[Finding, ...]
    position: str = ""

    @property
    def ok(self) -> bool:
        """Whether every rule that was tried is kept."""
        return all(finding.ok for finding in self.findings)

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the rules that are broken."""
        return tuple(finding.rule for finding in self.findings if not finding.ok)

    def __getitem__(self, rule: str) -> Finding:
        """Return the finding of one rule."""
        return {finding.rule: finding for finding in self.findings}[rule]

    def assert_ok(self) -> Self:
        """Return the report; raise `ContractError` with its text if a rule is broken."""
        if not self.ok:
            raise ContractError(str(self))
        return self

    def __str__(self) -> str:
        verdict = "keeps the contract" if self.ok else f"breaks the contract: {', '.join(self.broken)}"
        lines = [str(finding) for finding in self.findings if not finding.ok]
        kept = [finding.rule for finding in self.findings if finding.ok and finding.checked]
        lines += textwrap.wrap(f"kept: {', '.join(kept)}", 108, subsequent_indent="      ") if kept else []
        lines += [
            str(finding) for finding in self.findings if finding.ok and finding.note and finding.checked
        ]
        lines += textwrap.wrap(_unchecked(self.findings), 108, subsequent_indent="      ")
        if self.position:
            lines.append(f"position: {self.position}")
        return "\n  ".join([f"{self.subject} {verdict}", *lines])


def _unchecked(findings: tuple[Finding, ...]) -> str:
    """Which rules could not be tried, and why, in one sentence."""
    reasons: dict[str, list[str]] = {}
    for finding in findings:
        if not finding.checked:
            reasons.setdefault(finding.note, []).append(finding.rule)
    text = "; ".join(f"{', '.join(rules)} ({reason})" for reason, rules in reasons.items())
    return f"not checked: {text}" if text else ""
