"""Rows L1 to L10: the layers of cnn_core.book, their quirks, and the bugs that they do not have."""

import book_naive as naive
import numpy as np
import pytest

from cnn_core.book.layer_naive import AddLayer, MulLayer
from cnn_core.book.layers import (
    Affine,
    AveragePooling,
    BatchNormalization,
    Convolution,
    Dropout,
    Pooling,
    Relu,
    Sigmoid,
    SoftmaxWithLoss,
)

WINDOWS = [  # image, (window_h, window_w), stride, pad
    ((2, 3, 6, 6), (2, 2), 2, 0),
    ((2, 1, 7, 5), (3, 3), 2, 1),
    ((1, 2, 5, 6), (2, 3), 1, 1),
    ((3, 2, 8, 7), (5, 2), 3, 0),
]


def close(got, expected, atol=1e-12):
    np.testing.assert_allclose(got, expected, rtol=0, atol=atol)


def numbers(*shape, seed=3):
    return np.random.default_rng(seed).standard_normal(shape)


# Every layer, an input it takes, and how its parameters are made.
LAYERS = {
    "Relu": (Relu, (3, 4)),
    "Sigmoid": (Sigmoid, (3, 4)),
    "Affine": (lambda: Affine(numbers(4, 2), numbers(2)), (3, 4)),
    "Affine 4-D": (lambda: Affine(numbers(12, 2), numbers(2)), (3, 1, 4, 3)),
    "Dropout": (lambda: Dropout(0.4, rng=0), (3, 4)),
    "BatchNormalization": (lambda: BatchNormalization(numbers(4), numbers(4)), (5, 4)),
    "BatchNormalization 4-D": (lambda: BatchNormalization(numbers(12), numbers(12)), (5, 2, 3, 2)),
    "Convolution": (lambda: Convolution(numbers(2, 3, 3, 3), numbers(2), 2, 1), (2, 3, 6, 5)),
    "Pooling": (lambda: Pooling(2, 2, 2), (2, 3, 6, 4)),
    "AveragePooling": (lambda: AveragePooling(2, 2, 2), (2, 3, 6, 4)),
}


@pytest.fixture(params=LAYERS, ids=str)
def layer_and_shape(request):
    make, shape = LAYERS[request.param]
    return make(), shape


def test_inputs_are_not_written_and_may_be_read_only_or_strided(layer_and_shape):
    """Fixed for L2: the book's Relu overwrites dout."""
    layer, shape = layer_and_shape
    x = naive.images(*shape)
    x.flags.writeable = False
    out = layer.forward(x)
    dout = naive.images(*out.shape, seed=1)
    dout.flags.writeable = False
    dx = layer.backward(dout)
    assert dx.shape == shape

    if not isinstance(layer, Dropout):
        close(layer.forward(np.asfortranarray(x)), out, 1e-14)
        close(layer.backward(np.asfortranarray(dout)), dx, 1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_parameters_and_input_is_kept(layer_and_shape, dtype):
    layer, shape = layer_and_shape
    for name in ("W", "b", "gamma", "beta"):
        if hasattr(layer, name):
            setattr(layer, name, getattr(layer, name).astype(dtype))
    out = layer.forward(naive.images(*shape).astype(dtype))
    assert out.dtype == dtype
    assert layer.backward(np.ones(out.shape, dtype)).dtype == dtype
    for name in ("dW", "db", "dgamma", "dbeta", "running_mean", "running_var"):
        if hasattr(layer, name):
            assert getattr(layer, name).dtype == dtype


def test_float32_images_meet_float64_parameters_in_float64():
    layer = Affine(numbers(4, 2), numbers(2))
    assert layer.forward(np.ones((3, 4), np.float32)).dtype == np.float64
    assert layer.forward(np.ones((3, 4), np.uint8)).dtype == np.float64
    assert layer.forward(np.ones((3, 4), np.float16)).dtype == np.float64


def test_backward_before_forward_says_so(layer_and_shape):
    layer, shape = layer_and_shape
    with pytest.raises(RuntimeError, match=type(layer).__name__):
        layer.backward(np.zeros(shape))


@pytest.mark.parametrize("layer", [Dropout(rng=0), BatchNormalization(np.ones(4), np.zeros(4))])
def test_backward_after_a_test_pass_says_so(layer):
    layer.forward(naive.images(3, 4), True)
    layer.forward(naive.images(3, 4), False)
    with pytest.raises(RuntimeError, match="training"):
        layer.backward(np.zeros((3, 4)))


def test_buying_apples():
    mul_apple, mul_tax = MulLayer(), MulLayer()
    price = mul_tax.forward(mul_apple.forward(100, 2), 1.1)
    dapple_price, dtax = mul_tax.backward(1)
    dapple, dapple_num = mul_apple.backward(dapple_price)
    assert price == pytest.approx(220)
    assert (dapple, dapple_num, dtax) == (pytest.approx(2.2), pytest.approx(110), 200)


def test_buying_apples_and_oranges():
    mul_apple, mul_orange, add, mul_tax = MulLayer(), MulLayer(), AddLayer(), MulLayer()
    price = mul_tax.forward(add.forward(mul_apple.forward(100, 2), mul_orange.forward(150, 3)), 1.1)
    dall, dtax = mul_tax.backward(1)
    dapple_price, dorange_price = add.backward(dall)
    dorange, dorange_num = mul_orange.backward(dorange_price)
    dapple, dapple_num = mul_apple.backward(dapple_price)
    assert price == pytest.approx(715)
    assert (dapple_num, dapple, dorange, dorange_num, dtax) == pytest.approx((110, 2.2, 3.3, 165, 650))
    with pytest.raises(RuntimeError, match="MulLayer"):
        MulLayer().backward(1)


def test_relu_lets_no_gradient_through_at_zero():
    layer = Relu()
    assert layer.mask is None
    assert layer.forward(np.array([[-1.0, 0.0, 2.0]])).tolist() == [[0, 0, 2]]
    assert layer.mask.tolist() == [[True, True, False]]
    dout = np.array([[5.0, 6.0, 7.0]])
    assert layer.backward(dout).tolist() == [[0, 0, 7]]
    assert dout.tolist() == [[5, 6, 7]]


def test_sigmoid():
    layer, x, dout = Sigmoid(), naive.images(3, 4), naive.images(3, 4, seed=1)
    y = 1 / (1 + np.exp(-x))
    close(layer.forward(x), y)
    close(layer.out, y)
    close(layer.backward(dout), dout * y * (1 - y))


def test_affine():
    W, b, x, dout = numbers(12, 5), numbers(5), numbers(4, 12, seed=1), numbers(4, 5, seed=2)
    layer = Affine(W, b)
    close(layer.forward(x), [[sum(x[n] * W[:, k]) + b[k] for k in range(5)] for n in range(4)])
    close(layer.backward(dout), [[sum(dout[n] * W[i]) for i in range(12)] for n in range(4)])
    close(layer.dW, [[sum(x[:, i] * dout[:, k]) for k in range(5)] for i in range(12)])
    close(layer.db, [sum(dout[:, k]) for k in range(5)])

    images = x.reshape(4, 3, 2, 2)
    close(layer.forward(x), layer.forward(images))
    assert layer.backward(dout).shape == images.shape


def test_affine_names_what_does_not_fit():
    with pytest.raises(ValueError, match=r"expects 12 inputs for each image, got x of shape \(4, 13\)"):
        Affine(numbers(12, 5), numbers(5)).forward(np.zeros((4, 13)))


def test_layers_read_the_parameters_that_optimizers_change_in_place():
    W, b = numbers(4, 2), numbers(2)
    layer, x = Affine(W, b), numbers(3, 4)
    W *= 2
    b += 1
    close(layer.forward(x), x @ W + b)
    layer.W = np.zeros((4, 2))
    close(layer.forward(x), np.tile(b, (3, 1)))


def test_softmax_with_loss():
    x, labels = 3 * naive.images(4, 5), np.array([1, 0, 4, 2])
    y, one_hot = naive.softmax(x), np.eye(5)[labels]
    layer = SoftmaxWithLoss()
    loss = layer.forward(x, labels)
    assert loss == pytest.approx(-np.mean(np.log(y[np.arange(4), labels] + 1e-7)), abs=1e-12)
    assert loss == layer.loss
    close(layer.y, y)
    assert layer.t is labels
    close(layer.backward(), (y - one_hot) / 4)
    close(layer.backward(2), (y - one_hot) / 2)

    assert layer.forward(x, one_hot) == pytest.approx(loss, abs=1e-12)
    close(layer.backward(1), (y - one_hot) / 4)
    assert layer.forward(x, labels[:, None]) == pytest.approx(loss, abs=1e-12)
    close(layer.backward(1), (y - one_hot) / 4)


def test_softmax_with_loss_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"\(N, K\)"):
        SoftmaxWithLoss().forward(np.zeros(3), np.array(1))
    with pytest.raises(ValueError, match=r"0\.\.2"):
        SoftmaxWithLoss().forward(np.zeros((1, 3)), np.array([3]))
    with pytest.raises(RuntimeError, match="SoftmaxWithLoss"):
        SoftmaxWithLoss().backward()


def test_dropout_scales_in_testing_not_in_training():
    """Kept: the book's dropout is not the inverted one."""
    x = np.full((200, 300), 2.0)
    layer = Dropout(0.3, rng=0)
    y = layer.forward(x)
    assert set(np.unique(y)) == {0.0, 2.0}
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(layer.backward(x), y)
    close(layer.forward(x, train_flg=False), 0.7 * x)


def test_dropout_takes_its_randomness_from_rng():
    x = np.ones((4, 50))
    first = Dropout(0.5, rng=7).forward(x)
    np.testing.assert_array_equal(Dropout(0.5, rng=np.random.default_rng(7)).forward(x), first)
    assert not np.array_equal(Dropout(0.5).forward(x), first)
    assert Dropout(0.0).forward(x).all()
    assert not Dropout(1.0).forward(x).any()
    with pytest.raises(ValueError, match="dropout_ratio"):
        Dropout(1.5)


@pytest.mark.parametrize("shape", [(6, 5), (4, 2, 3, 2)])
def test_batch_normalization_is_per_activation(shape):
    """Kept: a 4-D input has one mean for every (c, h, w), not for every channel."""
    x, dout = naive.images(*shape), naive.images(*shape, seed=1)
    width = x[0].size
    gamma, beta = numbers(width), numbers(width, seed=1)
    y, dx, dgamma, dbeta = naive.batch_norm(
        x.reshape(len(x), width), gamma, beta, dout.reshape(len(x), width)
    )
    layer = BatchNormalization(gamma, beta)
    close(layer.forward(x), y.reshape(shape))
    close(layer.backward(dout), dx.reshape(shape))
    close(layer.dgamma, dgamma)
    close(layer.dbeta, dbeta)


def test_batch_normalization_running_statistics():
    """Kept: momentum weighs the old value, both statistics start at zero, the variance is divided by N."""
    layer = BatchNormalization(np.ones(3), np.zeros(3), momentum=0.8)
    mean, var = np.zeros(3), np.zeros(3)
    for seed in range(3):
        x = naive.images(5, 3, seed=seed)
        layer.forward(x, train_flg=True)
        mean = 0.8 * mean + 0.2 * x.sum(axis=0) / 5
        var = 0.8 * var + 0.2 * ((x - x.sum(axis=0) / 5) ** 2).sum(axis=0) / 5
    close(layer.running_mean, mean)
    close(layer.running_var, var)
    close(layer.forward(x, train_flg=False), (x - mean) / np.sqrt(var + 1e-6))
    close(layer.running_mean, mean)


def test_batch_normalization_with_given_statistics():
    x = naive.images(2, 3)
    mean, var = np.array([1.0, 2.0, 3.0]), np.array([4.0, 9.0, 16.0])
    layer = BatchNormalization(np.full(3, 2.0), np.ones(3), running_mean=mean, running_var=var)
    close(layer.forward(x, False), 2 * (x - mean) / np.sqrt(var + 1e-6) + 1)
    layer.forward(x, True)
    assert mean.tolist() == [1, 2, 3]
    close(layer.running_mean, 0.9 * mean + 0.1 * x.mean(axis=0))


def test_batch_normalization_of_one_image_gives_beta():
    layer = BatchNormalization(np.full(4, 3.0), np.arange(4.0))
    close(layer.forward(naive.images(1, 4)), [[0, 1, 2, 3]])
    close(layer.backward(np.ones((1, 4))), np.zeros((1, 4)))


def test_batch_normalization_takes_numbers():
    x = naive.images(5, 3)
    expected = BatchNormalization(np.full(3, 2.0), np.ones(3)).forward(x)
    close(BatchNormalization(2.0, 1).forward(x), expected)


def test_batch_normalization_refuses_what_does_not_fit():
    layer = BatchNormalization(np.ones(3), np.zeros(3))
    for shape in [(5, 4), (0, 3), (3,)]:
        with pytest.raises(ValueError, match="gamma"):
            layer.forward(np.zeros(shape))
    assert layer.running_mean is None
    with pytest.raises(ValueError, match="both"):
        BatchNormalization(np.ones(3), np.zeros(3), running_mean=np.zeros(3))
    with pytest.raises(ValueError, match="momentum"):
        BatchNormalization(np.ones(3), np.zeros(3), momentum=1.5)


@pytest.mark.parametrize(("shape", "window", "stride", "pad"), WINDOWS)
def test_convolution(shape, window, stride, pad):
    x, W, b = naive.images(*shape), numbers(4, shape[1], *window), numbers(4)
    layer = Convolution(W, b, stride, pad)
    y = naive.convolution(x, W, b, stride, pad)
    close(layer.forward(x), y)
    dout = numbers(*y.shape)
    dx, dW, db = naive.convolution_backward(dout, x, W, stride, pad)
    close(layer.backward(dout), dx)
    close(layer.dW, dW)
    close(layer.db, db)


def test_convolution_takes_a_number_as_bias():
    """Chapter 7's apply_filter passes 0."""
    x, W = naive.images(1, 1, 6, 6), numbers(1, 1, 3, 3)
    close(Convolution(W, 0).forward(x), naive.convolution(x, W, [0], 1, 0))
    assert Convolution(W.astype("f4"), 0).forward(x.astype("f4")).dtype == np.float32


@pytest.mark.parametrize(("shape", "window", "stride", "pad"), WINDOWS)
def test_pooling(shape, window, stride, pad):
    """Fixed for L9: the book leaves pad out of the output size and fails where pad changes it."""
    x = naive.images(*shape)
    layer = Pooling(*window, stride, pad)
    dout = numbers(*naive.pooling(x, *window, stride, pad)[0].shape)
    y, dx = naive.pooling(x, *window, stride, pad, dout)
    close(layer.forward(x), y)
    close(layer.backward(dout), dx)


def test_pooling_pads_with_minus_infinity():
    """Fixed for L9: the book pads with 0, which wins over negative values."""
    layer = Pooling(2, 2, 2, 1)
    assert layer.forward(np.full((1, 1, 2, 2), -5.0)).tolist() == [[[[-5, -5], [-5, -5]]]]
    assert layer.backward(np.ones((1, 1, 2, 2))).tolist() == [[[[1, 1], [1, 1]]]]


def test_pooling_gives_the_gradient_to_the_first_maximum():
    layer = Pooling(2, 2)
    assert layer.stride == 2
    layer.forward(np.ones((1, 1, 4, 4)))
    assert layer.arg_max.tolist() == [[[[0, 2], [8, 10]]]]
    dx = layer.backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]))
    assert dx[0, 0].tolist() == [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(("shape", "window", "stride", "pad"), WINDOWS)
def test_average_pooling(shape, window, stride, pad):
    x = naive.images(*shape)
    layer = AveragePooling(*window, stride, pad)
    dout = numbers(*naive.average_pooling(x, *window, stride, pad)[0].shape)
    y, dx = naive.average_pooling(x, *window, stride, pad, dout)
    close(layer.forward(x), y)
    close(layer.backward(dout), dx)
