"""The oracle itself: the numpy twins against torch, the optimizer steps against torch.optim and the book."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from cases import CASES, FUNCTIONS, Case
from compare import assert_close, expect

from cnn_core import reference
from cnn_core.reference import adagrad_update, adam_update, rmsprop_update, sgd_update, velocity_update

WITHOUT_TWIN = {"dropout"}  # random: there is nothing to compare with
STEPS = 7


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in WITHOUT_TWIN], ids=str)
def test_equals_torch(case: Case, torch_twins: ModuleType) -> None:
    expected = torch_twins.compute(case.name, case.arguments())
    assert_close(case, np.float64, expect(case, np.float64), expected, slack=2)


def test_every_function_has_a_torch_twin(torch_twins: ModuleType) -> None:
    assert {row.name for row in FUNCTIONS} - WITHOUT_TWIN == set(torch_twins.TWINS)


def sgd(momentum: float, nesterov: bool, weight_decay: float) -> Callable:
    return lambda p, g, s, t: sgd_update(
        p, g, s[0] if momentum else None, 0.1, momentum, nesterov, weight_decay
    )


def adam(**options: object) -> Callable:
    return lambda p, g, s, t: adam_update(p, g, s[0], s[1], t, 0.01, 0.9, 0.99, 1e-8, **options)


OPTIMIZERS = [
    ("SGD", {"lr": 0.1}, sgd(0, False, 0)),
    ("SGD", {"lr": 0.1, "weight_decay": 0.2}, sgd(0, False, 0.2)),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2}, sgd(0.9, False, 0.2)),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.2}, sgd(0.9, True, 0.2)),
    ("Adagrad", {"lr": 0.1, "eps": 1e-7, "weight_decay": 0.2},
     lambda p, g, s, t: adagrad_update(p, g, s[0], 0.1, 1e-7, 0.2)),
    ("RMSprop", {"lr": 0.1, "alpha": 0.9, "eps": 1e-6, "weight_decay": 0.2},
     lambda p, g, s, t: rmsprop_update(p, g, s[0], 0.1, 0.9, 1e-6, 0.2)),
    ("Adam", {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": 0.2}, adam(weight_decay=0.2)),
    ("AdamW", {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": 0.2},
     adam(weight_decay=0.2, decoupled=True)),
]  # fmt: skip


def trajectory(update: Callable, dtype: type = np.float64) -> np.ndarray:
    """Take a few steps along fixed gradients; ``update(p, g, state, step)`` works in place."""
    rng = np.random.default_rng(5)
    p, state = rng.normal(size=6).astype(dtype), np.zeros((2, 6), dtype)
    for step in range(1, STEPS + 1):
        update(p, rng.normal(size=6).astype(dtype), state, step)
    return p


@pytest.mark.parametrize(("name", "options", "update"), OPTIMIZERS, ids=str)
def test_updates_equal_torch_optim(name: str, options: dict, update: Callable) -> None:
    torch = pytest.importorskip("torch", reason="torch, the second oracle, is not installed")

    def step_of_torch(p: np.ndarray, g: np.ndarray, state: np.ndarray, step: int) -> None:
        tensor.grad = torch.from_numpy(g)
        optimizer.step()
        p[...] = tensor.detach().numpy()

    tensor = torch.from_numpy(np.random.default_rng(5).normal(size=6)).requires_grad_()
    optimizer = getattr(torch.optim, name)([tensor], **options)
    np.testing.assert_allclose(trajectory(update), trajectory(step_of_torch), rtol=1e-13)


def book_momentum(p, g, s, t):
    s[0] = 0.9 * s[0] - 0.1 * g
    p += s[0]


def book_nesterov(p, g, s, t):
    p += 0.81 * s[0]
    p -= 1.9 * 0.1 * g
    s[0] = 0.9 * s[0] - 0.1 * g


def book_adam(p, g, s, t):
    s[0] += 0.1 * (g - s[0])
    s[1] += 0.01 * (g**2 - s[1])
    rate = 0.01 * np.sqrt(1 - 0.99**t) / (1 - 0.9**t)
    p -= rate * s[0] / (np.sqrt(s[1]) + 1e-3)


@pytest.mark.parametrize(
    ("book", "update"),
    [
        (book_momentum, sgd(0.9, False, 0)),
        (book_nesterov, sgd(0.9, True, 0)),
        (book_momentum, lambda p, g, s, t: velocity_update(p, g, s[0], 0.1, 0.9)),
        (book_nesterov, lambda p, g, s, t: velocity_update(p, g, s[0], 0.1, 0.9, nesterov=True)),
        (book_adam, lambda p, g, s, t: adam_update(p, g, *s, t, 0.01, 0.9, 0.99, 1e-3, eps_mode="book")),
    ],
)
def test_updates_equal_the_books_formulas(book: Callable, update: Callable) -> None:
    np.testing.assert_allclose(trajectory(update), trajectory(book), rtol=1e-13)


def test_updates_keep_the_dtype_and_the_array() -> None:
    single = trajectory(sgd(0.9, True, 0.1), np.float32)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, trajectory(sgd(0.9, True, 0.1)), rtol=1e-5)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_scales_what_it_keeps(p: float) -> None:
    x = np.random.default_rng(0).normal(size=(100, 100))
    y, mask = reference.dropout(x, p, rng=1, return_mask=True)
    assert abs(mask.mean() - (1 - p)) < 5 * np.sqrt(p * (1 - p) / x.size) + 1e-12
    np.testing.assert_array_equal(y, np.where(mask, x / (1 - p) if p < 1 else 0, 0))
    np.testing.assert_array_equal(reference.dropout(x, p, training=False), x)
