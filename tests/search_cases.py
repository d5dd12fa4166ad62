"""Functions under search, in a module that worker processes can import, and searches in other processes.

The best learning rate of `hill` is 1e-4. Where a test counts trainings, each leaves a line in ``SEARCH_LOG``.
"""

import math
import os
import subprocess
import sys
import time
from pathlib import Path

import cnn_core as cc
from cnn_core import search

SPACE = {"lr": search.LogUniform(1e-6, 1e-2), "weight_decay": search.LogUniform(1e-8, 1e-4)}


def height(params):
    """How good the parameters are: 0 at best."""
    return -abs(math.log10(params["lr"]) + 4)


def hill(params, trial):
    """Climb towards the height in three epochs."""
    _log(trial)
    for epoch in (1, 2, 3):
        trial.report(height(params) - 1 / epoch, epoch, train=0.5)
    return height(params)


def diverging(params, trial):
    """Blow up at high rates."""
    if params["lr"] > 1e-3:
        raise FloatingPointError("the loss is nan")
    return hill(params, trial)


def broken(params, trial):
    """Have a bug that shows in trial 3."""
    if trial.number == 3:
        raise KeyError("no such layer")
    return hill(params, trial)


class UnpicklableError(Exception):
    """Cannot be made again from its message."""

    def __init__(self, one, other):
        super().__init__(one)


def raise_unpicklable(params, trial):
    raise UnpicklableError("this", "that")


def die_once(params, trial):
    """Die in trial 2 as by the out-of-memory killer, the first time that it comes."""
    mark = Path(os.environ["SEARCH_LOG"] + ".died")
    if trial.number == 2 and not mark.exists():
        mark.touch()
        os._exit(9)
    return hill(params, trial)


def say_threads(params, trial):
    return float(cc.get_num_threads())


def wait_for_the_end(params, trial):
    """Wait in trial 2 until somebody ends the process."""
    if trial.number == 2:
        Path(os.environ["SEARCH_LOG"] + ".waiting").touch()
        time.sleep(120)
    return hill(params, trial)


def digits(params, trial):
    """A real training, of a moment."""
    data = cc.data.load_digits()
    train, validation = cc.data.split(data.train[:400], [0.75, 0.25], stratify=True, rng=0)
    model = cc.Sequential(cc.Flatten(), cc.Linear(64, 32, rng=0), cc.ReLU(), cc.Linear(32, 10, rng=1))
    optimizer = cc.optim.SGD(lr=params["lr"], weight_decay=params["weight_decay"])
    loss = cc.losses.CrossEntropyLoss()
    trainer = cc.training.Trainer(model, loss, optimizer, callbacks=[trial.callback()])
    return trainer.fit(train, validation, epochs=4, batch_size=25)[-1].val_acc


def _log(trial):
    if path := os.environ.get("SEARCH_LOG"):
        with open(path, "a") as file:  # short lines at the end of a file are written whole
            file.write(f"{trial.number} {trial.params['lr']!r}\n")


def start(function, storage, log, **options):
    """Run ``random_search(function, SPACE, ...)`` in a process of its own."""
    code = (
        "import sys, search_cases; from cnn_core import search\n"
        f"if __name__ == '__main__':\n"
        f"    result = search.random_search(search_cases.{function.__name__}, search_cases.SPACE,\n"
        f"                                  storage={storage!r}, **{options!r})\n"
        "    print(len(result), result.interrupted)\n"
    )
    environment = {
        **os.environ,
        "SEARCH_LOG": str(log),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
    }
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Wait for a process that must succeed, and return what it printed."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def logged(log):
    """The trainings that were done: sorted lines of trial number and learning rate."""
    return sorted(Path(log).read_text().splitlines(), key=lambda line: int(line.split()[0]))
