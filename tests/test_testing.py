"""The contract as a check: it passes the library's own, and names each bug that is planted."""

import itertools
import pickle
import threading
from functools import partial

import numpy as np
import pytest

import cnn_core as cc
from cnn_core import functional as F
from cnn_core import reference, testing
from cnn_core._kernels import available_levels, isa_level
from cnn_core.kernel_api import as_real, empty
from cnn_core.testing import ContractError, check_function, check_layer, watched_outputs

RNG = np.random.default_rng(0)
CASES = [(RNG.normal(size=shape),) for shape in [(2, 3, 5), (7,), (4, 0), (40, 1000)]]
check = partial(check_function, cases=CASES, levels=False, roofline=False)


def double(x):
    """What every function below should compute: twice its input."""
    return 2 * x


def right(x):
    x = as_real(x, "x")
    y = empty(x.shape, x.dtype)
    np.multiply(x, 2, out=y)
    return y


def with_out(x, out=None):
    x = as_real(x, "x")
    y = empty(x.shape, x.dtype) if out is None else out
    np.multiply(x, 2, out=y)
    return y


# The library's own


def test_a_right_function_keeps_every_rule():
    for fn in (double, right, with_out):
        report = check(fn, double, backward=lambda dy, x: 2 * dy).assert_ok()
        assert report.ok
        assert report.broken == ()
        of_functions = testing.RULES.keys() - {"levels", "state"}
        of_backward = {f"backward {rule}" for rule in of_functions - {"gradients"}}
        assert {finding.rule for finding in report.findings if finding.checked} == of_functions | of_backward


def sigmoid_backward(dy, x):
    return F.sigmoid_backward(dy, F.sigmoid(x))


def test_a_compiled_function_at_every_level_and_beside_the_roofline():
    report = check_function(
        F.sigmoid, reference.sigmoid, CASES, backward=sigmoid_backward, flops=lambda x: 4 * x.size
    ).assert_ok()
    assert report["threads"].note == ""  # the large case was shared
    assert "of what" in report.position
    assert "GFLOP/s" in report.position
    assert "position: cases[3], (40, 1000) float32" in str(report)


def test_other_levels_are_checked_where_another_process_can_import_the_function():
    report = check_function(F.relu, reference.relu, CASES[:2], roofline=False)
    if len(available_levels()) == 1:
        pytest.skip(f"{isa_level} is the only level here")
    assert report["levels"].checked
    assert set(report["levels"].note.split(", ")) == set(available_levels())
    backward = check_function(
        F.sigmoid, lambda x: reference.sigmoid(x), CASES[:2], backward=lambda dy, x: sigmoid_backward(dy, x)
    )
    assert "; not <lambda> is not a function of a module" in backward["levels"].note
    local = check_function(lambda x: F.relu(x), reference.relu, CASES[:2], roofline=False)
    assert not local["levels"].checked
    assert local.ok
    assert "not checked: levels (<lambda> is not a function of a module" in str(local)


def test_a_hook_may_give_the_function_at_every_level():
    asked = []

    def at_level(level):
        asked.append(level)
        return wrong_value if level == "baseline" else right

    report = check_function(right, double, CASES, at_level=at_level, roofline=False)
    assert asked == available_levels()
    assert report.broken == ("levels",)
    problem = report["levels"].problems[0]
    assert problem.text.startswith("right values: 1 element of 30 are off")
    assert problem.where.startswith("CNN_CORE_ISA=baseline, cases[0]")


def test_functions_of_several_arguments_and_results():
    cases = [
        {"x": RNG.normal(size=(3, 4, 6, 5)), "kernel_size": kernel, "return_indices": True}
        for kernel in (1, 2)
    ]
    check_function(F.max_pool2d, reference.max_pool2d, cases, levels=False, roofline=False).assert_ok()
    y, indices = F.max_pool2d(cases[0]["x"], 2, return_indices=True)
    check_function(
        F.max_pool2d_backward,
        reference.max_pool2d_backward,
        [(y, indices, (3, 4, 6, 5))],
        levels=False,
        roofline=False,
    ).assert_ok()
    targets = np.array([1, 0, 2])
    cases = [(RNG.normal(size=(3, 4)), targets)]
    check_function(
        F.cross_entropy,
        reference.cross_entropy,
        cases,
        backward=lambda dy, x, target: F.cross_entropy_backward(x, target) * dy.astype(x.dtype),
        levels=False,
        roofline=False,
    ).assert_ok()


def test_arguments_that_are_updated_in_place():
    cases = [
        {
            "x": RNG.normal(size=(5, 3, 4, 4)), "running_mean": np.zeros(3), "running_var": np.ones(3),
            "training": True,
        }
    ]  # fmt: skip
    kwargs = {"levels": False, "roofline": False, "tolerance": 64}
    inout = ("running_mean", "running_var")
    check_function(F.batch_norm, reference.batch_norm, cases, inout=inout, **kwargs).assert_ok()
    report = check_function(F.batch_norm, reference.batch_norm, cases, **kwargs)
    assert "inputs" in report.broken
    assert "argument 1, (3,), was written to in 3 elements" in report["inputs"].problems[0].text


# Planted bugs: values, precision, memory


def wrong_value(x):
    y = 2 * x
    y.reshape(-1)[-1:] += 1e-4 if x.dtype == np.float32 else 1e-8
    return y


def in_float32(x):
    return (2.1 * x.astype(np.float32)).astype(x.dtype)


def gives_float64(x):
    return 2 * x.astype(np.float64)


def ignores_strides(x):
    """Reads the memory where x begins as a kernel does that is given a pointer alone."""
    if x.base is not None and x.size and not x.flags.c_contiguous:
        flat = x.base.reshape(-1)[: x.size]
        return 2 * flat.reshape(x.shape).astype(x.dtype)
    return 2 * x


def needs_writable(x):
    if not x.flags.writeable:
        raise ValueError("buffer source array is read-only")
    return 2 * x


def writes_its_input(x):
    y = 2 * x
    x[..., :1] = 0
    return y


def gives_its_input(x):
    x = x.copy() if not x.flags.writeable else x
    return x


_BUFFER = {}


def reuses_a_buffer(x):
    y = _BUFFER.setdefault((x.shape, x.dtype), np.empty(x.shape, x.dtype))
    y[...] = 2 * x
    return y


def fails_on_empty(x):
    return 2 * x / x.max() * x.max()


def forgets_the_last(x):
    y = np.empty_like(x, order="C", dtype=x.dtype.newbyteorder("="))
    y[..., :-1] = 2 * x[..., :-1]
    return y


def runs_past_the_end(x):
    y = empty(x.shape, np.dtype(x.dtype.name))
    y[...] = 2 * x
    if x.size:
        longer = np.lib.stride_tricks.as_strided(y.reshape(-1), (x.size + 1,))
        longer[-1] = 7
    return y


def out_past_the_end(x, out=None):
    y = 2 * x if out is None else out
    if out is not None:
        out[...] = 2 * x
        if out.size and out.flags.c_contiguous:
            np.lib.stride_tricks.as_strided(out.reshape(-1), (out.size + 2,))[-2:] = 7
    return y


def out_forgotten(x, out=None):
    if out is None:
        return 2 * x
    out[..., 1:] = 2 * x[..., 1:]
    return out


def out_strides_ignored(x, out=None):
    if out is None:
        return 2 * x
    if out.flags.c_contiguous:
        out[...] = 2 * x
    return out


def out_is_read_again(x, out=None):
    """The sum of neighbours, in one pass: what was written is read again where out= is the input."""
    y = np.empty(x.shape, x.dtype.name) if out is None else out
    flat, result = x.reshape(-1), y.reshape(-1)
    for i in range(x.size):
        result[i] = flat[i] + (flat[i - 1] if i else 0)
    return y


def neighbours(x):
    flat = x.reshape(-1)
    return np.add(flat, np.concatenate([np.zeros(min(x.size, 1)), flat[:-1]])).reshape(x.shape)


@pytest.mark.parametrize(
    ("fn", "rule", "text"),
    [
        (out_is_read_again, "aliasing", "out= that is an input: 28 elements of 30 are off"),
        (wrong_value, "values", r"1 element of 30 are off, the first at \(1, 2, 4\)"),
        (in_float32, "dtypes", "float64 is computed in float32"),
        (gives_float64, "dtypes", "float64 from float32"),
        (ignores_strides, "layouts", "are off, the first at"),
        (needs_writable, "layouts", "raised ValueError: buffer source array is read-only"),
        (writes_its_input, "inputs", r"argument 0, \(2, 3, 5\), was written to in 6 elements"),
        (gives_its_input, "aliasing", "shares memory with an input"),
        (reuses_a_buffer, "aliasing", "changed when the function was called again: differ in 30 elements"),
        (fails_on_empty, "empty", "no batch: raised ValueError"),
        (forgets_the_last, "written", r"6 of 30 elements were never written, the first at \(0, 0, 4\)"),
        (runs_past_the_end, "bounds", r"4 bytes after an array \(2, 3, 5\) of float32 were written, 0 bytes"),
        (out_past_the_end, "bounds", r"out=: out of bounds: 8 bytes after an array \(2, 3, 5\) of float32"),
        (out_forgotten, "written", r"6 elements of out= were never written, the first at \(0, 0, 0\)"),
        (out_strides_ignored, "layouts", "strided out=: 30 elements of 30 are off"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)  # fmt: skip
def test_a_planted_bug_is_caught_and_named(fn, rule, text):
    _BUFFER.clear()
    others = {in_float32: lambda x: 2.1 * x, gives_its_input: lambda x: x, out_is_read_again: neighbours}
    expected = others.get(fn, double)
    cases = CASES[:2] if fn is not fails_on_empty else [(np.abs(x) + 1,) for (x,) in CASES[:2]]
    report = check_function(fn, expected, cases, levels=False, roofline=False)
    assert rule in report.broken, str(report)
    with pytest.raises(ContractError, match=text) as failure:
        report.assert_ok()
    lines = str(failure.value)
    assert lines.startswith(f"{fn.__name__} breaks the contract: ")
    assert f"{rule}: FAILED: " in lines
    assert f"rule: {testing.RULES[rule]}" in lines


def test_uninitialised_memory_that_is_read():
    def fn(x):
        return 2 * x + np.isnan(empty((1,), np.float64)).astype(x.dtype)

    report = check(fn, double)
    assert report.broken == ("written",)
    assert "uninitialised memory is read" in str(report)


# Planted bugs: threads


def thread_dependent_sum(x):
    """Adds up as many partial sums as there are threads."""
    x = x.astype(np.dtype(x.dtype.name)).reshape(-1)
    return np.stack([part.sum() for part in np.array_split(x, cc.get_num_threads())]).sum()


_ARRIVALS = itertools.count()


def race(x):
    """Adds in the order in which threads arrive, as an addition to shared memory without a lock does."""
    y = 2 * x
    if cc.get_num_threads() > 1 and x.size:
        y.reshape(-1)[-3:] *= 1 + 1e-6 * (next(_ARRIVALS) % 2)
    return y


def real_race(x):
    """Two real threads without a lock: each reads, waits for the other to read, and writes."""
    total = np.zeros(1, x.dtype)
    n = cc.get_num_threads()
    barrier = threading.Barrier(n)

    def work(part):
        before = total[0]
        barrier.wait()
        total[0] = before + part.sum()

    workers = [threading.Thread(target=work, args=(part,)) for part in np.array_split(x.reshape(-1), n)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return total


def random(x):
    return 2 * x + np.random.default_rng().random()


@pytest.mark.parametrize(
    ("fn", "expected", "text"),
    [
        (random, double, "chance or memory: two runs with 1 thread differ in 40000 elements"),
        (thread_dependent_sum, np.sum, r"race: 1 and [238] threads differ in 1 element"),
        (race, double, r"race: two runs with 2 threads differ in 3 elements, the first at \(39, 997\)"),
        (real_race, lambda x: x.reshape(-1).sum(keepdims=True), r"race: (1 and|two runs with) [238] threads"),
    ],
)
def test_results_that_depend_on_threads_are_races(fn, expected, text, threads):
    cases = [(RNG.normal(size=(40, 1000)),)]
    threads(1)
    report = check_function(fn, expected, cases, levels=False, roofline=False, tolerance=1e9)
    assert "threads" in report.broken
    with pytest.raises(ContractError, match=text):
        report.assert_ok()
    assert cc.get_num_threads() == 1
    assert "cnn_core.set_num_threads(" in report["threads"].problems[0].reproduce


# Planted bugs: gradients


def test_a_wrong_gradient_and_a_backward_that_is_careless():
    report = check(double, double, backward=lambda dy, x: -2 * dy)
    assert report.broken == ("gradients",)
    assert "backward gives" in str(report)
    report = check(double, double, backward=lambda dy, x: np.multiply(dy, 2, out=dy))
    assert {"backward inputs", "backward aliasing"} <= set(report.broken)


def test_what_is_reproduced_is_what_failed(threads):
    report = check(needs_writable, double)
    problem = report["layouts"].problems[0]
    assert problem.where == "cases[0], (2, 3, 5) read only float32"
    names = {"cnn_core": cc, "cases": CASES, "needs_writable": needs_writable}
    with pytest.raises(ValueError, match="read-only"):
        exec(problem.reproduce, names)
    assert names["args"][0].shape == (2, 3, 5)


def test_a_function_that_raises_is_reported_with_its_error():
    def fn(x):
        raise KeyError("nothing here")

    report = check(fn, double)
    assert report.broken == ("values",)
    assert "values: FAILED: raised KeyError: 'nothing here'" in str(report)
    assert "not checked: dtypes, layouts, inputs, aliasing, empty, threads (there are no values)" in str(
        report
    )


# Layers


class Slope(cc.Layer):
    """Multiply by a learned number, rightly or with one of the bugs that layers have."""

    def __init__(self, bug=""):
        super().__init__()
        self.bug = bug
        self.add_param("slope", np.full(1, 0.5))

    def forward(self, x, training=False):
        self.check_input(x)
        y = self.params["slope"] * x
        self.remember(training or self.bug == "keeps", y, x)
        if self.bug == "changes":
            self.params["slope"] += 1
        return y

    def backward(self, dy, *, accumulate=False, need_dx=True):
        (x,) = self.recall(dy)
        slope = (dy * x).sum().reshape(1)
        if self.bug == "replaces":
            self.grads["slope"] = slope
        else:
            self.store_grads(accumulate and self.bug != "overwrites", slope=slope)
        return dy * self.params["slope"] * (-1 if self.bug == "sign" else 1)

    def output_shape(self, input_shape):
        return (*input_shape, 1) if self.bug == "shape" else tuple(input_shape)


layer_check = partial(check_layer, input_shapes=[(2, 3), (0, 3), (5, 4)], levels=False, roofline=False)


def test_layers_of_the_library_keep_the_contract():
    layer_check(Slope, reference=lambda x, slope: slope * x).assert_ok()
    convolution = partial(cc.Conv2d, 3, 4, 3, rng=0)
    report = check_layer(
        convolution, [(2, 3, 6, 5), (9, 3, 33, 31)], reference=reference.conv2d, flops=lambda x: 216 * x.size
    ).assert_ok()
    assert report["gradients"].checked
    for factory in (cc.ReLU, partial(cc.BatchNorm1d, 3), cc.Flatten):
        check_layer(factory, [(4, 3)], levels=False, roofline=False).assert_ok()
    dropout = partial(cc.Dropout, rng=0)  # which predicts what it is given
    assert check_layer(dropout, [(4, 3)], levels=False, roofline=False).broken == ("predict aliasing",)
    check_layer(dropout, [(4, 3)], returns_view=True, levels=False, roofline=False).assert_ok()


@pytest.mark.parametrize(
    ("bug", "rule", "text"),
    [
        ("keeps", "state", "backward works after a prediction"),
        ("changes", "state", "a pass changed the parameter slope"),
        ("replaces", "state", "grads['slope'] is another array after backward"),
        ("overwrites", "state", "accumulate=True) does not add to grads['slope']"),
        ("shape", "state", r"output_shape says (2, 3, 1), the output has (2, 3)"),
        ("sign", "gradients", "x: at (0, 1) backward gives"),
    ],
)
def test_a_layer_with_a_bug(bug, rule, text):
    report = layer_check(partial(Slope, bug))
    assert rule in report.broken, str(report)
    assert any(text in problem.text for problem in report[rule].problems), str(report)


def test_a_layer_with_another_reference():
    report = layer_check(Slope, reference=lambda x, slope: slope * x + 1)
    assert report.broken == ("predict values",)
    reproduce = report["predict values"].problems[0].reproduce
    names = {"cnn_core": cc, "input_shapes": [(2, 3)], "layer_factory": Slope}
    exec(reproduce, names)
    assert names["x"].shape == (2, 3)


# Parts


def test_watched_memory():
    with watched_outputs() as watch:
        x, y = np.empty((2, 3)), np.empty_like(np.ones(4, np.int32))
        f = np.empty((2, 2), order="F")
        assert np.isnan(x).all()
        assert (y == np.iinfo(np.int32).max).all()
        assert np.isnan(f).all()
        assert np.isnan(empty((2,), np.float32)).all()
        assert empty((2,), bool).view(np.uint8).tolist() == [0xA5, 0xA5]
        assert x.ctypes.data % 64 == 0
    assert list(watch.overruns()) == []
    assert not np.isnan(np.zeros(3)).any()
    assert np.empty is not watch.empty
    np.lib.stride_tricks.as_strided(y, (5,))[4] = 0
    assert list(watch.overruns()) == [
        "out of bounds: 4 bytes after an array (4,) of int32 were written, 0 bytes from its end"
    ]


def test_reports_can_be_sent():
    report = check(wrong_value, double)
    assert str(pickle.loads(pickle.dumps(report))) == str(report)


def test_nothing_to_check_is_an_error():
    with pytest.raises(ValueError, match="no cases"):
        check_function(double, double, [])
    with pytest.raises(ValueError, match="shape of an input"):
        check_layer(cc.ReLU, [])
    with pytest.raises(TypeError, match=r"write \(x,\)"):
        check_function(double, double, [np.ones(3)])
