"""Learning-rate schedules and gradient clipping, against formulas and against torch."""

import json
import math

import numpy as np
import pytest

from cnn_core.optim import schedules
from cnn_core.optim.clip import clip_grad_norm
from cnn_core.optim.schedules import (
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    OneCycle,
    PerEpoch,
    Plateau,
    Schedule,
    Step,
    WarmUp,
)

# One row per schedule: an instance, and what torch.optim.lr_scheduler has for it.
CASES = {
    "Constant": (Constant(0.1), lambda t, o: t.ConstantLR(o, factor=1.0)),
    "Step": (Step(0.1, 7, 0.5), lambda t, o: t.StepLR(o, 7, 0.5)),
    "MultiStep": (MultiStep(0.1, [3, 4, 20], 0.3), lambda t, o: t.MultiStepLR(o, [3, 4, 20], 0.3)),
    "Exponential": (Exponential(0.1, 0.9), lambda t, o: t.ExponentialLR(o, 0.9)),
    "Cosine": (Cosine(0.1, 40, 0.01), lambda t, o: t.CosineAnnealingLR(o, 40, 0.01)),
    "OneCycle": (
        OneCycle(0.1, 40, 0.35, 20.0, 500.0),
        lambda t, o: t.OneCycleLR(o, 0.1, 40, pct_start=0.35, div_factor=20, final_div_factor=500),
    ),
    "WarmUp": (
        WarmUp(Cosine(0.1, 30), 10, 0.2),
        lambda t, o: t.SequentialLR(o, [t.LinearLR(o, 0.2, 1.0, 10), t.CosineAnnealingLR(o, 30)], [10]),
    ),
    "PerEpoch": (PerEpoch(Exponential(0.1, 0.5), 4), lambda t, o: t.LambdaLR(o, lambda s: 0.5 ** (s // 4))),
    "Plateau": (Plateau(0.1), None),
}


@pytest.fixture(params=sorted(CASES))
def case(request):
    return CASES[request.param]


def test_every_schedule_has_a_row():
    assert set(CASES) == set(schedules.__all__) - {"Schedule"}


@pytest.mark.filterwarnings("ignore")  # SequentialLR steps its parts in a way that torch itself deprecates
def test_equal_to_torch(case):
    torch = pytest.importorskip("torch")
    schedule, build = case
    if build is None:
        pytest.skip("has a test of its own")
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    theirs = build(torch.optim.lr_scheduler, optimizer)
    for step in range(40):
        assert schedule(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9), step
        optimizer.step()
        if step < 39:
            theirs.step()


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("seed", range(5))
def test_plateau_equals_torch(mode, seed):
    torch = pytest.importorskip("torch")
    options = {"factor": 0.5, "patience": 2, "threshold": 0.05, "cooldown": 3, "min_lr": 1e-4}
    schedule = Plateau(0.1, mode=mode, **options)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode, **options)
    for metric in np.random.default_rng(seed).random(80) + 1:
        schedule.observe(metric)
        theirs.step(metric)
        assert schedule(0) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert schedule(0) < 0.01


def test_values_by_hand():
    assert [Step(1.0, 2, 0.5)(t) for t in range(5)] == [1, 1, 0.5, 0.5, 0.25]
    assert [MultiStep(1.0, [1, 3], 0.5)(t) for t in range(5)] == [1, 0.5, 0.5, 0.25, 0.25]
    assert [Exponential(1.0, 0.5)(t) for t in range(3)] == [1, 0.5, 0.25]
    assert [Cosine(1.0, 2)(t) for t in range(5)] == pytest.approx([1, 0.5, 0, 0, 0], abs=1e-15)
    assert [WarmUp(Step(1.0, 1, 0.5), 2, 0.0)(t) for t in range(5)] == [0, 0.5, 1, 0.5, 0.25]
    assert [WarmUp(Constant(1.0), 0)(t) for t in range(2)] == [1, 1]
    assert [PerEpoch(Exponential(1.0, 0.5), 2)(t) for t in range(4)] == [1, 1, 0.5, 0.5]
    one_cycle = OneCycle(1.0, 11, 0.5, 10.0, 100.0)
    assert one_cycle(0) == pytest.approx(0.1)
    assert max(one_cycle(t) for t in range(11)) > 0.97
    assert one_cycle(10) == one_cycle(1000) == pytest.approx(0.001)


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_one_cycle_of_few_steps_is_finite(total, share):
    assert all(0 < OneCycle(1.0, total, share)(t) <= 1 for t in range(5))


def test_pure_schedules_do_not_depend_on_the_order_of_calls(case):
    schedule, _ = case
    rates = [schedule(t) for t in range(40)]
    for step in (5, 0, 39, 7, 0, 5):
        assert schedule(step) == rates[step]


def test_the_state_survives_json(case):
    schedule, _ = case
    state = json.loads(json.dumps(schedule.state_dict()))
    other = {"Plateau": Plateau(9.0), "MultiStep": MultiStep(9.0, [1])}.get(type(schedule).__name__, schedule)
    other.load_state_dict(state)
    assert other == schedule
    assert [other(t) for t in range(50)] == [schedule(t) for t in range(50)]


def test_plateau_continues_from_its_state():
    rng = np.random.default_rng(0)
    metrics = rng.random(30)
    whole = Plateau(0.1, patience=2, cooldown=1)
    first, second = Plateau(0.1, patience=2, cooldown=1), Plateau(7.0)
    rates = []
    for metric in metrics:
        whole.observe(metric)
        rates.append(whole(0))
    for metric in metrics[:13]:
        first.observe(metric)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for metric, rate in zip(metrics[13:], rates[13:], strict=True):
        second.observe(metric)
        assert second(0) == rate


def test_wrappers_pass_observations_on():
    schedule = WarmUp(PerEpoch(Plateau(1.0, 0.5, patience=0, monitor="train_loss"), 10), 5)
    assert schedule.watched() == "train_loss"
    schedule.observe(1.0)
    schedule.observe(2.0)
    assert schedule(5) == 0.5
    assert Constant(1.0).watched() is None
    assert Constant(1.0).observe(3.0) is None
    restored = WarmUp(PerEpoch(Plateau(9.0), 1), 1)
    restored.load_state_dict(schedule.state_dict())
    assert restored == schedule


def test_plateau_does_not_take_nan_for_an_improvement():
    schedule = Plateau(1.0, 0.5, patience=1)
    for metric in (math.nan, math.nan):
        schedule.observe(metric)
    assert schedule.best is None
    assert schedule(0) == 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Other"},
        {"lr": "0.1"},
        {"lr": None},
        {"lr": math.nan},
        {"lr": -1.0},
        {"gamma": [1]},
        {"milestones": [3, 2]},
        {"milestones": 5},
        {"milestones": [1.5]},
        {"extra": 1},
    ],
)
def test_an_impossible_state_changes_nothing(change):
    schedule = WarmUp(MultiStep(0.1, [1, 2]), 3)
    before = schedule.state_dict()
    state = schedule.state_dict()
    state["schedule"] |= change
    with pytest.raises(ValueError, match=r"schedule|lr:|milestones:"):
        schedule.load_state_dict(state)
    with pytest.raises(ValueError, match="expected the state of a MultiStep schedule"):
        schedule.load_state_dict(before | {"schedule": 3})
    with pytest.raises(ValueError, match="expected the state of a WarmUp schedule, got 3"):
        schedule.load_state_dict(3)
    assert schedule.state_dict() == before


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: Constant(-0.1), ValueError),
        (lambda: Constant(math.inf), ValueError),
        (lambda: Constant("0.1"), TypeError),
        (lambda: Step(0.1, 0), ValueError),
        (lambda: Step(0.1, 2.5), TypeError),
        (lambda: Step(0.1, 2, math.nan), ValueError),
        (lambda: MultiStep(0.1, [2, 2]), ValueError),
        (lambda: MultiStep(0.1, [-1]), ValueError),
        (lambda: Exponential(0.1, 1.1), ValueError),
        (lambda: Cosine(0.1, 0), ValueError),
        (lambda: Cosine(0.1, 10, 0.2), ValueError),
        (lambda: OneCycle(0.1, 10, 1.5), ValueError),
        (lambda: OneCycle(0.1, 10, div_factor=0.0), ValueError),
        (lambda: WarmUp(0.1, 10), TypeError),
        (lambda: WarmUp(Constant(0.1), -1), ValueError),
        (lambda: WarmUp(Constant(0.1), 10, 2.0), ValueError),
        (lambda: PerEpoch(Constant(0.1), 0), ValueError),
        (lambda: PerEpoch(lambda step: 0.1, 2), TypeError),
        (lambda: Plateau(0.1, 1.0), ValueError),
        (lambda: Plateau(0.1, mode="best"), ValueError),
        (lambda: Plateau(0.1, patience=-1), ValueError),
        (lambda: Plateau(0.1, min_lr=0.2), ValueError),
        (lambda: Constant(0.1)(-1), ValueError),
    ],
)
def test_impossible_settings_are_refused(build, error):
    with pytest.raises(error, match="expects"):
        build()


def test_a_schedule_of_ones_own_needs_one_method():
    class Inverse(Schedule):
        def rate(self, step):
            return 1 / (1 + step)

    schedule = WarmUp(Inverse(), 2)
    assert schedule(3) == 0.5
    schedule.load_state_dict(schedule.state_dict())
    with pytest.raises(NotImplementedError):
        Schedule()(0)


# ---------------------------------------------------------------- clipping


def gradients(dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "w": rng.standard_normal((40, 30, 3, 3)).astype(dtype),
        "b": rng.standard_normal(5).astype(dtype),
        "empty": np.zeros((0, 3), dtype),
        "scalar": np.array(2, dtype),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e6, math.inf])
def test_clipping_equals_torch(dtype, max_norm):
    torch = pytest.importorskip("torch")
    grads = gradients(dtype)
    theirs = [torch.from_numpy(grad.copy()).requires_grad_() for grad in grads.values()]
    for tensor, grad in zip(theirs, grads.values(), strict=True):
        tensor.grad = torch.from_numpy(grad.copy())
    norm = clip_grad_norm(grads, max_norm)
    assert norm == pytest.approx(float(torch.nn.utils.clip_grad_norm_(theirs, max_norm)), rel=1e-6)
    if not math.isinf(max_norm):  # torch makes inf / inf = NaN of it
        for tensor, grad in zip(theirs, grads.values(), strict=True):
            np.testing.assert_allclose(grad, tensor.grad.numpy(), rtol=2e-6)


def test_clipping_bounds_the_norm_and_keeps_the_direction():
    grads, before = gradients(np.float64), gradients(np.float64)
    norm = clip_grad_norm(grads, 0.25)
    assert norm == pytest.approx(math.sqrt(sum((g**2).sum() for g in before.values())))
    assert math.sqrt(sum((g**2).sum() for g in grads.values())) == pytest.approx(0.25, rel=1e-5)
    for name in grads:
        np.testing.assert_allclose(grads[name] * norm / 0.25, before[name], rtol=1e-5)


def test_small_gradients_keep_their_bits():
    grads, before = gradients(), gradients()
    clip_grad_norm(grads, 1e9)
    assert all(grads[name].tobytes() == before[name].tobytes() for name in grads)


def test_strided_gradients_and_lists_are_clipped_in_place():
    base = np.ones((4, 6), np.float32)
    view = base.T[::2]
    assert clip_grad_norm([view], 1.0) == pytest.approx(math.sqrt(12))
    np.testing.assert_allclose(base[:, ::2], 1 / math.sqrt(12), rtol=1e-5)
    assert (base[:, 1::2] == 1).all()
    assert clip_grad_norm({}, 1.0) == 0.0


def test_huge_float32_gradients_do_not_overflow():
    grads = {"w": np.full(4, 1e30, np.float32)}
    assert clip_grad_norm(grads, 1.0) == pytest.approx(2e30, rel=1e-6)
    np.testing.assert_allclose(grads["w"], 0.5, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_gradients(bad):
    grads = gradients()
    grads["b"][2] = bad
    before = {name: g.copy() for name, g in grads.items()}
    with pytest.raises(FloatingPointError, match="gradient of 'b'"):
        clip_grad_norm(grads, 1.0, error_if_nonfinite=True)
    for name in grads:
        np.testing.assert_array_equal(grads[name], before[name])
    assert not math.isfinite(clip_grad_norm(grads, 1.0))
    assert np.isnan(grads["b"][2])


def test_an_overflowing_norm_is_infinite():
    grads = {"w": np.full(4, 1e200)}
    with pytest.raises(FloatingPointError, match="norm inf"):
        clip_grad_norm(grads, 1.0, error_if_nonfinite=True)
    assert clip_grad_norm(grads, 1.0) == math.inf


def test_read_only_gradients_are_refused_before_any_is_scaled():
    grads, before = gradients(), gradients()
    grads["b"].flags.writeable = False
    with pytest.raises(ValueError, match="gradient 'b': is read-only"):
        clip_grad_norm(grads, 0.1)
    np.testing.assert_array_equal(grads["w"], before["w"])


@pytest.mark.parametrize("max_norm", [-1.0, math.nan])
def test_impossible_norms_are_refused(max_norm):
    with pytest.raises(ValueError, match="max_norm"):
        clip_grad_norm(gradients(), max_norm)


@pytest.mark.parametrize("grad", [np.zeros(3, np.int64), [1.0], np.zeros(3, np.complex64)])
def test_only_float_arrays_are_clipped(grad):
    with pytest.raises(TypeError, match="gradient 'w'"):
        clip_grad_norm({"w": grad}, 1.0)
