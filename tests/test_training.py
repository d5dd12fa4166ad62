"""The trainer, its callbacks and the history."""

import io
import json
import math
import signal
import threading

import numpy as np
import pytest
from training_parts import (
    assert_same_bits,
    make_data,
    make_model,
    make_trainer,
    shift,
    weights_of,
)

from cnn_core.data import Arrays, Batches
from cnn_core.layers import Linear, Sequential
from cnn_core.losses import CrossEntropyLoss, MSELoss
from cnn_core.optim import SGD, Adam
from cnn_core.optim.clip import clip_grad_norm
from cnn_core.optim.schedules import Cosine, Plateau, WarmUp
from cnn_core.training import (
    Callback,
    Checkpoint,
    EarlyStopping,
    Epoch,
    History,
    HistoryLogger,
    Interrupted,
    ProgressBar,
    Trainer,
    accuracy,
    evaluation,
)
from cnn_core.training.history import COLUMNS


class Recorder(Callback):
    """Writes down which hooks are called, and when."""

    def __init__(self, calls=None, name=""):
        self.calls = [] if calls is None else calls
        self.name = name

    def on_fit_start(self, trainer):
        self.calls.append(f"{self.name}fit start {trainer.epoch}")

    def on_epoch_start(self, trainer):
        self.calls.append(f"{self.name}epoch start {trainer.epoch}")

    def on_step_end(self, trainer):
        self.calls.append(f"{self.name}step end {trainer.step}")

    def on_epoch_end(self, trainer, row):
        self.calls.append(f"{self.name}epoch end {row.epoch}")

    def on_fit_end(self, trainer):
        self.calls.append(f"{self.name}fit end {trainer.epoch}")

    def on_exception(self, trainer, error):
        self.calls.append(f"{self.name}exception {type(error).__name__}")


class AtStep(Callback):
    """Calls a function at the end of one step."""

    def __init__(self, step, action):
        self.step = step
        self.action = action

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            self.action(trainer)


@pytest.fixture
def scripted_validation(monkeypatch):
    """Replaces the measured validation losses by given ones."""

    def script(losses):
        given = iter(losses)
        measure = evaluation.tally_batches

        def tally_batches(*arguments):
            tally = measure(*arguments)
            tally.loss_sum = next(given) * tally.examples
            return tally

        monkeypatch.setattr(evaluation, "tally_batches", tally_batches)

    return script


# ---------------------------------------------------------------- the loop


def test_it_learns():
    trainer = make_trainer(SGD(0.05, momentum=0.9))
    history = trainer.fit(make_data(200), make_data(60, seed=5), epochs=8, batch_size=20)
    assert history[-1].val_acc > 0.95
    assert history[-1].train_loss < history[0].train_loss
    assert trainer.evaluate(make_data(90, seed=6))["accuracy"] > 0.95


def test_equal_to_a_loop_by_hand():
    """The trainer does what its documentation says, no more: bit for bit."""
    x, t = make_data()
    schedule = WarmUp(Cosine(0.01, 15), 3)
    trainer = make_trainer(Adam(), schedule=schedule, clip_norm=0.5, augment=shift, seed=3)
    trainer.fit((x, t), epochs=3, batch_size=20)

    model, loss, optimizer = make_model(), CrossEntropyLoss(), Adam()
    batches = Batches(x, t, 20, shuffle=True, rng=3, augment=shift)
    for epoch in range(3):
        for number, (xb, tb) in enumerate(batches):
            optimizer.lr = schedule(epoch * 3 + number)
            loss.forward(model.forward(xb, training=True), tb)
            model.backward(loss.backward())
            clip_grad_norm(model.grads, 0.5)
            optimizer.update(model.params, model.grads)
    assert_same_bits(model.state_dict(), trainer.model.state_dict())


def test_an_epoch_shows_every_example_once_in_a_new_order():
    x = np.arange(50, dtype=np.float32).reshape(50, 1)
    seen = []

    def note(batch, rng):
        seen.append(batch[:, 0].copy())
        return batch

    model = Sequential(Linear(1, 2, rng=0))
    make_trainer(SGD(0.0), model, augment=note).fit((x, np.zeros(50, int)), epochs=2, batch_size=20)
    assert [len(batch) for batch in seen] == [20, 20, 10] * 2
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert sorted(first) == sorted(second) == x[:, 0].tolist()
    assert first.tolist() != second.tolist() != x[:, 0].tolist()


def test_the_seed_decides():
    def train(seed):
        trainer = make_trainer(SGD(0.1), seed=seed)
        trainer.fit(make_data(), epochs=2, batch_size=20)
        return weights_of(trainer.model)

    assert_same_bits(train(0), train(0))
    assert_same_bits(train(np.random.default_rng(7)), train(7))
    assert train(0)["0.weight"].tobytes() != train(1)["0.weight"].tobytes()


def test_incomplete_batches_can_be_dropped():
    trainer = make_trainer(SGD(0.1))
    history = trainer.fit(make_data(), epochs=2, batch_size=20, drop_last=True)
    assert history["step"] == [2, 4]
    assert trainer.examples_per_epoch == 40
    with pytest.raises(ValueError, match="drop_last"):
        trainer.fit(make_data(), epochs=3, batch_size=51, drop_last=True)


def test_the_data_are_not_changed_and_arrays_are_taken_too():
    x, t = make_data()
    for array in (x, t):
        array.flags.writeable = False
    before = x.copy(), t.copy()
    data = Arrays(x, t)
    one, other = make_trainer(SGD(0.1), augment=shift), make_trainer(SGD(0.1), augment=shift)
    one.fit(data, data, epochs=1, batch_size=20)
    other.fit([x, t], (x, t), epochs=1, batch_size=20)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(t, before[1])
    assert_same_bits(one.model.state_dict(), other.model.state_dict())


def test_fit_counts_all_epochs_so_far():
    trainer = make_trainer(Adam())
    for epochs in (1, 3, 3, 2):
        trainer.fit(make_data(), epochs=epochs, batch_size=20)
    whole = make_trainer(Adam())
    whole.fit(make_data(), epochs=3, batch_size=20)
    assert trainer.epoch == 3
    assert trainer.history["step"] == [3, 6, 9]
    assert_same_bits(trainer.model.state_dict(), whole.model.state_dict())


def test_a_model_of_ones_own_needs_no_base_class():
    class Scale:
        def __init__(self):
            self.params = {"w": np.ones((2, 2))}
            self.grads = {"w": np.zeros((2, 2))}

        def forward(self, x, training=False):
            self.x = x
            return x @ self.params["w"]

        def backward(self, dy):
            self.grads["w"][...] = self.x.T @ dy
            return dy @ self.params["w"].T

        def state_dict(self):
            return self.params

        def load_state_dict(self, state):
            self.params["w"][...] = state["w"]

    x = np.random.default_rng(0).random((40, 2))
    trainer = Trainer(Scale(), MSELoss(), SGD(0.5))
    trainer.fit((x, x @ np.array([[1.0, 2.0], [3.0, 4.0]])), epochs=80, batch_size=10)
    np.testing.assert_allclose(trainer.model.params["w"], [[1, 2], [3, 4]], atol=0.01)


# ---------------------------------------------------------------- numbers


def test_the_history_holds_what_happened():
    train, validation = make_data(), make_data(30, seed=2)
    trainer = make_trainer(SGD(0.1), schedule=Cosine(0.1, 9))
    history = trainer.fit(train, validation, epochs=3, batch_size=20)
    assert history is trainer.history
    assert history["epoch"] == [1, 2, 3]
    assert history["step"] == [3, 6, 9]
    assert history["lr"] == [Cosine(0.1, 9)(step) for step in (2, 5, 8)]
    measured = trainer.evaluate(validation)
    assert history[-1].val_loss == pytest.approx(measured["loss"], rel=1e-6)
    assert history[-1].val_acc == measured["accuracy"]
    for row in history:
        assert 0 < row.seconds < 60
        assert row.images_per_second > 50 / row.seconds
        assert 0 <= row.train_acc <= 1


def test_the_training_loss_is_the_mean_over_the_examples():
    """With learning rate 0, no dropout and no batch statistics, training measures what evaluation does."""
    model = Sequential(Linear(4, 3, rng=0))
    rng = np.random.default_rng(0)
    data = rng.random((50, 4), np.float32), rng.integers(0, 3, 50)
    trainer = make_trainer(SGD(0.0), model)
    history = trainer.fit(data, epochs=1, batch_size=20)
    measured = trainer.evaluate(data)
    assert history[0].train_loss == pytest.approx(measured["loss"], rel=1e-6)
    assert history[0].train_acc == measured["accuracy"]
    assert history[0].val_loss is None
    assert history[0].val_acc is None


@pytest.mark.parametrize("batch_size", [1, 7, 30, 1000])
def test_evaluation_and_prediction_do_not_depend_on_the_batch_size(batch_size):
    x, t = make_data(30)
    trainer = make_trainer(SGD(0.1))
    trainer.fit((x, t), epochs=1, batch_size=10)
    before = weights_of(trainer.model)
    logits = trainer.predict(x, batch_size)
    np.testing.assert_allclose(logits, trainer.model.forward(x), rtol=1e-5, atol=1e-6)
    measured = trainer.evaluate((x, t), batch_size, top_k=2)
    assert list(measured) == [
        "loss",
        "accuracy",
        "top_2_accuracy",
        "per_class_accuracy",
        "confusion_matrix",
    ]
    assert measured["loss"] == pytest.approx(CrossEntropyLoss()(trainer.model.forward(x), t), rel=1e-5)
    assert measured["accuracy"] == accuracy(logits, t)
    assert measured["confusion_matrix"].sum() == 30
    assert np.trace(measured["confusion_matrix"]) / 30 == measured["accuracy"]
    assert measured["accuracy"] <= measured["top_2_accuracy"] <= 1
    assert_same_bits(trainer.model.state_dict(), before)


def test_prediction_of_nothing_has_the_right_shape():
    assert make_trainer(SGD()).predict(make_data()[0][:0]).shape == (0, 3)


def test_regression_has_no_accuracy():
    rng = np.random.default_rng(0)
    data = rng.random((20, 4)), rng.random((20, 2))
    trainer = Trainer(Sequential(Linear(4, 2, rng=0, dtype=np.float64)), MSELoss(), SGD(0.1))
    history = trainer.fit(data, data, epochs=1, batch_size=10)
    assert history[0].train_acc is None
    assert history[0].val_acc is None
    assert list(trainer.evaluate(data)) == ["loss"]


def test_one_hot_targets_train_like_labels():
    x, t = make_data()
    by_label, by_row = make_trainer(SGD(0.1)), make_trainer(SGD(0.1))
    history = by_label.fit((x, t), epochs=1, batch_size=20)
    other = by_row.fit((x, np.eye(3, dtype=np.float32)[t]), epochs=1, batch_size=20)
    assert other[0].train_acc == history[0].train_acc
    assert other[0].train_loss == pytest.approx(history[0].train_loss, rel=1e-5)


def test_labels_that_the_loss_ignores_do_not_count():
    x, t = make_data(40)
    t[:10] = 2
    loss = CrossEntropyLoss(ignore_index=2)
    trainer = Trainer(make_model(), loss, SGD(0.0))
    trainer.fit((x, t), epochs=1, batch_size=20)
    counted = t != 2
    assert trainer.evaluate((x, t))["accuracy"] == accuracy(trainer.predict(x)[counted], t[counted])


# ---------------------------------------------------------------- schedules, clipping, infinities


def test_any_function_of_the_step_is_a_schedule():
    steps = []
    trainer = make_trainer(SGD(5.0), schedule=lambda step: steps.append(step) or 0.1 / (1 + step))
    history = trainer.fit(make_data(), epochs=2, batch_size=20)
    assert steps == list(range(6))
    assert history["lr"] == [0.1 / 3, 0.1 / 6]


def test_a_plateau_lowers_the_rate(scripted_validation):
    scripted_validation([1.0, 1.0, 1.0, 0.5, 0.6])
    trainer = make_trainer(SGD(5.0), schedule=Plateau(0.1, 0.5, patience=1))
    history = trainer.fit(make_data(), make_data(), epochs=5, batch_size=20)
    assert history["lr"] == [0.1, 0.1, 0.1, 0.05, 0.05]


def test_clipping_bounds_what_the_optimizer_sees():
    class Spy(SGD):
        norms: list[float] = []  # noqa: RUF012

        def update(self, params, grads):
            self.norms.append(math.sqrt(sum(float((g**2).sum()) for g in grads.values())))
            super().update(params, grads)

    make_trainer(Spy(0.1), clip_norm=0.01).fit(make_data(), epochs=1, batch_size=20)
    assert Spy.norms == pytest.approx([0.01] * 3, rel=1e-3)


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched():
    x, t = make_data()
    x[:] = np.nan
    recorder = Recorder()
    trainer = make_trainer(SGD(0.25), callbacks=[recorder])
    before = {name: array.copy() for name, array in trainer.model.params.items()}
    with pytest.raises(FloatingPointError, match=r"loss is nan in epoch 1, step 1, at learning rate 0\.25"):
        trainer.fit((x, t), epochs=1, batch_size=20)
    assert_same_bits(trainer.model.params, before)
    assert recorder.calls[-1] == "exception FloatingPointError"
    assert trainer.step == 0


def test_gradients_that_are_not_finite_stop_too():
    class Broken(Linear):
        def backward(self, dy, **options):
            dx = super().backward(dy, **options)
            self.grads["bias"][0] = np.inf
            return dx

    trainer = make_trainer(SGD(0.1), Sequential(Broken(4, 3, rng=0)), clip_norm=1.0)
    with pytest.raises(FloatingPointError, match=r"gradient of '0\.bias' in epoch 1, step 1"):
        trainer.fit((np.ones((5, 4), np.float32), np.zeros(5, int)), epochs=1, batch_size=5)


def test_infinities_can_be_ignored():
    x, t = make_data()
    x[3] = np.nan
    trainer = make_trainer(SGD(0.1), clip_norm=1.0, on_nonfinite="ignore")
    history = trainer.fit((x, t), epochs=2, batch_size=20)
    assert len(history) == 2
    assert math.isnan(history[1].train_loss)


# ---------------------------------------------------------------- callbacks


def test_hooks_are_called_in_order():
    recorder = Recorder()
    make_trainer(SGD(0.1), callbacks=[recorder]).fit(make_data(), epochs=2, batch_size=30)
    assert recorder.calls == [
        "fit start 0",
        "epoch start 0",
        "step end 1",
        "step end 2",
        "epoch end 1",
        "epoch start 1",
        "step end 3",
        "step end 4",
        "epoch end 2",
        "fit end 2",
    ]


def test_callbacks_keep_their_order_except_those_that_run_last():
    calls = []
    a, b, c = (Recorder(calls, name) for name in "abc")
    a.runs_last = True
    make_trainer(SGD(0.1), callbacks=(a, b, c)).fit(make_data(), epochs=1, batch_size=50)
    assert calls[:3] == ["bfit start 0", "cfit start 0", "afit start 0"]


def test_stop_ends_after_the_step():
    recorder = Recorder()
    trainer = make_trainer(SGD(0.1), callbacks=[AtStep(4, Trainer.stop), recorder])
    history = trainer.fit(make_data(), epochs=5, batch_size=20)
    assert trainer.step == 4
    assert len(history) == 1
    assert recorder.calls[-1] == "fit end 1"
    whole = make_trainer(SGD(0.1))
    whole.fit(make_data(), epochs=3, batch_size=20)
    trainer.fit(make_data(), epochs=3, batch_size=20)
    assert_same_bits(trainer.model.state_dict(), whole.model.state_dict())


def test_an_error_in_a_callback_leaves_fit_and_can_be_continued():
    def fail(trainer):
        raise RuntimeError("mine")

    recorder = Recorder()
    trainer = make_trainer(Adam(), callbacks=[recorder, AtStep(5, fail)])
    with pytest.raises(RuntimeError, match="mine"):
        trainer.fit(make_data(), epochs=3, batch_size=20)
    assert recorder.calls[-1] == "exception RuntimeError"
    trainer.fit(make_data(), epochs=3, batch_size=20)
    whole = make_trainer(Adam())
    whole.fit(make_data(), epochs=3, batch_size=20)
    assert_same_bits(trainer.model.state_dict(), whole.model.state_dict())


@pytest.mark.parametrize("restore_best", [True, False])
def test_early_stopping(scripted_validation, restore_best):
    scripted_validation([3.0, 1.0, 2.0, 0.95, math.nan, 9.0])
    snapshots = []

    class Snapshot(Callback):
        def on_epoch_end(self, trainer, row):
            snapshots.append(weights_of(trainer.model))

    stopping = EarlyStopping(patience=3, min_delta=0.1, restore_best=restore_best)
    trainer = make_trainer(SGD(0.1), callbacks=[stopping, Snapshot()])
    history = trainer.fit(make_data(), make_data(), epochs=50, batch_size=20)
    assert len(history) == 5
    assert (stopping.best, stopping.best_epoch) == (1.0, 2)
    assert_same_bits(trainer.model.state_dict(), snapshots[1 if restore_best else -1])
    assert trainer.fit(make_data(), make_data(), epochs=50, batch_size=20) is history
    assert len(history) == 5


def test_early_stopping_on_accuracy_wants_more():
    stopping = EarlyStopping("train_acc", patience=2)
    make_trainer(SGD(0.0), callbacks=[stopping]).fit(make_data(200), epochs=3, batch_size=20)
    assert stopping.best is not None
    row = dict.fromkeys(COLUMNS, 1.0) | {"train_acc": stopping.best + 0.1}
    stopping.on_epoch_end(make_trainer(SGD()), Epoch(**row))
    assert stopping.best == row["train_acc"]


@pytest.mark.parametrize(
    "options",
    [
        {"callbacks": [EarlyStopping()]},
        {"callbacks": [EarlyStopping("val_acc")]},
        {"callbacks": [Checkpoint("x.npz", keep_best="val_acc")]},
        {"schedule": WarmUp(Plateau(0.1), 3)},
    ],
)
def test_watching_the_validation_needs_validation_data(options):
    trainer = make_trainer(SGD(0.1), **options)
    with pytest.raises(ValueError, match=r"watches val_.*: give fit validation data"):
        trainer.fit(make_data(), epochs=1, batch_size=20)
    assert trainer.step == 0


def test_watching_the_accuracy_needs_classes():
    data = np.ones((5, 2)), np.ones((5, 1))
    model = Sequential(Linear(2, 1, rng=0, dtype=np.float64))
    trainer = Trainer(model, MSELoss(), SGD(), callbacks=[EarlyStopping("train_acc")])
    with pytest.raises(ValueError, match="the targets are not classes"):
        trainer.fit(data, epochs=1, batch_size=5)


def test_the_history_is_logged_after_every_epoch(tmp_path):
    loggers = [HistoryLogger(tmp_path / "new" / name) for name in ("history.csv", "history.json")]
    lengths = []

    class Reader(Callback):
        runs_last = True

        def on_epoch_end(self, trainer, row):
            lengths.append(len(History.from_csv(tmp_path / "new" / "history.csv")))

    trainer = make_trainer(SGD(0.1), callbacks=[*loggers, Reader()])
    history = trainer.fit(make_data(), make_data(), epochs=3, batch_size=20)
    assert lengths == [1, 2, 3]
    assert History.from_csv(loggers[0].path) == history
    assert History.from_json(loggers[1].path) == history


# ---------------------------------------------------------------- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_bars():
    stream = Terminal()
    trainer = make_trainer(SGD(0.1), callbacks=[ProgressBar(stream=stream)])
    trainer.fit(make_data(), make_data(), epochs=2, batch_size=20)
    text = stream.getvalue()
    assert "\r" in text
    for part in ("epoch 1/2", "epoch 2/2", "50/50", "img/s", "loss ", "accuracy ", "val loss ", "100%"):
        assert part in text
    assert text.endswith("\n")


def test_a_file_gets_a_line_for_each_epoch():
    stream = io.StringIO()
    trainer = make_trainer(SGD(0.1), callbacks=[ProgressBar(stream=stream)])
    trainer.fit(make_data(), make_data(), epochs=10, batch_size=20)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("epoch  1/10: loss ")
    assert all(part in lines[9] for part in ("accuracy", "val loss", "lr 0.1", "img/s"))
    assert "\r" not in stream.getvalue()


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_progress_can_be_switched_off(stream, capsys):
    bar = ProgressBar(enabled=False, stream=stream)
    make_trainer(SGD(0.1), callbacks=[bar]).fit(make_data(), epochs=1, batch_size=20)
    assert stream.getvalue() == ""
    assert capsys.readouterr() == ("", "")


def test_progress_goes_to_standard_error_and_does_without(monkeypatch, capsys):
    make_trainer(SGD(0.1), callbacks=[ProgressBar()]).fit(make_data(), epochs=1, batch_size=20)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("epoch 1/1: loss ")
    monkeypatch.setattr("sys.stderr", None)
    make_trainer(SGD(0.1), callbacks=[ProgressBar()]).fit(make_data(), epochs=1, batch_size=20)


def test_a_bar_is_closed_when_training_fails():
    stream = Terminal()
    x, t = make_data()
    x[:] = np.nan
    bar = ProgressBar(stream=stream)
    with pytest.raises(FloatingPointError):
        make_trainer(SGD(0.1), callbacks=[bar]).fit((x, t), epochs=1, batch_size=20)
    assert stream.getvalue().endswith("\n")


# ---------------------------------------------------------------- Ctrl-C


@pytest.fixture
def default_handler():
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, previous)


def press_ctrl_c(trainer=None):
    signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("default_handler")
@pytest.mark.parametrize("step", [1, 3, 4, 6])
def test_ctrl_c_waits_for_the_end_of_the_step(step):
    recorder = Recorder()
    trainer = make_trainer(Adam(), callbacks=[AtStep(step, press_ctrl_c), recorder], augment=shift)
    with pytest.raises(Interrupted) as caught:
        trainer.fit(make_data(), make_data(), epochs=3, batch_size=20)
    assert isinstance(caught.value, KeyboardInterrupt)
    assert recorder.calls[-2:] == [f"step end {step}", "exception Interrupted"]
    trainer.fit(make_data(), make_data(), epochs=3, batch_size=20)
    whole = make_trainer(Adam(), augment=shift)
    history = whole.fit(make_data(), make_data(), epochs=3, batch_size=20)
    assert_same_bits(trainer.model.state_dict(), whole.model.state_dict())
    assert trainer.history["train_loss"] == history["train_loss"]
    assert trainer.history["val_acc"] == history["val_acc"]


@pytest.mark.usefixtures("default_handler")
def test_ctrl_c_during_the_update_does_not_tear_it():
    class Interrupting(SGD):
        def update(self, params, grads):
            press_ctrl_c()
            super().update(params, grads)

    trainer = make_trainer(Interrupting(0.1))
    with pytest.raises(Interrupted):
        trainer.fit(make_data(), epochs=1, batch_size=20)
    once = make_trainer(SGD(0.1), callbacks=[AtStep(1, Trainer.stop)])
    once.fit(make_data(), epochs=1, batch_size=20)
    assert_same_bits(trainer.model.state_dict(), once.model.state_dict())


@pytest.mark.usefixtures("default_handler")
def test_ctrl_c_during_the_validation_does_not_train_the_epoch_again(monkeypatch):
    measure = evaluation.tally_batches

    def interrupted(*arguments):
        monkeypatch.undo()
        press_ctrl_c()
        return measure(*arguments)

    trainer = make_trainer(Adam())
    monkeypatch.setattr(evaluation, "tally_batches", interrupted)
    with pytest.raises(Interrupted):
        trainer.fit(make_data(), make_data(), epochs=2, batch_size=20, eval_batch_size=10)
    assert (trainer.epoch, trainer.step, len(trainer.history)) == (0, 3, 0)
    history = trainer.fit(make_data(), make_data(), epochs=2, batch_size=20)
    whole = make_trainer(Adam())
    whole.fit(make_data(), make_data(), epochs=2, batch_size=20)
    assert history["step"] == [3, 6]
    assert_same_bits(trainer.model.state_dict(), whole.model.state_dict())


@pytest.mark.usefixtures("default_handler")
def test_a_second_ctrl_c_does_not_wait():
    recorder = Recorder()
    twice = AtStep(2, lambda trainer: (press_ctrl_c(), press_ctrl_c()))
    trainer = make_trainer(SGD(0.1), callbacks=[twice, recorder])
    with pytest.raises(KeyboardInterrupt) as caught:
        trainer.fit(make_data(), epochs=2, batch_size=20)
    assert not isinstance(caught.value, Interrupted)
    assert recorder.calls[-1] == "exception KeyboardInterrupt"


@pytest.mark.usefixtures("default_handler")
def test_a_late_ctrl_c_is_not_lost():
    class AtTheEnd(Callback):
        def on_fit_end(self, trainer):
            press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        make_trainer(SGD(0.1), callbacks=[AtTheEnd()]).fit(make_data(), epochs=1, batch_size=20)


def test_handlers_of_the_program_are_left_alone():
    calls = []
    previous = signal.signal(signal.SIGINT, lambda *arguments: calls.append(1))
    try:
        mine = signal.getsignal(signal.SIGINT)
        trainer = make_trainer(SGD(0.1), callbacks=[AtStep(2, press_ctrl_c)])
        trainer.fit(make_data(), epochs=1, batch_size=20)
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, previous)
    assert calls == [1]


def test_training_in_other_threads():
    trainers = [make_trainer(SGD(0.1)) for _ in range(3)]
    threads = [
        threading.Thread(target=trainer.fit, args=[make_data()], kwargs={"epochs": 2, "batch_size": 20})
        for trainer in trainers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for trainer in trainers:
        assert trainer.epoch == 2
        assert_same_bits(trainer.model.state_dict(), trainers[0].model.state_dict())


# ---------------------------------------------------------------- bad arguments


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"schedule": 0.1}, TypeError, "schedule: expects a function"),
        ({"callbacks": [print]}, TypeError, "callbacks: expect Callback objects"),
        ({"clip_norm": 0}, ValueError, "clip_norm"),
        ({"clip_norm": math.nan}, ValueError, "clip_norm"),
        ({"on_nonfinite": "warn"}, ValueError, "on_nonfinite: expects one of 'raise', 'ignore'"),
        ({"seed": -1}, ValueError, "non-negative"),
    ],
)
def test_a_trainer_refuses_what_it_cannot_use(options, error, message):
    with pytest.raises(error, match=message):
        make_trainer(SGD(), **options)


def test_a_loss_for_each_element_is_refused():
    with pytest.raises(ValueError, match="reduction to one number"):
        Trainer(make_model(), CrossEntropyLoss(reduction="none"), SGD())


@pytest.mark.parametrize(
    ("train", "options", "error", "message"),
    [
        (make_data()[0], {}, TypeError, "train: expects Arrays or a pair"),
        ((make_data()[0], [1, 2]), {}, TypeError, "t: expects a numpy array"),
        ((make_data()[0], np.zeros(3, int)), {}, ValueError, "50 examples and 3 targets"),
        ((make_data()[0][:0], np.zeros(0, int)), {}, ValueError, "train: expects at least one example"),
        (make_data(), {"validation": make_data()[0]}, TypeError, "validation: expects Arrays"),
        (make_data(), {"epochs": -1}, ValueError, "epochs"),
        (make_data(), {"epochs": 1.5}, TypeError, "epochs"),
        (make_data(), {"batch_size": 0}, ValueError, "batch_size"),
        (make_data(), {"eval_batch_size": 0}, ValueError, "eval_batch_size"),
    ],
)
def test_fit_refuses_data_and_numbers_that_do_not_fit(train, options, error, message):
    trainer = make_trainer(SGD(0.1))
    with pytest.raises(error, match=message):
        trainer.fit(train, **({"epochs": 1, "batch_size": 20} | options))
    assert trainer.step == 0


def test_evaluate_and_predict_refuse_them_too():
    trainer = make_trainer(SGD())
    x, t = make_data()
    with pytest.raises(TypeError, match="data: expects Arrays"):
        trainer.evaluate(x)
    with pytest.raises(ValueError, match="data: expects at least one example"):
        trainer.evaluate((x[:0], t[:0]))
    with pytest.raises(ValueError, match="batch_size"):
        trainer.evaluate((x, t), 0)
    with pytest.raises(ValueError, match="top_k"):
        trainer.evaluate((x, t), top_k=0)
    with pytest.raises(ValueError, match="batch_size"):
        trainer.predict(x, 0)
    with pytest.raises(TypeError, match="x: expects an array"):
        trainer.predict([1.0])


@pytest.mark.parametrize(
    "build",
    [
        lambda: EarlyStopping("loss"),
        lambda: EarlyStopping(patience=0),
        lambda: EarlyStopping(min_delta=-1.0),
        lambda: Checkpoint("x.pkl"),
        lambda: Checkpoint("x.npz", every_epochs=0),
        lambda: Checkpoint("x.npz", every_steps=-1),
        lambda: Checkpoint("x.npz", keep_best="accuracy"),
        lambda: HistoryLogger("x.txt"),
    ],
)
def test_callbacks_refuse_what_they_cannot_use(build):
    with pytest.raises(ValueError, match="expects"):
        build()


# ---------------------------------------------------------------- history


def example_history():
    return History(
        [
            Epoch(1, 10, 0.1 + 0.2, 0.5, 1 / 3, 0.25, 0.01, 1.5, 1e5 / 3),
            Epoch(2, 20, math.inf, None, None, None, 1e-300, 0.0, 5.0),
            Epoch(3, 30, 0.2, 0.75, 0.125, 0.25, 0.01, 2.0, 7.0),
        ]
    )


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_history_comes_back_exactly(tmp_path, kind):
    path = tmp_path / f"history.{kind}"
    for history in (example_history(), History()):
        getattr(history, f"to_{kind}")(path)
        assert getattr(History, f"from_{kind}")(path) == history
    history = History([Epoch(1, 1, math.nan, None, -math.inf, None, 0.1, 0.1, 1.0)])
    getattr(history, f"to_{kind}")(path)
    assert str(getattr(History, f"from_{kind}")(path)) == str(history)


def test_history_files_are_what_other_programs_expect(tmp_path):
    example_history().to_csv(tmp_path / "h.csv")
    lines = (tmp_path / "h.csv").read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert lines[2] == "2,20,inf,,,,1e-300,0.0,5.0"
    example_history().to_json(tmp_path / "h.json")

    def refuse(token):
        raise AssertionError(token)

    rows = json.loads((tmp_path / "h.json").read_text(), parse_constant=refuse)
    assert rows[1]["train_loss"] == "inf"
    assert rows[1]["val_loss"] is None


def test_a_history_is_a_table():
    history = example_history()
    assert len(history) == 3
    assert history["val_acc"] == [0.25, None, 0.25]
    assert history[-1].epoch == 3
    assert [row.step for row in history] == [10, 20, 30]
    assert history.best().epoch == 3
    assert history.best("val_acc").epoch == 1
    assert history.best("train_loss").epoch == 3
    assert "3 epochs" in repr(history)
    assert repr(History()) == "History(0 epochs)"
    with pytest.raises(ValueError, match="column: expects one of"):
        history["accuracy"]
    with pytest.raises(ValueError, match="monitor: expects one of"):
        history.best("lr")
    with pytest.raises(ValueError, match="no epoch has a val_loss"):
        History().best()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "expects a list of rows, got dict"),
        ("[3]", "row 1: expects the columns .* got int"),
        ('[{"epoch": 1}]', "row 1: expects the columns"),
        (json.dumps([dict.fromkeys(COLUMNS, 1) | {"lr": "fast"}]), "row 1: lr must be a number, got 'fast'"),
        (json.dumps([dict.fromkeys(COLUMNS, 1) | {"lr": None}]), "row 1: lr must be a number, got None"),
        (json.dumps([dict.fromkeys(COLUMNS, 1) | {"step": [1]}]), "row 1: step must be a number"),
        (json.dumps([dict.fromkeys(COLUMNS, 1) | {"step": 1e999}]), "row 1: step must be a number"),
    ],
)
def test_a_damaged_history_is_refused(tmp_path, text, message):
    path = tmp_path / "h.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        History.from_json(path)
    assert str(path) in str(caught.value)


def test_a_damaged_csv_is_refused(tmp_path):
    path = tmp_path / "h.csv"
    example_history().to_csv(path)
    text = path.read_text()
    lines = ("1,2\n", "1" + ",1" * 12)
    for damaged in (text.replace("0.25", "x"), text.replace("lr", "rate"), *(text + line for line in lines)):
        path.write_text(damaged)
        with pytest.raises(ValueError, match=r"h\.csv: history, row"):
            History.from_csv(path)
