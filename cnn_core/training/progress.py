"""A progress bar for people, lines for logs."""

import sys
from typing import TYPE_CHECKING, Any, TextIO

from cnn_core.training.callbacks import Callback
from cnn_core.training.history import Epoch

if TYPE_CHECKING:
    from cnn_core.training.trainer import Trainer


class ProgressBar(Callback):
    """Show each epoch as a bar with loss, accuracy, images per second and time left.

    Where the stream is not a terminal (a log file, a pipe, a notebook) one line for each epoch is written
    instead.

    Parameters
    ----------
    enabled : bool
        ``False`` shows nothing.
    stream : text file, optional
        Standard error by default.
    """

    def __init__(self, enabled: bool = True, stream: TextIO | None = None) -> None:
        self.enabled = enabled
        self.stream = stream
        self._bar: Any = None

    def on_epoch_start(self, trainer: "Trainer") -> None:
        stream = self._stream()
        if stream is None or not stream.isatty():
            return
        from tqdm import tqdm  # costs 40 ms: not at import

        self._bar = tqdm(
            desc=_title(trainer.epoch + 1, trainer.epochs),
            total=trainer.examples_per_epoch,
            initial=trainer.tally.examples,
            unit="img",
            file=stream,
            dynamic_ncols=True,
        )

    def on_step_end(self, trainer: "Trainer") -> None:
        if self._bar is not None:
            tally = trainer.tally
            self._bar.set_postfix_str(_scores(tally.loss, tally.accuracy), refresh=False)
            self._bar.update(tally.examples - self._bar.n)

    def on_epoch_end(self, trainer: "Trainer", row: Epoch) -> None:
        scores = _scores(row.train_loss, row.train_acc)
        if row.val_loss is not None:
            scores += ", val " + _scores(row.val_loss, row.val_acc)
        stream = self._stream()
        if self._bar is not None:
            self._bar.set_postfix_str(scores)
            self._close()
        elif stream is not None:
            print(
                f"{_title(row.epoch, trainer.epochs)}: {scores}, lr {row.lr:.3g}, "
                f"{row.images_per_second:.0f} img/s, {row.seconds:.1f} s",
                file=stream,
                flush=True,
            )

    def on_fit_end(self, trainer: "Trainer") -> None:
        self._close()

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        self._close()

    def _stream(self) -> TextIO | None:
        if not self.enabled:
            return None
        return self.stream or sys.stderr  # None in a program without a console

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _title(epoch: int, epochs: int) -> str:
    return f"epoch {epoch:{len(str(epochs))}}/{epochs}"


def _scores(loss: float, accuracy: float | None) -> str:
    return f"loss {loss:.4f}" + ("" if accuracy is None else f", accuracy {accuracy:.4f}")
