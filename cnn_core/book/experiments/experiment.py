"""What an experiment is, what it is given, and what it gives back."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnn_core.data import DataSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Columns = Mapping[str, Sequence[Any]]  # of equal length, by name: what a CSV file holds


class Examples(NamedTuple):
    """Images and labels, to learn from and to be tested on."""

    x_train: np.ndarray
    t_train: np.ndarray
    x_test: np.ndarray
    t_test: np.ndarray


@dataclass(frozen=True)
class Claim:
    """Something that the book's experiment shows, and whether ours shows it too, once for each seed."""

    text: str
    held: Sequence[bool]

    @property
    def holds(self) -> bool:
        """Whether it holds for every seed."""
        return all(self.held)


@dataclass(frozen=True)
class Outcome:
    """What an experiment found.

    Parameters
    ----------
    ours : str
        The numbers to stand beside the published ones, in one line.
    claims : sequence of Claim
    figures : dict of str to Figure
        By the end of their file's name; ``""`` for the main one.
    data : dict of str to columns
        The numbers behind the figures, named likewise.
    notes : sequence of str
        Paragraphs for the report: what to see in the figures.
    """

    ours: str
    claims: Sequence[Claim]
    figures: "Mapping[str, Figure]"
    data: Mapping[str, Columns]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Experiment:
    """An experiment of the book.

    Parameters
    ----------
    name : str
        For the command line, and for its files.
    section : str
        Where the book describes it.
    title : str
    published : str
        What the book, or the notebooks that come with it, print.
    run : function of Run
    uses_images : bool
        Whether it trains or tests on MNIST, so that its numbers depend on having it.
    requires : str
        A module that it needs and the library does not.
    """

    name: str
    section: str
    title: str
    published: str
    run: "Callable[[Run], Outcome]"
    uses_images: bool = True
    requires: str = ""


@dataclass(frozen=True)
class Run:
    """What experiments are given: data, seeds, size, and somebody to tell how far they are.

    Parameters
    ----------
    data : DataSet
        MNIST, or what stands in for it.
    folder : Path
        For trained weights that later experiments take up.
    seeds : sequence of int
        Experiments on small networks are repeated for each.
    quick : bool
        Whether to train less, for a first look.
    show_progress : bool
    weights_of_book : Path, optional
        The folder of the parameter files that come with the book.
    """

    data: DataSet
    folder: Path
    seeds: Sequence[int] = (0, 1, 2)
    quick: bool = False
    show_progress: bool = False
    weights_of_book: Path | None = None

    @property
    def on_mnist(self) -> bool:
        """Whether the data are those of the book."""
        return self.data.name == "mnist"

    @cached_property
    def images(self) -> Examples:
        """Images (N, 1, H, W) as float32 in 0 ... 1, labels int64 (N,)."""
        train, test = self.data.train, self.data.test
        return Examples(train.x, train.t, test.x, test.t)

    @cached_property
    def rows(self) -> Examples:
        """The same with images as rows (N, H * W)."""
        x_train, t_train, x_test, t_test = self.images
        return Examples(x_train.reshape(len(x_train), -1), t_train, x_test.reshape(len(x_test), -1), t_test)

    def amount(self, full: int, quick: int) -> int:
        """How much to do of something."""
        return quick if self.quick else full

    def steps(self, total: int, what: str) -> Iterator[int]:
        """Count from 0 to ``total`` - 1, with a progress bar."""
        if not self.show_progress:
            yield from range(total)
            return
        from tqdm import tqdm

        yield from tqdm(range(total), desc=what, leave=False, dynamic_ncols=True, miniters=1)


def smoothed(values: Sequence[float] | np.ndarray, width: int = 20) -> np.ndarray:
    """Means over windows of ``width`` values, moved one by one; at the ends, over what is there."""
    values = np.asarray(values, float)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    low, high = np.maximum(ends - (width + 1) // 2, 0), np.minimum(ends + width // 2, len(values))
    return (sums[high] - sums[low]) / (high - low)


def spread(values: Sequence[float], digits: int = 3) -> str:
    """The mean of one value, or the range of several: ``.978`` or ``.971 ... .983``."""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} ... {high}"


def columns(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Columns:
    """Rows of values as columns with names."""
    return dict(zip(names, zip(*rows, strict=True), strict=True))
