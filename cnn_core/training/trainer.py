"""The training loop."""

import inspect
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import numpy as np

from cnn_core._checks import integer, one_of, real_number
from cnn_core.data.batches import Augmentation, Batches
from cnn_core.optim.clip import clip_grad_norm
from cnn_core.optim.schedules import Schedule
from cnn_core.training import _data, checkpoint, evaluation
from cnn_core.training._numbers import watching
from cnn_core.training.callbacks import Callback
from cnn_core.training.history import Epoch, History
from cnn_core.training.interrupt import InterruptGuard
from cnn_core.training.metrics import Tally, are_classes


class Trainer:
    """Fit a model to data, epoch by epoch, so that it can be stopped anywhere and continued exactly.

    An epoch goes through all examples once, in a random order. The same seed, data and settings give the same
    weights, bit for bit, however often the training was interrupted and resumed from a checkpoint.

    Parameters
    ----------
    model : Layer
        Usually a ``Sequential``.
    loss : Loss
        With a reduction to one number.
    optimizer : Optimizer
    schedule : Schedule or callable, optional
        ``schedule(step) -> lr``, asked before every step. ``Plateau`` is shown its ``monitor`` after every
        epoch.
    callbacks : iterable of Callback
        Called in this order, except that those with ``runs_last`` (``Checkpoint``) come last.
    clip_norm : float, optional
        Largest norm of all gradients together; see ``clip_grad_norm``.
    augment : callable, optional
        ``augment(batch, rng) -> batch`` for the training examples; see ``cnn_core.data``.
    seed : int or numpy.random.Generator
        Source of the order of the examples and of the augmentation. The model's own randomness (initial
        weights, dropout) comes from the generators of its layers.
    on_nonfinite : {"raise", "ignore"}
        What to do about a loss, or with ``clip_norm`` about gradients, that are infinite or not a number.
    debug : bool
        Look for infinities and NaN in everything that is computed, and raise at the first one, whatever
        ``on_nonfinite`` says; see :func:`cnn_core.debugging.watch`. Slower, with the same bits.

    Attributes
    ----------
    epoch, step : int
        Completed epochs and steps.
    epochs, examples_per_epoch : int
        The goal of the current ``fit`` and the number of examples of each of its epochs.
    tally : Tally
        Loss and accuracy of the current epoch so far.
    lr : float
        Learning rate of the last step.
    history : History
    stopping : bool
        Whether somebody has called :meth:`stop` in the current ``fit``.
    """

    def __init__(
        self,
        model: Any,
        loss: Any,
        optimizer: Any,
        *,
        schedule: Callable[[int], float] | None = None,
        callbacks: Iterable[Callback] = (),
        clip_norm: float | None = None,
        augment: Augmentation | None = None,
        seed: int | np.random.Generator = 0,
        on_nonfinite: str = "raise",
        debug: bool = False,
    ) -> None:
        _data.check_part(model, "model", "forward", "backward")
        _data.check_part(loss, "loss", "forward", "backward")
        _data.check_part(optimizer, "optimizer", "update")
        if getattr(loss, "reduction", "mean") == "none":
            raise ValueError('loss: expects a reduction to one number, got reduction="none"')
        if schedule is not None and not callable(schedule):
            raise TypeError(f"schedule: expects a function of the step, got {type(schedule).__name__}")
        self.callbacks = sorted(callbacks, key=lambda callback: getattr(callback, "runs_last", False))
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks: expect Callback objects, got {type(callback).__name__}")
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.clip_norm = None if clip_norm is None else real_number(clip_norm, "clip_norm", above=0)
        self.augment = augment
        self.on_nonfinite = one_of(on_nonfinite, "on_nonfinite", ("raise", "ignore"))
        self.debug = bool(debug)
        self.rng = np.random.default_rng(seed)

        self.epoch = 0
        self.step = 0
        self.batch = 0  # of the current epoch
        self.trained = False  # whether only the validation of the current epoch is missing
        self.seconds = 0.0  # of training in the current epoch
        self.tally = Tally()
        self.lr = float("nan")
        self.history = History()
        self.epochs = 0
        self.examples_per_epoch = 0
        self.stopping = False
        self.data_identity: dict[str, int] | None = None  # what an epoch must be continued with
        self._batches: Batches | None = None
        self._counts_labels = False
        accepts = inspect.signature(model.backward).parameters
        self._backward_options = {"need_dx": False} if "need_dx" in accepts else {}

    def fit(
        self,
        train: Any,
        validation: Any = None,
        *,
        epochs: int,
        batch_size: int = 100,
        eval_batch_size: int = 256,
        drop_last: bool = False,
    ) -> History:
        """Train until ``epochs`` epochs are complete, those of earlier calls and of a checkpoint included.

        So the same call starts a training and, after :meth:`resume`, finishes it.

        Parameters
        ----------
        train, validation : Arrays or (x, t)
            Examples (N, ...) and targets (N, ...).
        epochs : int
            The number of completed epochs at which to end.
        batch_size, eval_batch_size : int
            Examples per step and per batch of the validation.
        drop_last : bool
            Whether to leave out the last batch of an epoch if it is smaller.

        Returns
        -------
        History
            ``trainer.history``: one row for each epoch.

        Raises
        ------
        ValueError, TypeError
            If the data do not fit together, or a callback needs a number that will not be there.
        FloatingPointError
            With ``on_nonfinite="raise"``, if the loss is not finite; the weights are those before the step.
            With ``debug=True`` it is a ``NonFiniteError`` that says where this began.
        Interrupted
            After Ctrl-C, at the end of the step; a kind of KeyboardInterrupt. A ``Checkpoint`` callback has
            saved by then, and calling ``fit`` again continues. A second Ctrl-C does not wait for the end of
            the step, and saves nothing.
        """
        x, t = _data.paired(train, "train")
        validation = None if validation is None else _data.paired(validation, "validation")
        self._counts_labels = are_classes(t)
        _data.check_monitors(self, validated=validation is not None, classes=self._counts_labels)
        integer(eval_batch_size, "eval_batch_size", at_least=1)
        if self.step == 0:  # a training that goes on must find its model as it left it
            if self.augment is None:  # which may change the shape
                _data.check_fits(self.model, self.loss, x, t, "train")
            if validation is not None:
                _data.check_fits(self.model, self.loss, validation[0], validation[1], "validation")
        self.epochs = integer(epochs, "epochs", at_least=0)
        batches = Batches(
            x, t, batch_size, shuffle=True, rng=self.rng, augment=self.augment, drop_last=drop_last
        )
        self._continue_epoch(batches, t)
        self.examples_per_epoch = min(len(batches) * batches.batch_size, len(x))
        self.stopping = False
        self._batches = batches
        try:
            with InterruptGuard() as guard, watching(self, train=(x, t), validation=validation):
                self._notify("on_fit_start")
                while self.epoch < self.epochs and not self.stopping:
                    self._run_epoch(batches, validation, eval_batch_size, guard)
                    guard.check()
                self._notify("on_fit_end")
        except BaseException as error:
            self._notify("on_exception", error)
            raise
        finally:
            self.rng.bit_generator.state = self.epoch_rng_state()
            self._batches = None
        return self.history

    def evaluate(self, data: Any, batch_size: int = 256, *, top_k: int = 5) -> dict[str, Any]:
        """Measure the model on data, without training.

        Parameters
        ----------
        data : Arrays or (x, t)
        batch_size : int
        top_k : int

        Returns
        -------
        dict
            ``loss``, the mean over the examples; for targets that are classes also ``accuracy``,
            ``top_5_accuracy`` (or another k), ``per_class_accuracy`` (C,) and ``confusion_matrix`` (C, C) of
            true x predicted classes.

        Raises
        ------
        ValueError, TypeError
            If the data do not fit together or are empty.
        """
        x, t = _data.paired(data, "data")
        return evaluation.evaluate(self.model, self.loss, x, t, batch_size, top_k)

    def predict(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Return the model's output, such as logits (N, C), for examples (N, ...)."""
        return evaluation.predict(self.model, x, batch_size)

    def stop(self) -> None:
        """End ``fit`` after the current step, as if all epochs were done. For callbacks."""
        self.stopping = True

    def save_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Write all that :meth:`resume` needs to one file, ``.safetensors`` or ``.npz``, in one step.

        Weights and statistics of the model, its random generators, the state of optimizer, schedule and
        callbacks, the position in the current epoch and the history.
        """
        checkpoint.save(self, path)

    def resume(self, path: str | os.PathLike[str]) -> Self:
        """Take over the state of a checkpoint; the next :meth:`fit` continues from there, bit for bit.

        The trainer must be built as the one that saved: the same layers, loss, kinds of optimizer and
        schedule, and callbacks. In the middle of an epoch, ``fit`` must get the same data and ``batch_size``.

        Raises
        ------
        ValueError
            If the file is damaged or of another training; the message names the tensor or the part. Nothing
            has been changed then.
        OSError
            If the file cannot be read.
        """
        checkpoint.resume(self, path)
        return self

    def epoch_rng_state(self) -> Mapping[str, Any]:
        """Return the state of ``rng`` from which the order of the current epoch was or will be drawn."""
        return self.rng.bit_generator.state if self._batches is None else self._batches.state_dict()["rng"]

    def _continue_epoch(self, batches: Batches, t: np.ndarray) -> None:
        """Skip what is done of an epoch that was left in the middle, if the data are the same."""
        identity = _data.identity(batches, t)
        if self.batch and not self.trained:
            if identity != self.data_identity:
                raise ValueError(
                    f"the training stands at batch {self.batch} of an epoch and continues only with the same "
                    f"data and batch size: expects {self.data_identity}, got {identity}"
                )
            batches.skip(self.batch)
        self.data_identity = identity

    def _run_epoch(
        self,
        batches: Batches,
        validation: tuple[np.ndarray, np.ndarray] | None,
        eval_batch_size: int,
        guard: InterruptGuard,
    ) -> None:
        """One epoch, or the rest of one: train, validate, record."""
        if not self.trained:
            self._train(batches, guard)
            if not self.trained:
                return  # stopped half-way: no row
        start = time.perf_counter()
        val = None
        if validation is not None:
            val = evaluation.tally_batches(
                self.model, self.loss, *validation, eval_batch_size, lambda logits, targets: guard.check()
            )
        row = Epoch(
            epoch=self.epoch + 1,
            step=self.step,
            train_loss=self.tally.loss,
            train_acc=self.tally.accuracy,
            val_loss=None if val is None else val.loss,
            val_acc=None if val is None else val.accuracy,
            lr=self.lr,
            seconds=self.seconds + time.perf_counter() - start,
            images_per_second=self.tally.examples / max(self.seconds, 1e-9),
        )
        if isinstance(self.schedule, Schedule) and (watched := self.schedule.watched()):
            self.schedule.observe(getattr(row, watched))
        self.history.append(row)
        self.epoch += 1
        self.batch, self.trained, self.seconds, self.tally = 0, False, 0.0, Tally()
        self._notify("on_epoch_end", row)

    def _train(self, batches: Batches, guard: InterruptGuard) -> None:
        """The batches of the current epoch that are still to come."""
        self._notify("on_epoch_start")
        start = time.perf_counter()
        for x, t in batches:
            self._step(x, t)
            self.batch += 1
            now = time.perf_counter()
            self.seconds += now - start
            start = now
            self._notify("on_step_end")
            guard.check()
            if self.stopping:
                return
        self.trained = True

    def _step(self, x: np.ndarray, t: np.ndarray) -> None:
        """One update of the weights."""
        if self.schedule is not None:
            self.optimizer.lr = self.schedule(self.step)
        self.lr = float(self.optimizer.lr)
        y = self.model.forward(x, training=True)
        loss = float(self.loss.forward(y, t))
        if self.on_nonfinite == "raise" and not math.isfinite(loss):
            raise FloatingPointError(self._explain_nonfinite(f"the loss is {loss}"))
        self.model.backward(self.loss.backward(), **self._backward_options)
        if self.clip_norm is not None:
            self._clip(self.clip_norm)
        self.optimizer.update(self.model.params, self.model.grads)
        counts = evaluation.count_labels(self.loss, y, t) if self._counts_labels else (0, 0)
        self.tally.add(loss, len(t), *counts)
        self.step += 1

    def _clip(self, max_norm: float) -> None:
        try:
            clip_grad_norm(self.model.grads, max_norm, error_if_nonfinite=self.on_nonfinite == "raise")
        except FloatingPointError as error:
            raise FloatingPointError(self._explain_nonfinite(str(error))) from error

    def _explain_nonfinite(self, problem: str) -> str:
        return (
            f"{problem} in epoch {self.epoch + 1}, step {self.step + 1}, at learning rate {self.lr:g}; the "
            f"weights are those before this step. Try a lower rate, a warm-up or clip_norm, or go on "
            f'regardless with on_nonfinite="ignore". Trainer(..., debug=True), or cnn-core train '
            f"--check-numbers, finds the layer where it began"
        )

    def _notify(self, hook: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *arguments)
