"""How much faster the book's networks are here than in plain numpy, measured side by side.

``python -m cnn_core.book.speed`` prints a table in Markdown. The contenders take turns in one process, with
the same images, on a training step (forward, loss, backward, Adam) and on predictions:

* ``numpy`` is :mod:`cnn_core.book.in_numpy`, in float64;
* ``book float64`` and ``book float32`` are the networks of :mod:`cnn_core.book`, as they are made and after
  ``network.astype(np.float32)``;
* ``models`` are those of :mod:`cnn_core.models`, in float32, predicting by ``model.for_inference()``.

numpy multiplies matrices on as many threads as its BLAS chooses, unless an environment variable such as
``OPENBLAS_NUM_THREADS`` says otherwise.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnn_core import losses, models, optim
from cnn_core._threads import get_num_threads
from cnn_core.bench.machine import facts
from cnn_core.bench.measure import Contender, Effort, Timing, settle, take_turns
from cnn_core.bench.report import plural
from cnn_core.bench.report import seconds as with_unit
from cnn_core.bench.threads import using_threads
from cnn_core.book import deep_convnet, in_numpy, multi_layer_net, optimizer, simple_convnet
from cnn_core.book._arrays import Array
from cnn_core.book.network import Network
from cnn_core.layers import Sequential

__all__ = ["Row", "measure", "peak_memory"]

_HIDDEN = [100, 100, 100, 100]
# How cnn_core.book and cnn_core.models make each network, and what it takes for one image.
_MAKERS: dict[str, tuple[Callable[[], Network], Callable[[], Sequential], tuple[int, ...]]] = {
    "MultiLayerNet": (
        lambda: multi_layer_net.MultiLayerNet(784, _HIDDEN, 10, rng=0),
        lambda: models.MLP((784,), hidden=_HIDDEN, rng=0),
        (784,),
    ),
    "SimpleConvNet": (
        lambda: simple_convnet.SimpleConvNet(rng=0),
        lambda: models.SimpleConvNet(rng=0),
        (1, 28, 28),
    ),
    "DeepConvNet": (
        lambda: deep_convnet.DeepConvNet(rng=0),
        lambda: models.DeepConvNet(dropout_logits=True, rng=0),
        (1, 28, 28),
    ),
}
NETWORKS = tuple(_MAKERS)
# The first word says whose threads a contender has.
CONTENDERS = ("numpy", "cnn_core book float64", "cnn_core book float32", "cnn_core models")

Step = Callable[[Array, Array], object]
Predict = Callable[[Array], object]


@dataclass(frozen=True)
class Row:
    """The times of one kind of work.

    Attributes
    ----------
    network : str
    work : str
        "training step" or "prediction".
    images : int
    times : dict of str to Timing
        Seconds by contender, numpy first.
    """

    network: str
    work: str
    images: int
    times: dict[str, Timing]

    def speedup(self, contender: str) -> float:
        """How many times as long numpy takes, by the medians."""
        return self.times["numpy"].median / self.times[contender].median


def measure(
    seconds: float = 1.0,
    threads: int | None = None,
    *,
    networks: Sequence[str] = NETWORKS,
    images: int = 100,
) -> list[Row]:
    """Measure a training step, the prediction of as many images, and that of one.

    Parameters
    ----------
    seconds : float
        Per row, for all contenders together; each has at least five turns.
    threads : int, optional
        Of this library; as many as it uses by default if not given. numpy's are its own matter.
    networks : sequence of {"MultiLayerNet", "SimpleConvNet", "DeepConvNet"}
    images : int
        In a batch.
    """
    rng = np.random.default_rng(0)
    t = rng.integers(0, 10, images)
    effort = Effort(seconds)
    rows = []
    with using_threads(threads):
        for network in networks:
            x = rng.random((images, *_MAKERS[network][2]), np.float32)
            made = {contender: _make(contender, network) for contender in CONTENDERS}
            works: list[tuple[str, int, dict[str, Callable[[], object]]]] = [
                ("training step", images, {name: _bound(step, x, t) for name, (step, _) in made.items()}),
                ("prediction", images, {name: _bound(predict, x) for name, (_, predict) in made.items()}),
                ("prediction", 1, {name: _bound(predict, x[:1]) for name, (_, predict) in made.items()}),
            ]
            for work, count, calls in works:
                contenders = [Contender(name, call) for name, call in calls.items()]
                rows.append(Row(network, work, count, take_turns(contenders, effort, rest=settle)))
    return rows


def peak_memory(network: str, contender: str, images: int = 100) -> int | None:
    """Return the most bytes that a training step adds to a new process; None where there is no ``/proc``.

    Parameters
    ----------
    network : {"MultiLayerNet", "SimpleConvNet", "DeepConvNet"}
    contender : {"numpy", "cnn_core book float64", "cnn_core book float32", "cnn_core models"}
    images : int
        In a batch.
    """
    if not Path("/proc/self/status").exists():
        return None
    code = f"from cnn_core.book import speed; print(speed._growth({network!r}, {contender!r}, {images}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m cnn_core.book.speed",
        description="Measure the networks of cnn_core.book beside the same in plain numpy.",
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="per row (%(default)s)")
    parser.add_argument("--threads", type=int, help="of this library; numpy's are those of its BLAS")
    given = parser.parse_args(arguments)
    rows = measure(given.seconds, given.threads)
    with_columns = [network for network, (_, _, shape) in _MAKERS.items() if len(shape) == 3]
    peaks = {(network, name): peak_memory(network, name) for network in with_columns for name in CONTENDERS}
    with using_threads(given.threads):
        print(f"{_machine()}\n\n{_table(rows, peaks)}")


def _make(contender: str, network: str) -> tuple[Step, Predict]:
    """A contender's training step and prediction, with weights from the same seed."""
    make, make_model, _ = _MAKERS[network]
    if contender == "cnn_core models":
        return _model(make_model())
    net: Any = make()
    adam: Any = optimizer.Adam()
    if contender == "numpy":
        params = {key: param.copy(order="C") for key, param in net.params.items()}  # as numpy makes them
        net, adam = getattr(in_numpy, network)(params), in_numpy.Adam()
    elif contender.endswith("float32"):
        net.astype(np.float32)
    return lambda x, t: adam.update(net.params, net.gradient(x, t)), net.predict


def _model(model: Sequential) -> tuple[Step, Predict]:
    loss, adam, inference = losses.CrossEntropyLoss(), optim.Adam(), model.for_inference()

    def step(x: Array, t: Array) -> None:
        loss.forward(model.forward(x, training=True), t)
        model.backward(loss.backward(), need_dx=False)
        adam.update(model.params, model.grads)

    return step, inference.forward


def _bound(call: Callable[..., object], *arguments: Array) -> Callable[[], object]:
    return lambda: call(*arguments)


def _growth(network: str, contender: str, images: int) -> int:
    """Bytes between what the process holds after a step of one image, and the most it held in one of many."""
    x, t = np.ones((images, *_MAKERS[network][2]), np.float32), np.zeros(images, np.intp)
    step, _ = _make(contender, network)
    step(x[:1], t[:1])
    before = _of_process("VmRSS")
    step(x, t)
    return max(0, _of_process("VmHWM") - before)


def _of_process(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def _machine() -> str:
    machine = facts()
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return (
        f"{machine['cpu']}, {plural(machine['cpus'], 'CPU')}; cnn_core {machine['cnn_core']} with "
        f"{machine['isa_level']} kernels on {plural(get_num_threads(), 'thread')}; numpy {machine['numpy']}, "
        f"whose product of matrices ({blas['name']} {blas['version']}) keeps {_busy_cpus():.1f} CPUs busy."
    )


def _busy_cpus(seconds: float = 0.3) -> float:
    """CPU time per time of numpy's product of two large matrices: what its threads amount to."""
    a = np.ones((700, 700))
    np.dot(a, a)
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() < wall + seconds:
        np.dot(a, a)
    return (time.process_time() - cpu) / (time.perf_counter() - wall)


def _table(rows: Sequence[Row], peaks: dict[tuple[str, str], int | None]) -> str:
    names = [name.removeprefix("cnn_core ") for name in CONTENDERS]
    lines = ["| network | work | " + " | ".join(names) + " |", "|---|---|" + "---:|" * len(names)]
    for row in rows:
        cells = [
            with_unit(timing.median) + ("" if name == "numpy" else f" ({row.speedup(name):.1f}x)")
            for name, timing in row.times.items()
        ]
        lines.append(
            f"| {row.network} | {row.work}, {plural(row.images, 'image')} | " + " | ".join(cells) + " |"
        )
    for network in dict.fromkeys(network for network, _ in peaks):
        sizes = [peaks[network, name] for name in CONTENDERS]
        cells = ["-" if size is None else f"{size / 1e6:.0f} MB" for size in sizes]
        lines.append(f"| {network} | memory of a training step | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
