"""What a benchmark found: rows, the machine they were measured on, and the file that keeps them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Self

from cnn_core.bench.costs import Cost
from cnn_core.bench.measure import Timing, fastest
from cnn_core.bench.roofline import Roofline
from cnn_core.files import write_atomically

OURS = "ours"
_FORMAT, _VERSION = "cnn_core.bench", 1


@dataclass(frozen=True)
class Row:
    """One thing measured, at one number of threads.

    Parameters
    ----------
    name : str
        Unique in its benchmark.
    threads : int
    times : dict of str to Timing
        By contender: ``"ours"``, ``"torch NCHW"`` ...; all had the same number of turns.
    cost : Cost or None
        Operations and compulsory bytes, of a kernel or a layer.
    images : int
        That one call takes; 0 where there are none.
    flops : int
        Of a whole network, which has no place under a roofline.
    """

    name: str
    threads: int
    times: Mapping[str, Timing]
    cost: Cost | None = None
    images: int = 0
    flops: int = 0

    @property
    def ours(self) -> Timing:
        """Our time."""
        return self.times[OURS]

    @property
    def operations(self) -> int:
        """Floating-point operations of one call."""
        return self.cost.flops if self.cost else self.flops

    def ratio(self, library: str) -> float | None:
        """How many times as long the library's fastest contender took as we did; None if it has none."""
        name = fastest(self.times, library)
        return self.times[name].median / self.ours.median if name else None

    def floor(self, roofline: Roofline | None) -> float | None:
        """The seconds that the machine allows, None if there is nothing to say."""
        if roofline is None or self.cost is None or not any(self.cost):
            return None
        return roofline.floor(*self.cost)

    def percent(self, roofline: Roofline | None) -> float | None:
        """Achieved in percent of attainable."""
        floor = self.floor(roofline)
        return None if floor is None else 100 * floor / self.ours.median

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        values: dict[str, Any] = {"name": self.name, "threads": self.threads}
        if self.cost is not None:
            values |= {"flops": self.cost.flops, "bytes": self.cost.nbytes}
        elif self.flops:
            values |= {"flops": self.flops}
        if self.images:
            values |= {"images": self.images}
        return values | {"times": {name: timing.to_dict() for name, timing in self.times.items()}}

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Take back what `to_dict` gave; ValueError if it is something else."""
        try:
            times = {str(name): Timing.from_dict(timing) for name, timing in values["times"].items()}
            flops = int(values.get("flops", 0))
            cost = Cost(flops, int(values["bytes"])) if "bytes" in values else None
            row = cls(str(values["name"]), int(values["threads"]), times, cost,
                      int(values.get("images", 0)), 0 if cost else flops)  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"row: lacks {error}") from None
        if OURS not in times or times[OURS].median <= 0:
            raise ValueError(f"row {row.name!r}: has no time of ours")
        return row


@dataclass
class Results:
    """All rows of one run of the benchmark.

    Attributes
    ----------
    suite : str
        ``"kernels"``, ``"layers"`` or ``"nets"``.
    title : str
    machine : dict
        Facts, see `cnn_core.bench.machine.facts`, with the peers' versions.
    rooflines : dict of int to Roofline
        By threads; empty without ``--roofline``.
    rows : list of Row
    """

    suite: str
    title: str
    machine: dict[str, Any]
    rooflines: dict[int, Roofline] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @property
    def threads(self) -> list[int]:
        """The numbers of threads, in order of appearance."""
        return list(dict.fromkeys(row.threads for row in self.rows))

    def percent(self, row: Row) -> float | None:
        """Achieved in percent of attainable, None without a roofline."""
        return row.percent(self.rooflines.get(row.threads))

    def to_json(self) -> str:
        """The results as text."""
        document = {
            "format": _FORMAT,
            "version": _VERSION,
            "suite": self.suite,
            "title": self.title,
            "machine": self.machine,
            "threads": self.threads,
            "rooflines": [roofline.to_dict() for roofline in self.rooflines.values()],
            "rows": [
                row.to_dict()
                | {"percent_of_attainable": self.percent(row)}
                | {"ratios": {name: row.ratio(name) for name in libraries(row)}}
                for row in self.rows
            ],
        }
        return json.dumps(document, indent=1) + "\n"

    def save(self, path: str | PathLike[str]) -> None:
        """Write `to_json` to a file, whole or not at all."""
        write_atomically(path, self.to_json().encode())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a file of `save`.

        Raises
        ------
        OSError
            If it cannot be read.
        ValueError
            If it is something else.
        """
        try:
            document = json.loads(Path(path).read_bytes())
            if not isinstance(document, dict) or document.get("format") != _FORMAT:
                raise ValueError("is not a result of cnn-core bench")
            if document["version"] != _VERSION:
                raise ValueError(f"has version {document['version']!r}, this cnn_core reads {_VERSION}")
            rooflines = [Roofline.from_dict(values) for values in document["rooflines"]]
            return cls(
                str(document["suite"]),
                str(document["title"]),
                dict(document["machine"]),
                {roofline.threads: roofline for roofline in rooflines},
                [Row.from_dict(values) for values in document["rows"]],
            )
        except KeyError as error:
            raise ValueError(f"{path}: is not a result of cnn-core bench: lacks {error}") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{path}: {error}") from None


def libraries(row: Row) -> list[str]:
    """The peers that have a time in the row."""
    return list(dict.fromkeys(name.partition(" ")[0] for name in row.times if name != OURS))
