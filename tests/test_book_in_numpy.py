"""The networks in plain numpy and those of cnn_core.book: the same numbers."""

import numpy as np
import pytest

from cnn_core.book import deep_convnet, in_numpy, multi_layer_net, optimizer, simple_convnet
from cnn_core.book.layers import Dropout

SMALL = {"filter_num": 3, "filter_size": 3, "stride": 1}
SIZES = {f"conv_param_{n}": SMALL | {"pad": 2 if n == 4 else 1} for n in range(1, 7)}
# Each network with the plain one that takes its parameters, and the shape of its images.
NETWORKS = {
    "MultiLayerNet": (
        lambda: multi_layer_net.MultiLayerNet(12, [7, 6], 5, rng=0),
        in_numpy.MultiLayerNet,
        (12,),
    ),
    "SimpleConvNet": (
        lambda: simple_convnet.SimpleConvNet((2, 10, 12), SMALL | {"pad": 1}, 7, 5, 0.3, rng=0),
        lambda params: in_numpy.SimpleConvNet(params, pad=1),
        (2, 10, 12),
    ),
    "SimpleConvNet of the book": (
        lambda: simple_convnet.SimpleConvNet(weight_init_std=0.1, rng=0),
        in_numpy.SimpleConvNet,
        (1, 28, 28),
    ),
    "DeepConvNet": (
        lambda: deep_convnet.DeepConvNet((1, 8, 8), **SIZES, hidden_size=6, output_size=5, rng=0),
        lambda params: in_numpy.DeepConvNet(params, rng=5),
        (1, 8, 8),
    ),
    "DeepConvNet of the book": (
        lambda: deep_convnet.DeepConvNet(rng=0),
        lambda params: in_numpy.DeepConvNet(params, rng=5),
        (1, 28, 28),
    ),
}


@pytest.fixture(params=NETWORKS)
def pair(request):
    """A network, its twin in numpy with the same arrays, images and labels."""
    make, make_plain, shape = NETWORKS[request.param]
    network = make()
    masks = np.random.default_rng(5)
    for layer in network._layers():
        if isinstance(layer, Dropout):
            layer._rng = masks
    rng = np.random.default_rng(1)
    return network, make_plain(network.params), rng.random((6, *shape)), rng.integers(0, 5, 6)


def test_predictions_loss_and_gradients_are_equal(pair):
    network, plain, x, t = pair
    np.testing.assert_allclose(plain.predict(x), network.predict(x), rtol=0, atol=1e-10)
    assert plain.loss(x, t) == pytest.approx(network.loss(x, t, train_flg=False), abs=1e-10)
    expected, grads = plain.gradient(x, t), network.gradient(x, t)
    assert list(expected) == list(network.params)
    for key, grad in grads.items():
        np.testing.assert_allclose(grad, expected[key], rtol=0, atol=1e-10, err_msg=key)


def test_images_of_float32_give_float64(pair):
    _, plain, x, _ = pair
    assert plain.predict(x.astype(np.float32)).dtype == np.float64


def test_training_gives_equal_parameters(pair):
    network, plain, x, t = pair
    start = {key: param.copy() for key, param in network.params.items()}
    trained = []
    for net, adam in ((network, optimizer.Adam(lr=0.01)), (plain, in_numpy.Adam(lr=0.01))):
        for key, param in net.params.items():
            param[...] = start[key]  # both hold the same arrays
        for _ in range(3):
            adam.update(net.params, net.gradient(x, t))
        trained.append({key: param.copy() for key, param in net.params.items()})
    for key, param in trained[0].items():
        assert not np.array_equal(param, start[key])
        np.testing.assert_allclose(trained[1][key], param, rtol=0, atol=1e-10, err_msg=key)
