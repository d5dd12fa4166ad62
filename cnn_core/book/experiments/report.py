"""What is left of a run: pictures, numbers, a page, and a table."""

import base64
import csv
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from cnn_core import plots
from cnn_core.book.experiments.experiment import Columns, Experiment, Outcome
from cnn_core.files import write_atomically

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 2em auto; max-width: 62em; padding: 0 1em; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: .3em .8em .3em 0; text-align: left; border-bottom: 1px solid #e5e5e5;
  vertical-align: top; }
h2 { margin-top: 2.5em; border-top: 1px solid #ccc; padding-top: 1em; }
h2 small { font-weight: normal; color: #777; }
img { max-width: 100%; display: block; margin: 1em 0; }
ul { list-style: none; padding-left: 0; }
.yes { color: #3a7d44; } .no { color: #c23b22; }
"""


@dataclass(frozen=True)
class Result:
    """An experiment, what it found, and how long it took."""

    experiment: Experiment
    outcome: Outcome
    seconds: float
    on_mnist: bool

    @property
    def reproduced(self) -> bool:
        """Whether all that the book concludes holds here."""
        return all(claim.holds for claim in self.outcome.claims)

    @property
    def verdict(self) -> str:
        """In a few words, whether the book was reproduced."""
        claims = self.outcome.claims
        holding = sum(claim.holds for claim in claims)
        words = "reproduced" if self.reproduced else f"{holding} of {len(claims)} claims hold"
        stands_in = self.experiment.uses_images and not self.on_mnist
        return f"stand-in digits: {words}" if stands_in else words


class Report:
    """The folder of a run, and its page, which is written anew after every experiment.

    Parameters
    ----------
    folder : Path
    about : sequence of str
        Lines on data, machine and settings for the head of the page.
    """

    def __init__(self, folder: Path, about: Sequence[str]) -> None:
        self.folder = folder
        self.about = about
        self.results: list[Result] = []

    @property
    def page(self) -> Path:
        """The file of the page."""
        return self.folder / "report.html"

    def add(self, result: Result) -> None:
        """Write the pictures (PNG) and numbers (CSV) of an experiment, and the page so far."""
        name = result.experiment.name
        for end, figure in result.outcome.figures.items():
            plots.save(figure, self._path(name, end, ".png"))
        for end, data in result.outcome.data.items():
            write_atomically(self._path(name, end, ".csv"), _csv(data).encode())
        self.results.append(result)
        write_atomically(self.page, self._html().encode())

    def table(self, width: int = 120) -> str:
        """Experiment, published, ours and verdict as text, wrapped to so many columns."""
        rows = [("experiment", "published", "ours", "verdict")]
        rows += [
            (result.experiment.name, result.experiment.published, result.outcome.ours, result.verdict)
            for result in self.results
        ]
        first = max(len(row[0]) for row in rows)
        last = min(max(len(row[3]) for row in rows), 20)
        middle = max((width - first - last - 6) // 2, 16)
        return "\n".join(_wrapped(row, (first, middle, middle, last)) for row in rows)

    def _path(self, name: str, end: str, suffix: str) -> Path:
        return self.folder / (f"{name}-{end}{suffix}" if end else f"{name}{suffix}")

    def _html(self) -> str:
        heads = "".join(f"<th>{head}</th>" for head in ("experiment", "published", "ours", "verdict"))
        rows = "\n".join(
            f'<tr><td><a href="#{result.experiment.name}">{result.experiment.name}</a></td>'
            f"<td>{escape(result.experiment.published)}</td><td>{escape(result.outcome.ours)}</td>"
            f'<td class="{_class(result.reproduced)}">{escape(result.verdict)}</td></tr>'
            for result in self.results
        )
        about = "".join(f"<p>{escape(line)}</p>\n" for line in self.about)
        sections = "\n".join(self._section(result) for result in self.results)
        return (
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f"<title>The experiments of the book</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
            f"<h1>The experiments of <i>Deep Learning from Scratch</i></h1>\n{about}"
            f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n"
            f"{sections}\n</body>\n</html>\n"
        )

    def _section(self, result: Result) -> str:
        experiment, outcome = result.experiment, result.outcome
        claims = "\n".join(
            f'<li class="{_class(claim.holds)}">{"✓" if claim.holds else "✗"} {escape(claim.text)}'
            f"{_seeds(claim.held)}</li>"
            for claim in outcome.claims
        )
        images = "\n".join(
            f'<img alt="{escape(experiment.title)}" src="data:image/png;base64,{_base64(path)}">'
            for path in (self._path(experiment.name, end, ".png") for end in outcome.figures)
        )
        files = ", ".join(
            f'<a href="{path.name}">{path.name}</a>'
            for path in (self._path(experiment.name, end, ".csv") for end in outcome.data)
        )
        notes = "\n".join(f"<p>{escape(note)}</p>" for note in outcome.notes)
        return (
            f'<h2 id="{experiment.name}">{escape(experiment.title)} '
            f"<small>section {experiment.section}, {result.seconds:.0f} s</small></h2>\n"
            f"<p>Published: {escape(experiment.published)}.<br>Here: {escape(outcome.ours)}.</p>\n"
            f"<ul>\n{claims}\n</ul>\n{images}\n{notes}\n<p>Numbers: {files}</p>"
        )


def _csv(data: Columns) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(data)
    writer.writerows(zip(*data.values(), strict=True))
    return text.getvalue()


def _wrapped(row: Sequence[str], widths: Sequence[int]) -> str:
    """The cells of a row beside each other, each broken into lines of its width."""
    cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
    lines = []
    for i in range(max(map(len, cells))):
        parts = [cell[i] if i < len(cell) else "" for cell in cells]
        lines.append("  ".join(f"{part:{width}}" for part, width in zip(parts, widths, strict=True)).rstrip())
    return "\n".join(lines)


def _seeds(held: Sequence[bool]) -> str:
    return f" ({sum(held)} of {len(held)} seeds)" if len(held) > 1 else ""


def _class(good: bool) -> str:
    return "yes" if good else "no"


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
