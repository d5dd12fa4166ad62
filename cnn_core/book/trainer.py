"""The training loop of the book (``common/trainer.py``)."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from cnn_core._checks import integer, one_of
from cnn_core.book._arrays import Array, Seed
from cnn_core.book.optimizer import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSprop

__all__ = ["Trainer"]

_OPTIMIZERS = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RMSprop,
    "adam": Adam,
}


class Trainable(Protocol):
    """What the trainer asks of a network, whether of this package or a script's own."""

    params: dict[str, Array]

    def gradient(self, x: Array, t: Array) -> Mapping[str, ArrayLike]: ...

    def loss(self, x: Array, t: Array) -> float: ...

    def accuracy(self, x: Array, t: Array) -> float: ...


class Trainer:
    """Train a network by mini-batches and measure its accuracy after every epoch.

    An epoch is ``ceil(N / mini_batch_size)`` steps. By default each epoch shows every image once, in a new
    random order, with a smaller batch at the end if the sizes do not fit. ``sampling="replacement"`` draws
    each batch independently, so images may repeat, as the book does. The accuracies are measured after the
    last step of an epoch; the book measures after the first one and, if N is no multiple of the batch size,
    leaves epochs out.

    Parameters
    ----------
    network
        Has ``params``, ``gradient(x, t)``, ``loss(x, t)`` and ``accuracy(x, t)``.
    x_train, t_train, x_test, t_test : array
    epochs, mini_batch_size : int
    optimizer : {"SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam"}
        In upper or lower case.
    optimizer_param : dict
        Arguments of the optimizer; a learning rate of 0.01 if not given.
    evaluate_sample_num_per_epoch : int, optional
        Measure the accuracies on the first images only, this many.
    verbose : bool
        Print the loss of every step and the accuracies of every epoch.
    sampling : {"epoch", "replacement"}
    rng : numpy.random.Generator, int or None
        Source of the order of the images.

    Attributes
    ----------
    train_loss_list : list of float
        After each step, the loss of its batch with the updated parameters.
    train_acc_list, test_acc_list : list of float
        After each epoch.
    """

    def __init__(
        self,
        network: Trainable,
        x_train: Array,
        t_train: Array,
        x_test: Array,
        t_test: Array,
        epochs: int = 20,
        mini_batch_size: int = 100,
        optimizer: str = "SGD",
        optimizer_param: Mapping[str, Any] | None = None,
        evaluate_sample_num_per_epoch: int | None = None,
        verbose: bool = True,
        *,
        sampling: Literal["epoch", "replacement"] = "epoch",
        rng: Seed = None,
    ) -> None:
        for purpose, x, t in (("training", x_train, t_train), ("testing", x_test, t_test)):
            if len(x) == 0 or len(x) != len(t):
                raise ValueError(
                    f"Trainer: expects images for {purpose} and a target for each, got {len(x)} images and "
                    f"{len(t)} targets"
                )
        self.network = network
        self.x_train, self.t_train = x_train, t_train
        self.x_test, self.t_test = x_test, t_test
        self.epochs = integer(epochs, "Trainer: epochs", at_least=0)
        self.batch_size = integer(mini_batch_size, "Trainer: mini_batch_size", at_least=1)
        optimizer = one_of(optimizer.lower(), "Trainer: optimizer", tuple(_OPTIMIZERS))
        param = {"lr": 0.01} if optimizer_param is None else optimizer_param
        self.optimizer = _OPTIMIZERS[optimizer](**param)
        if evaluate_sample_num_per_epoch is not None:
            integer(evaluate_sample_num_per_epoch, "Trainer: evaluate_sample_num_per_epoch", at_least=1)
        self.evaluate_sample_num_per_epoch = evaluate_sample_num_per_epoch
        self.verbose = verbose
        self.sampling = one_of(sampling, "Trainer: sampling", ("epoch", "replacement"))
        self._rng = np.random.default_rng(rng)

        self.train_size = len(x_train)
        self.iter_per_epoch = -(-self.train_size // mini_batch_size)  # rounded up
        self.max_iter = epochs * self.iter_per_epoch
        self.current_iter = 0
        self.current_epoch = 0
        self.train_loss_list: list[float] = []
        self.train_acc_list: list[float] = []
        self.test_acc_list: list[float] = []

    def train(self) -> None:
        """Train for all epochs, then measure the accuracy on all test images."""
        for _ in range(self.max_iter):
            self.train_step()
        test_acc = self.network.accuracy(self.x_test, self.t_test)
        if self.verbose:
            print("=============== Final Test Accuracy ===============")
            print(f"test acc:{test_acc}")

    def train_step(self) -> None:
        """Update the parameters by one batch and, at the end of an epoch, measure the accuracies."""
        batch = self._next_batch()
        x, t = self.x_train[batch], self.t_train[batch]
        self.optimizer.update(self.network.params, self.network.gradient(x, t))
        loss = self.network.loss(x, t)
        self.train_loss_list.append(loss)
        if self.verbose:
            print(f"train loss:{loss}")
        self.current_iter += 1
        if self.current_iter % self.iter_per_epoch == 0:
            self._finish_epoch()

    def _next_batch(self) -> Array:
        """Return the indices of the images of the next step."""
        if self.sampling == "replacement":
            return self._rng.choice(self.train_size, self.batch_size)
        step = self.current_iter % self.iter_per_epoch
        if step == 0:
            self._order = self._rng.permutation(self.train_size)
        return self._order[step * self.batch_size : (step + 1) * self.batch_size]

    def _finish_epoch(self) -> None:
        self.current_epoch += 1
        count = self.evaluate_sample_num_per_epoch
        train_acc = self.network.accuracy(self.x_train[:count], self.t_train[:count])
        test_acc = self.network.accuracy(self.x_test[:count], self.t_test[:count])
        self.train_acc_list.append(train_acc)
        self.test_acc_list.append(test_acc)
        if self.verbose:
            print(f"=== epoch:{self.current_epoch}, train acc:{train_acc}, test acc:{test_acc} ===")
