"""Losses against their definitions, against finite differences, and what they refuse."""

import inspect
import pickle

import numpy as np
import pytest

from cnn_core import losses
from cnn_core.losses import BCEWithLogitsLoss, CrossEntropyLoss, Loss, MSELoss

rng = np.random.default_rng(0)
LOGITS = rng.standard_normal((6, 4))
LABELS = rng.integers(0, 4, 6)
ONE_HOT = np.eye(4)[LABELS]
IMAGE = rng.standard_normal((2, 3, 2, 5))
IMAGE_LABELS = rng.integers(0, 3, (2, 2, 5))

# name: (loss, output, target, the value by definition)
LOG_P = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
LOG_S, LOG_1_S = -np.log1p(np.exp(-LOGITS)), -np.log1p(np.exp(LOGITS))
WEIGHT = np.array([1.0, 2.0, 0.5, 3.0])
PICKED = -LOG_P[np.arange(6), LABELS]
CASES = {
    "CrossEntropyLoss": (CrossEntropyLoss(), LOGITS, LABELS, PICKED.mean()),
    "CrossEntropyLoss-one-hot": (CrossEntropyLoss(), LOGITS, ONE_HOT, PICKED.mean()),
    "CrossEntropyLoss-sum": (CrossEntropyLoss(reduction="sum"), LOGITS, LABELS, PICKED.sum()),
    "CrossEntropyLoss-none": (CrossEntropyLoss(reduction="none"), LOGITS, LABELS, PICKED),
    "CrossEntropyLoss-weight": (
        CrossEntropyLoss(WEIGHT),
        LOGITS,
        LABELS,
        (WEIGHT[LABELS] * PICKED).sum() / WEIGHT[LABELS].sum(),
    ),
    "CrossEntropyLoss-ignore": (
        CrossEntropyLoss(ignore_index=int(LABELS[0])),
        LOGITS,
        LABELS,
        PICKED[LABELS[0] != LABELS].mean(),
    ),
    "CrossEntropyLoss-smooth": (
        CrossEntropyLoss(label_smoothing=0.2),
        LOGITS,
        LABELS,
        -((0.8 * ONE_HOT + 0.05) * LOG_P).sum(axis=1).mean(),
    ),
    "CrossEntropyLoss-image": (
        CrossEntropyLoss(),
        IMAGE,
        IMAGE_LABELS,
        np.mean(
            np.log(np.exp(IMAGE).sum(axis=1))
            - np.take_along_axis(IMAGE, IMAGE_LABELS[:, np.newaxis], axis=1)[:, 0]
        ),
    ),
    "MSELoss": (MSELoss(), LOGITS, ONE_HOT, np.mean((LOGITS - ONE_HOT) ** 2)),
    "MSELoss-none": (MSELoss("none"), LOGITS, ONE_HOT, (LOGITS - ONE_HOT) ** 2),
    "BCEWithLogitsLoss": (
        BCEWithLogitsLoss(),
        LOGITS,
        ONE_HOT,
        -np.mean(ONE_HOT * LOG_S + (1 - ONE_HOT) * LOG_1_S),
    ),
    "BCEWithLogitsLoss-weights": (
        BCEWithLogitsLoss(WEIGHT, reduction="sum", pos_weight=[2, 1, 1, 3]),
        LOGITS,
        ONE_HOT,
        -np.sum(WEIGHT * (np.array([2, 1, 1, 3]) * ONE_HOT * LOG_S + (1 - ONE_HOT) * LOG_1_S)),
    ),
}

all_losses = pytest.mark.parametrize("name", CASES)


def test_every_public_loss_has_a_row():
    public = set(losses.__all__) - {"Loss"}
    assert public == {name.split("-")[0] for name in CASES}


@all_losses
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_value_is_that_of_the_definition(name, dtype):
    criterion, y, target, expected = CASES[name]
    y = y.astype(dtype)
    target = target.astype(dtype) if target.dtype.kind == "f" else target
    loss = criterion.forward(y, target)
    np.testing.assert_allclose(loss, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)
    assert isinstance(loss, float) or criterion.reduction == "none"
    np.testing.assert_array_equal(criterion(y, target), loss)
    dy = criterion.backward()
    assert dy.shape == y.shape
    assert dy.dtype == dtype


@all_losses
def test_gradient_agrees_with_central_differences(name):
    criterion, y, target, _ = CASES[name]
    criterion(y, target)
    dy = criterion.backward()
    direction = np.random.default_rng(1).standard_normal(y.shape)
    step = 1e-5
    upper, lower = (np.sum(criterion(y + sign * step * direction, target)) for sign in (1, -1))
    np.testing.assert_allclose(np.sum(dy * direction), (upper - lower) / (2 * step), rtol=1e-7)


@all_losses
def test_inputs_stay_as_they_are(name):
    criterion, y, target, _ = CASES[name]
    copies = y.copy(), target.copy()
    criterion(y, target)
    criterion.backward()
    np.testing.assert_array_equal(y, copies[0])
    np.testing.assert_array_equal(target, copies[1])


@all_losses
def test_backward_needs_forward(name):
    criterion, y, target, expected = CASES[name]
    criterion(y, target)
    fresh = pickle.loads(pickle.dumps(criterion))
    assert repr(fresh) == repr(criterion)
    with pytest.raises(RuntimeError, match=type(criterion).__name__ + ": backward needs a forward"):
        fresh.backward()
    np.testing.assert_allclose(fresh(y, target), expected)


@all_losses
def test_repr_names_every_argument(name):
    criterion = CASES[name][0]
    for argument in inspect.signature(type(criterion)).parameters:
        assert f"{argument}=" in repr(criterion)


@pytest.mark.parametrize(
    "build",
    [
        lambda: CrossEntropyLoss(reduction="average"),
        lambda: CrossEntropyLoss(label_smoothing=1.5),
        lambda: CrossEntropyLoss(label_smoothing=float("nan")),
        lambda: CrossEntropyLoss([1, -1]),
        lambda: CrossEntropyLoss([1, np.nan]),
        lambda: MSELoss("max"),
        lambda: BCEWithLogitsLoss(pos_weight=[-1.0]),
    ],
)
def test_bad_arguments_are_refused_in_the_constructor(build):
    with pytest.raises(ValueError, match=r"Loss: "):
        build()


def test_bad_targets_are_refused():
    with pytest.raises(ValueError, match="4"):
        CrossEntropyLoss()(LOGITS, np.full(6, 4))
    with pytest.raises(ValueError, match=r"\(5,\)"):
        CrossEntropyLoss()(LOGITS, LABELS[:5])
    with pytest.raises(ValueError, match=r"\(3,\)"):
        CrossEntropyLoss([1, 2, 3])(LOGITS, LABELS)
    with pytest.raises(TypeError):
        CrossEntropyLoss()(LOGITS.astype(int), LABELS)
    with pytest.raises(TypeError):
        CrossEntropyLoss(WEIGHT)(LOGITS.tolist(), LABELS)
    with pytest.raises(ValueError, match=r"\(6, 3\)"):
        MSELoss()(LOGITS, ONE_HOT[:, :3])
    with pytest.raises(ValueError, match=r"\(6, 3\)"):
        BCEWithLogitsLoss()(LOGITS, ONE_HOT[:, :3])


def test_a_failed_forward_keeps_no_gradient_of_another_batch():
    criterion = CrossEntropyLoss()
    criterion(LOGITS, LABELS)
    with pytest.raises(ValueError, match=r"."):
        criterion(LOGITS, LABELS[:5])
    with pytest.raises(RuntimeError):
        criterion.backward()


def test_the_base_class_says_what_to_define():
    with pytest.raises(NotImplementedError, match="Loss must define forward"):
        Loss()(LOGITS, LABELS)
