"""The first NaN or infinity of a training is found where it was made, and looking for it changes nothing."""

import copy
import inspect
import itertools
import pickle

import numpy as np
import pytest
from object_cases import LAYERS
from training_parts import assert_same_bits, make_data, make_model, make_trainer, weights_of

from cnn_core.debugging import NonFiniteError, Statistics, check_examples, watch
from cnn_core.debugging.statistics import all_finite
from cnn_core.layers import (
    BatchNorm2d,
    Concat,
    Container,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from cnn_core.layers.together import Together
from cnn_core.losses import BCEWithLogitsLoss, CrossEntropyLoss, Loss, MSELoss
from cnn_core.optim import SGD, Adam, Momentum, Optimizer
from cnn_core.training import Trainer

F32 = np.float32
BAD = [np.nan, np.inf, -np.inf]


class Faulty(Layer):
    """Hand everything on, and plant a bad number where it is told to."""

    def __init__(self, where="", value=np.nan):
        super().__init__()
        self.where, self.value = where, value
        self.add_param("weight", np.ones(3, F32))
        self.buffers["statistic"] = np.zeros(2, F32)

    def forward(self, x, training=False):
        self.check_input(x)
        y = x.copy()
        self.plant("output", y)
        self.plant("statistic", self.buffers["statistic"])
        self.remember(training, y)
        return y

    def backward(self, dy, *, accumulate=False, need_dx=True):
        self.recall(dy)
        self.store_grads(accumulate, weight=np.ones(3, F32))
        self.plant("gradient of weight", self.grads["weight"])
        dx = dy.copy()
        self.plant("input gradient", dx)
        return dx if need_dx else None

    def plant(self, where, array):
        if where == self.where:
            array.reshape(-1)[-1] = self.value


def conv(rng=0):
    return Conv2d(2, 2, 3, padding=1, rng=rng)


# name: a network around a layer, which keeps (N, 2, 6, 6) as it is, and the layer's place in it
PLACES = {
    "alone": (lambda layer: layer, ""),
    "first": (lambda layer: Sequential(layer, conv(), ReLU()), "0"),
    "between layers that run together": (
        lambda layer: Sequential(conv(), ReLU(), layer, BatchNorm2d(2), ReLU(), MaxPool2d(1)),
        "2",
    ),
    "last": (lambda layer: Sequential(conv(), BatchNorm2d(2), ReLU(), layer), "3"),
    "nested": (lambda layer: Sequential(conv(), Sequential(ReLU(), Sequential(layer, ReLU()))), "1.1.0"),
    "in a residual's body": (
        lambda layer: Sequential(conv(), Residual(Sequential(conv(1), layer)), ReLU(), conv(2)),
        "1.body.1",
    ),
    "in a shortcut": (
        lambda layer: Sequential(conv(), Residual(conv(1), Sequential(conv(3), layer)), ReLU()),
        "1.shortcut.1",
    ),
    "in a branch": (
        lambda layer: Sequential(conv(), Concat(conv(1), Sequential(ReLU(), layer)), Conv2d(4, 2, 1, rng=2)),
        "1.1.1",
    ),
}


def images(n=4):
    return np.random.default_rng(0).standard_normal((n, 2, 6, 6)).astype(F32)


def step(model, x=None, loss=None, optimizer=None, t=None):
    """One step of training on zeros, which the tests that only look at the model do without a loss."""
    y = model.forward(images() if x is None else x, training=True)
    if loss is None:
        model.backward(np.ones_like(y))
    else:
        loss.forward(y, np.zeros_like(y) if t is None else t)
        model.backward(loss.backward())
    if optimizer is not None:
        optimizer.update(model.params, model.grads)


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("where", ["output", "statistic", "input gradient", "gradient of weight"])
@pytest.mark.parametrize("place", PLACES)
def test_the_layer_that_made_the_number_is_named(place, where, value):
    build, name = PLACES[place]
    faulty = Faulty(where, value)
    model = build(faulty)
    with watch(model), pytest.raises(NonFiniteError) as caught:
        step(model)
    error = caught.value
    assert error.layer is faulty
    assert error.quantity == where
    assert error.direction == ("backward" if "gradient" in where else "forward")
    first, *others = error.statistics
    assert first == where
    assert not error.statistics[first].all_finite
    assert all(error.statistics[other].all_finite for other in others)
    assert {"input", "weight"} <= error.statistics.keys()
    label = f'Faulty "{name}"' if name else "Faulty"
    kind = "NaN" if np.isnan(value) else "inf"
    message = str(error)
    assert message.startswith(f"{label}: {where} has {kind}, first seen in the {error.direction} pass (")
    assert f"\n  {where}: {error.statistics[where]}\n  " in message


@pytest.mark.parametrize("place", PLACES)
def test_bad_parameters_and_statistics_are_found_before_the_layer_runs(place):
    build, _ = PLACES[place]
    for kind, name in (("params", "weight"), ("buffers", "statistic")):
        faulty = Faulty()
        model = build(faulty)
        getattr(faulty, kind)[name][1] = np.inf
        with (
            watch(model),
            pytest.raises(NonFiniteError, match=f"{name} has inf, (?s:.*)before the layer ran") as e,
        ):
            step(model)
        assert (e.value.layer, e.value.direction, e.value.quantity) == (faulty, "forward", name)


class Halves(Layer):
    """A user's layer that is not told apart from others: with a layer inside that nobody knows of."""

    def __init__(self):
        super().__init__()
        self.inner = Faulty("output")

    def forward(self, x, training=False):
        return self.inner.forward(x, training)

    def backward(self, dy):
        return self.inner.backward(dy)


class Twice(Container):
    """A user's container, which calls its child and then makes a number of its own too large."""

    def __init__(self, child, factor):
        super().__init__({"child": child})
        self.factor = F32(factor)

    def forward(self, x, training=False):
        with np.errstate(over="ignore"):
            return self.children["child"](x, training) * self.factor

    def backward(self, dy, *, accumulate=False, need_dx=True):
        with np.errstate(over="ignore"):
            return self.children["child"].backward(dy * self.factor, accumulate=accumulate)

    def trace(self, shape, before, steps):
        return self.children["child"].trace(shape, before, steps)


def test_layers_and_containers_of_users_are_watched():
    model = Sequential(conv(), Halves())
    with watch(model), pytest.raises(NonFiniteError) as caught:
        step(model)
    assert caught.value.layer is model[1]
    for inner, factor, expected in ((Faulty(), 3e38, 1), (Faulty("output"), 1.0, 2)):
        model = Sequential(conv(), Twice(inner, factor))
        with watch(model), pytest.raises(NonFiniteError) as caught:
            step(model)
        assert caught.value.layer is list(model.modules())[1 + expected]


def test_a_sum_and_a_concatenation_that_overflow_are_named_themselves():
    big = np.full((2, 2, 4, 4), 3e38, F32)
    model = Sequential(Residual(ReLU()), ReLU())
    with watch(model), pytest.raises(NonFiniteError, match=r'^Residual "0": output has inf') as caught:
        model.forward(big, training=True)
    assert caught.value.layer is model[0]
    model = Sequential(ReLU(), Concat(ReLU(), ReLU()))
    with (
        watch(model),
        np.errstate(over="ignore"),
        pytest.raises(NonFiniteError, match=r'^Concat "1": input gradient has inf'),
    ):
        model.backward(np.full_like(model.forward(big, training=True), 3e38))


def test_batch_norm_statistics_that_overflow_though_the_output_does_not():
    model = Sequential(ReLU(), BatchNorm2d(2), ReLU())
    x = images() * F32(1e25)
    assert np.isfinite(copy.deepcopy(model).forward(x, training=True)).all()
    with (
        watch(model),
        pytest.raises(NonFiniteError, match=r'^BatchNorm2d "1": running_var has inf') as caught,
    ):
        model.forward(x, training=True)
    assert caught.value.statistics["output"].all_finite


# --------------------------------------------------------------------------- data, losses, optimizers


def test_bad_images_are_told_by_number():
    x = images(20)
    x[17, 1, 2, 3], x[19, 0] = np.nan, np.inf
    model = Sequential(conv(), ReLU())
    message = r"^the input: contains 1 NaN and 36 inf, first in example 17 at \(1, 2, 3\)\n"
    with watch(model), pytest.raises(NonFiniteError, match=message) as caught:
        model.forward(x)
    assert caught.value.layer is None
    assert caught.value.direction == "data"
    assert caught.value.statistics["the input"].first == (17, 1, 2, 3)


def test_a_bad_number_between_layers_is_not_blamed_on_the_layer():
    model = Sequential(conv(), ReLU())
    with watch(model), pytest.raises(NonFiniteError, match=r'^ReLU "1": input has NaN'):
        model[1].forward(images() * F32(np.nan))
    with watch(model), pytest.raises(NonFiniteError, match=r"^Sequential: output gradient has inf"):
        model.backward(np.full_like(model.forward(images(), training=True), np.inf))


def test_bad_targets():
    model, loss = Sequential(Linear(3, 2, rng=0)), MSELoss()
    t = np.zeros((5, 2), F32)
    t[4, 1] = np.inf
    message = r"^the targets: contains 0 NaN and 1 inf, first in example 4 at \(1,\)"
    with watch(model, loss), pytest.raises(NonFiniteError, match=message):
        step(model, np.ones((5, 3), F32), loss, t=t)


class LogLoss(Loss):
    """The mistake that everybody makes once: log(0)."""

    def forward(self, y, target):
        with np.errstate(divide="ignore", over="ignore"):
            self._dy = -1 / np.maximum(y, F32(self.floor))
            return float(-np.log(y).mean())

    floor = 1e-45


def test_a_loss_that_overflows_by_itself_is_named():
    model, loss = Sequential(ReLU()), LogLoss()
    with (
        watch(model, loss),
        pytest.raises(NonFiniteError, match=r"^LogLoss\(.*\): value has inf, .* in the loss"),
    ):
        step(model, np.zeros((2, 3), F32), loss)
    loss.forward = lambda y, target: 0.0  # a gradient alone
    loss._dy = np.full((2, 3), np.inf, F32)
    with (
        watch(model, loss),
        pytest.raises(NonFiniteError, match=r"^LogLoss\(.*\): gradient has inf") as caught,
    ):
        step(model, np.ones((2, 3), F32), loss)
    assert (caught.value.layer, caught.value.direction) == (loss, "loss")


def test_scores_that_are_too_large_for_the_loss():
    model, loss = Sequential(ReLU()), MSELoss(reduction="none")
    with watch(model, loss), pytest.raises(NonFiniteError, match=r"MSELoss\(.*\): value has inf") as caught:
        step(model, np.full((2, 3), 1e30, F32), loss)
    assert caught.value.statistics["input"].maximum == pytest.approx(1e30)


def linear_step(optimizer, gradient, parameter=1.0):
    model = Sequential(Linear(2, 2, rng=0))
    model[0].weight = np.full((2, 2), parameter)
    model.grads["0.weight"][...] = gradient
    with watch(model, optimizer=optimizer):
        optimizer.update(model.params, model.grads)


def test_a_parameter_that_the_update_spoils_is_named_with_the_optimizer():
    message = r'^SGD\(lr=1e\+30.*\): "0.weight" has inf, first seen in the update \(.*learning rate 1e\+30\)'
    with pytest.raises(NonFiniteError, match=message) as caught:
        linear_step(SGD(1e30), 1e20)
    assert caught.value.direction == "update"
    assert isinstance(caught.value.layer, SGD)
    assert caught.value.statistics["gradient"].maximum == pytest.approx(1e20)


def test_the_optimizer_s_memory_is_looked_at_too():
    with pytest.raises(NonFiniteError, match=r'^Adam\(.*\): v of "0.weight" has inf'):
        linear_step(Adam(0.01), 1e25)


def test_a_gradient_that_was_spoilt_after_backward():
    with pytest.raises(
        NonFiniteError, match=r'^Momentum\(.*\): gradient of "0.weight" has NaN(?s:.)*came between'
    ):
        linear_step(Momentum(0.01), np.nan)


# ------------------------------------------------------------------------------------ nothing changes


def fused_network(seed=0):
    """Everything that runs together, in every kind of container, overlapping windows included."""
    rng = np.random.default_rng(seed)

    def layers(channels):
        return Conv2d(channels, 4, 3, padding=1, rng=rng), BatchNorm2d(4), ReLU()

    body = Sequential(*layers(4), Conv2d(4, 4, 3, padding=1, rng=rng))
    pooled = Sequential(
        Conv2d(4, 3, 1, rng=rng), ReLU(), MaxPool2d(3, 1, 1), Conv2d(3, 3, 1, rng=rng), ReLU()
    )
    return Sequential(
        *(*layers(2), MaxPool2d(3, 1, 1)),
        *(Residual(body, Sequential(*layers(4)[:2])), ReLU()),
        *(Concat(pooled, Sequential(*layers(4))), ReLU(), MaxPool2d(3, 2), Dropout(0.3, rng=rng)),
        *(Conv2d(7, 6, 2, padding=1, rng=rng), ReLU(), MaxPool2d(2)),
        *(Flatten(), Linear(6, 8, rng=rng), ReLU(), Linear(8, 3, rng=rng)),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("need_dx", [False, True])
def test_every_bit_is_the_same(dtype, need_dx):
    rng = np.random.default_rng(1)
    batches = [(rng.standard_normal((5, 2, 6, 6)).astype(dtype), rng.integers(3, size=5)) for _ in range(6)]

    def train(watched):
        model, loss, optimizer = fused_network().astype(dtype), CrossEntropyLoss(), Adam(0.01)
        seen = []

        def steps():
            for x, t in batches:
                seen.append(model.forward(x, training=True))
                seen.append(np.asarray(loss.forward(seen[-1], t)))
                seen.append(model.backward(loss.backward(), need_dx=need_dx))
                seen.extend(grad.copy() for grad in model.grads.values())
                optimizer.update(model.params, model.grads)
                seen.append(model.forward(x))

        if watched:
            with watch(model, loss, optimizer):
                steps()
        else:
            steps()
        return seen, weights_of(model)

    plain, watched = train(False), train(True)
    for one, other in zip(plain[0], watched[0], strict=True):
        assert (one is None and other is None) or one.tobytes() == other.tobytes()
    assert_same_bits(watched[1], plain[1])


@pytest.mark.parametrize("row", LAYERS, ids=str)
def test_every_layer_gives_the_same_bits(row):
    x = np.random.default_rng(0).standard_normal(row.x_shape)
    results = []
    for watched in (False, True):
        layer = row.make(np.float64)
        for generator in layer.generators.values():
            generator.bit_generator.state = np.random.default_rng(5).bit_generator.state

        def run(layer=layer):
            y = layer.forward(x, training=True)
            return [y, layer.backward(np.ones_like(y)), layer.forward(x), *layer.grads.values()]

        if watched:
            with watch(layer):
                results.append(run())
        else:
            results.append(run())
    for one, other in zip(*results, strict=True):
        assert one.tobytes() == other.tobytes()


def attributes(model):
    return [{name: id(value) for name, value in vars(layer).items()} for layer in model.modules()]


def test_afterwards_every_object_is_as_it_was():
    model, loss, optimizer = fused_network(), CrossEntropyLoss(), SGD(0.1)
    steps = [step for part in model.modules() if isinstance(part, Sequential) for step in part._steps]
    together = {type(step.layers[0]) for step in steps if isinstance(step, Together)}
    assert together == {Conv2d, BatchNorm2d, Residual, MaxPool2d}  # or the tests above show nothing
    before = attributes(model), [vars(loss).keys(), vars(optimizer).keys()]
    with watch(model, loss, optimizer):
        pass
    with pytest.raises(KeyError), watch(model, loss, optimizer):
        raise KeyError
    assert (attributes(model), [vars(loss).keys(), vars(optimizer).keys()]) == before


def test_without_it_nothing_is_there_that_could_cost():
    """No layer asks whether it is watched: the methods that run are the classes' own."""
    model = fused_network()
    for layer in model.modules():
        assert "forward" not in vars(layer)
        assert "backward" not in vars(layer)
        assert not any(
            "watch" in name or "debug" in name for name in itertools.chain(vars(layer), dir(layer))
        )


def test_watches_may_be_nested():
    model = Sequential(conv(), Faulty("output"))
    with watch(model):
        with watch(model[0]), watch(model):
            pass
        with pytest.raises(NonFiniteError):
            step(model)
    assert "forward" not in vars(model[0])
    step(model)


def test_a_backward_belongs_to_a_forward_on_the_same_side():
    model = Sequential(conv(), BatchNorm2d(2), ReLU())
    with watch(model):
        y = model.forward(images(), training=True)
    with pytest.raises(RuntimeError, match="backward needs a forward"):
        model.backward(y)
    y = model.forward(images(), training=True)
    with watch(model), pytest.raises(RuntimeError, match="backward needs a forward"):
        model.backward(y)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_of_what_is_watched_are_not_watched(duplicate):
    model, loss, optimizer = Sequential(conv(), BatchNorm2d(2), ReLU()), BCEWithLogitsLoss(), Adam()
    t = np.zeros((4, 2, 6, 6), F32)
    with watch(model, loss, optimizer):
        step(model, loss=loss, optimizer=optimizer, t=t)
        twin, its_loss, its_optimizer = duplicate((model, loss, optimizer))
    before = weights_of(model)
    twin.forward(images() * F32(np.nan))
    step(twin, loss=its_loss, optimizer=its_optimizer, t=t)
    assert_same_bits(model.state_dict(), before)
    assert set(its_optimizer.state) == set(model.params)
    step(model, loss=loss, optimizer=optimizer, t=t)
    twin.forward(images(), training=True)


def test_signatures_are_those_of_the_layers():
    model = Sequential(conv(), ReLU())
    plain = inspect.signature(model.backward)
    with watch(model):
        assert inspect.signature(model.backward) == plain


def test_only_layers_can_be_watched():
    with pytest.raises(TypeError, match="watch: expects a Layer, got list"), watch([conv()]):
        pass


# ----------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_statistics(dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 40)).astype(dtype)
    x[1, 4], x[1, 7], x[2, 0], x[2, 1] = np.nan, np.nan, np.inf, -np.inf
    found = Statistics.of(x)
    finite = x[np.isfinite(x)].astype(np.float64)
    assert (found.nan, found.inf, found.first, found.shape, found.dtype) == (2, 2, (1, 4), (3, 40), dtype)
    assert (found.minimum, found.maximum) == (finite.min(), finite.max())
    assert found.mean == pytest.approx(finite.mean())
    assert found.std == pytest.approx(finite.std())
    assert str(found).startswith(
        f"{np.dtype(dtype)} (3, 40): 2 NaN and 2 inf of 120, first at (1, 4); the others from"
    )


@pytest.mark.filterwarnings("error")
def test_statistics_of_extremes():
    largest = np.finfo(np.float64).max
    found = Statistics.of(np.array([largest, -largest, 0.0]))
    assert (found.minimum, found.maximum, found.mean) == (-largest, largest, 0)
    assert found.std == pytest.approx(largest * np.sqrt(2 / 3))
    assert str(Statistics.of(np.full(2, np.nan))) == "float64 (2,): 2 NaN and 0 inf of 2, first at (0,)"
    assert str(Statistics.of(np.zeros((0, 3)))) == "float64 (0, 3): empty"
    assert str(Statistics.of(np.array(np.inf))) == "float64 (): 0 NaN and 1 inf of 1"
    assert Statistics.of(np.zeros((2, 2))).std == 0


@pytest.mark.filterwarnings("error")
def test_a_sum_that_overflows_is_no_infinity():
    assert all_finite(np.full(5, 3e38, F32))
    assert all_finite(np.zeros((0, 2)))
    for values in ([np.inf, -np.inf], [np.nan, 1], [3e38, 3e38, np.inf]):
        assert not all_finite(np.array(values, F32))


def test_the_error_survives_pickling():
    with pytest.raises(NonFiniteError) as caught:
        check_examples(np.full((2, 3), np.nan, F32), "x")
    twin = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(twin, FloatingPointError)
    assert (str(twin), twin.quantity) == (str(caught.value), "x")
    assert str(twin.statistics["x"]) == str(caught.value.statistics["x"])


def test_integers_are_always_finite():
    check_examples(np.arange(4), "x")
    model, loss = Sequential(Linear(3, 2, rng=0)), CrossEntropyLoss()
    with watch(model, loss):
        step(model, np.ones((2, 3), F32), loss, t=np.array([0, 1]))


# -------------------------------------------------------------------------------------------- trainer


def test_training_with_debug_ends_with_the_same_bits():
    results = []
    for debug in (False, True):
        trainer = make_trainer(Adam(0.01), debug=debug, clip_norm=1.0, seed=3)
        history = trainer.fit(make_data(), make_data(20, 2), epochs=3, batch_size=20)
        results.append((weights_of(trainer.model), [(row.train_loss, row.val_loss) for row in history]))
    assert_same_bits(results[1][0], results[0][0])
    assert results[1][1] == results[0][1]


def test_without_debug_the_trainer_says_how_to_find_the_layer():
    trainer = make_trainer(SGD(1e30))
    with pytest.raises(
        FloatingPointError, match=r"Trainer\(\.\.\., debug=True\), or cnn-core .* the layer where"
    ):
        trainer.fit(make_data(), epochs=2, batch_size=20)


@pytest.mark.parametrize("on_nonfinite", ["raise", "ignore"])
def test_debug_finds_the_layer_and_the_step(on_nonfinite):
    model = Sequential(Flatten(), Linear(36, 8, rng=0), ReLU(), Linear(8, 3, rng=1))
    trainer = Trainer(model, CrossEntropyLoss(), SGD(1e15), debug=True, on_nonfinite=on_nonfinite)
    with pytest.raises(NonFiniteError, match=r"\(epoch 1, step [234], learning rate 1e\+15\)") as caught:
        trainer.fit(make_data(), epochs=1, batch_size=10)
    assert caught.value.layer in (model[1], model[3])
    assert "forward" not in vars(model)


def test_bad_data_are_found_before_the_first_step_by_their_own_number():
    x, t = make_data()
    x[17, 0, 2, 3] = np.nan
    for arguments, name in (((x, t), "train"), (make_data(), "validation")):
        trainer = make_trainer(SGD(0.1), debug=True)
        data = (arguments, None) if name == "train" else (arguments, (x, t))
        message = rf"^{name}: x: contains 1 NaN and 0 inf, first in example 17 at \(0, 2, 3\)"
        with pytest.raises(NonFiniteError, match=message):
            trainer.fit(*data, epochs=1)
        assert trainer.step == 0
    trainer = Trainer(Sequential(Flatten(), Linear(36, 1, rng=0)), MSELoss(), SGD(0.1), debug=True)
    y = np.zeros((len(x), 1), F32)
    y[5] = np.inf
    with pytest.raises(NonFiniteError, match=r"^train: t: contains 0 NaN and 1 inf, first in example 5"):
        trainer.fit((make_data()[0], y), epochs=1)


def test_an_augmentation_that_spoils_an_image_is_found():
    def spoil(batch, rng):
        batch[2] = np.inf
        return batch

    trainer = make_trainer(SGD(0.1), debug=True, augment=spoil)
    with pytest.raises(NonFiniteError, match=r"^the input: contains 0 NaN and 36 inf, first in example 2"):
        trainer.fit(make_data(), epochs=1)


def test_a_number_that_appears_in_the_validation_only():
    x, t = make_data(20, 2)
    model = Sequential(Flatten(), Linear(36, 3, rng=0))
    trainer = Trainer(model, CrossEntropyLoss(), SGD(0.0), debug=True)
    trainer.model[1].weight = np.full((3, 36), 1e20)
    with pytest.raises(NonFiniteError, match=r'^Linear "1": output has inf.*\(validation of epoch 1\)'):
        trainer.fit((x * F32(1e-20), t), (np.abs(x) * F32(1e20), t), epochs=1)


class Spoiling(Optimizer):
    def update(self, params, grads):
        params["0.weight"][0, 0, 0, 1] = np.nan


def test_an_optimizer_of_one_s_own_is_named():
    trainer = make_trainer(Spoiling(0.1), debug=True)
    with pytest.raises(
        NonFiniteError, match=r'^Spoiling\(.*\): "0.weight" has NaN, .* \(epoch 1, step 1, '
    ) as caught:
        trainer.fit(make_data(), epochs=1)
    assert caught.value.statistics['"0.weight"'].first == (0, 0, 0, 1)


def test_debug_needs_layers():
    class Other:
        params, grads = {}, {}

        def forward(self, x, training=False):
            return x

        def backward(self, dy):
            return dy

    trainer = Trainer(Other(), CrossEntropyLoss(), SGD(0.1), debug=True)
    with pytest.raises(TypeError, match="watch: expects a Layer, got Other"):
        trainer.fit((np.ones((3, 2), F32), np.zeros(3, int)), epochs=1)


def test_training_goes_on_after_the_mistake_is_mended():
    trainer = make_trainer(Adam(0.01), model=make_model(), debug=True)
    trainer.model[6].bias = np.full(3, np.nan)
    with pytest.raises(NonFiniteError):
        trainer.fit(make_data(), epochs=1)
    trainer.model[6].bias = np.zeros(3)
    assert len(trainer.fit(make_data(), epochs=1)) == 1
