"""Every layer, loss, optimizer and schedule of the table computes what its row says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from object_cases import (
    LAYERS,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    LayerRow,
    LossRow,
    OptimizerRow,
    ScheduleRow,
)

from cnn_core import optim
from cnn_core.gradcheck import check_function, check_layer, tie_free

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
LAYER_ROWS = pytest.mark.parametrize("row", LAYERS, ids=str)
STEPS = 6


def tolerance(dtype: Any) -> dict[str, float]:
    """Some hundred roundings of numbers around one: these are short sums; the functions have exact bounds."""
    return {"rtol": 300 * np.finfo(dtype).eps, "atol": 300 * np.finfo(dtype).eps}


@LAYER_ROWS
@pytest.mark.parametrize("training", [False, True])
@DTYPES
def test_layer_gives_what_the_reference_gives(row: LayerRow, training: bool, dtype: Any) -> None:
    layer, x = row.make(dtype), tie_free(row.x_shape).astype(dtype)
    expected = row.expected(layer, x, training)
    y = layer.forward(x, training)
    assert y.dtype == dtype
    assert y.shape == layer.output_shape(x.shape)
    if expected is not None:
        np.testing.assert_allclose(y, expected, **tolerance(dtype))


@LAYER_ROWS
def test_layer_gradients(row: LayerRow) -> None:
    report = check_layer(row.make(np.float64), tie_free(row.x_shape)).assert_ok()
    assert report.skipped == 0


class WithSignError:
    """A layer whose backward has the sign of one gradient wrong."""

    def __init__(self, layer: Any, wrong: str) -> None:
        self.layer, self.wrong = layer, wrong
        self.params, self.grads = layer.params, layer.grads

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.layer.forward(x, training)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        dx = self.layer.backward(dy)
        if self.wrong == "x":
            return -dx
        self.grads[self.wrong] *= -1
        return dx


@LAYER_ROWS
def test_a_sign_error_planted_in_a_layer_is_found(row: LayerRow) -> None:
    layer = row.make(np.float64)
    for name in ("x", *layer.params):
        report = check_layer(WithSignError(layer, name), tie_free(row.x_shape))
        assert [array.name for array in report.arrays if array.problem] == [name]


@LAYER_ROWS
def test_layer_gives_the_same_bits_with_any_number_of_threads(row: LayerRow, threads: Callable) -> None:
    def run() -> list[bytes]:
        layer, x = row.make(np.float32), tie_free(row.x_shape).astype(np.float32)
        y = layer.forward(x, training=True)
        dx = layer.backward(np.ones_like(y))
        return [array.tobytes() for array in (y, dx, *layer.grads.values())]

    threads(1)
    alone = run()
    for n in (2, 3):
        threads(n)
        assert run() == alone


@pytest.mark.parametrize("row", LOSSES, ids=str)
@DTYPES
def test_loss_gives_what_the_reference_gives(row: LossRow, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    y, t = rng.normal(size=row.y_shape).astype(dtype), row.target(rng, dtype)
    value = row.make().forward(y, t)
    assert isinstance(value, float)
    np.testing.assert_allclose(value, row.expected(y, t), **tolerance(dtype))


@pytest.mark.parametrize("row", LOSSES, ids=str)
def test_loss_gradients(row: LossRow) -> None:
    rng = np.random.default_rng(0)
    y, t = rng.normal(size=row.y_shape), row.target(rng, np.float64)

    def backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        loss = row.make()
        loss.forward(y, t)
        return dy * loss.backward()

    check_function(lambda y: row.make().forward(y, t), backward, [y]).assert_ok()


SHAPES = {"weight": (3, 2, 3, 3), "bias": (3,), "scalar": (), "empty": (0, 2), "long": (40_000,)}


def trajectory(update: Callable[[dict, dict, int], None], dtype: Any) -> dict[str, np.ndarray]:
    """Take a few steps along fixed gradients with ``update(params, grads, step)``, from fixed values."""
    rng = np.random.default_rng(5)
    params = {key: np.asarray(rng.normal(size=shape)).astype(dtype) for key, shape in SHAPES.items()}
    for step in range(1, STEPS + 1):
        grads = {key: np.asarray(rng.normal(size=shape)).astype(dtype) for key, shape in SHAPES.items()}
        before = {key: grad.copy() for key, grad in grads.items()}
        update(params, grads, step)
        for key, grad in before.items():
            np.testing.assert_array_equal(grads[key], grad, err_msg="a gradient was written to")
    return params


def by_optimizer(row: OptimizerRow) -> Callable:
    optimizer = getattr(optim, row.name)(**row.options)
    return lambda params, grads, step: optimizer.update(params, grads)


def by_reference(row: OptimizerRow, dtype: Any) -> Callable:
    state = {key: (np.zeros(shape, dtype), np.zeros(shape, dtype)) for key, shape in SHAPES.items()}

    def update(params: dict, grads: dict, step: int) -> None:
        for key, p in params.items():
            row.update(p, grads[key], state[key], step)

    return update


@pytest.mark.parametrize("row", OPTIMIZERS, ids=str)
@DTYPES
def test_optimizer_takes_the_steps_of_the_reference(row: OptimizerRow, dtype: Any) -> None:
    got = trajectory(by_optimizer(row), dtype)
    expected = trajectory(by_reference(row, np.float64), np.float64)
    for key in SHAPES:
        assert got[key].dtype == dtype
        np.testing.assert_allclose(got[key], expected[key], **tolerance(dtype), err_msg=key)


@pytest.mark.parametrize("row", OPTIMIZERS, ids=str)
def test_optimizer_takes_the_steps_of_torch(row: OptimizerRow) -> None:
    torch = pytest.importorskip("torch", reason="torch, the second oracle, is not installed")
    tensors: dict[str, Any] = {}

    def update(params: dict, grads: dict, step: int) -> None:
        if not tensors:
            tensors.update({key: torch.tensor(p).requires_grad_() for key, p in params.items()})
            options = {**row.options, **row.torch_options}
            tensors["optimizer"] = getattr(torch.optim, row.torch_name)(list(tensors.values()), **options)
        for key in params:
            tensors[key].grad = torch.tensor(grads[key])
        tensors["optimizer"].step()
        for key, p in params.items():
            p[...] = tensors[key].detach().numpy()

    expected = trajectory(update, np.float64)
    got = trajectory(by_optimizer(row), np.float64)
    for key in SHAPES:
        np.testing.assert_allclose(got[key], expected[key], **tolerance(np.float64), err_msg=key)


@pytest.mark.parametrize("row", OPTIMIZERS, ids=str)
def test_optimizer_gives_the_same_bits_with_any_number_of_threads(
    row: OptimizerRow, threads: Callable
) -> None:
    threads(1)
    alone = trajectory(by_optimizer(row), np.float32)
    for n in (2, 3):
        threads(n)
        for key, value in trajectory(by_optimizer(row), np.float32).items():
            assert value.tobytes() == alone[key].tobytes()


@pytest.mark.parametrize("row", SCHEDULES, ids=str)
def test_schedule_follows_its_formula(row: ScheduleRow) -> None:
    schedule = row.make()
    for step in range(15):
        assert schedule(step) == pytest.approx(row.rate(step), rel=1e-12)
    copy = row.make()
    copy.load_state_dict(schedule.state_dict())
    assert [copy(step) for step in range(15)] == [schedule(step) for step in range(15)]
