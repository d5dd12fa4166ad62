"""Losses and dropout where the table of cases cannot go: extremes, every option beside torch, masks."""

import itertools

import numpy as np
import pytest

from cnn_core._threads import get_num_threads, set_num_threads
from cnn_core.functional.classification import (
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_with_grad,
)
from cnn_core.functional.loss import bce_with_logits, bce_with_logits_backward, mse_loss, mse_loss_backward
from cnn_core.functional.masking import dropout, dropout_backward

DTYPES = [np.float32, np.float64]
REDUCTIONS = ["mean", "sum", "none"]


@pytest.fixture
def threads():
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)


def close(got, expected, dtype):
    rtol = 2e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol / 10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(40, 10), (3, 5, 6, 7), (1, 1), (2, 3, 20), (19, 45)])
@pytest.mark.parametrize("kind", ["labels", "ignored", "probabilities"])
def test_cross_entropy_equals_torch(dtype, shape, kind):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    classes, samples = shape[1], shape[:1] + shape[2:]
    x = rng.normal(size=shape).astype(dtype) * 3
    if kind == "probabilities":
        target = rng.random(shape).astype(dtype)
    else:
        target = np.asarray(rng.integers(0, classes, samples))
        if kind == "ignored":
            target = np.where(rng.random(samples) < 0.3, -100, target)
            target.flat[0] = 0
    weights = [None, rng.random(classes).astype(dtype) + 0.1]
    for weight, reduction, smoothing in itertools.product(weights, REDUCTIONS, [0.0, 0.1, 1.0]):
        options = {"reduction": reduction, "label_smoothing": smoothing}
        tx = torch.tensor(x, requires_grad=True)
        tw = None if weight is None else torch.tensor(weight)
        expected = torch.nn.functional.cross_entropy(tx, torch.tensor(target), tw, **options)
        expected.sum().backward()
        close(cross_entropy(x, target, weight, **options), expected.detach(), dtype)
        close(cross_entropy_backward(x, target, weight, **options), tx.grad, dtype)
        loss, dx = cross_entropy_with_grad(x, target, weight, **options)
        np.testing.assert_array_equal(loss, cross_entropy(x, target, weight, **options))
        np.testing.assert_array_equal(dx, cross_entropy_backward(x, target, weight, **options))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("more_classes", [0, 40])
def test_cross_entropy_of_extreme_scores(dtype, more_classes):
    x = np.array([[1e30, 0, -1e30], [-800, 800, 0], [5, -np.inf, 5]], dtype)
    x = np.pad(x, [(0, 0), (0, more_classes)], constant_values=-np.inf)
    t = np.array([0, 0, 2])
    with np.errstate(all="raise"):
        losses = cross_entropy(x, t, reduction="none")
        dx = cross_entropy_backward(x, t, reduction="sum")
    np.testing.assert_allclose(losses, [0, 1600, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(dx[:, :3], [[0, 0, 0], [-1, 1, 0], [0.5, 0, -0.5]], atol=1e-6)
    assert not dx[:, 3:].any()


def test_cross_entropy_of_sure_scores_loses_no_digits():
    x = np.array([[40.0, 0.0]])
    assert cross_entropy(x, np.array([0])) == pytest.approx(np.log1p(np.exp(-40.0)), abs=1e-16)


def test_one_hot_is_the_same_as_labels():
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(33, 10)), rng.integers(0, 10, 33)
    one_hot = np.eye(10)[t]
    assert cross_entropy(x, one_hot) == cross_entropy(x, t)
    np.testing.assert_array_equal(cross_entropy_backward(x, one_hot), cross_entropy_backward(x, t))


def test_ignored_samples_count_for_nothing_even_if_they_are_nan():
    x = np.array([[1.0, 2.0], [np.nan, np.inf]])
    loss, dx = cross_entropy_with_grad(x, np.array([0, 7]), ignore_index=7)
    assert loss == cross_entropy(x[:1], np.array([0]))
    np.testing.assert_array_equal(dx[1], 0)


@pytest.mark.parametrize("t", [np.full(3, -100), np.zeros(0, np.int64)])
def test_the_mean_of_nothing_is_nan_and_the_sum_zero(t):
    x = np.zeros((len(t), 4), np.float32)
    assert np.isnan(cross_entropy(x, t))
    assert cross_entropy(x, t, reduction="sum") == 0
    assert cross_entropy_backward(x, t, reduction="sum").shape == x.shape


def test_dloss_scales_the_gradient():
    rng = np.random.default_rng(2)
    x, t, dloss = rng.normal(size=(4, 3, 2)), rng.integers(0, 3, (4, 2)), rng.normal(size=(4, 2))
    plain = cross_entropy_backward(x, t, reduction="none")
    np.testing.assert_allclose(
        cross_entropy_backward(x, t, reduction="none", dloss=dloss), plain * dloss[:, None]
    )
    np.testing.assert_allclose(cross_entropy_backward(x, t, dloss=2.0), 2 * cross_entropy_backward(x, t))
    with pytest.raises(ValueError, match="dloss: expects a number with reduction 'mean'"):
        cross_entropy_backward(x, t, dloss=dloss)


def test_a_million_float32_losses_keep_their_digits():
    x = np.full(3_000_001, 0.1, np.float32)
    assert mse_loss(x, np.zeros_like(x)) == pytest.approx(float(np.float32(0.1)) ** 2, rel=1e-7)
    assert mse_loss(x, np.zeros_like(x), "sum") == pytest.approx(
        float(np.float32(0.1)) ** 2 * x.size, rel=1e-7
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(0, 3), (1,), (3, 5), (5000,)])
def test_mse_and_bce_equal_torch(dtype, reduction, shape):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    rng = np.random.default_rng(3)
    x, t = (rng.normal(size=shape) * 4).astype(dtype), rng.random(shape).astype(dtype)
    weight, pos = rng.random(shape[-1:]).astype(dtype), rng.random(shape[-1:]).astype(dtype) * 3

    def torch_result(f, **arrays):
        tx = torch.tensor(x, requires_grad=True)
        loss = f(tx, torch.tensor(t), reduction=reduction, **{k: torch.tensor(v) for k, v in arrays.items()})
        loss.sum().backward()
        return loss.detach(), tx.grad

    loss, grad = torch_result(functional.mse_loss)
    close(mse_loss(x, t, reduction), loss, dtype)
    close(mse_loss_backward(x, t, reduction), grad, dtype)
    for options in ({}, {"weight": weight}, {"pos_weight": pos}, {"weight": weight, "pos_weight": pos}):
        loss, grad = torch_result(functional.binary_cross_entropy_with_logits, **options)
        close(bce_with_logits(x, t, reduction=reduction, **options), loss, dtype)
        close(bce_with_logits_backward(x, t, reduction=reduction, **options), grad, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bce_of_extreme_scores(dtype):
    x = np.array([-1e4, 1e4, -1e4, 1e4, -60], dtype)
    t = np.array([0, 1, 1, 0, 0], dtype)
    with np.errstate(all="raise"):
        losses = bce_with_logits(x, t, reduction="none")
        dx = bce_with_logits_backward(x, t, reduction="sum")
    np.testing.assert_allclose(losses, [0, 0, 1e4, 1e4, np.exp(-60.0)], rtol=1e-5)
    np.testing.assert_allclose(dx, [0, 0, -1, 1, np.exp(-60.0)], rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_do_not_matter(dtype, threads):
    rng = np.random.default_rng(4)
    x, t = rng.normal(size=(1111, 10, 7)).astype(dtype), rng.integers(0, 10, (1111, 7))
    y = rng.random(x.shape).astype(dtype)

    def everything():
        loss, dx = cross_entropy_with_grad(x, t, label_smoothing=0.1)
        dropped, mask = dropout(x, 0.3, rng=5, return_mask=True)
        arrays = (dx, mse_loss_backward(x, y), bce_with_logits_backward(x, y), dropped, mask)
        return loss, mse_loss(x, y), bce_with_logits(x, y), *(a.tobytes() for a in arrays)

    results = set()
    for n in (1, 2, 3):
        threads(n)
        results.add(everything())
    assert len(results) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_keeps_the_mean_and_its_mask_says_what_was_kept(dtype, p):
    x = np.ones((100, 300), dtype)
    y, mask = dropout(x, p, rng=0, return_mask=True)
    assert mask.dtype == bool
    np.testing.assert_array_equal(y, mask * dtype(1 / (1 - p) if p < 1 else 0))
    assert mask.mean() == pytest.approx(1 - p, abs=0.01)
    np.testing.assert_array_equal(dropout_backward(x, mask, p), y)
    np.testing.assert_array_equal(dropout_backward(x, mask.view(np.uint8), p), y)
    np.testing.assert_array_equal(dropout(x, p, rng=np.random.default_rng(0)), y)


def test_dropout_outside_training_is_a_copy():
    x = np.arange(6, dtype=np.float32)
    y = dropout(x, 0.5, training=False)
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(x, y)


def test_arguments_are_checked():
    x, t = np.zeros((2, 3), np.float32), np.array([0, 1])
    with pytest.raises(ValueError, match=r"cross_entropy: target: label 3 at \(1,\) is not in 0 ... 2"):
        cross_entropy(x, np.array([0, 3]))
    with pytest.raises(TypeError, match="expects integer class labels, got float64"):
        cross_entropy(x, np.array([0.0, 1.0]))
    with pytest.raises(TypeError, match="target: expects float32"):
        cross_entropy(x, np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"weight: expects shape \(3,\)"):
        cross_entropy(x, t, np.ones(2, np.float32))
    with pytest.raises(ValueError, match="expects one of 'mean', 'sum', 'none', got 'average'"):
        cross_entropy(x, t, reduction="average")
    with pytest.raises(ValueError, match="label_smoothing"):
        cross_entropy(x, t, label_smoothing=1.5)
    with pytest.raises(ValueError, match="at least one class"):
        cross_entropy(np.zeros((2, 0)), t)
    with pytest.raises(ValueError, match="target: expects shape"):
        mse_loss(x, x[:1])
    with pytest.raises(ValueError, match="does not broadcast"):
        bce_with_logits(x, x, np.ones(2, np.float32))
    with pytest.raises(ValueError, match="dropout: p: expects a number >= 0 and <= 1"):
        dropout(x, 1.5)
    with pytest.raises(TypeError, match="rng"):
        dropout(x, rng="seed")
    with pytest.raises(TypeError, match="mask: expects an array of bool or uint8, got float32"):
        dropout_backward(x, x, 0.5)
