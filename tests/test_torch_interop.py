"""Weights go to PyTorch and back by name, and the layers then compute the same, forward and backward."""

import numpy as np
import pytest

from cnn_core import layers, models
from cnn_core.layers import Sequential

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
nn = torch.nn


class TorchResidual(nn.Module):
    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = body
        if shortcut is not None:
            self.shortcut = shortcut

    def forward(self, x):
        return self.body(x) + (self.shortcut(x) if hasattr(self, "shortcut") else x)


class TorchConcat(nn.Sequential):
    def forward(self, x):
        return torch.cat([branch(x) for branch in self], dim=1)


SAME_NAME = (
    *("Conv2d", "Linear", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "BatchNorm1d", "BatchNorm2d"),
    *("ReLU", "LeakyReLU", "Sigmoid", "Tanh", "Flatten", "Identity", "Dropout"),
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def to_torch(layer, dtype=torch.float64):
    """Build the torch module of the same architecture, with weights of its own."""
    kind = type(layer).__name__
    if kind == "Sequential":
        return nn.Sequential(*(to_torch(child, dtype) for child in layer))
    if kind == "Residual":
        return TorchResidual(*(to_torch(child, dtype) for child in layer.children.values()))
    if kind == "Concat":
        return TorchConcat(*(to_torch(child, dtype) for child in layer.branches))
    assert kind in SAME_NAME
    options = layer.config()
    options.pop("dtype", None)
    if "padding" in options:
        options["padding"] = layer.padding
    return getattr(nn, kind)(**options).to(dtype)


# Every layer beside torch's, with the arguments by position as torch orders them.
CASES = {
    "conv": ("Conv2d", (4, 6, (3, 2), (2, 1), (1, 2), (1, 2), 2, False), (2, 4, 7, 6)),
    "conv-same": ("Conv2d", (3, 4, (3, 2), 1, "same", 2), (2, 3, 7, 6)),
    "conv-valid": ("Conv2d", (3, 4, 3, 2, "valid"), (2, 3, 7, 6)),
    "conv-depthwise": ("Conv2d", (4, 4, 3, 1, 1, 1, 4), (2, 4, 7, 6)),
    "linear": ("Linear", (5, 3, True), (4, 5)),
    "linear-3d": ("Linear", (5, 3, False), (2, 4, 5)),
    "max-pool": ("MaxPool2d", ((3, 2), (2, 1), (1, 0), (1, 2)), (2, 3, 7, 6)),
    "max-pool-default": ("MaxPool2d", (2,), (2, 3, 7, 6)),
    "avg-pool": ("AvgPool2d", (3, 2, 1, True, False), (2, 3, 7, 6)),
    "avg-pool-divisor": ("AvgPool2d", ((2, 3), None, 1, False, True, 5), (2, 3, 7, 6)),
    "adaptive": ("AdaptiveAvgPool2d", ((3, None),), (2, 3, 7, 6)),
    "norm1d": ("BatchNorm1d", (5, 1e-3, 0.3), (4, 5)),
    "norm1d-3d": ("BatchNorm1d", (5, 1e-3, None, False), (4, 5, 3)),
    "norm2d": ("BatchNorm2d", (3, 1e-2, 0.2, True, True), (2, 3, 4, 5)),
    "norm2d-untracked": ("BatchNorm2d", (3, 1e-5, 0.1, True, False), (2, 3, 4, 5)),
    "relu": ("ReLU", (), (3, 4)),
    "leaky": ("LeakyReLU", (0.2,), (3, 4)),
    "sigmoid": ("Sigmoid", (), (3, 4)),
    "tanh": ("Tanh", (), (3, 4)),
    "flatten": ("Flatten", (1, 2), (2, 3, 4, 5)),
    "identity": ("Identity", (), (3, 4)),
}


def test_every_layer_of_torch_has_a_row():
    assert {kind for kind, _, _ in CASES.values()} | {"Dropout"} == set(SAME_NAME)
    assert set(SAME_NAME) | {"Sequential", "Residual", "Concat", "Layer", "Container", "ShapeError"} == set(
        layers.__all__
    )


def copied(layer):
    return {key: torch.tensor(value) for key, value in layer.state_dict().items()}


def check_same(layer, module, x, dtype=np.float64):
    """Compare outputs, gradients and running statistics in training, then outputs in evaluation."""
    rtol, atol = (1e-7, 1e-9) if dtype == np.float64 else (1e-3, 1e-4)
    tensor = torch.tensor(x, requires_grad=True)
    module.train()
    expected = module(tensor)
    dy = np.random.default_rng(3).standard_normal(expected.shape).astype(dtype)
    expected.backward(torch.tensor(dy))
    y = layer(x, training=True)
    np.testing.assert_allclose(y, expected.detach(), rtol=rtol, atol=atol)
    np.testing.assert_allclose(layer.backward(dy), tensor.grad, rtol=rtol, atol=atol)
    named = dict(module.named_parameters())
    assert layer.params.keys() == named.keys()
    for key, gradient in layer.grads.items():
        np.testing.assert_allclose(gradient, named[key].grad, rtol=rtol, atol=atol, err_msg=key)
    state = module.state_dict()
    assert list(layer.state_dict()) == list(state)
    for key, value in layer.state_dict().items():
        np.testing.assert_allclose(value, state[key], rtol=rtol, atol=atol, err_msg=key)
        assert value.shape == tuple(state[key].shape)
    module.eval()
    np.testing.assert_allclose(layer(x), module(tensor).detach(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", CASES)
def test_a_layer_computes_what_torchs_does(name):
    kind, arguments, shape = CASES[name]
    typed = {"dtype": np.float64} if kind in ("Conv2d", "Linear", "BatchNorm1d", "BatchNorm2d") else {}
    layer = getattr(layers, kind)(*arguments, **typed)
    module = getattr(nn, kind)(*arguments).to(torch.float64)
    layer.load_state_dict(module.state_dict())
    x = np.random.default_rng(0).standard_normal(shape)
    check_same(layer, module, x)


def test_max_pool_rounds_up_as_torchs_does():
    check_same(
        layers.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        np.random.default_rng(0).standard_normal((2, 3, 7, 6)),
    )


NETWORKS = {
    "digits": lambda dtype: models.DigitsNet((1, 12, 12), filters=3, dropout=0.0, rng=0, dtype=dtype),
    "simple": lambda dtype: models.SimpleConvNet((1, 12, 12), filters=4, hidden=6, rng=0, dtype=dtype),
    "deep": lambda dtype: models.DeepConvNet((1, 12, 12), dropout=0.0, rng=0, dtype=dtype),
    "mlp": lambda dtype: models.MLP((1, 12, 12), hidden=(6,), rng=0, dtype=dtype),
    "lenet": lambda dtype: models.LeNet((1, 12, 12), rng=0, dtype=dtype),
    "vgg": lambda dtype: models.VGG((1, 12, 12), widths=((4,), (6, 6)), rng=0, dtype=dtype),
    "resnet20": lambda dtype: models.ResNet20((1, 12, 12), width=3, blocks=1, rng=0, dtype=dtype),
    "concat": lambda dtype: Sequential(
        layers.Concat(
            layers.Conv2d(1, 2, 1, rng=0, dtype=dtype),
            Sequential(layers.MaxPool2d(3, 1, 1), layers.Conv2d(1, 3, 3, padding="same", rng=1, dtype=dtype)),
        ),
        layers.BatchNorm2d(5, dtype=dtype),
    ),
}


def test_every_network_has_a_row():
    assert models.MODELS.keys() <= NETWORKS.keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_torch_state_loads_by_name_and_the_network_computes_the_same(name):
    model = NETWORKS[name](np.float64)
    module = to_torch(model)
    model.load_state_dict(module.state_dict())
    check_same(model, module, np.random.default_rng(0).standard_normal((4, 1, 12, 12)))


@pytest.mark.parametrize("name", NETWORKS)
def test_our_state_loads_in_torch(name):
    model = NETWORKS[name](np.float32)
    module = to_torch(model, torch.float32)
    assert module.load_state_dict(copied(model)).missing_keys == []
    check_same(
        model, module, np.random.default_rng(0).standard_normal((4, 1, 12, 12)).astype(np.float32), np.float32
    )


def test_torch_states_of_other_precisions_load():
    model = NETWORKS["vgg"](np.float32)
    module = to_torch(model, torch.float64)
    for state in (module.state_dict(), module.half().state_dict()):
        model.load_state_dict(state)
        np.testing.assert_allclose(model.params["0.weight"], state["0.weight"].float(), rtol=1e-6)


def test_torch_tensors_that_numpy_cannot_hold_are_named():
    model = NETWORKS["mlp"](np.float32)
    before = model.params["1.weight"].copy()
    state = {key: value.bfloat16() for key, value in to_torch(model).state_dict().items()}
    with pytest.raises(ValueError, match=r'"1\.weight" cannot be read as an array'):
        model.load_state_dict(state)
    state = {key: value.clone().requires_grad_() for key, value in to_torch(model).state_dict().items()}
    with pytest.raises(ValueError, match=r'"1\.weight" cannot be read as an array'):
        model.load_state_dict(state)
    np.testing.assert_array_equal(model.params["1.weight"], before)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_weights_written_by_torch_users_load_from_a_file(tmp_path, suffix):
    model = NETWORKS["vgg"](np.float32)
    module = to_torch(model, torch.float32)
    path = tmp_path / f"torch{suffix}"
    if suffix == ".npz":
        np.savez(path, **{key: value.numpy() for key, value in module.state_dict().items()})
    else:
        safetensors = pytest.importorskip("safetensors.torch", reason="writes a file as torch users do")
        safetensors.save_file(module.state_dict(), path)
    model.load(path)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, module.state_dict()[key])
