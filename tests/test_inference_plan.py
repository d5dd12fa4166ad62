"""Plans of small predictions: the same bits as the way through the layers, whatever happens around them."""

import copy
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest

from cnn_core.debugging import NonFiniteError, watch
from cnn_core.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Flatten,
    Identity,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
)
from cnn_core.layers.plan import LARGEST, PLANS_OF_A_SHAPE, SHAPES
from cnn_core.models import MLP, DeepConvNet, ResNet20, SimpleConvNet

SIZES = (12, 17, 20)


def of_all_kinds(dtype=np.float32) -> Sequential:
    """For images (N, 3, H, W) of any size: a kernel for each kind of step that a plan has."""
    common = {"rng": np.random.default_rng(0), "dtype": dtype}
    return Sequential(
        Conv2d(3, 16, 5, stride=2, padding=2, **common),
        ReLU(),
        Conv2d(16, 16, 3, padding=1, **common),  # by Winograd's algorithm in float32
        Residual(Sequential(Conv2d(16, 16, 3, padding=1, **common), BatchNorm2d(16, dtype=dtype))),
        ReLU(),
        Residual(Conv2d(16, 24, 1, 2, **common), Sequential(Conv2d(16, 24, 3, 2, 1, **common), ReLU())),
        Concat(Conv2d(24, 4, 1, **common), Sequential(Identity(), MaxPool2d(3, 1, 1))),
        Sigmoid(),
        BatchNorm2d(28, dtype=dtype),
        ReLU(),
        Conv2d(28, 20, 3, padding=1, **common),
        MaxPool2d(2),
        AdaptiveAvgPool2d((1, None)),
        Residual(Identity()),
        AdaptiveAvgPool2d(1),
        Flatten(),
        Linear(20, 10, **common),
        ReLU(),
        Linear(10, 7, bias=False, **common),
    )


def images(size=12, n=1, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal((n, 3, size, size)).astype(dtype)


def through_layers(fast, x):
    """The ordinary way."""
    return Sequential.forward(fast, x)


def planned(fast, x):
    """A prediction when there is a plan for its shape."""
    for _ in range(2):
        fast(x)
    assert n_plans(fast, x) > 0
    return fast(x)


def n_plans(fast, x):
    kept = fast._plans._kept.get(x.shape)
    return len(kept.free) if kept else 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 3])
def test_bits_of_all_kinds_of_layers(dtype, n, threads):
    model = of_all_kinds(dtype)
    model(images(20, 8, dtype=dtype), training=True)  # running statistics that are not 0 and 1
    fast = model.for_inference()
    expected = {size: through_layers(fast, images(size, n, dtype=dtype)) for size in SIZES}
    for round_ in range(5):
        threads(round_ % 3 + 1)
        for size in SIZES:
            np.testing.assert_array_equal(fast(images(size, n, dtype=dtype)), expected[size])
    assert all(n_plans(fast, images(size, n)) == 1 for size in SIZES)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (SimpleConvNet, (1, 28, 28)),
        (DeepConvNet, (1, 28, 28)),
        (ResNet20, (3, 32, 32)),
        (lambda rng: MLP((784,), 10, rng=rng), (784,)),
    ],
)
def test_bits_of_networks(make, shape):
    fast = make(rng=0).for_inference()
    for seed in range(4):
        x = np.random.default_rng(seed).standard_normal((1, *shape)).astype(np.float32)
        np.testing.assert_array_equal(fast(x), through_layers(fast, x))
    assert n_plans(fast, x) == 1


def test_ways_to_lie_in_memory():
    fast = of_all_kinds().for_inference()
    x = images(n=2)
    expected = planned(fast, x)
    wide = np.zeros((2, 3, 12, 24), np.float32)
    wide[..., ::2] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:]
    for same in (
        wide[..., ::2],
        np.asfortranarray(x),
        x[:, :, ::-1].copy()[:, :, ::-1],
        read_only,
        unaligned.view(np.float32).reshape(x.shape),
        x.view(type("Subclass", (np.ndarray,), {})),
    ):
        np.testing.assert_array_equal(fast(same), expected)
        assert fast(same).flags.carray


@pytest.mark.parametrize(
    "wrong",
    [
        images(dtype=np.float64),
        images().astype(">f4"),
        images().astype(np.int32),
        images()[0],
        images()[:, :2],
        images(2),
        images().tolist(),
        None,
    ],
)
def test_errors_are_those_of_the_layers(wrong):
    fast = of_all_kinds().for_inference()
    with pytest.raises((TypeError, ValueError)) as ordinary:
        through_layers(fast, wrong)
    planned(fast, images())
    for _ in range(3):
        with pytest.raises(ordinary.type) as error:
            fast(wrong)
        assert str(error.value) == str(ordinary.value)
    np.testing.assert_array_equal(fast(images()), through_layers(fast, images()))


def test_results_are_new_arrays_and_inputs_are_let_go():
    fast = Sequential(Conv2d(3, 4, 3, rng=0), ReLU(), Flatten()).for_inference()
    x, other = images(seed=1), images(seed=2)
    y, before = planned(fast, x), x.copy()
    kept, z = y.copy(), fast(other)
    np.testing.assert_array_equal(y, kept)
    assert not np.shares_memory(y, z)
    assert y.flags.owndata
    y.fill(7)
    np.testing.assert_array_equal(fast(other), z)
    np.testing.assert_array_equal(x, before)
    x.fill(0)
    np.testing.assert_array_equal(fast(before), kept)
    gone = weakref.ref(x)
    del x
    assert gone() is None


def test_empty_batches():
    fast = SimpleConvNet(rng=0).for_inference()
    for _ in range(4):
        assert fast(np.empty((0, 1, 28, 28), np.float32)).shape == (0, 10)
    assert n_plans(fast, np.empty((0, 1, 28, 28))) == 0


def test_what_is_kept_is_bounded():
    fast = Sequential(Conv2d(3, 2, 3, rng=0), ReLU()).for_inference()
    for size in range(3, 20):
        planned(fast, images(size))
    assert list(fast._plans._kept) == [(1, 3, size, size) for size in range(20 - SHAPES, 20)]
    large = np.zeros((1, 3, 420, 420), np.float32)
    assert large.nbytes > LARGEST
    middling = np.zeros((1, 3, 350, 350), np.float32)  # which is small, but not with its results
    assert middling.nbytes < LARGEST < middling.nbytes + 2 * 348 * 348 * 4
    for x in (large, middling):
        for _ in range(4):
            np.testing.assert_array_equal(fast(x), through_layers(fast, x))
        assert n_plans(fast, x) == 0


def test_plans_of_threads_that_predict_at_once(threads):
    fast = of_all_kinds().for_inference()
    inputs = [images(SIZES[i % 2], seed=i) for i in range(8)]
    expected = [through_layers(fast, x).tobytes() for x in inputs]
    start, wrong = threading.Barrier(len(inputs)), []

    def work(i):
        start.wait()
        for k in range(60):
            which = (i + k) % len(inputs)
            if fast(inputs[which]).tobytes() != expected[which]:
                wrong.append(which)
            if i == 0:
                threads(k % 3 + 1)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        workers = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(before)
    assert wrong == []
    for x in inputs[:2]:
        assert 1 <= n_plans(fast, x) <= PLANS_OF_A_SHAPE + len(inputs)


def test_a_prediction_in_the_middle_of_another():
    """As by a handler of a signal, which may come between two kernels."""
    fast = Sequential(Conv2d(3, 4, 3, rng=0), Sigmoid(), MaxPool2d(2), Conv2d(4, 2, 3, rng=1)).for_inference()
    x, other = images(seed=1), images(seed=2)
    expected, expected_of_other = planned(fast, x), fast(other)
    plan = fast._plans._kept[x.shape].free[0]
    results = []
    plan._calls.insert(1, (lambda n_threads: results.append(fast(other)), ()))
    np.testing.assert_array_equal(fast(x), expected)
    np.testing.assert_array_equal(results, [expected_of_other])


def test_a_plan_survives_an_error():
    fast = Sequential(Conv2d(3, 4, 3, rng=0), Sigmoid()).for_inference()
    x = images()
    expected = planned(fast, x)
    plan = fast._plans._kept[x.shape].free[0]

    def interrupt(n_threads):
        raise KeyboardInterrupt

    plan._calls.insert(1, (interrupt, ()))
    with pytest.raises(KeyboardInterrupt):
        fast(x)
    del plan._calls[1]
    np.testing.assert_array_equal(fast(x), expected)
    assert n_plans(fast, x) == 1


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda fast: pickle.loads(pickle.dumps(fast))])
def test_copies_have_plans_of_their_own(copied):
    fast = of_all_kinds().for_inference()
    x = images()
    y = planned(fast, x)
    twin = copied(fast)
    assert n_plans(twin, x) == 0
    np.testing.assert_array_equal(planned(twin, x), y)
    assert n_plans(fast, x) == n_plans(twin, x) == 1
    for name, value in twin.params.items():
        assert not np.shares_memory(value, fast.params[name])


def test_another_dtype():
    fast = of_all_kinds().for_inference()
    x = images()
    y = planned(fast, x)
    double = fast.astype(np.float64)
    np.testing.assert_allclose(planned(double, x.astype(np.float64)), y, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(fast(x), y)
    with pytest.raises(TypeError, match="got a float32 input"):
        double(x)
    either = Sequential(Sigmoid(), MaxPool2d(2)).for_inference()  # no parameters, so no dtype
    for dtype in (np.float32, np.float64, np.float32, np.float64):
        for _ in range(3):
            z = images(dtype=dtype)
            assert either(z).dtype == dtype
            np.testing.assert_array_equal(either(z), through_layers(either, z))


def test_parameters_that_may_still_change():
    """Those of kernels are packed and read-only; a BatchNorm that no layer before it takes in has its own."""
    fast = Sequential(MaxPool2d(2), BatchNorm2d(3), Conv2d(3, 2, 3, rng=0)).for_inference()
    x = images()
    y = planned(fast, x)
    fast[1].running_mean[...] = 1
    fast[1].weight[...] = 2
    z = fast(x)
    assert not np.array_equal(y, z)
    np.testing.assert_array_equal(z, through_layers(fast, x))
    with pytest.raises(ValueError, match="read-only"):
        fast.load_state_dict(fast.state_dict())


def test_watching_sees_the_layers():
    fast = of_all_kinds().for_inference()
    x, bad = images(), np.full((1, 3, 12, 12), 3e38, np.float32)
    y = planned(fast, x)
    fast(bad)
    with watch(fast):
        np.testing.assert_array_equal(fast(x), y)
        with pytest.raises(NonFiniteError, match='"0": output has'):
            fast(bad)
        for _ in range(3):
            np.testing.assert_array_equal(fast(x), y)
        assert n_plans(fast, x) == 0
    np.testing.assert_array_equal(planned(fast, x), y)


@pytest.mark.parametrize("place", [(0,), (2, "body"), (3,), (4,)])
@pytest.mark.parametrize("first", [False, True])
def test_a_forward_of_the_object_is_called(place, first):
    """Whether it is put there before there is a plan or afterwards, for as long as it is there."""
    fast = Sequential(
        Conv2d(3, 4, 3, rng=0),
        Sigmoid(),
        Residual(Sequential(Conv2d(4, 4, 1, rng=1))),
        MaxPool2d(2),
        Flatten(),
    ).for_inference()
    layer = fast[place[0]] if len(place) == 1 else fast[place[0]].body
    x, seen = images(), []
    y = through_layers(fast, x) if first else planned(fast, x)
    ordinary = layer.forward

    def forward(x, training=False):
        seen.append(x.shape)
        return ordinary(x, training)

    layer.forward = forward
    for n in range(1, 5):
        np.testing.assert_array_equal(fast(x), y)
        assert len(seen) == n
    del layer.forward
    np.testing.assert_array_equal(planned(fast, x), y)
    assert len(seen) == 4


def test_layers_of_others_are_called_once_for_each_prediction():
    class Own(Layer):
        def __init__(self):
            super().__init__()
            self.seen = []

        def forward(self, x, training=False):
            self.seen.append(x)
            return x * len(self.seen)

    for inside in (lambda own: own, Residual, lambda own: Concat(Identity(), own), Sequential):
        own = Own()
        fast = Sequential(Conv2d(3, 4, 3, rng=0), inside(own), MaxPool2d(2)).for_inference()
        own = next(layer for layer in fast.modules() if isinstance(layer, Layer) and hasattr(layer, "seen"))
        for n in range(1, 6):
            fast(images(seed=n))
            assert len(own.seen) == n
        assert n_plans(fast, images()) == 0
        assert len({array.tobytes() for array in own.seen}) == 5


@pytest.mark.parametrize("model", [Sequential(), Sequential(Identity()), Sequential(Flatten())])
def test_networks_that_compute_nothing(model):
    fast = model.for_inference()
    x = images()
    for _ in range(4):
        np.testing.assert_array_equal(fast(x), model(x))


def test_a_convolution_that_pads_to_one_side_only():
    """Its kernel reads a padded copy, which a plan would not renew."""
    fast = Sequential(Conv2d(3, 4, 4, padding="same", rng=0), ReLU()).for_inference()
    for seed in range(5):
        x = images(seed=seed)
        np.testing.assert_array_equal(fast(x), through_layers(fast, x))
    assert n_plans(fast, x) == 0
