"""Optimizers: torch's trajectories, the dict protocol, saving and loading, and what is refused."""

import numpy as np
import pytest

from cnn_core._threads import get_num_threads, set_num_threads
from cnn_core.functional._update import Rows
from cnn_core.optim import SGD, AdaGrad, Adam, AdamW, Momentum, Nesterov, RMSprop

DTYPES = [np.float32, np.float64]
SHAPES = {"0.weight": (7, 3, 3, 3), "0.bias": (7,), "1.scale": (), "empty": (0, 4), "large": (130, 270)}

# optimizer, the same in torch.optim
CASES = [
    (SGD(0.1), ("SGD", {"lr": 0.1})),
    (SGD(0.1, weight_decay=0.01), ("SGD", {"lr": 0.1, "weight_decay": 0.01})),
    (SGD(0.1, 0.9, weight_decay=0.01), ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01})),
    (Momentum(0.1), ("SGD", {"lr": 0.1, "momentum": 0.9})),
    (
        Nesterov(0.1, weight_decay=0.1),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ),
    (AdaGrad(0.1), ("Adagrad", {"lr": 0.1, "eps": 1e-7})),
    (AdaGrad(0.1, weight_decay=0.1), ("Adagrad", {"lr": 0.1, "eps": 1e-7, "weight_decay": 0.1})),
    (RMSprop(), ("RMSprop", {})),
    (RMSprop(0.1, 0.9, 1e-3, 0.1), ("RMSprop", {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1})),
    (Adam(), ("Adam", {})),
    (
        Adam(0.1, (0.8, 0.9), 1e-3, 0.1),
        ("Adam", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ),
    (AdamW(), ("AdamW", {})),
    (AdamW(0.1, weight_decay=0.5), ("AdamW", {"lr": 0.1, "weight_decay": 0.5})),
]
OPTIMIZERS = [SGD, Momentum, Nesterov, AdaGrad, RMSprop, Adam, AdamW]


def fresh(optimizer):
    """A copy of the case's optimizer without its memory."""
    copy = type(optimizer)()
    copy.load_state_dict({key: value for key, value in optimizer.state_dict().items() if "." not in key})
    return copy


def arrays(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return {key: np.asarray(rng.normal(size=shape)).astype(dtype) for key, shape in SHAPES.items()}


def copied(params):
    return {key: value.copy() for key, value in params.items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key, strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("optimizer", "twin"), CASES, ids=lambda value: value[0] if isinstance(value, tuple) else repr(value)
)
def test_trajectory_equals_torch(optimizer, twin, dtype):
    torch = pytest.importorskip("torch")
    optimizer = fresh(optimizer)
    params = arrays(dtype)
    tensors = {key: torch.tensor(value, requires_grad=True) for key, value in params.items()}
    torch_optimizer = getattr(torch.optim, twin[0])(list(tensors.values()), **twin[1])
    for step in range(20):
        if step == 10:
            optimizer.lr *= 0.5
            torch_optimizer.param_groups[0]["lr"] *= 0.5
        grads = arrays(dtype, seed=step + 1)
        optimizer.update(params, grads)
        for key, tensor in tensors.items():
            tensor.grad = torch.tensor(grads[key])
        torch_optimizer.step()
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    for key, tensor in tensors.items():
        np.testing.assert_allclose(params[key], tensor.detach(), rtol=tolerance, atol=tolerance, err_msg=key)


def numpy_step(rule, p, g, s, lr, k, t):
    """One step in numpy of the book's rules (section 6.1)."""
    if rule == "momentum":
        s["v"] = k * s["v"] - lr * g
        return p + s["v"]
    if rule == "nesterov":
        moved = p + k * k * s["v"] - (1 + k) * lr * g
        s["v"] = k * s["v"] - lr * g
        return moved
    s["m"] += 0.1 * (g - s["m"])
    s["v"] += 0.001 * (g * g - s["v"])
    return p - lr * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * s["m"] / (np.sqrt(s["v"]) + 1e-7)


@pytest.mark.parametrize("rule", ["momentum", "nesterov", "adam"])
def test_rules_of_the_book(rule):
    p = {"w": np.linspace(-1, 1, 50)}
    expected, slots, state = p["w"].copy(), ("m", "v") if rule == "adam" else ("v",), {}
    s = {slot: np.zeros(50) for slot in slots}
    for t in range(1, 11):
        lr = 0.1 / t
        g = {"w": np.random.default_rng(t).normal(size=50)}
        rows = Rows(p, g, state, slots, "book")
        if rule == "adam":
            rows.adam(t, lr, 0.9, 0.999, 1e-7, 0.0, eps_hat=True)
        else:
            rows.velocity(lr, 0.9, rule == "nesterov", 0.0)
        expected = numpy_step(rule, expected, g["w"], s, lr, 0.9, t)
    np.testing.assert_allclose(p["w"], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_any_memory_layout_is_updated_in_place(make):
    base = np.random.default_rng(0).normal(size=(6, 8))
    unaligned = np.frombuffer(bytearray(1 + base.nbytes), np.uint8)[1:].view(np.float64).reshape(6, 8)
    layouts = {
        "strided": np.zeros((12, 16))[::2, ::2],
        "reversed": np.zeros((6, 8))[::-1, ::-1],
        "fortran": np.zeros((6, 8), order="F"),
        "swapped": np.zeros((6, 8), ">f8"),
        "unaligned": unaligned,
    }
    params = {"plain": base.copy()}
    for key, array in layouts.items():
        array[...] = base
        params[key] = array
    before = dict(params)
    optimizer = make()
    for step in range(3):
        g = np.random.default_rng(step).normal(size=(6, 8))
        optimizer.update(params, {key: g if step else np.asfortranarray(g) for key in params})
    assert not np.array_equal(params["plain"], base)
    for key in params:
        assert params[key] is before[key]
        np.testing.assert_array_equal(params[key], params["plain"], err_msg=key)


def test_arrays_of_both_dtypes_in_one_dict():
    params = {"a": np.ones(3, np.float32), "b": np.ones(3)}
    Adam(0.1).update(params, {"a": np.ones(3, np.float32), "b": np.ones(3)})
    assert params["a"].dtype == np.float32
    np.testing.assert_allclose(params["a"], params["b"], rtol=1e-6)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_threads_and_gradients(make):
    before, results = get_num_threads(), []
    for n in (1, 2, 3):
        set_num_threads(n)
        params, grads, optimizer = arrays(np.float32), arrays(np.float32, 1), make()
        kept = copied(grads)
        for array in grads.values():
            array.flags.writeable = False
        optimizer.update(params, grads)
        optimizer.update(params, {**grads, "of nobody": np.ones(1)})
        assert_same(grads, kept)
        results.append(params)
    set_num_threads(before)
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


def test_an_array_under_two_names_takes_two_steps():
    shared = np.zeros(100_000)
    params = {"a": shared, "b": shared[:], "c": shared[50_000:]}
    SGD(1.0).update(params, {"a": np.ones(100_000), "b": np.ones(100_000), "c": np.ones(50_000)})
    np.testing.assert_array_equal(shared, np.repeat([-2.0, -3.0], 50_000))


def test_state_is_made_when_a_parameter_is_first_seen():
    optimizer = Adam(0.1)
    a, b, g = np.zeros(1), np.zeros(1), np.ones(1)
    assert optimizer.state == {}
    optimizer.update({"a": a}, {"a": g})
    optimizer.update({"a": a, "b": b}, {"a": g, "b": g})
    assert {key: memory["step"] for key, memory in optimizer.state.items()} == {"a": 2, "b": 1}
    assert b[0] == pytest.approx(-0.1)


def broken(kind):
    """Parameters and gradients whose last pair does not work."""
    params, grads = arrays(), arrays(seed=1)
    if kind == "missing":
        del grads["large"]
    elif kind == "shape":
        grads["large"] = grads["large"].T
    elif kind == "dtype":
        grads["large"] = grads["large"].astype(np.float32)
    elif kind == "integers":
        params["large"] = params["large"].astype(np.int64)
    elif kind == "list":
        grads["large"] = grads["large"].tolist()
    elif kind == "read-only":
        params["large"].flags.writeable = False
    return params, grads


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("missing", ValueError, "parameter 'large' has no gradient: grads has '0.weight'"),
        ("shape", ValueError, r"parameter 'large' has shape \(130, 270\), its gradient \(270, 130\)"),
        ("dtype", TypeError, "parameter 'large' is float64, its gradient float32"),
        ("integers", TypeError, "parameter 'large': expects float32 or float64, got int64"),
        ("list", TypeError, "parameter 'large': its gradient: expects a numpy array, got list"),
        ("read-only", ValueError, "parameter 'large' is read-only"),
    ],
)
def test_nothing_is_written_when_something_does_not_fit(make, kind, error, message):
    optimizer = make()
    params, grads = broken(kind)
    before = copied(params)
    with pytest.raises(error, match=f"{make.__name__}: {message}"):
        optimizer.update(params, grads)
    assert_same(params, before)
    assert optimizer.state == {}


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_state_round_trip_goes_on_with_the_same_bits(make):
    first, params = make(), arrays(np.float32)
    first.lr = 0.02
    for step in range(3):
        first.update(params, arrays(np.float32, step + 1))
    saved = {
        key: np.copy(value) if isinstance(value, np.ndarray) else value
        for key, value in first.state_dict().items()
    }
    assert all(isinstance(value, (np.ndarray, int, float)) for value in saved.values())
    second, other = make(), copied(params)
    second.load_state_dict(saved)
    assert second.lr == 0.02
    for step in range(3):
        first.update(params, arrays(np.float32, step + 9))
        second.update(other, arrays(np.float32, step + 9))
    assert_same(params, other)
    assert second.state_dict().keys() == saved.keys()
    assert_same(
        {key: np.asarray(value) for key, value in first.state_dict().items()},
        {key: np.asarray(value) for key, value in second.state_dict().items()},
    )


def test_state_has_flat_names():
    optimizer = Adam()
    optimizer.update({"0.weight": np.ones(2)}, {"0.weight": np.ones(2)})
    assert list(optimizer.state_dict()) == [
        *("lr", "weight_decay", "beta1", "beta2", "eps"),
        *("0.weight.m", "0.weight.v", "0.weight.step"),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w.m": None}, "the state lacks w.m"),
        ({"lr": None}, "the state lacks lr"),
        ({"lr": -1.0}, "lr: expects a number >= 0"),
        ({"w.h": np.ones(2)}, "state 'w.h' is unknown"),
        ({"w.m": 3.0}, "w.m: expects an array"),
        ({"w.m": np.ones(2, int)}, "w.m: expects an array of float32 or float64, got int64"),
        ({"w.m": np.ones(3)}, "the state arrays of 'w' differ"),
        ({"w.step": 1.5}, "w.step: expects an integer"),
        ({"w.step": -1}, "w.step: expects an integer >= 0"),
    ],
)
def test_a_wrong_state_changes_nothing(change, message):
    optimizer = Adam()
    optimizer.update({"w": np.ones(2)}, {"w": np.ones(2)})
    before = dict(optimizer.state_dict())
    state = {key: value for key, value in {**before, "lr": 0.5, **change}.items() if value is not None}
    with pytest.raises((TypeError, ValueError), match=message):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    assert after.keys() == before.keys()
    assert all(after[key] is before[key] or after[key] == before[key] for key in before)


def test_the_state_of_another_model_is_refused():
    optimizer = Momentum()
    optimizer.update({"w": np.ones(2)}, {"w": np.ones(2)})
    params = {"a": np.ones(1), "w": np.ones(3)}
    with pytest.raises(ValueError, match="it is from another model"):
        optimizer.update(params, copied(params))
    np.testing.assert_array_equal(params["a"], 1)
    assert list(optimizer.state) == ["w"]


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, True, "0.1", None, 1j])
def test_hyper_parameters_are_checked(make, value):
    optimizer = make()
    for name in make._numbers():
        if name == "nesterov":
            continue
        before = getattr(optimizer, name)
        with pytest.raises((TypeError, ValueError), match=f"{make.__name__}: {name}: expects"):
            setattr(optimizer, name, value)
        assert getattr(optimizer, name) == before
    with pytest.raises((TypeError, ValueError), match=f"{make.__name__}: lr"):
        make(lr=value)


def test_other_arguments_are_checked():
    with pytest.raises(ValueError, match="nesterov needs a momentum above 0"):
        SGD(0.1, nesterov=True)
    with pytest.raises(TypeError, match="nesterov: expects True or False"):
        SGD(0.1, 0.9, nesterov="yes")
    with pytest.raises(ValueError, match="betas: expects a number >= 0 and < 1, got 1"):
        Adam(betas=(0.9, 1.0))
    with pytest.raises(TypeError, match="betas: expects a pair"):
        Adam(betas=0.9)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_repr_names_the_hyper_parameters(make):
    assert repr(make(lr=0.25)).startswith(f"{make.__name__}(lr=0.25, weight_decay=")
