"""Checkpoints: what is resumed ends with the same bits, and what cannot be resumed changes nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from training_parts import (
    assert_same_bits,
    everything,
    make_data,
    make_model,
    make_trainer,
    shift,
    weights_of,
)

import cnn_core
from cnn_core.files import load_tensors, save_tensors
from cnn_core.layers import Linear, Sequential
from cnn_core.losses import CrossEntropyLoss, MSELoss
from cnn_core.optim import SGD, AdaGrad, Adam, AdamW, Momentum, Nesterov, RMSprop
from cnn_core.optim.schedules import Cosine, OneCycle, Plateau, WarmUp
from cnn_core.training import Callback, Checkpoint, EarlyStopping, Interrupted, Trainer, evaluation
from cnn_core.training.checkpoint import KEY

EPOCHS, BATCH_SIZE, STEPS = 3, 20, 9  # 50 examples: 3 steps an epoch

OPTIMIZERS = {
    "SGD": lambda: SGD(0.05, weight_decay=0.01),
    "SGD with momentum": lambda: SGD(0.05, momentum=0.9, nesterov=True),
    "Momentum": lambda: Momentum(0.05),
    "Nesterov": lambda: Nesterov(0.05),
    "AdaGrad": lambda: AdaGrad(0.05),
    "RMSprop": lambda: RMSprop(0.01),
    "Adam": lambda: Adam(0.01),
    "AdamW": lambda: AdamW(0.01),
}
SCHEDULES = {
    "none": lambda: None,
    "cosine": lambda: Cosine(0.05, STEPS),
    "one cycle": lambda: OneCycle(0.05, STEPS),
    "plateau": lambda: WarmUp(Plateau(0.05, 0.5, patience=0, threshold=0.2), 2),
}


class SaveEverywhere(Callback):
    """A checkpoint for every step and every epoch."""

    runs_last = True

    def __init__(self, folder, suffix=".safetensors"):
        self.folder = folder
        self.suffix = suffix

    def on_epoch_start(self, trainer):
        trainer.save_checkpoint(self.folder / f"begin{trainer.epoch}{self.suffix}")

    def on_step_end(self, trainer):
        trainer.save_checkpoint(self.folder / f"step{trainer.step}{self.suffix}")

    def on_epoch_end(self, trainer, row):
        trainer.save_checkpoint(self.folder / f"epoch{row.epoch}{self.suffix}")


def fit(trainer, **options):
    return trainer.fit(make_data(), make_data(30, 5), epochs=EPOCHS, batch_size=BATCH_SIZE, **options)


# ---------------------------------------------------------------- the same bits


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", ["none", "plateau"])
def test_resuming_anywhere_ends_with_the_same_bits(tmp_path, optimizer, schedule):
    def trainer(**options):
        return make_trainer(
            OPTIMIZERS[optimizer](),
            schedule=SCHEDULES[schedule](),
            clip_norm=1.0,
            augment=shift,
            **options,
        )

    whole = trainer(callbacks=[SaveEverywhere(tmp_path)])
    fit(whole)
    expected = everything(whole) | {"callbacks": "[]"}
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == STEPS + 2 * EPOCHS
    for path in paths:
        # Another start: nothing but the file decides.
        resumed = make_trainer(
            OPTIMIZERS[optimizer](),
            make_model(seed=99),
            schedule=SCHEDULES[schedule](),
            clip_norm=1.0,
            augment=shift,
            seed=98,
        )
        assert resumed.resume(path) is resumed
        fit(resumed)
        assert_same_bits(everything(resumed), expected)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_every_schedule_and_format(tmp_path, schedule, suffix):
    whole = make_trainer(
        SGD(0.05), schedule=SCHEDULES[schedule](), callbacks=[SaveEverywhere(tmp_path, suffix)]
    )
    fit(whole)
    for name in ("step4", "epoch2"):
        resumed = make_trainer(SGD(0.7), schedule=SCHEDULES[schedule]())
        fit(resumed.resume(tmp_path / f"{name}{suffix}"))
        assert_same_bits(everything(resumed), everything(whole) | {"callbacks": "[]"})


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_kind_of_random_generator(tmp_path, kind):
    def trainer(seed, **options):
        def generator(seed):
            return np.random.Generator(getattr(np.random, kind)(seed))

        model = make_model(dropout_rng=generator(seed + 10))
        return make_trainer(SGD(0.05), model, seed=generator(seed), augment=shift, **options)

    whole = trainer(0, callbacks=[SaveEverywhere(tmp_path)])
    fit(whole)
    resumed = trainer(1)
    fit(resumed.resume(tmp_path / "step5.safetensors"))
    assert_same_bits(everything(resumed), everything(whole) | {"callbacks": "[]"})


def test_float64_and_dropped_batches(tmp_path):
    def trainer(**options):
        return make_trainer(Adam(), make_model().astype(np.float64), **options)

    def train(trainer):
        x, t = make_data()
        trainer.fit((x.astype(np.float64), t), epochs=EPOCHS, batch_size=BATCH_SIZE, drop_last=True)

    whole = trainer(callbacks=[SaveEverywhere(tmp_path)])
    train(whole)
    resumed = trainer()
    train(resumed.resume(tmp_path / "step3.safetensors"))
    assert_same_bits(resumed.model.state_dict(), whole.model.state_dict())


def test_a_model_without_random_state_and_a_function_as_schedule(tmp_path):
    def trainer():
        model = Sequential(Linear(4, 3, rng=0))
        return make_trainer(SGD(), model, schedule=lambda step: 0.1 / (1 + step))

    data = np.random.default_rng(0).random((10, 4), np.float32), np.arange(10) % 3
    whole = trainer()
    whole.fit(data, epochs=1, batch_size=3)
    whole.save_checkpoint(tmp_path / "c.npz")
    whole.fit(data, epochs=2, batch_size=3)
    resumed = trainer().resume(tmp_path / "c.npz")
    resumed.fit(data, epochs=2, batch_size=3)
    assert_same_bits(resumed.model.state_dict(), whole.model.state_dict())


def test_resuming_again_and_again(tmp_path):
    """Every step in a trainer of its own."""
    path = tmp_path / "c.safetensors"

    def trainer():
        stop = Callback()
        stop.on_step_end = lambda trainer: trainer.stop()
        return make_trainer(Adam(), callbacks=[stop], augment=shift)

    trainer().save_checkpoint(path)
    while (current := trainer().resume(path)).epoch < EPOCHS:
        fit(current)
        current.save_checkpoint(path)
    whole = make_trainer(Adam(), augment=shift)
    fit(whole)
    assert_same_bits(everything(current) | {"callbacks": "[]"}, everything(whole))


def test_saving_between_resume_and_fit_loses_nothing(tmp_path):
    whole = make_trainer(Adam(), callbacks=[SaveEverywhere(tmp_path)], augment=shift)
    fit(whole)
    middle = make_trainer(Adam(), augment=shift).resume(tmp_path / "step5.safetensors")
    middle.save_checkpoint(tmp_path / "again.safetensors")
    resumed = make_trainer(Adam(), augment=shift).resume(tmp_path / "again.safetensors")
    fit(resumed)
    assert_same_bits(everything(resumed), everything(whole) | {"callbacks": "[]"})


def test_saving_does_not_disturb(tmp_path):
    saving = make_trainer(Adam(), callbacks=[SaveEverywhere(tmp_path)], augment=shift)
    silent = make_trainer(Adam(), augment=shift)
    fit(saving)
    fit(silent)
    assert_same_bits(everything(saving) | {"callbacks": "[]"}, everything(silent))


# ---------------------------------------------------------------- callbacks


def test_early_stopping_remembers(tmp_path, monkeypatch):
    losses = dict(enumerate([3.0, 1.0, 2.0, 1.5, 4.0, 0.1], start=1))
    measure = evaluation.tally_batches
    current = []

    def scripted(*arguments):
        tally = measure(*arguments)
        tally.loss_sum = losses[current[-1].epoch + 1] * tally.examples
        return tally

    monkeypatch.setattr(evaluation, "tally_batches", scripted)

    def train(trainer):
        current.append(trainer)
        trainer.fit(make_data(), make_data(30, 5), epochs=50, batch_size=BATCH_SIZE)

    def trainer(*callbacks):
        return make_trainer(Adam(), callbacks=[EarlyStopping(patience=3), *callbacks])

    whole = trainer(SaveEverywhere(tmp_path))
    train(whole)
    assert whole.epoch == 5
    for name in ("step2", "epoch1", "step5", "epoch2", "step8", "epoch4", "step15", "epoch5"):
        resumed = trainer()
        train(resumed.resume(tmp_path / f"{name}.safetensors"))
        assert resumed.epoch == 5
        assert_same_bits(resumed.model.state_dict(), whole.model.state_dict())
        assert resumed.callbacks[0].best_epoch == 2


def test_checkpoints_are_written_when_promised(tmp_path):
    written = []

    class Log(Trainer):
        def save_checkpoint(self, path):
            written.append((self.epoch, self.step))
            super().save_checkpoint(path)

    def steps(epochs=5, callbacks=(), **options):
        written.clear()
        checkpoint = Checkpoint(tmp_path / "new" / "c.safetensors", **options)
        trainer = Log(make_model(), CrossEntropyLoss(), SGD(0.01), callbacks=[checkpoint, *callbacks])
        trainer.fit(make_data(), epochs=epochs, batch_size=BATCH_SIZE)
        return list(written)

    assert steps() == [(1, 3), (2, 6), (3, 9), (4, 12), (5, 15)]
    assert steps(every_epochs=2) == [(2, 6), (4, 12), (5, 15)]
    assert steps(every_epochs=None) == [(5, 15)]
    assert steps(2, every_epochs=None, every_steps=2) == [(0, 2), (1, 4), (1, 6), (2, 6)]
    stop = Callback()
    stop.on_epoch_end = lambda trainer, row: trainer.stop()
    assert steps(every_epochs=3, callbacks=[stop]) == [(1, 3)]
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "c.safetensors"]


def test_the_best_model_is_kept(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run.safetensors", keep_best="train_loss")
    snapshots = []

    class Snapshot(Callback):
        def on_epoch_end(self, trainer, row):
            snapshots.append(weights_of(trainer.model))

    rates = [0.05, 0.05, 3.0, 3.0]  # the last two epochs spoil it
    trainer = make_trainer(
        SGD(),
        callbacks=[checkpoint, Snapshot()],
        schedule=lambda step: rates[step // 3],
        on_nonfinite="ignore",
    )
    history = trainer.fit(make_data(), epochs=4, batch_size=BATCH_SIZE)
    best = history.best("train_loss").epoch
    assert best < 4
    model = make_model(seed=9)
    model.load(tmp_path / "run-best.safetensors")
    assert_same_bits(model.state_dict(), snapshots[best - 1])

    again = Checkpoint(tmp_path / "run.safetensors", keep_best="train_loss")
    make_trainer(SGD(), callbacks=[again], schedule=lambda step: 0.0).resume(tmp_path / "run.safetensors")
    assert again.best == checkpoint.best == history.best("train_loss").train_loss


def test_new_callbacks_may_join_and_saved_ones_must_be_there(tmp_path):
    path = tmp_path / "c.safetensors"
    make_trainer(Adam(), callbacks=[Checkpoint(path)]).save_checkpoint(path)
    make_trainer(Adam(), callbacks=[EarlyStopping(), Checkpoint(path)]).resume(path)
    make_trainer(Adam()).resume(path)
    make_trainer(Adam(), callbacks=[EarlyStopping()]).save_checkpoint(path)
    with pytest.raises(ValueError, match="callback 'EarlyStopping', which this trainer does not have"):
        make_trainer(Adam(), callbacks=[Checkpoint(path)]).resume(path)


def test_ctrl_c_saves(tmp_path):
    path = tmp_path / "c.safetensors"
    press = Callback()
    press.on_step_end = lambda trainer: trainer.step == 5 and signal.raise_signal(signal.SIGINT)
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(Interrupted):
            fit(make_trainer(Adam(), callbacks=[press, Checkpoint(path)]))
    finally:
        signal.signal(signal.SIGINT, previous)
    resumed = make_trainer(Adam()).resume(path)
    assert resumed.step == 5
    whole = make_trainer(Adam())
    fit(resumed)
    fit(whole)
    assert_same_bits(everything(resumed), everything(whole))


# ---------------------------------------------------------------- kill -9


SCRIPT = """
import sys, time
sys.path[:0] = {paths!r}
from training_parts import make_data, make_trainer, shift
from cnn_core.optim import Adam
from cnn_core.optim.schedules import Cosine
from cnn_core.training import Callback, Checkpoint

class Report(Callback):
    runs_last = True
    def on_step_end(self, trainer):
        print(trainer.step, flush=True)
        if 0 < kill_at < trainer.step:
            time.sleep(600)  # the kill is on its way, however busy the machine is

path, kill_at = sys.argv[1], int(sys.argv[4])
trainer = make_trainer(
    Adam(), schedule=Cosine(0.01, 9), augment=shift, callbacks=[Checkpoint(path, every_steps=1), Report()]
)
if sys.argv[2] == "resume":
    trainer.resume(path)
trainer.fit(make_data(), epochs=3, batch_size=20)
trainer.model.save(sys.argv[3])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_twice_it_ends_with_the_same_bits(tmp_path):
    folders = [str(Path(__file__).parent), str(Path(cnn_core.__file__).parents[1])]
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(paths=folders))
    path, model_path = tmp_path / "c.safetensors", tmp_path / "model.safetensors"

    def run(how, kill_at=0):
        command = [sys.executable, str(script), str(path), how, str(model_path), str(kill_at)]
        steps = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                steps.append(int(line))
                if steps[-1] == kill_at:
                    os.kill(process.pid, signal.SIGKILL)
        assert process.returncode == (-signal.SIGKILL if kill_at else 0)
        return steps

    run("start", kill_at=2)
    steps = run("resume", kill_at=7)
    assert steps[0] >= 3
    steps = run("resume")
    assert steps == [] or 8 <= steps[0] <= steps[-1] == STEPS

    whole = make_trainer(Adam(), schedule=Cosine(0.01, STEPS), augment=shift)
    whole.fit(make_data(), epochs=3, batch_size=20)
    assert_same_bits(load_tensors(model_path)[0], whole.model.state_dict())


# ---------------------------------------------------------------- damage


@pytest.fixture
def saved(tmp_path):
    """A checkpoint from the middle of an epoch, and a way to build trainers that could take it."""
    path = tmp_path / "c.safetensors"
    folder = tmp_path / "all"
    folder.mkdir()

    def build(**options):
        callbacks = [EarlyStopping(), Checkpoint(folder / "own.safetensors", keep_best="val_acc")]
        options = {"schedule": WarmUp(Plateau(0.01), 2), "callbacks": callbacks, "augment": shift} | options
        return make_trainer(Adam(), **options)

    trainer = build()
    trainer.callbacks.append(SaveEverywhere(folder))
    fit(trainer)
    (folder / "step5.safetensors").replace(path)
    return path, build


def refuses(build, path, match=None):
    """Resuming fails with a ValueError that names the file, and nothing has changed."""
    trainer = build()
    trainer.fit(make_data(20, 7), make_data(20, 8), epochs=1, batch_size=10)
    before = everything(trainer)
    with pytest.raises(ValueError, match=match) as caught:
        trainer.resume(path)
    assert_same_bits(everything(trainer), before)
    assert str(path) in str(caught.value)


def test_the_undamaged_file_is_taken(saved):
    path, build = saved
    assert build().resume(path).step == 5


def test_a_truncated_file_changes_nothing(saved):
    path, build = saved
    whole = path.read_bytes()
    header = int.from_bytes(whole[:8], "little")
    for size in (0, 4, 8, 9, header // 2, header + 8, header + 9, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        refuses(build, path)


def test_a_flipped_bit_changes_nothing(saved):
    path, build = saved
    whole = path.read_bytes()
    trainer = build()
    before = everything(trainer)
    after = everything(build().resume(path))
    rng = np.random.default_rng(0)
    refused = 0
    for position in np.unique(rng.integers(len(whole), size=150)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            trainer.resume(path)
        except ValueError:
            refused += 1
            assert_same_bits(everything(trainer), before)
        else:  # a blank at the end of the header
            assert_same_bits(everything(trainer), after)
            trainer = build()
    assert refused > 145


def rewrite(path, change):
    """Change tensors or the document of a checkpoint; checksums and all will be in order."""
    tensors, metadata = load_tensors(path)
    document = json.loads(metadata[KEY])
    change(tensors, document)
    save_tensors(path, tensors, {KEY: json.dumps(document)})


def put(*keys):
    """A change that sets an entry of the document."""

    def change(tensors, document):
        for key in keys[:-2]:
            document = document[key]
        document[keys[-2]] = keys[-1]

    return change


def tensor(name, value):
    """A change that sets a tensor, or removes it."""

    def change(tensors, document):
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (tensor("model.0.weight", None), r"tensor 'model\.0\.weight' is missing"),
        (tensor("model.9.weight", np.zeros(2)), r"tensor 'model\.9\.weight' has no counterpart"),
        (tensor("model.0.weight", np.zeros((4, 1, 3, 2), "f4")), r"tensor 'model\.0\.weight': expects shape"),
        (tensor("model.0.weight", np.zeros((4, 1, 3, 3), "f8")), r"'model\.0\.weight': .* float64"),
        (tensor("optimizer.0.weight.m", None), "optimizer"),
        (
            tensor("optimizer.0.weight.m", np.zeros(3, "f4")),
            r"tensor 'optimizer\.0\.weight\.m': expects shape",
        ),
        (tensor("optimizer.0.weight.m", np.zeros((4, 1, 3, 3), "i4")), r"tensor 'optimizer\.0\.weight\.m'"),
        (tensor("optimizer.0.weight.q", np.zeros((4, 1, 3, 3), "f4")), r"optimizer.*0\.weight\.q"),
        (
            tensor("optimizer.7.weight.m", np.zeros(3, "f4")),
            r"tensor 'optimizer\.7\.weight\.m' belongs to no",
        ),
        (tensor("callback.0.weights.0.bias", np.zeros(5, "f4")), r"'callback\.0\.weights\.0\.bias': expects"),
        (tensor("callback.0.weights.1.x", np.zeros(5, "f4")), r"'callback\.0\.weights\.1\.x' belongs to no"),
        (put("version", 2), "version 2"),
        (put("version", None), "version None"),
        (put("kinds", None), "'kinds' is missing"),
        (put("kinds", "model", "Sequential()"), r"another model: there Sequential\(\), here Sequential\("),
        (put("kinds", "loss", "Other"), "another loss: there Other, here Cross"),
        (put("kinds", "optimizer", "SGD"), "another optimizer: there SGD, here Adam"),
        (put("kinds", "schedule", "Step"), "another schedule: there Step, here WarmUp"),
        (put("progress", []), "'progress' is missing or damaged"),
        (put("progress", "step", -1), "'progress' or 'tally' is damaged: step"),
        (put("progress", "batch", 1.5), "'progress' or 'tally' is damaged: batch"),
        (put("progress", "lr", "fast"), "'progress' or 'tally' is damaged"),
        (put("progress", "lr", 10**400), "'progress' or 'tally' is damaged"),
        (put("progress", {}), "'progress' or 'tally' is damaged"),
        (put("tally", "examples", None), "'progress' or 'tally' is damaged: examples"),
        (put("data", 3), "'data' is missing or damaged"),
        (put("rng", 3), "'rng' is missing or damaged"),
        (put("rng", "trainer", {}), "random state of the trainer: expects the entries"),
        (put("rng", "trainer", "bit_generator", "MT19937"), "random state of the trainer, 'bit_generator'"),
        (put("rng", "trainer", "state", "state", 2**128), "random state of the trainer, 'state', 'state'"),
        (put("rng", "trainer", "state", "inc", -1), "random state of the trainer, 'state', 'inc'"),
        (put("rng", "trainer", "has_uint32", 7), "'has_uint32': expects an integer from 0 to 1"),
        (put("rng", "trainer", "uinteger", 2**32), "'uinteger': expects an integer from 0 to"),
        (put("rng", "model", {}), "random state of the model: expects the entries"),
        (put("rng", "model", "4.rng", "state", "state", "x"), "random state of the model, '4.rng'"),
        (put("optimizer", []), "'optimizer' is missing or damaged"),
        (put("optimizer", "lr", "fast"), "state of the optimizer does not fit"),
        (put("optimizer", "lr", float("nan")), "state of the optimizer does not fit"),
        (put("optimizer", "momentum", 0.9), "state of the optimizer does not fit"),
        (put("schedule", None), "state of the schedule does not fit"),
        (put("schedule", "warmup_steps", -1), "state of the schedule does not fit"),
        (put("schedule", "schedule", "kind", "Step"), "state of the schedule does not fit"),
        (put("callbacks", None), "'callbacks' is missing or damaged"),
        (put("callbacks", [3]), "callback None, which this trainer does not have"),
        (put("callbacks", 0, "kind", "Other"), "callback 'Other', which this trainer does not have"),
        (put("callbacks", 0, "state", None), "'state' is missing or damaged"),
        (put("callbacks", 0, "state", "best", "low"), "state of the callback EarlyStopping does not fit"),
        (put("callbacks", 0, "state", "bad_epochs", -1), "state of the callback EarlyStopping does not fit"),
        (put("callbacks", 1, "state", {}), "state of the callback Checkpoint does not fit"),
        (put("history", None), "history: expects a list"),
        (put("history", 0, "lr", None), "history, row 1: lr must be a number"),
        (put("rng", "trainer", {"array": [1], "dtype": "object"}), "document is unreadable"),
        (put("rng", "trainer", {"array": ["x"], "dtype": "uint32"}), "document is unreadable"),
    ],
)
def test_a_wrong_part_changes_nothing(saved, change, message):
    path, build = saved
    rewrite(path, change)
    refuses(build, path, message)


@pytest.mark.parametrize(
    ("kind", "keys", "value"),
    [
        ("MT19937", ["state", "pos"], 625),  # numpy would read beyond its buffer
        ("MT19937", ["state", "pos"], -1),
        ("MT19937", ["state", "key"], {"array": [1, 2, 3], "dtype": "uint32"}),
        ("MT19937", ["state", "key"], {"array": [1] * 624, "dtype": "uint64"}),
        ("Philox", ["buffer_pos"], 5),
        ("Philox", ["buffer"], {"array": [-1] * 4, "dtype": "uint64"}),
    ],
)
def test_a_random_state_that_would_crash_numpy_is_refused(tmp_path, kind, keys, value):
    path = tmp_path / "c.safetensors"

    def build():
        return make_trainer(SGD(), seed=np.random.Generator(getattr(np.random, kind)(0)))

    build().save_checkpoint(path)
    rewrite(path, put("rng", "trainer", *keys, value))
    refuses(build, path, "random state|unreadable")


@pytest.mark.parametrize("text", ["", "[]", "3", "[" * 100_000, "{"])
def test_a_document_that_is_none_is_refused(saved, text):
    path, build = saved
    tensors, _ = load_tensors(path)
    save_tensors(path, tensors, {KEY: text})
    refuses(build, path, "checkpoint")


def test_weights_alone_are_no_checkpoint(tmp_path):
    path = tmp_path / "model.safetensors"
    make_model().save(path)
    refuses(lambda: make_trainer(SGD()), path, r"is not a checkpoint: .* model\.load")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: make_trainer(SGD()), "another optimizer: there Adam, here SGD"),
        (
            lambda: make_trainer(Adam(), make_model(dropout=0.5)),
            r"there \(4\): Dropout\(p=0\.3\), here \(4\): Dropout\(p=0\.5\)",
        ),
        (
            lambda: make_trainer(Adam(), make_model().astype(np.float64)),
            r"tensor 'model\.0\.weight': expects",
        ),
        (
            lambda: make_trainer(Adam(), schedule=Cosine(0.1, 5)),
            "another schedule: there NoneType, here Cosine",
        ),
        (lambda: Trainer(make_model(), MSELoss(), Adam()), "another loss: there Cross"),
        (lambda: make_trainer(Adam(), seed=np.random.Generator(np.random.MT19937(0))), "of the trainer"),
        (
            lambda: make_trainer(Adam(), make_model(dropout_rng=np.random.Generator(np.random.SFC64(0)))),
            "random state of the model",
        ),
    ],
)
def test_a_checkpoint_of_another_training_changes_nothing(tmp_path, other, message):
    path = tmp_path / "c.safetensors"
    trainer = make_trainer(Adam())
    trainer.fit(make_data(), epochs=1, batch_size=BATCH_SIZE)
    trainer.save_checkpoint(path)
    trainer = other()
    before = everything(trainer)
    with pytest.raises(ValueError, match=message):
        trainer.resume(path)
    assert_same_bits(everything(trainer), before)


@pytest.mark.parametrize(
    "change",
    [
        {"train": make_data(49)},
        {"train": (make_data()[0], make_data()[1][::-1].copy())},
        {"batch_size": 10},
        {"drop_last": True},
    ],
)
def test_the_middle_of_an_epoch_needs_the_same_data(saved, change):
    path, build = saved
    trainer = build().resume(path)
    before = everything(trainer)
    options = {
        "train": make_data(),
        "validation": make_data(),
        "epochs": 3,
        "batch_size": BATCH_SIZE,
    } | change
    with pytest.raises(ValueError, match="stands at batch 2 of an epoch and continues only with the same"):
        trainer.fit(**options)
    assert_same_bits(everything(trainer), before)


def test_a_new_epoch_takes_other_data(tmp_path):
    path = tmp_path / "c.safetensors"
    trainer = make_trainer(Adam())
    trainer.fit(make_data(), epochs=1, batch_size=BATCH_SIZE)
    trainer.save_checkpoint(path)
    history = make_trainer(Adam()).resume(path).fit(make_data(33, 4), epochs=2, batch_size=7)
    assert history["step"] == [3, 8]


def test_a_position_beyond_the_epoch_is_refused(saved):
    path, build = saved
    rewrite(path, put("progress", "batch", 10))
    trainer = build().resume(path)
    with pytest.raises(ValueError, match="position: an epoch has 3 batches, got 10"):
        fit(trainer)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        make_trainer(SGD()).resume(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="the suffix must be"):
        make_trainer(SGD()).save_checkpoint(tmp_path / "c.pt")
