"""Doing the trials: in this process, or in several that share a storage."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing import connection
from types import FrameType
from typing import TYPE_CHECKING, Any

from cnn_core._checks import real_number
from cnn_core._threads import get_num_threads, set_num_threads
from cnn_core.search import _claims
from cnn_core.search._study import Plan, open_study
from cnn_core.search.trial import Trial

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from optuna import Study
    from optuna.trial import Trial as OptunaTrial

Train = Callable[[dict[str, Any], Trial], float]
_SIGNIFICANT = "%.6g"  # digits of training curves, which are looked at and not computed with
_STOP_SECONDS = 10.0


def do_trials(
    train: Train,
    plan: Plan,
    study: "Study",
    catch: tuple[type[Exception], ...],
    after_each: Callable[["Study"], None],
    index: int = 0,
) -> None:
    """Do trials until all of the plan are done, by this process or by others."""
    claimant = _claims.Claimant(study, plan, index)
    while claimed := claimant.claim():
        try:
            _do_trial(train, plan, study, catch, *claimed)
        except BaseException:
            _claims.release(study, claimed[2].number)  # for this process or another to do again
            raise
        after_each(study)


def _do_trial(
    train: Train,
    plan: Plan,
    study: "Study",
    catch: tuple[type[Exception], ...],
    number: int,
    params: dict[str, Any],
    optuna_trial: "OptunaTrial",
) -> None:
    from optuna import TrialPruned
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    trial = Trial(number, dict(params), optuna_trial, minimize=plan.direction == "minimize")
    state, value = None, None
    outcome: dict[str, Any] = {}
    start = time.perf_counter()
    try:
        with _claims.heartbeat(optuna_trial):
            value = _checked(train(dict(params), trial))
    except TrialPruned:
        state = TrialState.PRUNED
    except UpdateFinishedTrialError:
        return  # this process was silent for so long that another one has taken over
    except BaseException as error:
        if not isinstance(error, (FloatingPointError, *catch)):
            error.add_note(f"in trial {number} of the search, with {params}")
            raise
        state = TrialState.FAIL
        outcome["reason"] = str(error) or type(error).__name__
    outcome["seconds"] = round(time.perf_counter() - start, 3)
    outcome["train"] = {step: float(_SIGNIFICANT % point) for step, point in trial.train_curve.items()}
    try:
        optuna_trial.set_user_attr(_claims.OUTCOME, outcome)
    except UpdateFinishedTrialError:
        return
    _claims.finish(study, optuna_trial.number, value, state)


def _checked(value: Any) -> float:
    """What ``train`` returned as a finite number."""
    try:
        return real_number(value, "train")
    except TypeError:
        raise TypeError(
            f"train: expects to return a number, such as the validation accuracy, got {value!r}"
        ) from None
    except ValueError:
        raise FloatingPointError(f"train returned {float(value)}") from None


def do_trials_in_processes(
    train: Train,
    plan: Plan,
    study: "Study",
    catch: tuple[type[Exception], ...],
    after_each: Callable[["Study"], None],
    workers: int,
) -> None:
    """Do trials in worker processes, which divide the threads of the library among them.

    An exception of one of them ends all and is raised here.
    """
    task = pickle.dumps((train, plan, catch))
    threads = max(1, get_num_threads() // workers)
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of other threads
    processes: list[SpawnProcess] = []
    channels: dict[connection.Connection, SpawnProcess] = {}
    try:
        for index in range(workers):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_worker, args=(theirs, task, index, threads))
            process.start()
            theirs.close()  # so that the channel ends with the worker
            processes.append(process)
            channels[ours] = process
        while channels:
            ready = connection.wait(list(channels), timeout=0.5)
            for channel in [channel for channel in channels if channel in ready]:
                _take_report(channel, channels.pop(channel))
            after_each(study)
        for process in processes:
            process.join()
    finally:
        _stop([process for process in processes if process.is_alive()])
        for channel in channels:
            channel.close()
        _claims.release_of(study, {process.pid for process in processes if process.pid is not None})


def _stop(processes: "list[SpawnProcess]") -> None:
    """End workers in the middle of their trials; they have a while to release what they hold."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_STOP_SECONDS)
        process.kill()
        process.join()


def _take_report(channel: "connection.Connection", process: "SpawnProcess") -> None:
    """Raise what a worker that has ended complains about."""
    error: Exception | None
    try:
        error = _received(channel.recv_bytes())
    except (EOFError, OSError):
        process.join()
        hint = (
            f"signal {-process.exitcode}; was it out of memory?"
            if process.exitcode and process.exitcode < 0
            else 'its complaint is above; a script needs `if __name__ == "__main__":` around its search'
        )
        error = RuntimeError(
            f"a worker process ended with exit code {process.exitcode} ({hint}). What is done is in the "
            "storage, if you gave one, and the same call goes on from there"
        )
    finally:
        channel.close()
    if error is not None:
        raise error


def _received(report: bytes) -> Exception | None:
    """The exception that a worker has sent: as it was, or as a RuntimeError with its traceback if it is of a
    class that only the worker has."""
    content, text = pickle.loads(report)
    if not text:
        return None
    try:
        error = pickle.loads(content)
        assert isinstance(error, Exception)
    except Exception:
        return RuntimeError(f"in a worker process:\n{text}")
    error.add_note(f"\nin a worker process:\n{text}")
    return error


# In a worker process


def _worker(channel: "connection.Connection", task: bytes, index: int, threads: int) -> None:
    """The life of a worker process: all its trials, then a word about how it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes, and the parent ends this one
    signal.signal(signal.SIGTERM, _exit)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    content, text = b"", ""
    try:
        train, plan, catch = pickle.loads(task)
        set_num_threads(threads)
        with open_study(plan) as study:
            do_trials(train, plan, study, catch, lambda study: None, index)
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        with contextlib.suppress(Exception):  # then the text must do
            content = pickle.dumps(error)
    channel.send_bytes(pickle.dumps((content, text)))
    channel.close()


def _exit(number: int, frame: FrameType | None) -> None:
    """Unwind the worker, so that files are unlocked and its trial is released."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(1)


def _end_with_parent() -> None:
    """Leave when the parent has been killed."""
    parent, main = multiprocessing.parent_process(), threading.main_thread().ident
    assert parent is not None
    assert main is not None
    connection.wait([parent.sentinel])
    if os.name != "nt":
        signal.pthread_kill(main, signal.SIGTERM)
        time.sleep(_STOP_SECONDS)
    os._exit(1)
