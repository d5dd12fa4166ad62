"""Accuracy, top-k, per-class accuracy and the confusion matrix, against slow and obvious ones."""

import math

import numpy as np
import pytest

from cnn_core.training import accuracy, confusion_matrix, per_class_accuracy, top_k_accuracy
from cnn_core.training.metrics import Tally, are_classes

METRICS = [accuracy, top_k_accuracy, per_class_accuracy, confusion_matrix]


def example(n=40, classes=7, seed=0, ties=True):
    rng = np.random.default_rng(seed)
    logits = rng.integers(0, 4, (n, classes)).astype(np.float32) if ties else rng.random((n, classes))
    return logits, rng.integers(0, classes, n)


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_loops(seed):
    logits, labels = example(seed=seed)
    predicted = [max(range(7), key=lambda j: row[j]) for row in logits]
    confusion = np.zeros((7, 7), int)
    for i, j in zip(labels, predicted, strict=True):
        confusion[i, j] += 1
    np.testing.assert_array_equal(confusion_matrix(logits, labels), confusion)
    right = [i == j for i, j in zip(labels, predicted, strict=True)]
    assert accuracy(logits, labels) == sum(right) / 40
    for k in range(1, 9):
        ranked = [sorted(range(7), key=lambda j: (-row[j], j))[:k] for row in logits]
        assert top_k_accuracy(logits, labels, k) == sum(map(list.__contains__, ranked, labels)) / 40
    for i, share in enumerate(per_class_accuracy(logits, labels)):
        assert share == np.mean([r for r, label in zip(right, labels, strict=True) if label == i])


@pytest.mark.parametrize("seed", range(3))
def test_top_1_is_accuracy_and_top_all_is_1(seed):
    logits, labels = example(seed=seed)
    logits[::7, 2] = np.nan
    logits[::5] = np.nan
    assert top_k_accuracy(logits, labels, 1) == accuracy(logits, labels)
    assert top_k_accuracy(logits, labels, 7) == 1
    assert top_k_accuracy(logits, labels, 100) == 1


def test_top_k_equals_torch():
    torch = pytest.importorskip("torch")
    logits, labels = example(200, ties=False)
    top = torch.topk(torch.from_numpy(logits), 3).indices.numpy()
    assert top_k_accuracy(logits, labels, 3) == (top == labels[:, None]).any(1).mean()


def test_one_hot_labels_mean_the_same():
    logits, labels = example()
    for one_hot in (np.eye(7)[labels], np.eye(7, dtype=np.float32)[labels], np.eye(7, dtype=int)[labels]):
        for metric in METRICS:
            np.testing.assert_array_equal(metric(logits, one_hot), metric(logits, labels))


def test_a_class_for_each_pixel():
    rng = np.random.default_rng(0)
    logits, labels = rng.random((3, 7, 4, 5)), rng.integers(0, 7, (3, 4, 5))
    rows = logits.transpose(0, 2, 3, 1).reshape(-1, 7)
    for metric in METRICS:
        np.testing.assert_array_equal(metric(logits, labels), metric(rows, labels.ravel()))


def test_ignored_labels_do_not_count():
    logits, labels = example()
    expected = [metric(logits[5:], labels[5:]) for metric in METRICS]
    for ignored, options in ((-100, {}), (255, {"ignore_index": 255})):
        labels[:5] = ignored
        for metric, value in zip(METRICS, expected, strict=True):
            np.testing.assert_array_equal(metric(logits, labels, **options), value)


def test_absent_classes_are_nan():
    shares = per_class_accuracy(np.eye(4)[[0, 1, 2]], np.array([0, 0, 2]))
    np.testing.assert_array_equal(shares, [0.5, np.nan, 1, np.nan])


def test_nothing_is_nan():
    logits, labels = np.zeros((0, 3)), np.zeros(0, int)
    assert math.isnan(accuracy(logits, labels))
    assert math.isnan(top_k_accuracy(logits, labels))
    assert confusion_matrix(logits, labels).tolist() == [[0] * 3] * 3
    assert np.isnan(per_class_accuracy(logits, labels)).all()


def test_inputs_may_be_read_only_and_strided_and_stay_as_they_are():
    logits, labels = example()
    for array in (logits, labels):
        array.flags.writeable = False
    before = logits.copy(), labels.copy()
    for metric in METRICS:
        np.testing.assert_array_equal(
            metric(np.asfortranarray(logits)[::2], labels[::2].astype(np.uint8)),
            metric(logits[::2].copy(), labels[::2].copy()),
        )
    np.testing.assert_array_equal(logits, before[0])
    np.testing.assert_array_equal(labels, before[1])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (np.array([0, 1, 7]), ValueError, "label 7"),
        (np.array([0, -1, 1]), ValueError, "label -1"),
        (np.array([0, 1]), ValueError, "shape"),
        (np.array([0.0, 1.0, 2.0]), TypeError, "integer class labels"),
        (np.zeros((3, 1), int), ValueError, "shape"),
    ],
)
def test_labels_that_do_not_fit_are_refused(metric, labels, error, message):
    with pytest.raises(error, match=message):
        metric(np.zeros((3, 7)), labels)


@pytest.mark.parametrize("logits", [np.zeros(3), np.array([["a"]] * 3), np.zeros(())])
def test_logits_that_are_none_are_refused(logits):
    with pytest.raises(ValueError, match="logits: expect numbers"):
        accuracy(logits, np.zeros(3, int))


@pytest.mark.parametrize(("k", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_k_must_be_positive(k, error):
    with pytest.raises(error, match="k: expects an integer"):
        top_k_accuracy(np.zeros((3, 7)), np.zeros(3, int), k)


def test_what_targets_are_classes():
    assert are_classes(np.zeros(3, int))
    assert are_classes(np.zeros(3, np.uint8))
    assert are_classes(np.eye(3))
    assert are_classes(np.full((5, 4), 0.25, np.float32))
    assert not are_classes(np.zeros(3))
    assert not are_classes(np.ones((3, 1)))
    assert not are_classes(np.random.default_rng(0).random((5, 4)))
    assert not are_classes(np.array([[2.0, -1.0]]))


def test_a_tally_weighs_batches_by_their_size():
    tally = Tally()
    assert math.isnan(tally.loss)
    assert tally.accuracy is None
    tally.add(1.0, 10, 3, 10)
    tally.add(4.0, 5, 5, 5)
    assert tally.loss == 2.0
    assert tally.accuracy == 8 / 15
