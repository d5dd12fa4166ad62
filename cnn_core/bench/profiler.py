"""Where a network's time goes: every layer, forward and backward."""

import json
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cnn_core._checks import integer, real_number
from cnn_core._threads import get_num_threads
from cnn_core.bench.costs import Cost, layer_backward_cost, layer_cost
from cnn_core.bench.measure import Timing, no_garbage_collection
from cnn_core.bench.recorder import Call, Recorder, kind_of
from cnn_core.bench.roofline import Roofline, measure_roofline
from cnn_core.bench.threads import using_threads
from cnn_core.layers import Layer, Sequential
from cnn_core.layers.fused import Fused

Shape = tuple[int, ...]


class LayerProfile(NamedTuple):
    """One layer: its place, class, shapes, times and costs.

    Times are of the layer alone: of Residual and Concat, what they do beside calling their branches.
    ``backward`` is None where no gradient passes.
    """

    name: str
    kind: str
    input_shape: Shape
    output_shape: Shape
    forward: Timing
    backward: Timing | None
    forward_cost: Cost
    backward_cost: Cost

    @property
    def seconds(self) -> float:
        """Median forward and backward together."""
        return self.forward.median + (self.backward.median if self.backward else 0.0)


@dataclass(frozen=True)
class Profile:
    """What `profile` returns; printing it draws the table.

    Attributes
    ----------
    title : str
        The class of the network.
    input_shape : tuple of int
        With the batch.
    threads : int
    rows : tuple of LayerProfile
        In the order of computation.
    forward, backward : Timing
        Of the whole passes; ``backward`` is None if only prediction was asked for.
    roofline : Roofline or None
    """

    title: str
    input_shape: Shape
    threads: int
    rows: tuple[LayerProfile, ...]
    forward: Timing
    backward: Timing | None
    roofline: Roofline | None = None

    @property
    def seconds(self) -> float:
        """Median forward and backward pass together."""
        return self.forward.median + (self.backward.median if self.backward else 0.0)

    def share(self, row: LayerProfile) -> float:
        """The row's part of the whole time, 0 to 1."""
        return row.seconds / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The profile as plain data."""

        def part(timing: Timing | None, cost: Cost) -> dict[str, Any] | None:
            if timing is None:
                return None
            values: dict[str, Any] = {"time": timing.to_dict(), "flops": cost.flops, "bytes": cost.nbytes}
            if self.roofline is not None:
                values["floor"] = self.roofline.floor(*cost)
            return values

        return {
            "title": self.title,
            "input_shape": list(self.input_shape),
            "threads": self.threads,
            "forward": self.forward.to_dict(),
            "backward": self.backward and self.backward.to_dict(),
            "roofline": self.roofline and self.roofline.to_dict(),
            "rows": [
                {
                    "name": row.name,
                    "layer": row.kind,
                    "input_shape": list(row.input_shape),
                    "output_shape": list(row.output_shape),
                    "share": self.share(row),
                    "forward": part(row.forward, row.forward_cost),
                    "backward": part(row.backward, row.backward_cost),
                }
                for row in self.rows
            ],
        }

    def to_json(self) -> str:
        """The profile as text."""
        return json.dumps(self.to_dict(), indent=1) + "\n"

    def __str__(self) -> str:
        from cnn_core.bench.report import profile_table

        return profile_table(self)


def profile(
    model: Layer,
    x: np.ndarray,
    *,
    training: bool = True,
    seconds: float = 1.0,
    least_passes: int = 5,
    threads: int | None = None,
    roofline: Roofline | bool = False,
) -> Profile:
    """Run a network again and again, and time each of its layers.

    A copy of the network runs: parameters, gradients, running statistics, random generators and what the
    layers remember stay as they are. The gradient of the output is random numbers. As in training, the
    gradient for ``x`` is not computed.

    Parameters
    ----------
    model : Layer
        A network, with layers of your own or of the library; what `copy.deepcopy` can copy.
    x : ndarray
        A batch.
    training : bool
        Whether to time ``forward(x, training=True)`` and ``backward``, or ``forward(x)`` alone.
    seconds : float
        How long to go on.
    least_passes : int
        However long they take.
    threads : int, optional
        Threads to compute with; by default as many as the library uses now.
    roofline : bool or Roofline
        Whether to say how near each layer comes to what the machine allows. True measures the machine first,
        for half a second.

    Returns
    -------
    Profile
        ``print(profile(model, x))`` prints a table.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be, or the network does not take ``x``.
    """
    if not isinstance(model, Layer):
        raise TypeError(f"profile: model: expects a layer, got {type(model).__name__}")
    seconds = real_number(seconds, "profile: seconds", at_least=0)
    least_passes = integer(least_passes, "profile: least_passes", at_least=1)
    if threads is not None:
        threads = integer(threads, "profile: threads", at_least=1)
    with using_threads(threads), no_garbage_collection():
        n_threads = get_num_threads()
        if isinstance(roofline, bool):
            roofline_of_machine = measure_roofline(n_threads) if roofline else None
        else:
            roofline_of_machine = roofline
        recorder = Recorder(model, training)
        recorder.run(x)  # warms up
        recorder.forget_times()
        end = time.perf_counter() + seconds
        passes = 0
        while passes < least_passes or time.perf_counter() < end:
            recorder.run(x)
            passes += 1
    return Profile(
        type(model).__name__,
        tuple(x.shape),
        n_threads,
        tuple(_row(call, training) for call in recorder.calls if not _is_frame(call.layer)),
        Timing.of(recorder.forward_seconds),
        Timing.of(recorder.backward_seconds) if training else None,
        roofline_of_machine,
    )


def _is_frame(layer: Layer) -> bool:
    """Whether a layer only calls others, which have rows of their own."""
    return isinstance(layer, Sequential) and not isinstance(layer, Fused)


def _row(call: Call, training: bool) -> LayerProfile:
    layer, shapes = call.layer, (call.x_shape, call.y_shape, call.itemsize)
    backward = call.backward_seconds
    return LayerProfile(
        layer.name,
        kind_of(layer),
        call.x_shape,
        call.y_shape,
        Timing.of(call.forward_seconds),
        Timing.of(backward) if backward else None,
        layer_cost(layer, *shapes, training=training),
        layer_backward_cost(layer, *shapes, need_dx=call.need_dx) if backward else Cost(0, 0),
    )
