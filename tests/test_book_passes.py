"""What the networks of cnn_core.book leave out or do in one pass changes no number."""

import numpy as np
import pytest

from cnn_core.book.awesome_net import AwesomeNet
from cnn_core.book.deep_convnet import DeepConvNet
from cnn_core.book.layers import Affine, Dropout, Pooling, Relu
from cnn_core.book.multi_layer_net_extend import MultiLayerNetExtend
from cnn_core.book.optimizer import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSprop
from cnn_core.book.simple_convnet import SimpleConvNet
from cnn_core.book.two_layer_net import TwoLayerNet

CONV = {"filter_num": 3, "filter_size": 3, "pad": 1, "stride": 1}
NETWORKS = {
    "TwoLayerNet": (lambda: TwoLayerNet(6, 5, 4, 0.5, rng=0), (6,)),
    "MultiLayerNetExtend": (
        lambda: MultiLayerNetExtend(6, [5, 7], 4, use_batchnorm=True, use_dropout=True, rng=0),
        (6,),
    ),
    "SimpleConvNet": (lambda: SimpleConvNet((2, 6, 8), CONV, 5, 4, 0.3, rng=0), (2, 6, 8)),
    "DeepConvNet": (
        lambda: DeepConvNet((1, 8, 8), *[CONV] * 6, hidden_size=5, output_size=4, rng=0),
        (1, 8, 8),
    ),
    "AwesomeNet": (lambda: AwesomeNet((1, 4, 6), 2, 4, rng=0), (1, 4, 6)),
}
LABELS = np.array([0, 3, 1, 1, 2])


@pytest.fixture(params=NETWORKS)
def network_and_images(request):
    make, shape = NETWORKS[request.param]
    network = make()
    for layer in network._layers():
        if isinstance(layer, Dropout):
            layer.dropout_ratio = 0.0  # a new mask in each pass would leave nothing to compare
    return network, np.random.default_rng(1).standard_normal((5, *shape))


def one_by_one(network, x, t):
    """Every layer's own forward and backward: the loss and the gradients."""
    loss = network.last_layer.forward(scores(network, x, True), t)
    dout = network.last_layer.backward(1)
    for layer in reversed(network._layers()):
        dout = layer.backward(dout)
    return loss, {key: getattr(layer, f"d{name}") for key, layer, name in network._slots()}


def scores(network, x, train_flg):
    for layer in network._layers():
        knows_training = type(layer).__name__ in ("Dropout", "BatchNormalization")
        x = layer.forward(x, train_flg) if knows_training else layer.forward(x)
    return x


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_computes_what_its_layers_do(network_and_images, dtype):
    network, x = network_and_images
    network.astype(dtype)
    x = x.astype(dtype)
    grads, loss = network.gradient(x, LABELS), network.last_layer.loss
    expected_loss, expected = one_by_one(network, x, LABELS)
    assert loss == expected_loss
    for key, grad in expected.items():
        np.testing.assert_array_equal(grads[key], grad, err_msg=key)
    np.testing.assert_array_equal(network.predict(x), scores(network, x, False))


def test_layers_remember_the_same(network_and_images):
    network, x = network_and_images
    network.predict(x)
    outs = [layer.out for layer in network._layers() if isinstance(layer, Relu)]
    scores(network, x, False)
    for out, layer in zip(outs, (la for la in network._layers() if isinstance(la, Relu)), strict=True):
        np.testing.assert_array_equal(out, layer.out)


def test_a_method_put_on_a_layer_is_called():
    network, x = SimpleConvNet((1, 6, 6), CONV, 5, 4, rng=0), np.ones((5, 1, 6, 6))
    seen = []

    def watch(layer, name):
        own = getattr(layer, name)
        setattr(layer, name, lambda value: seen.append((type(layer).__name__, name)) or own(value))

    for key in ("Relu1", "Conv1"):
        watch(network.layers[key], "forward")
        watch(network.layers[key], "backward")
    network.gradient(x, LABELS)
    assert seen == [
        ("Convolution", "forward"),
        ("Relu", "forward"),
        ("Relu", "backward"),
        ("Convolution", "backward"),
    ]


def test_a_layer_of_ones_own_is_called():
    class LeakyRelu(Relu):
        def forward(self, x):
            self.x = x
            return np.where(x > 0, x, 0.5 * x)

        def backward(self, dout):
            return np.where(self.x > 0, dout, 0.5 * dout)

    network, x = SimpleConvNet((1, 6, 6), CONV, 5, 4, 0.3, rng=0), np.ones((5, 1, 6, 6))
    network.layers["Relu1"] = LeakyRelu()
    grads = network.gradient(x, LABELS)
    _, expected = one_by_one(network, x, LABELS)
    np.testing.assert_array_equal(grads["W1"], expected["W1"])
    np.testing.assert_allclose(grads["b2"], network.numerical_gradient(x, LABELS)["b2"], atol=3e-6)


def test_pooling_knows_whether_it_follows_a_relu():
    relu, pooling, x = Relu(), Pooling(2, 2), np.ones((1, 1, 4, 4))
    assert not pooling.follows(relu)
    pooling.forward(relu.forward(x))
    assert pooling.follows(relu)
    pooling.forward(x)
    assert not pooling.follows(relu)


def test_affine_in_either_order_of_memory():
    rng = np.random.default_rng(0)
    x, W, b, dout = (rng.standard_normal(shape) for shape in ((7, 2, 3), (6, 5), (5,), (7, 5)))
    for order in "CF":
        layer = Affine(np.asarray(W, order=order), b)
        np.testing.assert_allclose(layer.forward(x), x.reshape(7, 6) @ W + b, rtol=0, atol=1e-14)
        np.testing.assert_allclose(layer.backward(dout), (dout @ W.T).reshape(x.shape), rtol=0, atol=1e-14)
        expected = {"dW": x.reshape(7, 6).T @ dout, "db": dout.sum(axis=0)}
        for name, gradient in expected.items():
            np.testing.assert_allclose(getattr(layer, name), gradient, rtol=0, atol=1e-14)
            setattr(layer, name, None)
        layer.backward_params(dout)
        for name, gradient in expected.items():
            np.testing.assert_allclose(getattr(layer, name), gradient, rtol=0, atol=1e-14)


def test_weights_of_affine_layers_lie_with_their_columns_together(network_and_images, tmp_path):
    network, _ = network_and_images
    network.save_params(tmp_path / "params.pkl")
    for step in (
        lambda: None,
        lambda: network.astype(np.float32),
        lambda: network.load_params(tmp_path / "params.pkl"),
    ):
        step()
        for key, layer, name in network._slots():
            if name == "W":
                assert layer.W is network.params[key]
                assert layer.W.T.flags.c_contiguous or not isinstance(layer, Affine)


@pytest.mark.parametrize("make", [SGD, Momentum, Nesterov, AdaGrad, RMSprop, Adam])
def test_optimizers_in_either_order_of_memory(make):
    """Also when it changes on the way, of a square array, whose shape does not tell."""
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal((4, 4)), rng.standard_normal((4, 4, 4))
    plain, plain_optimizer = {"W": start.copy()}, make()
    other, other_optimizer = {"W": start.copy()}, make()
    for gradient, order in zip(gradients, "FCCF", strict=True):
        other["W"] = np.asarray(other["W"], order=order)
        array = other["W"]
        plain_optimizer.update(plain, {"W": gradient})
        other_optimizer.update(other, {"W": np.asarray(gradient, order=order)})
        assert other["W"] is array
        np.testing.assert_array_equal(array, plain["W"])
    other_optimizer.update(other, {"W": gradients[0]})  # parameter and gradient in different orders
    plain_optimizer.update(plain, {"W": gradients[0]})
    np.testing.assert_array_equal(other["W"], plain["W"])
