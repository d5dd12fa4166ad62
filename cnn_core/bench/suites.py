"""The three benchmarks: single functions, the layers of one network, whole networks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_core._memory import empty
from cnn_core.bench.arguments import Arguments
from cnn_core.bench.cases import LEARNING_RATE, NETS, Case, Net, kernel_cases
from cnn_core.bench.costs import inference_cost, layer_backward_cost, layer_cost, training_cost
from cnn_core.bench.kernels import OPS
from cnn_core.bench.measure import Contender, Effort, Timing, settle, take_turns
from cnn_core.bench.peers import Peer
from cnn_core.bench.profiler import profile
from cnn_core.bench.recorder import Call, Recorder, kind_of
from cnn_core.bench.results import OURS, Row
from cnn_core.bench.threads import using_threads
from cnn_core.layers import Container, Sequential
from cnn_core.losses import CrossEntropyLoss
from cnn_core.optim import Adam

# Tells how far a benchmark is: rows done, rows in all, the next row's name.
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Settings:
    """What to measure and how.

    Parameters
    ----------
    threads : tuple of int
        Everything is measured with each of these numbers.
    peers : tuple of Peer
    effort : Effort
        Per row.
    filter : str
        Only rows whose name contains it.
    progress : callable
    """

    threads: tuple[int, ...]
    peers: tuple[Peer, ...] = ()
    effort: Effort = Effort()  # noqa: RUF009  # it is frozen
    filter: str = ""
    progress: Progress = lambda done, total, name: None

    def chosen(self, names: Sequence[str]) -> list[int]:
        """The places of the names that pass the filter.

        Raises
        ------
        ValueError
            If none does.
        """
        places = [i for i, name in enumerate(names) if self.filter in name]
        if not places:
            raise ValueError(
                f"--filter: none of {len(names)} rows contains {self.filter!r}, such as {names[0]!r}"
            )
        return places

    def measure(
        self, ours: Callable[[], Any], others: Sequence[Contender], threads: int
    ) -> dict[str, Timing]:
        """Times by contender; between libraries with more than one thread, a rest."""
        rest = settle if threads > 1 and others else None
        return take_turns([Contender(OURS, ours), *others], self.effort, rest=rest)

    @contextmanager
    def using(self, threads: int) -> Iterator[None]:
        """Compute with so many threads, here and in all peers."""
        with ExitStack() as stack:
            stack.enter_context(using_threads(threads))
            for peer in self.peers:
                stack.enter_context(peer.session(threads))
            yield


def run_kernels(settings: Settings) -> Iterator[Row]:
    """Each function on the shapes of `cnn_core.bench.cases`.

    Raises
    ------
    ValueError
        If the filter leaves none.
    """
    cases = kernel_cases()
    cases = [cases[i] for i in settings.chosen([case.name for case in cases])]
    done = 0
    for threads in settings.threads:
        with settings.using(threads):
            for case in cases:
                settings.progress(done, len(cases) * len(settings.threads), case.name)
                yield _kernel(case, settings, threads)
                done += 1


def _kernel(case: Case, settings: Settings, threads: int) -> Row:
    op = OPS[case.op]
    arguments = _own(op.build(np.random.default_rng(0), case.shape, dict(case.options)))
    ours = op.bind(arguments)
    cost = op.cost(arguments, ours())
    others = [contender for peer in settings.peers for contender in peer.kernel(case.op, arguments, cost)]
    return Row(case.name, threads, settings.measure(ours, others, threads), cost)


def _own(arguments: Arguments) -> Arguments:
    """The arguments with images in the library's memory, as between the layers of a network.

    Where in its page an array begins decides whether a store delays the loads after it: ReLU of 5 MB takes
    123 us, or 165 where x comes from numpy.
    """
    own = {}
    for name, value in arguments.items():
        if isinstance(value, np.ndarray) and value.ndim == 4:
            own[name] = empty(value.shape, value.dtype)
            own[name][...] = value
    return {**arguments, **own}


def run_nets(settings: Settings) -> Iterator[Row]:
    """Training steps of all networks, predictions of the two of the book.

    Raises
    ------
    ValueError
        If the filter leaves none.
    """
    rows: list[tuple[str, Callable[[int], Row]]] = []
    for net in NETS:
        batch = _shape_text(net.input_shape)
        rows.append((f"train {net.name} {batch}", lambda t, net=net: _training(net, settings, t)))  # type: ignore[misc]
    for net in NETS[:2]:
        for n in (1, 100):
            shape = (n, *net.input_shape[1:])
            name = f"predict {net.name} {_shape_text(shape)}"
            rows.append((name, lambda t, net=net, shape=shape: _prediction(net, shape, settings, t)))  # type: ignore[misc]
    rows = [rows[i] for i in settings.chosen([name for name, _ in rows])]
    done = 0
    for threads in settings.threads:
        with settings.using(threads):
            for name, measure in rows:
                settings.progress(done, len(rows) * len(settings.threads), name)
                yield measure(threads)
                done += 1


def _training(net: Net, settings: Settings, threads: int) -> Row:
    """Forward, loss, backward, Adam."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(net.input_shape, np.float32)
    target = rng.integers(0, 10, net.input_shape[0])
    model, loss, optimizer = net.build(), CrossEntropyLoss(), Adam(lr=LEARNING_RATE)

    def step() -> None:
        loss.forward(model.forward(x, True), target)
        model.backward(loss.backward(), need_dx=False)
        optimizer.update(model.params, model.grads)

    others = [each for peer in settings.peers for each in peer.training_step(model, x, target)]
    times = settings.measure(step, others, threads)
    name = f"train {net.name} {_shape_text(net.input_shape)}"
    flops = training_cost(model, net.input_shape).flops
    return Row(name, threads, times, images=net.input_shape[0], flops=flops)


def _prediction(net: Net, shape: tuple[int, ...], settings: Settings, threads: int) -> Row:
    """Forward of the network as `for_inference` makes it."""
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    model = net.build()
    predictor = model.for_inference()
    others = [each for peer in settings.peers for each in peer.inference(model, x)]
    times = settings.measure(lambda: predictor.forward(x), others, threads)
    flops = inference_cost(predictor, shape).flops
    return Row(f"predict {net.name} {_shape_text(shape)}", threads, times, images=shape[0], flops=flops)


def run_layers(model: Sequential, x: np.ndarray, settings: Settings) -> Iterator[Row]:
    """Each layer of a network, forward and backward.

    Alone, the layers are timed within passes of the network, by `cnn_core.bench.profiler`. With peers, each
    layer takes turns with its twins, on the arrays that reach it in the network.

    Raises
    ------
    ValueError
        If the filter leaves no row, or the network does not take ``x``.
    """
    for threads in settings.threads:
        with settings.using(threads):
            yield from (
                _compared(model, x, settings, threads)
                if settings.peers
                else _profiled(model, x, settings, threads)
            )


def _profiled(model: Sequential, x: np.ndarray, settings: Settings, threads: int) -> Iterator[Row]:
    recorder = Recorder(model, training=True)
    recorder.run(x)
    names = [name for call in _leaves(recorder) for name in _row_names(call)]
    chosen = {names[i] for i in settings.chosen(names)}
    settings.progress(0, 1, "all layers")
    effort = settings.effort
    result = profile(model, x, seconds=effort.seconds * len(names), least_passes=effort.least_turns)
    for row in result.rows:
        forward, backward = _names(row.name, row.kind, row.input_shape)
        if forward in chosen:
            yield Row(forward, threads, {OURS: row.forward}, row.forward_cost)
        if row.backward is not None and backward in chosen:
            yield Row(backward, threads, {OURS: row.backward}, row.backward_cost)


def _compared(model: Sequential, x: np.ndarray, settings: Settings, threads: int) -> Iterator[Row]:
    recorder = Recorder(model, training=True, keep_arrays=True)
    recorder.run(x)
    recorder.unwatched()
    calls = [call for call in _leaves(recorder) if not isinstance(call.layer, Container)]
    names = [name for call in calls for name in _row_names(call)]
    chosen = {names[i] for i in settings.chosen(names)}
    done = 0
    for call in calls:
        for row in _both_passes(call, chosen, settings, threads):
            yield row
            done += 1
            settings.progress(done, len(chosen), row.name)


def _both_passes(call: Call, chosen: set[str], settings: Settings, threads: int) -> Iterator[Row]:
    layer, x, dy = call.layer, call.x, call.dy
    assert x is not None
    shapes = (call.x_shape, call.y_shape, call.itemsize)
    some_dy = np.zeros(call.y_shape, x.dtype) if dy is None else dy
    forwards, backwards = [], []
    for peer in settings.peers:
        of_peer = peer.layer(layer, x, some_dy, call.need_dx)
        forwards += of_peer[0]
        backwards += of_peer[1]
    names = _names(layer.name, kind_of(layer), call.x_shape)
    if names[0] in chosen:
        times = settings.measure(lambda: layer.forward(x, True), forwards, threads)
        yield Row(names[0], threads, times, layer_cost(layer, *shapes))
    if dy is not None and names[1] in chosen:
        layer.forward(x, True)
        options = {"need_dx": call.need_dx} if layer.params else {}
        times = settings.measure(lambda: layer.backward(dy, **options), backwards, threads)
        yield Row(names[1], threads, times, layer_backward_cost(layer, *shapes, need_dx=call.need_dx))


def _leaves(recorder: Recorder) -> list[Call]:
    return [call for call in recorder.calls if not isinstance(call.layer, Sequential)]


def _row_names(call: Call) -> list[str]:
    forward, backward = _names(call.layer.name, kind_of(call.layer), call.x_shape)
    return [forward, backward] if call.backward_seconds else [forward]


def _names(place: str, kind: str, shape: tuple[int, ...]) -> tuple[str, str]:
    """The rows' names of a layer's forward and backward."""
    layer = f"{place} {kind} {_shape_text(shape)}".strip()
    return f"{layer} forward", f"{layer} backward"


def _shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
