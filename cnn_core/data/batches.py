"""Batches: a pass over the examples, some at a time."""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from cnn_core._checks import integer
from cnn_core.data.dataset import check_paired

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Batches:
    """Examples and targets in batches; each ``for`` loop over it is one epoch.

    ``for x, t in Batches(data.train.x, data.train.t, 100, shuffle=True, rng=0): ...``

    Every batch is gathered into the same two buffers, which the next batch overwrites: copy what must outlive
    its turn. What a batch holds depends on the state of the generator when the epoch began and on the number
    of the batch, not on the batches before it. So an epoch can be taken up anywhere: `state_dict` says how.

    Parameters
    ----------
    x, t : ndarray, shape (N, ...)
        Examples and targets. Read, never written; copied once if not C-contiguous.
    batch_size : int
    shuffle : bool
        Draw a new order for each epoch.
    rng : numpy.random.Generator or int, optional
        Source of the order and of the augmentation, or a seed for one. To resume exactly, give it to nothing
        else.
    augment : callable, optional
        ``augment(batch, rng) -> batch``, applied to each batch of examples in the buffer; see
        `cnn_core.data.augment`.
    drop_last : bool
        Leave out the last batch if it is not full.

    Attributes
    ----------
    order : ndarray of int, shape (N,)
        The order of the examples in the current epoch, or the last.
    position : int
        The number of batches that the current epoch has given.

    Raises
    ------
    TypeError
        If ``x`` or ``t`` is not an array, or ``augment`` not callable.
    ValueError
        If their lengths differ, ``batch_size`` is not positive, or ``drop_last`` would leave nothing.
    """

    def __init__(
        self,
        x: np.ndarray,
        t: np.ndarray,
        batch_size: int,
        *,
        shuffle: bool = False,
        rng: np.random.Generator | int | None = None,
        augment: Augmentation | None = None,
        drop_last: bool = False,
    ) -> None:
        check_paired(x, t)
        if augment is not None and not callable(augment):
            raise TypeError(
                f"augment: expects a function (batch, rng) -> batch, got {type(augment).__name__}"
            )
        self.batch_size = integer(batch_size, "batch_size", at_least=1)
        if drop_last and 0 < len(x) < self.batch_size:
            raise ValueError(
                f"drop_last: would drop all {len(x)} examples, fewer than batch_size {batch_size}"
            )
        self.shuffle = shuffle
        self.augment = augment
        self.drop_last = drop_last
        self.order = np.arange(len(x))
        self.position = 0
        # numpy.take copies the whole array each time if it is not contiguous and aligned.
        self._x, self._t = (np.require(array, requirements=["C_CONTIGUOUS", "ALIGNED"]) for array in (x, t))
        rows = min(self.batch_size, len(x))
        self._x_buffer, self._t_buffer = (np.empty((rows, *array.shape[1:]), array.dtype) for array in (x, t))
        self._rng = np.random.default_rng(rng)
        self._epoch_state: Mapping[str, Any] | None = None  # of the generator, when the current epoch began
        self._augment_seed = 0
        self._first = 0  # where the next epoch begins
        self._passes = 0

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        n = len(self.order)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self._begin_epoch()
        this_pass = self._passes
        while self.position < len(self):
            batch = self._gather(self.position)
            self.position += 1
            yield batch
            if self._passes != this_pass:
                raise RuntimeError("these batches were begun anew; loops at once need a Batches each")
        self._epoch_state = None
        self.position = 0

    def skip(self, count: int) -> None:
        """Let the next epoch begin at batch number ``count``, as if those before it had been given.

        Raises
        ------
        ValueError
            If an epoch has fewer batches.
        """
        self._first = self._checked_position(count)

    def state_dict(self) -> dict[str, Any]:
        """Where the shuffling stands: what `load_state_dict` needs to continue from here.

        Within an epoch it says how the epoch began and how many batches it has given; the next loop after
        `load_state_dict` gives the rest of them. Numbers, strings and dicts of these only (with numpy's
        default bit generator), so it can be stored as JSON.
        """
        under_way = self._epoch_state is not None
        return {
            "rng": copy.deepcopy(self._epoch_state if under_way else self._rng.bit_generator.state),
            "position": self.position if under_way else self._first,
            "batch_size": self.batch_size,
            "examples": len(self.order),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave, with the same examples, batch size and augmentation.

        Raises
        ------
        TypeError, ValueError
            If the state is of other batches; nothing is changed then.
        """
        expected = {"batch_size": self.batch_size, "examples": len(self.order)}
        found = {key: state.get(key) for key in expected}
        if found != expected:
            raise ValueError(f"state: belongs to batches with {found}, these have {expected}")
        first = self._checked_position(state.get("position"))
        try:
            self._rng.bit_generator.state = state["rng"]
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise ValueError(f"state: 'rng' does not fit the generator: {error}") from error
        self._first = first
        self._epoch_state = None
        self._passes += 1  # a loop that is under way has lost its place

    def _begin_epoch(self) -> None:
        self._passes += 1
        self._epoch_state = copy.deepcopy(self._rng.bit_generator.state)
        if self.shuffle:
            self.order = self._rng.permutation(len(self.order))
        if self.augment is not None:
            self._augment_seed = int(self._rng.integers(2**63))
        self.position, self._first = self._first, 0

    def _gather(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.order[number * self.batch_size : (number + 1) * self.batch_size]
        # mode="clip" because "raise" goes through a temporary array; the rows are in range by construction.
        x = np.take(self._x, rows, axis=0, out=self._x_buffer[: len(rows)], mode="clip")
        t = np.take(self._t, rows, axis=0, out=self._t_buffer[: len(rows)], mode="clip")
        if self.augment is not None:
            x = self.augment(x, np.random.default_rng([self._augment_seed, number]))
        return x, t

    def _checked_position(self, count: Any) -> int:
        count = integer(count, "position", at_least=0)
        if count > len(self):
            raise ValueError(f"position: an epoch has {len(self)} batches, got {count}")
        return count
