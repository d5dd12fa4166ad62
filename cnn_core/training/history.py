"""What happened in training: one row of numbers for each epoch."""

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from cnn_core._checks import one_of
from cnn_core.files import write_atomically

MONITORS = ("train_loss", "train_acc", "val_loss", "val_acc")


@dataclass(frozen=True)
class Epoch:
    """The row of one epoch. ``None`` stands for what was not measured.

    Parameters
    ----------
    epoch : int
        Number of the epoch, from 1.
    step : int
        Number of optimizer steps at its end.
    train_loss, train_acc : float
        Means over the epoch's batches as they were trained on: with dropout, augmentation and the weights of
        the moment. Accuracies run from 0 to 1.
    val_loss, val_acc : float
        Means over the validation data, after the epoch.
    lr : float
        Learning rate of the epoch's last step.
    seconds : float
        Duration of training and validation.
    images_per_second : float
        Training examples per second, validation not counted.
    """

    epoch: int
    step: int
    train_loss: float
    train_acc: float | None
    val_loss: float | None
    val_acc: float | None
    lr: float
    seconds: float
    images_per_second: float


COLUMNS = tuple(field.name for field in fields(Epoch))
_INTEGERS = ("epoch", "step")
_OPTIONAL = ("train_acc", "val_loss", "val_acc")


class History:
    """The rows of all epochs so far.

    ``len(history)`` counts them, ``history[-1].val_acc`` is a number of the last one,
    ``history["train_loss"]`` is a column as a list.

    Parameters
    ----------
    rows : iterable of Epoch
    """

    def __init__(self, rows: Iterable[Epoch] = ()) -> None:
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.rows)

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            one_of(key, "column", COLUMNS)
            return [getattr(row, key) for row in self.rows]
        return self.rows[key]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.rows == other.rows

    def __repr__(self) -> str:
        return f"History({len(self)} epochs)" if not self.rows else f"History({len(self)} epochs: {self[-1]})"

    def append(self, row: Epoch) -> None:
        """Add the row of an epoch."""
        self.rows.append(row)

    def best(self, monitor: str = "val_loss") -> Epoch:
        """Return the first row with the lowest loss or the highest accuracy.

        Raises
        ------
        ValueError
            If ``monitor`` is no loss or accuracy, or no row has it.
        """
        rows = [row for row in self.rows if not math.isnan(_or_nan(getattr(row, _checked(monitor))))]
        if not rows:
            raise ValueError(f"no epoch has a {monitor}; the history has {len(self)} epochs")
        choose = min if lower_is_better(monitor) else max
        return choose(rows, key=lambda row: getattr(row, monitor))

    # Files

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one line for each epoch under a line of column names; what was not measured is empty.

        The file is replaced in one step. Numbers are written so that they read back exactly.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in self.rows)
        write_atomically(path, text.getvalue().encode())

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`to_csv` wrote.

        Raises
        ------
        ValueError
            If columns are missing or a value is not a number.
        """
        lines = csv.DictReader(io.StringIO(Path(path).read_text(encoding="utf-8")))
        return cls.from_records([dict(line) for line in lines], f"{os.fspath(path)}: ")

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write a list with an object for each epoch; infinities and NaN become strings.

        The file is replaced in one step.
        """
        write_atomically(path, (json.dumps(self.to_records(), indent=1, allow_nan=False) + "\n").encode())

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            If it is not such a list.
        """
        try:
            records = json.loads(Path(path).read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{os.fspath(path)}: is not JSON: {error}") from error
        return cls.from_records(records, f"{os.fspath(path)}: ")

    def to_records(self) -> list[dict[str, Any]]:
        """Return the rows as dicts of what JSON can hold."""
        return [{name: _jsonable(value) for name, value in asdict(row).items()} for row in self.rows]

    @classmethod
    def from_records(cls, records: Any, where: str = "") -> Self:
        """Build a history from :meth:`to_records`, or from the same with all values as strings.

        Raises
        ------
        ValueError
            If a column is missing or unknown, or a value is not a number; ``where`` precedes the message.
        """
        if not isinstance(records, list):
            raise ValueError(f"{where}history: expects a list of rows, got {type(records).__name__}")
        return cls(_row(record, f"{where}history, row {i + 1}") for i, record in enumerate(records))


def lower_is_better(monitor: str) -> bool:
    """Return whether ``monitor`` is a loss; ValueError if it is neither a loss nor an accuracy."""
    return _checked(monitor).endswith("loss")


def is_better(value: float | None, than: float | None, monitor: str, min_delta: float = 0.0) -> bool:
    """Return whether ``value`` beats ``than`` by more than ``min_delta``; NaN never does, None is beaten."""
    if value is None or math.isnan(value):
        return False
    if than is None:
        return True
    return value < than - min_delta if lower_is_better(monitor) else value > than + min_delta


def _checked(monitor: str) -> str:
    return one_of(monitor, "monitor", MONITORS)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _jsonable(value: float | None) -> float | str | None:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _row(record: Any, where: str) -> Epoch:
    if not isinstance(record, Mapping) or set(record) != set(COLUMNS):
        got = list(record) if isinstance(record, Mapping) else type(record).__name__
        raise ValueError(f"{where}: expects the columns {list(COLUMNS)}, got {got}")
    values: dict[str, Any] = {}
    for name in COLUMNS:
        value = record[name]
        if name in _OPTIONAL and value in (None, ""):
            values[name] = None
            continue
        try:
            values[name] = int(value) if name in _INTEGERS else float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{where}: {name} must be a number, got {value!r}") from error
    return Epoch(**values)
