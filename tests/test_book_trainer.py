"""Row N8: the training loop of cnn_core.book."""

from itertools import chain

import numpy as np
import pytest

from cnn_core.book import optimizer
from cnn_core.book.multi_layer_net import MultiLayerNet
from cnn_core.book.trainer import Trainer


class Recorder:
    """A network that notes which images it is shown and how often it is measured."""

    def __init__(self):
        self.params = {"W": np.zeros(1)}
        self.batches, self.measured = [], []

    def gradient(self, x, t):
        assert np.array_equal(x[:, 0], t)
        self.batches.append(x[:, 0].tolist())
        return {"W": np.ones(1)}

    def loss(self, x, t):
        return float(self.params["W"][0])

    def accuracy(self, x, t):
        self.measured.append((len(self.batches), len(x)))
        return len(x) / 100


def trainer_of(n, n_test=4, **arguments):
    x = np.arange(float(n))[:, None]
    arguments = {"epochs": 3, "mini_batch_size": 4, "verbose": False, "rng": 0} | arguments
    return Trainer(Recorder(), x, x[:, 0], np.zeros((n_test, 1)), np.zeros(n_test), **arguments)


@pytest.mark.parametrize("n", [4, 8, 10, 3])
def test_every_epoch_shows_every_image_once(n):
    """Ours by default; the book draws with replacement."""
    trainer = trainer_of(n)
    trainer.train()
    steps = -(-n // 4)
    batches = trainer.network.batches
    assert len(batches) == 3 * steps == trainer.max_iter
    epochs = [list(chain(*batches[e * steps : (e + 1) * steps])) for e in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(n))
    if n == 10:
        assert epochs[0] != epochs[1] != epochs[2]


def test_sampling_with_replacement_is_the_books():
    trainer = trainer_of(10, epochs=20, sampling="replacement")
    trainer.train()
    batches = trainer.network.batches
    assert {len(batch) for batch in batches} == {4}
    assert any(len(set(batch)) < 4 for batch in batches)
    assert len(batches) == 60


@pytest.mark.parametrize("sampling", ["epoch", "replacement"])
@pytest.mark.parametrize("n", [8, 10])
def test_accuracies_are_measured_after_every_epoch(n, sampling):
    """Fixed: the book measures after the first step, and skips epochs if the sizes do not fit."""
    trainer = trainer_of(n, sampling=sampling)
    trainer.train()
    steps = -(-n // 4)
    expected = [(epoch * steps, size) for epoch in (1, 2, 3) for size in (n, 4)]
    assert trainer.network.measured == [*expected, (3 * steps, 4)]
    assert trainer.train_acc_list == [n / 100] * 3
    assert trainer.test_acc_list == [0.04] * 3
    assert trainer.current_epoch == 3


def test_evaluate_sample_num_per_epoch():
    trainer = trainer_of(8, n_test=50, evaluate_sample_num_per_epoch=5)
    trainer.train()
    assert trainer.network.measured == [(2, 5), (2, 5), (4, 5), (4, 5), (6, 5), (6, 5), (6, 50)]


def test_the_loss_is_that_after_the_step():
    trainer = trainer_of(4, optimizer_param={"lr": 0.5})
    trainer.train()
    assert trainer.train_loss_list == [-0.5, -1.0, -1.5]


def test_train_step_alone():
    trainer = trainer_of(8)
    trainer.train_step()
    assert (trainer.current_iter, trainer.current_epoch, trainer.train_acc_list) == (1, 0, [])
    trainer.train_step()
    assert (trainer.current_iter, trainer.current_epoch, len(trainer.train_acc_list)) == (2, 1, 1)


@pytest.mark.parametrize("name", ["SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam"])
def test_optimizers_by_name(name):
    for spelling in (name, name.lower(), name.upper()):
        made = trainer_of(4, optimizer=spelling, optimizer_param={"lr": 0.25}).optimizer
        assert type(made) is getattr(optimizer, name)
        assert made.lr == 0.25
    assert trainer_of(4).optimizer.lr == 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "lion"}, "'sgd', 'momentum'"),
        ({"sampling": "none"}, "sampling"),
        ({"mini_batch_size": 0}, "mini_batch_size"),
        ({"epochs": -1}, "epochs"),
        ({"n": 0}, "0 images"),
        ({"n_test": 0}, "testing"),
        ({"evaluate_sample_num_per_epoch": 0}, "evaluate_sample_num_per_epoch"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        trainer_of(**{"n": 4} | arguments)


def test_targets_must_match_images():
    with pytest.raises(ValueError, match="4 images and 3 targets"):
        Trainer(Recorder(), np.zeros((4, 1)), np.zeros(3), np.zeros((1, 1)), np.zeros(1))


def test_what_is_printed(capsys):
    trainer_of(4, epochs=1, verbose=True).train()
    assert capsys.readouterr().out == (
        "train loss:-0.01\n"
        "=== epoch:1, train acc:0.04, test acc:0.04 ===\n"
        "=============== Final Test Accuracy ===============\n"
        "test acc:0.04\n"
    )
    trainer_of(4).train()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("sampling", ["epoch", "replacement"])
def test_a_network_learns_and_the_seed_decides(sampling):
    centres = np.random.default_rng(0).standard_normal((3, 6))
    t = np.arange(90) % 3
    x = centres[t] + 0.3 * np.random.default_rng(1).standard_normal((90, 6))
    losses = []
    for _ in range(2):
        network = MultiLayerNet(6, [8], 3, rng=0)
        trainer = Trainer(
            network, x[:60], t[:60], x[60:], t[60:], 20, 7, "adam", verbose=False, sampling=sampling, rng=0
        )
        trainer.train()
        losses.append(trainer.train_loss_list)
    assert trainer.test_acc_list[-1] == 1.0
    assert losses[0] == losses[1]
