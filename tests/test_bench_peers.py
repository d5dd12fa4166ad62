"""The peers of the benchmark compute the same as we do."""

import sys
from typing import Any

import numpy as np
import pytest

import cnn_core as cc
from cnn_core.bench import peers
from cnn_core.bench.cases import Case, kernel_cases
from cnn_core.bench.kernels import OPS, OPTIMIZERS, arrays_of
from cnn_core.bench.peers import Peer, load_peers
from cnn_core.models import MODELS


@pytest.fixture(scope="module")
def torch_peer() -> Peer:
    pytest.importorskip("torch", reason="torch, a peer of the benchmark, is not installed")
    return load_peers(["torch"], "kernels")[0][0]


@pytest.fixture(scope="module")
def onnx_peer() -> Peer:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package}, for a peer of the benchmark, is not installed")
    return load_peers(["onnxruntime"], "nets")[0][0]


@pytest.fixture(scope="module")
def reference_peer() -> Peer:
    return load_peers(["reference"], "kernels")[0][0]


def small(case: Case) -> tuple[int, ...]:
    """The case's shape with few and small images."""
    if len(case.shape) != 4:
        return case.shape[:0] if not case.shape else (3, *case.shape[1:])
    _, channels, height, _ = case.shape
    return 2, channels, min(height, 16), min(height, 16)


def built(op: str) -> tuple[Any, Any]:
    """Arguments of a small case of ``op``, and what we make of them."""
    case = next(case for case in kernel_cases() if case.op == op)
    options = dict(case.options)
    if "shapes" in options:
        options["shapes"] = ((3, 2, 5), (7,), (1, 1))
    arguments = OPS[op].build(np.random.default_rng(0), small(case), options)
    return arguments, OPS[op].bind(arguments)


def as_arrays(result: Any) -> list[np.ndarray]:
    """Results of us, of torch or of the reference, in order; what was not asked for is left out."""
    if hasattr(result, "detach"):
        return [result.detach().numpy()]
    if isinstance(result, (tuple, list)):
        return [array for part in result for array in as_arrays(part)]
    return [] if result is None else [np.asarray(result)]


def same(mine: list[np.ndarray], others: list[np.ndarray], tolerance: float = 1e-4) -> None:
    assert len(mine) == len(others)
    for a, b in zip(mine, others, strict=True):
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance * max(1, np.abs(a).max()))


@pytest.mark.parametrize("op", sorted(set(OPS) - set(OPTIMIZERS) - {"dropout"}))
def test_torch_computes_the_same_functions(op, torch_peer):
    arguments, ours = built(op)
    mine = as_arrays(ours())
    with torch_peer.session(1):
        contenders = torch_peer.kernel(op, arguments, OPS[op].cost(arguments, ours()))
        assert contenders
        assert all(contender.library == "torch" for contender in contenders)
        for contender in contenders:
            result = as_arrays(contender.call())
            if op == "im2col":  # torch's columns are (N, C*KH*KW, OH*OW)
                result = [result[0].transpose(0, 2, 1).reshape(mine[0].shape)]
            same(mine, result)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_torch_takes_the_same_steps(name, torch_peer):
    from cnn_core.bench import _torch_kernels

    arguments, ours = built(name)
    params = {key: p.copy() for key, p in arguments["params"].items()}
    optimizers = _torch_kernels.optimizers(name, params, arguments["grads"])
    assert optimizers
    fresh = OPTIMIZERS[name]()
    for _ in range(3):
        fresh.update(arguments["params"], arguments["grads"])
    for optimizer in optimizers.values():
        for _ in range(3):
            optimizer.step()
        tensors = optimizer.param_groups[0]["params"]
        same(list(arguments["params"].values()), as_arrays(tensors), 1e-6)
    ours()


def test_torch_drops_as_often(torch_peer):
    arguments, ours = built("dropout")
    arguments["x"] = np.ones((100, 100), np.float32)
    (contender,) = torch_peer.kernel("dropout", arguments, OPS["dropout"].cost(arguments, ours()))
    y, mask = as_arrays(contender.call())
    assert 0.45 < mask.mean() < 0.55
    assert np.array_equal(y, mask * 2.0)


@pytest.mark.parametrize("name", MODELS)
def test_torch_predicts_the_same(name, torch_peer):
    model = MODELS[name](rng=0)
    shape = {"resnet20": (2, 3, 32, 32), "vgg": (2, 3, 32, 32), "digits": (2, 1, 8, 8)}
    x = np.random.default_rng(0).standard_normal(shape.get(name, (2, 1, 28, 28)), np.float32)
    mine = [model.forward(x)]
    with torch_peer.session(1):
        contenders = torch_peer.inference(model, x)
        assert [contender.name for contender in contenders] == ["torch NCHW", "torch NHWC"]
        for contender in contenders:
            same(mine, as_arrays(contender.call()), 1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_onnxruntime_predicts_the_same(name, onnx_peer):
    model = MODELS[name](rng=0)
    shape = {"resnet20": (2, 3, 32, 32), "vgg": (2, 3, 32, 32), "digits": (2, 1, 8, 8)}
    x = np.random.default_rng(0).standard_normal(shape.get(name, (2, 1, 28, 28)), np.float32)
    with onnx_peer.session(2):
        (contender,) = onnx_peer.inference(model, x)
        same([model.forward(x)], [contender.call()], 1e-3)


class Own(cc.Layer):
    """A layer that no peer has."""

    def forward(self, x, training=False):
        return x


@pytest.mark.parametrize(
    "layer",
    [
        cc.Conv2d(4, 6, (3, 2), stride=2, padding=1, dilation=2, groups=2, rng=0),
        cc.Conv2d(4, 6, 4, padding="same", rng=0),
        cc.BatchNorm2d(4),
        cc.MaxPool2d(3, 2, padding=1, ceil_mode=True),
        cc.AvgPool2d(3, 2, padding=1, count_include_pad=False),
        cc.AdaptiveAvgPool2d(1),
        cc.LeakyReLU(0.2),
        cc.Sigmoid(),
        cc.Tanh(),
        cc.Residual(cc.Conv2d(4, 4, 3, padding=1, rng=0), cc.Conv2d(4, 4, 1, rng=1)),
        cc.Concat(cc.ReLU(), cc.Sequential(cc.Conv2d(4, 2, 1, rng=0), cc.Dropout(), cc.Identity())),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_onnxruntime_has_every_layer(layer, onnx_peer):
    model = cc.Sequential(layer, cc.Flatten())
    x = np.random.default_rng(0).standard_normal((2, 4, 9, 8), np.float32)
    (contender,) = onnx_peer.inference(model, x)
    same([model.forward(x)], [contender.call()], 1e-5)


def test_what_a_peer_lacks_is_left_out(onnx_peer, torch_peer, reference_peer):
    x = np.zeros((2, 4, 9, 8), np.float32)
    assert onnx_peer.inference(cc.Sequential(Own()), x) == []
    assert onnx_peer.inference(cc.Sequential(cc.AdaptiveAvgPool2d(2)), x) == []
    assert torch_peer.inference(cc.Sequential(Own()), x) == []
    assert torch_peer.layer(Own(), x, x, True) == ([], [])
    arguments, ours = built("conv2d dx")
    assert reference_peer.kernel("conv2d dx", arguments, OPS["conv2d dx"].cost(arguments, ours())) == []


@pytest.mark.parametrize("need_dx", [True, False])
def test_torch_computes_the_same_layers(need_dx, torch_peer):
    rng = np.random.default_rng(0)
    layer = cc.Conv2d(3, 4, 3, rng=0)
    x = rng.standard_normal((2, 3, 8, 8), np.float32)
    dy = rng.standard_normal((2, 4, 6, 6), np.float32)
    y = layer.forward(x, True)
    dx = layer.backward(dy, need_dx=need_dx)
    expected = [*([dx] if need_dx else []), *layer.grads.values()]
    with torch_peer.session(1):
        forwards, backwards = torch_peer.layer(layer, x, dy, need_dx)
        assert len(forwards) == len(backwards) == 2
        for forward, backward in zip(forwards, backwards, strict=True):
            same([y], as_arrays(forward.call()))
            same(expected, as_arrays(backward.call()))


def test_torch_trains_the_same_network(torch_peer):
    from cnn_core.bench.cases import LEARNING_RATE

    rng = np.random.default_rng(0)
    model = MODELS["deep"](dropout=0.0, rng=0)
    x, target = rng.standard_normal((4, 1, 28, 28), np.float32), rng.integers(0, 10, 4)
    with torch_peer.session(1):
        steps = torch_peer.training_step(model, x, target)
        theirs = [[float(step.call()) for _ in range(3)] for step in steps]
    loss, optimizer, mine = cc.losses.CrossEntropyLoss(), cc.optim.Adam(lr=LEARNING_RATE), []
    for _ in range(3):
        mine.append(loss.forward(model.forward(x, True), target))
        model.backward(loss.backward(), need_dx=False)
        optimizer.update(model.params, model.grads)
    assert len(theirs) == 2
    for losses in theirs:
        np.testing.assert_allclose(losses, mine, rtol=1e-4)


def test_torch_session_restores_threads(torch_peer):
    import torch

    before = torch.get_num_threads()
    with torch_peer.session(1):
        assert torch.get_num_threads() == 1
        assert not torch.is_grad_enabled()
    assert torch.get_num_threads() == before
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("op", sorted(set(OPS) - set(OPTIMIZERS) - {"dropout", "conv2d dx", "linear dx"}))
def test_reference_computes_the_same(op, reference_peer):
    arguments, ours = built(op)
    (contender,) = reference_peer.kernel(op, arguments, OPS[op].cost(arguments, ours()))
    same(as_arrays(ours()), as_arrays(contender.call()))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_reference_steps_run(name, reference_peer):
    arguments, ours = built(name)
    before = [p.copy() for p in arrays_of(arguments["params"])]
    (contender,) = reference_peer.kernel(name, arguments, OPS[name].cost(arguments, ours()))
    contender.call()
    assert not any(np.array_equal(a, b) for a, b in zip(before, arrays_of(arguments["params"]), strict=True))


def test_a_peer_that_is_missing_is_said_to_be(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    found, messages = load_peers(["torch", "reference"], "kernels")
    assert [peer.name for peer in found] == ["reference"]
    assert messages == ["torch: not compared, because it needs torch: pip install torch"]


def test_a_peer_of_no_use_is_said_to_be():
    found, messages = load_peers(["reference"], "nets")
    assert found == []
    assert messages == ["reference: not compared, because it has nothing for 'bench nets'"]


def test_unknown_peers_are_refused():
    with pytest.raises(ValueError, match="--against"):
        load_peers(["tensorflow"], "kernels")
    assert set(peers.PEERS) == {"torch", "onnxruntime", "reference"}
