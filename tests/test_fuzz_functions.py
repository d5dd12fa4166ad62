"""Every public function with options that nobody chose: equal to the reference, or a clear error.

The table below says which options to search among; the arguments are built by the rows of ``cases``. Outputs
stand between guard bytes and begin as NaN, so that a kernel which writes beside them, or not everywhere, is
found out.
"""

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import compare
import numpy as np
import pytest
from cases import FUNCTIONS, FixedCase, Row
from fuzzing import search
from hypothesis import given, reject
from hypothesis import strategies as st

from cnn_core import _memory, functional, reference
from cnn_core.testing.layouts import LAYOUTS

# ---------------------------------------------------------------- the table

sizes, kernels = st.integers(1, 13), st.integers(1, 4)
channels = st.sampled_from([1, 2, 3, 5, 8, 12, 13, 17])
batches = st.integers(0, 3)


def either(strategy: st.SearchStrategy) -> st.SearchStrategy:
    """One number for both axes, or a pair."""
    return strategy | st.tuples(strategy, strategy)


def options(**choices: Any) -> st.SearchStrategy:
    return st.fixed_dictionaries(choices)


def some(**choices: Any) -> st.SearchStrategy:
    """The same, each option given or left at its default."""
    return st.fixed_dictionaries({}, optional=choices)


def both(*parts: st.SearchStrategy) -> st.SearchStrategy:
    return st.tuples(*parts).map(lambda dicts: {key: value for part in dicts for key, value in part.items()})


@st.composite
def convolutions(draw: Any) -> dict[str, Any]:
    groups, inputs, outputs = draw(st.integers(1, 3)), draw(channels), draw(channels)
    return {
        "x": (draw(batches), groups * inputs, draw(sizes), draw(sizes)),
        "w": (groups * outputs, inputs, *draw(st.just((3, 3)) | st.tuples(kernels, kernels))),
        "groups": groups,
        **draw(window),
    }


window = some(
    stride=either(st.integers(1, 3)),
    padding=either(st.integers(0, 3)) | st.sampled_from(["same", "valid"]),
    dilation=either(st.integers(1, 3)),
)
images = st.tuples(batches, st.integers(1, 5), sizes, sizes)
columns = both(
    options(x=images, kernel_size=either(kernels)),
    some(
        stride=either(st.integers(1, 3)),
        padding=either(st.integers(0, 3)),
        dilation=either(st.integers(1, 3)),
    ),
)
pools = both(
    options(x=images, kernel_size=either(kernels)),
    some(stride=either(st.integers(1, 4)), padding=either(st.integers(0, 2)), ceil_mode=st.booleans()),
)
max_pools = both(
    pools, some(dilation=either(st.integers(1, 2)), values=st.sampled_from(["ties", "nan", "-inf"]))
)
average_pools = both(pools, some(count_include_pad=st.booleans(), divisor_override=st.integers(1, 9)))
adaptive_pools = options(x=images, output_size=either(st.integers(1, 14)))
shapes = st.lists(st.integers(0, 9), max_size=4).map(tuple) | st.tuples(st.integers(0, 300))
matrices = st.lists(st.integers(0, 40), min_size=2, max_size=4).map(tuple)
normalised = options(
    x=st.tuples(st.integers(0, 12), st.lists(st.integers(1, 12), min_size=1, max_size=3)).map(
        lambda x: (x[0], *x[1])
    ),
    training=st.booleans(),
)
entries = options(x=shapes)


@st.composite
def softmaxes(draw: Any) -> dict[str, Any]:
    x = draw(st.lists(st.integers(0, 20), min_size=1, max_size=4).map(tuple))
    return {"x": x, "dim": draw(st.integers(-len(x), len(x) - 1))}


@st.composite
def cross_entropies(draw: Any) -> dict[str, Any]:
    kinds = ["labels", "int32", "uint8", "probabilities", "one_hot"]
    return {
        "x": (
            draw(st.integers(0, 9)),
            draw(st.integers(1, 40)),
            *draw(st.lists(st.integers(1, 5), max_size=2)),
        ),
        "target": draw(st.sampled_from(kinds)),
        "scale": draw(st.sampled_from([1.0, 60.0])),
        **draw(
            some(
                weighted=st.booleans(),
                reduction=st.sampled_from(["mean", "sum", "none"]),
                label_smoothing=st.sampled_from([0.0, 0.1, 1.0]),
            )
        ),
    }


reduced = options(x=shapes, reduction=st.sampled_from(["mean", "sum", "none"]))
slopes = both(
    entries, some(negative_slope=st.floats(-2, 2, width=32, allow_subnormal=False))
)  # test_numbers has those
probabilities = st.sampled_from([0.0, 0.1, 0.5, 0.99, 1.0])

OPTIONS: dict[str, st.SearchStrategy] = {
    "conv2d": both(convolutions(), some(bias=st.booleans())),
    "conv2d_backward": both(convolutions(), some(need_dx=st.booleans(), need_dbias=st.booleans())),
    "im2col": columns,
    "col2im": columns,
    "max_pool2d": both(max_pools, some(return_indices=st.booleans())),
    "max_pool2d_backward": both(max_pools, some(index_dtype=st.sampled_from(["int32", "int64"]))),
    "avg_pool2d": average_pools,
    "avg_pool2d_backward": average_pools,
    "adaptive_avg_pool2d": adaptive_pools,
    "adaptive_avg_pool2d_backward": adaptive_pools,
    "batch_norm": both(normalised, some(affine=st.booleans(), return_stats=st.booleans())),
    "batch_norm_backward": both(normalised, some(affine=st.booleans())),
    "linear": options(x=matrices, out=st.integers(1, 40), bias=st.booleans()),
    "linear_backward": options(x=matrices, out=st.integers(1, 40), need_dx=st.booleans()),
    **dict.fromkeys(("relu", "relu_backward", "sigmoid", "sigmoid_backward"), entries),
    **dict.fromkeys(("tanh", "tanh_backward"), entries),
    **dict.fromkeys(("leaky_relu", "leaky_relu_backward"), slopes),
    **dict.fromkeys(("softmax", "softmax_backward", "log_softmax", "log_softmax_backward"), softmaxes()),
    "dropout": both(entries, options(p=probabilities, training=st.booleans(), seed=st.integers(0, 2**64))),
    "dropout_backward": options(x=shapes, p=probabilities, mask_dtype=st.sampled_from(["bool", "uint8"])),
    "cross_entropy": cross_entropies(),
    "cross_entropy_backward": cross_entropies(),
    "cross_entropy_with_grad": cross_entropies(),
    **dict.fromkeys(("mse_loss", "mse_loss_backward"), reduced),
    **dict.fromkeys(
        ("bce_with_logits", "bce_with_logits_backward"),
        both(options(x=matrices, reduction=st.sampled_from(["mean", "sum", "none"])),
             some(weighted=st.booleans(), positive=st.booleans())),
    ),
}  # fmt: skip


def test_every_function_is_searched() -> None:
    assert OPTIONS.keys() == set(functional.__all__)


# ---------------------------------------------------------------- guards

GUARD = 128  # bytes on either side
UNTOUCHED = 0xA5


class Guarded:
    """Stands in for the library's allocator; knows every array it gave."""

    def __init__(self) -> None:
        self.buffers: list[tuple[np.ndarray, int, int]] = []

    def empty(self, shape: Any, dtype: Any) -> np.ndarray:
        size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        if size > 2**30:
            raise MemoryError("more than a test should take")
        buffer = np.full(size + 2 * GUARD + 64, UNTOUCHED, np.uint8)
        start = GUARD + -(buffer.ctypes.data + GUARD) % 64
        body = buffer[start : start + size]
        body.fill(0xFF)  # NaN
        self.buffers.append((buffer, start, size))
        return np.ndarray(shape, dtype, buffer=body)  # type: ignore[arg-type]  # a buffer

    def copy(self, x: np.ndarray) -> np.ndarray:
        copy = self.empty(x.shape, x.dtype)
        copy[...] = x
        return copy

    def check(self) -> None:
        buffers, self.buffers = self.buffers, []
        for buffer, start, size in buffers:
            assert (buffer[:start] == UNTOUCHED).all(), f"written before an array of {size} bytes"
            assert (buffer[start + size :] == UNTOUCHED).all(), f"written behind an array of {size} bytes"


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Guarded:
    guard = Guarded()
    modules = {value.__module__ for value in vars(functional).values() if hasattr(value, "__module__")}
    monkeypatch.setattr(_memory, "empty", guard.empty)
    for name in sorted(modules):
        module = __import__(name, fromlist=["_"])
        if getattr(module, "empty", None) is not None and name.startswith("cnn_core.functional"):
            monkeypatch.setattr(module, "empty", guard.empty)
    return guard


def called(row: Row, arguments: dict[str, Any], guarded: Guarded) -> compare.Outputs:
    """Call the function; nothing beside its outputs may change."""
    arrays = {key: x for key, x in arguments.items() if isinstance(x, np.ndarray) and x.dtype != object}
    updated = {key: guarded.copy(arrays[key]) for key in row.inout if key in arrays}
    mine = arguments | updated
    before = {key: x.tobytes() for key, x in arrays.items() if key not in updated and x.nbytes < 2**30}
    try:
        return compare.call(functional, FixedCase(row, mine), mine)
    finally:
        guarded.check()
        for key, bytes_before in before.items():
            assert arrays[key].tobytes() == bytes_before, f"{row.name} changed {key}"


# ---------------------------------------------------------------- the searches


@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda row: row.name)
def test_refused_or_right(row: Row, guarded: Guarded, threads: Callable) -> None:
    accepted = []

    @search(ci=15, rows=len(FUNCTIONS))
    @given(
        OPTIONS[row.name],
        st.integers(0, 2**32 - 1),
        st.sampled_from([np.float32, np.float64]),
        st.none() | st.sampled_from(LAYOUTS),
        st.integers(1, 4),
    )
    def check(chosen: dict[str, Any], seed: int, dtype: Any, layout: Any, n_threads: int) -> None:
        threads(n_threads)
        try:
            case = FixedCase(row, row.build(np.random.default_rng(seed), **chosen))
        except (ValueError, RuntimeWarning):
            reject()  # there is no output whose gradient could be asked for, or it would be 0 / 0
        arguments = case.arguments(dtype)
        if layout is not None:
            arguments = {
                key: layout(value) if isinstance(value, np.ndarray) and key not in row.inout else value
                for key, value in arguments.items()
            }
        try:
            got = called(row, arguments, guarded)
        except (ValueError, TypeError):
            return
        accepted.append(True)
        if row.name == "dropout":
            check_dropout(case.arguments(dtype), got[0])
        else:
            expected = compare.call(reference, case, case.arguments(dtype))
            compare.assert_close(case, dtype, got, expected)
            compare._bounds.cache_clear()

    check()
    assert len(accepted) >= 5, "nearly everything was refused: the table does not fit the function"


def check_dropout(arguments: dict[str, Any], y: np.ndarray) -> None:
    """Each entry is either dropped or scaled."""
    x, p = arguments["x"], arguments["p"] if arguments["training"] else 0.0
    kept = y != 0
    np.testing.assert_allclose(y[kept], (x[kept] / (1 - p)) if p < 1 else x[kept], rtol=1e-6)
    if p in (0.0, 1.0):
        assert kept.all() == (p == 0.0) or not kept.size


def test_small_column_matrices_stay_inside(guarded: Guarded) -> None:
    """im2col moves whole vectors, and here the matrix, or what is left of a window, is smaller than one."""
    for channels, width, kernel in itertools.product((1, 2, 3, 5), (1, 2, 3, 9, 3000), (1, 2, 3, 5)):
        x = np.random.default_rng(0).normal(size=(2, channels, 1, width))
        if kernel <= width:
            for dtype in (np.float32, np.float64):
                col = functional.im2col(x.astype(dtype), (1, kernel))
                np.testing.assert_array_equal(col, reference.im2col(x.astype(dtype), (1, kernel)))
                functional.col2im(col, x.shape, (1, kernel))
                guarded.check()


HOSTILE: list[Any] = [
    *(None, True, False, -1, 0, 3, 2**31, 2**62, 2**70, -(2**70), 10**400, 1.5, -0.5, 1j),
    *(float("nan"), float("inf"), np.float32(2), np.int8(3), np.datetime64("2020-01-01")),
    *("", "same", "x", b"x", (), (1,), (1, 2, 3), (-1, -1), (0, 0), (2**62, 2**62), (1.5, 2), (None, None)),
    *([], {}, object(), print, [[1.0, 2.0]], [1, [2]], range(2)),
    *(np.zeros(0), np.zeros(()), np.zeros((2,) * 5), np.zeros((0,) * 4), np.zeros(3, np.float16)),
    *(np.zeros((2, 2), complex), np.zeros((2, 2), np.int64), np.array("x"), np.array([None, 1], object)),
    *(np.zeros(2, [("a", "f4"), ("b", "i4")]), np.ones((2, 3, 7, 8), bool), np.ma.masked_all((2, 3))),
    np.broadcast_to(np.float32(1), (2**20, 2**20, 2**18)),
]  # fmt: skip


@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda row: row.name)
@pytest.mark.filterwarnings("ignore")
def test_any_value_for_any_argument(row: Row, guarded: Guarded) -> None:
    """An answer or a ValueError or TypeError; a MemoryError only for results that memory cannot hold."""
    case = FixedCase(row, row.build(np.random.default_rng(0), **row.sweep[0]))
    for name in inspect.signature(getattr(functional, row.name)).parameters:
        for value in HOSTILE:
            arguments = {**case.arguments(np.float32), name: value}
            try:
                called(row, arguments, guarded)
            except (ValueError, TypeError) as error:
                if not str(error) or len(str(error)) > 2000:
                    raise AssertionError(f"{row.name}, {name}: says nothing, or too much") from error
            except MemoryError:
                guarded.check()
            except Exception as error:
                raise AssertionError(f"{row.name}({name}={value!r:.100}): {error!r}") from error


@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda row: row.name)
@pytest.mark.filterwarnings("ignore")
def test_a_number_of_numpy_is_an_array_without_dimensions(row: Row) -> None:
    """Found by AddressSanitizer: a check of shapes that looked at arrays only let such a number through."""

    def outcome(arguments: dict[str, Any]) -> list[bytes] | str:
        try:
            return [y.tobytes() for y in compare.call(functional, FixedCase(row, arguments), arguments)]
        except (ValueError, TypeError) as error:
            return f"{type(error).__name__}: {error}"

    case = FixedCase(row, row.build(np.random.default_rng(0), **row.sweep[0]))
    for name, value in case.arguments(np.float32).items():
        if isinstance(value, np.ndarray) and value.dtype == np.float32:
            number, array = (
                {**case.arguments(np.float32), name: two} for two in (np.float32(2), np.array(2, np.float32))
            )
            assert outcome(number) == outcome(array), name


def test_the_guards_notice() -> None:
    guarded = Guarded()
    x = guarded.empty((4,), np.float32)
    assert np.isnan(x).all()
    guarded.check()
    guarded.empty((4,), np.float32)
    buffer, start, size = guarded.buffers[0]
    buffer[start + size] = 0
    with pytest.raises(AssertionError, match="written behind an array of 16 bytes"):
        guarded.check()
