"""Many Python threads at once, all parts of the library in each: every result has the bits that it has alone.

With the interpreter's lock they take turns at every moment, without it (free-threaded builds) they run side
by side. Arrays are small: a race is found by many moments, not by long ones.
"""

import hashlib
import queue
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from training_parts import make_data, make_trainer, weights_of

import cnn_core
from cnn_core import _memory
from cnn_core import functional as F
from cnn_core._kernels import runtime
from cnn_core.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from cnn_core.optim import SGD, Adam

N_THREADS = 8
SIZES = (12, 17, 20)  # of images; one network for all of them


@pytest.fixture(autouse=True)
def short_turns() -> Iterator[None]:
    """Let the interpreter's lock, if there is one, change hands as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def at_once(*works: Callable[[], None]) -> None:
    """Run each in a thread of its own, from one moment on; raise what any of them raised."""
    start, errors = threading.Barrier(len(works)), []

    def run(work: Callable[[], None]) -> None:
        start.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def bits(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def images(size: int, seed: int = 0, n: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3, size, size)).astype(np.float32)


def network() -> Sequential:
    rng = np.random.default_rng(0)
    body = Sequential(Conv2d(8, 8, 3, padding=1, rng=rng), BatchNorm2d(8))
    return Sequential(
        Conv2d(3, 8, 3, padding=1, rng=rng),
        BatchNorm2d(8),
        ReLU(),
        Residual(body),
        ReLU(),
        Conv2d(8, 16, 3, padding=1, rng=rng),  # wide enough for Winograd's algorithm
        ReLU(),
        MaxPool2d(2),
        AdaptiveAvgPool2d(1),
        Flatten(),
        Linear(16, 10, rng=rng),
    )


def train(seed: int) -> str:
    """A model, data and an optimizer of its own."""
    trainer = make_trainer(Adam(0.01) if seed % 2 else SGD(0.1, momentum=0.9))
    trainer.fit(make_data(seed=seed), epochs=1, batch_size=20)
    return bits(*weights_of(trainer.model).values())


def functions(seed: int) -> str:
    x, weight = images(40, seed), np.random.default_rng(seed).normal(size=(8, 3, 3, 3)).astype(np.float32)
    y = F.conv2d(x, weight, padding="same")
    pooled, indices = F.max_pool2d(y, 2, return_indices=True)
    dy = F.max_pool2d_backward(pooled, indices, y.shape)
    gradients = F.conv2d_backward(dy, x, weight, padding=1)
    rows = F.softmax(pooled.reshape(len(x), -1))
    return bits(F.relu(y), F.tanh(y), rows, F.im2col(x, 3), *(g for g in gradients if g is not None))


def test_everything_at_once_has_the_bits_of_one_thread(threads):
    """Training, functions and predictions of shared networks, while the number of threads changes."""
    model = network()
    model.forward(images(SIZES[0], n=16), training=True)  # running statistics that are not 0 and 1
    inference = model.for_inference()
    jobs = [
        *(lambda seed=seed: train(seed) for seed in range(4)),
        *(lambda seed=seed: functions(seed) for seed in range(4)),
        *(lambda size=size: bits(model(images(size))) for size in SIZES),
        *(lambda size=size: bits(inference(images(size))) for size in SIZES),
    ]
    threads(1)
    expected = [job() for job in jobs]
    wrong, working = [], threading.Event()

    def work(first: int) -> None:
        order = [(first * 5 + i) % len(jobs) for i in range(len(jobs))]  # each thread begins elsewhere
        wrong.extend(i for i in order if jobs[i]() != expected[i])

    def change() -> None:
        n = 0
        while not working.wait(0.0005):
            n = n % 3 + 1
            threads(n)
            if n == 1:
                runtime.trim_memory()

    changer = threading.Thread(target=change)
    changer.start()
    try:
        at_once(*(lambda first=first: work(first) for first in range(N_THREADS)))
    finally:
        working.set()
        changer.join()
    assert wrong == []


def test_a_network_for_inference_packs_its_weights_in_all_threads_at_once():
    """The first prediction, and images of other sizes in the next: what is kept for one fits no other."""
    model = network()
    expected = {size: bits(model.for_inference()(images(size))) for size in SIZES}
    for _ in range(5):
        inference, wrong = model.for_inference(), []

        def work(first: int, inference=inference, wrong=wrong) -> None:
            for i in range(12):
                size = SIZES[(first + i) % len(SIZES)]
                if bits(inference(images(size))) != expected[size]:
                    wrong.append(size)

        at_once(*(lambda first=first: work(first) for first in range(N_THREADS)))
        assert wrong == []


def test_memory_that_dies_in_another_thread():
    """Blocks come from the cache in one thread and go back in another; nobody sees one that is in use."""
    n_blocks, wrong = 200, []
    waiting: list[queue.Queue] = [queue.Queue(4) for _ in range(N_THREADS)]
    in_use = runtime.memory_in_use()

    def work(me: int) -> None:
        neighbour = waiting[(me + 1) % N_THREADS]
        for i in range(n_blocks):
            x = _memory.empty(((1 << 14) + 977 * ((me + i) % 5),), np.int32)
            x.fill(me * n_blocks + i)
            neighbour.put((x, me * n_blocks + i))
            x, value = waiting[me].get()
            if not (x == value).all():
                wrong.append(value)
            if i % 16 == 0:
                runtime.trim_memory()

    at_once(*(lambda me=me: work(me) for me in range(N_THREADS)))
    assert wrong == []
    assert runtime.memory_in_use() == in_use


def test_a_number_of_threads_that_is_chosen_while_the_default_is_looked_for(threads, monkeypatch):
    """The choice stays, whoever comes first."""
    for _ in range(50):
        monkeypatch.setattr(cnn_core._threads, "_default", None)
        monkeypatch.setattr(cnn_core._threads, "_chosen", None)
        at_once(lambda: threads(5), *[cnn_core.get_num_threads] * 3)
        assert cnn_core.get_num_threads() == 5


@pytest.mark.skipif(getattr(sys, "_is_gil_enabled", lambda: True)(), reason="the interpreter has its lock")
def test_no_part_of_the_library_asks_for_the_lock():
    import importlib
    import pkgutil
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)
        for module in pkgutil.walk_packages(cnn_core._kernels.__path__, "cnn_core._kernels."):
            importlib.import_module(module.name)
    assert not sys._is_gil_enabled()
