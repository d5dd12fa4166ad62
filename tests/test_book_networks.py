"""Rows N1 to N7 and N10: the networks of cnn_core.book."""

import book_naive as naive
import numpy as np
import pytest

from cnn_core.book import two_layer_net_ch04
from cnn_core.book.awesome_net import AwesomeNet
from cnn_core.book.deep_convnet import DeepConvNet
from cnn_core.book.layers import Dropout
from cnn_core.book.multi_layer_net import MultiLayerNet
from cnn_core.book.multi_layer_net_extend import MultiLayerNetExtend
from cnn_core.book.simple_convnet import SimpleConvNet
from cnn_core.book.simple_net import simpleNet
from cnn_core.book.two_layer_net import TwoLayerNet

SMALL_CONV = {"filter_num": 3, "filter_size": 3, "pad": 0, "stride": 1}


def small_deep_convnet(**more):
    convs = {f"conv_param_{n}": SMALL_CONV | {"pad": 2 if n == 4 else 1} for n in range(1, 7)}
    return DeepConvNet((1, 8, 8), **convs, hidden_size=5, output_size=4, rng=0, **more)


# Every network in a size for tests, with the shape of one of its inputs.
NETWORKS = {
    "TwoLayerNet ch04": (lambda: two_layer_net_ch04.TwoLayerNet(6, 5, 4, 0.5, rng=0), (6,)),
    "TwoLayerNet": (lambda: TwoLayerNet(6, 5, 4, 0.5, rng=0), (6,)),
    "MultiLayerNet": (lambda: MultiLayerNet(6, [5, 7], 4, weight_decay_lambda=0.1, rng=0), (6,)),
    "MultiLayerNet sigmoid": (lambda: MultiLayerNet(6, [5], 4, "sigmoid", "xavier", rng=0), (6,)),
    "MultiLayerNetExtend": (
        lambda: MultiLayerNetExtend(6, [5, 7], 4, weight_decay_lambda=0.1, use_batchnorm=True, rng=0),
        (6,),
    ),
    "SimpleConvNet": (lambda: SimpleConvNet((2, 7, 9), SMALL_CONV, 5, 4, 0.3, rng=0), (2, 7, 9)),
    "DeepConvNet": (small_deep_convnet, (1, 8, 8)),
    "AwesomeNet": (lambda: AwesomeNet((1, 4, 6), 2, 4, rng=0), (1, 4, 6)),
}
BATCH = 5
LABELS = np.array([0, 3, 1, 1, 2])


@pytest.fixture(params=NETWORKS)
def network_and_batch(request):
    make, shape = NETWORKS[request.param]
    network = make()
    for key, param in network.params.items():
        if key[0] == "b":
            # With all biases 0, a row of dead units puts the next layer exactly on the kink of its ReLU.
            param[...] = np.random.default_rng(1).uniform(-0.2, 0.2, param.shape)
    for layer in network._layers():
        if isinstance(layer, Dropout):
            layer.dropout_ratio = 0.0  # a new mask in each pass would leave no gradient to compare
    return network, 4 * naive.images(BATCH, *shape)


def test_backpropagation_agrees_with_numerical_gradient(network_and_batch):
    network, x = network_and_batch
    for t in (LABELS, np.eye(4)[LABELS]):
        grads, numerical = network.gradient(x, t), network.numerical_gradient(x, t)
        assert grads.keys() == numerical.keys() == network.params.keys()
        for key, grad in grads.items():
            assert grad.shape == network.params[key].shape
            # 1e-7 / y from the constant in the loss, h**2 from the difference
            np.testing.assert_allclose(grad, numerical[key], rtol=0, atol=3e-6, err_msg=key)


def test_loss_is_that_of_predict(network_and_batch):
    network, x = network_and_batch
    if hasattr(network, "weight_decay_lambda"):
        network.weight_decay_lambda = 0
    y = network.predict(x)
    if not isinstance(network, two_layer_net_ch04.TwoLayerNet):
        y = naive.softmax(y)
    expected = -np.mean(np.log(y[np.arange(BATCH), LABELS] + 1e-7))
    assert network.loss(x, LABELS, train_flg=False) == pytest.approx(expected, abs=1e-12)


def test_accuracy_counts_the_rest_of_the_last_batch(network_and_batch):
    """Fixed for N7: the book drops the rest, and gives 0.0 for fewer images than one batch."""
    network, x = network_and_batch
    labels = network.predict(x).argmax(axis=1)
    assert network.accuracy(x, labels) == 1.0
    assert network.accuracy(x, np.eye(4)[labels]) == 1.0
    labels[[0, -1]] = (labels[[0, -1]] + 1) % 4
    for batch_size in (1, 2, 3, 100):
        assert network.accuracy(x, labels, batch_size) == pytest.approx(3 / 5)
    with pytest.raises(ValueError, match="images"):
        network.accuracy(x[:0], labels[:0])


@pytest.mark.parametrize(
    "make", [TwoLayerNet, two_layer_net_ch04.TwoLayerNet, SimpleConvNet, DeepConvNet, AwesomeNet]
)
def test_weights_come_from_rng(make):
    sizes = (6, 5, 4) if make.__name__ == "TwoLayerNet" else ()
    first, again, other = (make(*sizes, rng=rng).params["W1"] for rng in (3, np.random.default_rng(3), None))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_parameters_changed_in_place_are_those_of_the_layers(network_and_batch):
    """Chapter 8's half_float_network writes param[...] = ..."""
    network, x = network_and_batch
    before = network.predict(x)
    for param in network.params.values():
        param[...] = 0
    after = network.predict(x)
    assert not np.allclose(before, after)
    assert np.ptp(after) == 0


@pytest.mark.parametrize("suffix", [".pkl", "", ".npz", ".safetensors"])
def test_saving_and_loading(network_and_batch, tmp_path, suffix):
    network, x = network_and_batch
    network.loss(x, LABELS, train_flg=True)  # gives batch normalisation its statistics
    expected = network.predict(x)
    network.save_params(tmp_path / f"params{suffix}")
    saved = {key: value.copy() for key, value in network.params.items()}
    network.gradient(x[::-1], LABELS)
    for param in network.params.values():
        param += 1
    network.load_params(tmp_path / f"params{suffix}")
    for key, value in network.params.items():
        np.testing.assert_array_equal(value, saved[key])
    np.testing.assert_array_equal(network.predict(x), expected)


def test_default_file_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = TwoLayerNet(3, 2, 2)
    network.save_params()
    assert (tmp_path / "params.pkl").exists()
    network.load_params()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.pop("b2"), r"lacks \['b2'\]"),
        (lambda p: p.update(W9=np.zeros(1)), r"unknown \['W9'\]"),
        (lambda p: p.update(W1=np.zeros((6, 4))), r"W1 has shape \(6, 4\).*expected \(6, 5\)"),
        (lambda p: p.update(b1=np.zeros(5, int)), r"b1 .* type int64"),
    ],
)
def test_loading_what_does_not_fit_changes_nothing(tmp_path, change, message):
    source, network = TwoLayerNet(6, 5, 4, rng=1), TwoLayerNet(6, 5, 4, rng=2)
    change(source.params)
    source.save_params(tmp_path / "params.pkl")
    kept = {key: value.copy() for key, value in network.params.items()}
    with pytest.raises(ValueError, match=message):
        network.load_params(tmp_path / "params.pkl")
    for key, value in kept.items():
        np.testing.assert_array_equal(network.params[key], value)


def test_half_float_storage(network_and_batch, tmp_path):
    """N10: float16 in memory and file, float32 in arithmetic; the book only rounds inside float64."""
    network, x = network_and_batch
    x = x.astype(np.float32)
    network.loss(x, LABELS, train_flg=True)
    expected = network.predict(x)
    network.astype(np.float32)
    network.save_params(tmp_path / "single.safetensors")
    network.astype(np.float16)
    network.save_params(tmp_path / "half.pkl")
    network.load_params(tmp_path / "half.pkl")
    assert {param.dtype for param in network.params.values()} == {np.dtype(np.float16)}
    y = network.predict(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=0, atol=0.02)
    assert network.predict(x.astype(np.float16)).dtype == np.float32
    assert network.gradient(x, LABELS)["W1"].dtype == np.float32
    assert np.isfinite(network.loss(x, LABELS))


def test_half_float_files_are_half_as_large(tmp_path):
    network = SimpleConvNet(rng=0)
    sizes = {}
    for dtype in (np.float64, np.float32, np.float16):
        network.astype(dtype)
        network.save_params(tmp_path / "params.pkl")
        sizes[dtype] = (tmp_path / "params.pkl").stat().st_size
    assert sizes[np.float16] == pytest.approx(433_890 * 2, rel=0.01)
    assert sizes[np.float16] == pytest.approx(sizes[np.float32] / 2, rel=0.01)
    with pytest.raises(TypeError, match="int64"):
        network.astype(int)


def test_float32_networks_train_in_float32():
    network = SimpleConvNet((1, 6, 6), SMALL_CONV, 4, 3, rng=0)
    network.astype(np.float32)
    grads = network.gradient(naive.images(2, 1, 6, 6).astype(np.float32), np.eye(3)[[0, 2]])
    assert {grad.dtype for grad in grads.values()} == {np.dtype(np.float32)}


def test_two_layer_net_of_chapter_4_predicts_probabilities():
    network = two_layer_net_ch04.TwoLayerNet(784, 100, 10, rng=0)
    assert {key: value.shape for key, value in network.params.items()} == {
        "W1": (784, 100),
        "b1": (100,),
        "W2": (100, 10),
        "b2": (10,),
    }
    assert np.std(network.params["W1"]) == pytest.approx(0.01, rel=0.02)
    x = np.random.default_rng(0).random((100, 784))
    y = network.predict(x)
    np.testing.assert_allclose(y.sum(axis=1), 1)
    hidden = 1 / (1 + np.exp(-(x @ network.params["W1"])))
    np.testing.assert_allclose(y, naive.softmax(hidden @ network.params["W2"]), rtol=0, atol=1e-12)


def test_two_layer_net_of_chapter_5():
    network = TwoLayerNet(input_size=784, hidden_size=50, output_size=10)
    assert list(network.layers) == ["Affine1", "Relu1", "Affine2"]
    assert network.lastLayer is network.last_layer


def test_simple_net():
    network = simpleNet(rng=0)
    assert network.W.shape == (2, 3)
    network.W = np.array([[0.47355232, 0.9977393, 0.84668094], [0.85557411, 0.03563661, 0.69422093]])
    x, t = np.array([0.6, 0.9]), np.array([0, 0, 1])
    np.testing.assert_allclose(network.predict(x), [1.05414809, 0.63071653, 1.1328074], atol=1e-8)
    assert network.loss(x, t) == pytest.approx(0.92806853663411326, abs=1e-6)


@pytest.mark.parametrize(
    ("init", "std"),
    [
        ("relu", (2 / 400) ** 0.5),
        ("He", (2 / 400) ** 0.5),
        ("sigmoid", 400**-0.5),
        ("xavier", 400**-0.5),
        (0.3, 0.3),
    ],
)
def test_multi_layer_net_initial_weights(init, std):
    """Kept: Xavier is sqrt(1 / n_in) here."""
    network = MultiLayerNet(400, [300, 200], 10, weight_init_std=init, rng=0)
    assert np.std(network.params["W1"]) == pytest.approx(std, rel=0.02)
    assert not any(network.params[f"b{n}"].any() for n in (1, 2, 3))


def test_multi_layer_net_weight_decay_spares_the_biases():
    x = naive.images(BATCH, 6)
    plain, decayed = MultiLayerNet(6, [5], 4, rng=0), MultiLayerNet(6, [5], 4, weight_decay_lambda=0.2, rng=0)
    for network in (plain, decayed):
        network.params["b1"][...] = 3.0
    squares = sum(np.sum(network.params[key] ** 2) for key in ("W1", "W2"))
    assert decayed.loss(x, LABELS) - plain.loss(x, LABELS) == pytest.approx(0.1 * squares, abs=1e-12)
    a, b = plain.gradient(x, LABELS), decayed.gradient(x, LABELS)
    for key, grad in a.items():
        decay = 0.2 * plain.params[key] if key[0] == "W" else 0
        np.testing.assert_allclose(b[key], grad + decay, rtol=0, atol=1e-12)


def test_multi_layer_net_layers_and_arguments():
    network = MultiLayerNet(6, [5, 7], 4)
    assert list(network.layers) == [
        "Affine1",
        "Activation_function1",
        "Affine2",
        "Activation_function2",
        "Affine3",
    ]
    with pytest.raises(ValueError, match="activation"):
        MultiLayerNet(6, [5], 4, activation="tanh")
    with pytest.raises(ValueError, match="weight_init_std"):
        MultiLayerNet(6, [5], 4, weight_init_std="glorot")
    with pytest.raises(ValueError, match="weight_decay_lambda"):
        MultiLayerNet(6, [5], 4, weight_decay_lambda=float("nan"))


def test_multi_layer_net_extend_layers_and_train_flg():
    network = MultiLayerNetExtend(6, [50], 4, use_dropout=True, dropout_ration=0.3, use_batchnorm=True, rng=0)
    assert list(network.layers) == ["Affine1", "BatchNorm1", "Activation_function1", "Dropout1", "Affine2"]
    assert set(network.params) == {"W1", "b1", "W2", "b2", "gamma1", "beta1"}
    assert network.layers["Dropout1"].dropout_ratio == 0.3
    x = naive.images(BATCH, 6)
    assert not np.array_equal(network.predict(x, train_flg=True), network.predict(x, train_flg=True))
    np.testing.assert_array_equal(network.predict(x), network.predict(x, train_flg=False))
    assert network.loss(x, LABELS) == network.loss(x, LABELS, train_flg=False)
    assert network.layers["BatchNorm1"].running_mean.any()


def test_multi_layer_net_extend_with_nothing_is_multi_layer_net():
    x = naive.images(BATCH, 6)
    plain, extended = MultiLayerNet(6, [5, 3], 4, rng=0), MultiLayerNetExtend(6, [5, 3], 4, rng=0)
    np.testing.assert_array_equal(plain.predict(x), extended.predict(x))


def test_simple_convnet():
    network = SimpleConvNet(rng=0)
    assert sum(param.size for param in network.params.values()) == 433_890
    assert list(network.layers) == ["Conv1", "Relu1", "Pool1", "Affine1", "Relu2", "Affine2"]
    assert np.std(network.params["W2"]) == pytest.approx(0.01, rel=0.02)


def test_multi_layer_net_knows_its_sizes():
    network = MultiLayerNet(6, [5, 7], 4)
    assert (network.input_size, network.hidden_size_list, network.output_size) == (6, [5, 7], 4)
    assert network.hidden_layer_num == 2


@pytest.mark.parametrize("make", [MultiLayerNet, MultiLayerNetExtend])
def test_without_weight_decay_weights_may_have_run_away(make):
    """Fixed: the book squares them all the same, and warns of overflow (in batch_norm_test, at scale 1)."""
    network = make(6, [5], 4, rng=0)
    for key in ("W1", "W2"):
        network.params[key] *= 1e200
    x = np.ones((BATCH, 6))
    assert np.isnan(network.loss(x, LABELS))
    assert network.gradient(x, LABELS).keys() == network.params.keys()


def test_simple_convnet_layer_by_layer():
    network = SimpleConvNet((2, 7, 9), SMALL_CONV | {"pad": 1}, 5, 4, 0.3, rng=0)
    x, p = naive.images(3, 2, 7, 9), network.params
    hidden = np.maximum(naive.convolution(x, p["W1"], p["b1"], 1, 1), 0)
    hidden = naive.pooling(hidden, 2, 2, 2, 0)[0].reshape(3, -1)
    expected = np.maximum(hidden @ p["W2"] + p["b2"], 0) @ p["W3"] + p["b3"]
    np.testing.assert_allclose(network.predict(x), expected, rtol=0, atol=1e-12)


def test_deep_convnet():
    network = DeepConvNet(rng=0)
    assert sum(param.size for param in network.params.values()) == 123_552
    names = [type(layer).__name__ for layer in network.layers]
    pair = ["Convolution", "Relu", "Convolution", "Relu", "Pooling"]
    assert names == pair * 3 + ["Affine", "Relu", "Dropout", "Affine", "Dropout"]
    assert [layer.pad for layer in network.layers if hasattr(layer, "W") and hasattr(layer, "pad")] == [
        1,
        1,
        1,
        2,
        1,
        1,
    ]
    fan_in = [9, 144, 144, 288, 288, 576, 1024, 50]
    for n, inputs in enumerate(fan_in, start=1):
        assert np.std(network.params[f"W{n}"]) == pytest.approx((2 / inputs) ** 0.5, rel=0.15)
    assert network.params["W7"].shape == (1024, 50)


def test_deep_convnet_drops_its_scores_in_training():
    """Kept: the last layer is dropout, after the scores; predict is without it, loss with it."""
    network = small_deep_convnet()
    x = naive.images(BATCH, 1, 8, 8)
    np.testing.assert_array_equal(network.predict(x), network.predict(x))
    assert (network.predict(x, train_flg=True) == 0).any()
    assert network.loss(x, LABELS) != network.loss(x, LABELS)
