"""Row D1, and the book's own weights on the 10,000 test images of MNIST.

The files are looked for in the folder that the environment variable CNN_CORE_DATA names: MNIST in
``mnist/``, the book's ``simple_convnet_params.pkl`` and ``deep_convnet_params.pkl`` in ``book/``.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from cnn_core.book import mnist
from cnn_core.book.deep_convnet import DeepConvNet
from cnn_core.book.params import load_params
from cnn_core.book.simple_convnet import SimpleConvNet
from cnn_core.data import Arrays, DataSet

DATA = Path(os.environ.get("CNN_CORE_DATA", "/nonexistent"))


def needs(*names):
    missing = [name for name in names if not (DATA / name).exists()]
    return pytest.mark.skipif(
        bool(missing), reason=f"CNN_CORE_DATA names no folder with {', '.join(missing)}"
    )


@pytest.fixture
def tiny(monkeypatch):
    """A stand-in for the real files: the values 0, 1/255, ... and the labels 3, 4, ..."""

    def arrays(n):
        x = (np.arange(n * 784) % 256).reshape(n, 1, 28, 28).astype(np.float32) / np.float32(255)
        return Arrays(x, np.arange(3, 3 + n))

    data_set = DataSet("mnist", arrays(4), arrays(2), tuple("0123456789"))
    monkeypatch.setattr(mnist.data, "load_mnist", lambda: data_set)


def test_load_mnist_by_default(tiny):
    (x_train, t_train), (x_test, t_test) = mnist.load_mnist()
    assert (x_train.shape, x_test.shape) == ((4, 784), (2, 784))
    assert x_train.dtype == np.float32
    assert (x_train.min(), x_train.max()) == (0, 1)
    assert t_train.tolist() == [3, 4, 5, 6]
    assert t_test.dtype == np.uint8


def test_load_mnist_as_bytes_and_images(tiny):
    (x_train, _), (x_test, _) = mnist.load_mnist(normalize=False, flatten=False)
    assert (x_train.shape, x_test.shape) == ((4, 1, 28, 28), (2, 1, 28, 28))
    assert x_train.dtype == np.uint8
    np.testing.assert_array_equal(x_train.ravel(), np.arange(4 * 784) % 256)


def test_load_mnist_with_one_hot_labels(tiny):
    (_, t_train), (_, t_test) = mnist.load_mnist(one_hot_label=True)
    np.testing.assert_array_equal(t_train, np.eye(10)[3:7])
    assert t_test.dtype == np.float64


def test_missing_files_are_named(monkeypatch, tmp_path):
    def not_found():
        raise FileNotFoundError("train-images-idx3-ubyte.gz")

    monkeypatch.setattr(mnist.data, "load_mnist", not_found)
    with pytest.raises(FileNotFoundError, match="train-images"):
        mnist.load_mnist()


@needs("mnist")
def test_the_real_mnist():
    (x_train, t_train), (x_test, t_test) = mnist.load_mnist()
    assert (x_train.shape, t_train.shape, x_test.shape, t_test.shape) == (
        (60000, 784), (60000,), (10000, 784), (10000,)
    )  # fmt: skip
    assert t_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert t_test[:5].tolist() == [7, 2, 1, 0, 4]


NETWORKS = {"simple": (SimpleConvNet, 110, 433_890), "deep": (DeepConvNet, 65, 123_552)}


@pytest.fixture(
    params=[pytest.param(name, marks=needs("mnist", f"book/{name}_convnet_params.pkl")) for name in NETWORKS]
)
def network_and_errors(request):
    make, errors, size = NETWORKS[request.param]
    path = DATA / "book" / f"{request.param}_convnet_params.pkl"
    assert sum(param.size for param in load_params(path).values()) == size
    network = make()
    network.load_params(path)
    return network, errors


@pytest.mark.parametrize(("dtype", "slack"), [(np.float64, 0), (np.float32, 1)])
def test_the_weights_of_the_book_make_the_errors_of_the_book(network_and_errors, dtype, slack):
    network, errors = network_and_errors
    network.astype(dtype)
    _, (x_test, t_test) = mnist.load_mnist(flatten=False)
    wrong = round((1 - network.accuracy(x_test, t_test)) * len(t_test))
    assert abs(wrong - errors) <= slack


@needs("mnist", "book/deep_convnet_params.pkl")
def test_half_precision_weights_recognise_as_well():
    """Section 8.3.4: rounding to float16 costs nothing."""
    _, (x_test, t_test) = mnist.load_mnist(flatten=False)
    x_test, t_test = x_test[:2000], t_test[:2000]
    network = DeepConvNet()
    network.load_params(DATA / "book" / "deep_convnet_params.pkl")
    expected = network.accuracy(x_test, t_test)
    network.astype(np.float16)
    assert abs(network.accuracy(x_test.astype(np.float16), t_test) - expected) <= 0.001
