"""Who does which trial: each number once, whoever takes part, on any storage.

Optuna's queue of waiting trials needs ``SELECT ... FOR UPDATE``, which SQLite lacks, and its storages have no
other way to reserve something. But all of them number new trials in the order in which they become visible.
So a process claims trial ``number`` by adding an Optuna trial that bears this number among its attributes,
complete from the start, and then looks: of all claims of a number that are alive, the first one wins, and the
others withdraw. It is Lamport's bakery with the tickets drawn by the storage.

A claim is alive while its trial is running, complete or pruned, or has failed for a reason that would be the
same again. A process that is killed leaves a running trial behind: it is dead at once if it was of this
machine and its process is gone, and otherwise when its heartbeat has not changed for a minute, by the clock
of whoever waits for it.
"""

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core.search._study import Plan
from cnn_core.search.space import sample

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as OptunaTrial

NUMBER, OWNER, BEAT, OUTCOME = "number", "owner", "beat", "outcome"  # attributes of an Optuna trial

BEAT_SECONDS = 15.0
SILENT_SECONDS = 60.0


def live_claims(study: "Study") -> dict[int, "FrozenTrial"]:
    """The claim that counts of each number that has one."""
    claims: dict[int, FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):
        if NUMBER in trial.user_attrs and _is_alive(trial):
            claims.setdefault(trial.user_attrs[NUMBER], trial)
    return claims


def is_final(trial: "FrozenTrial") -> bool:
    """Whether a claim is done, and not still running."""
    return trial.state.is_finished() and _is_alive(trial)


def _is_alive(trial: "FrozenTrial") -> bool:
    from optuna.trial import TrialState

    if trial.state == TrialState.FAIL:
        return "reason" in trial.user_attrs.get(OUTCOME, {})
    return True


class Claimant:
    """One process that takes part in a search.

    Parameters
    ----------
    study : optuna.Study
    plan : Plan
    index : int
        Of the process among those that begin together: each begins with another number.
    """

    def __init__(self, study: "Study", plan: Plan, index: int = 0) -> None:
        self.study = study
        self.plan = plan
        self.owner = [*_machine(), os.getpid()]
        self._index = index
        self._rng = np.random.default_rng()  # only to step aside: no result depends on it
        self._lost = 0  # claims in a row
        self._sampled = False
        self._heard: dict[int, tuple[Any, float]] = {}  # the last beats of others, and when they changed

    def claim(self) -> tuple[int, dict[str, Any], "OptunaTrial"] | None:
        """Claim the next trial that nobody does; None if all are done.

        Waits for those that others are doing, because a process may die and leave its trial to this one.
        """
        pause = 0.1
        while True:
            claims = live_claims(self.study)
            free = [number for number in range(self.plan.trials) if number not in claims]
            if free:
                ahead = self._index if self._lost == 0 else int(self._rng.integers(2**self._lost))
                claimed = self._try(free[min(ahead, len(free) - 1)])
                self._lost = 0 if claimed else min(self._lost + 1, 10)
                self._index = 0
                if claimed:
                    return claimed
            elif all(is_final(claims[number]) for number in range(self.plan.trials)):
                return None
            elif not self._bury([trial for trial in claims.values() if not is_final(trial)]):
                time.sleep(pause)
                pause = min(1.5 * pause, 2.0)

    def _try(self, number: int) -> tuple[int, dict[str, Any], "OptunaTrial"] | None:
        """Add a claim, and withdraw it if another one came before."""
        from optuna.trial import Trial, TrialState, create_trial

        params = self._known_params(number)
        ticket = uuid.uuid4().hex
        self.study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=params,
                distributions={name: self.plan.space[name].distribution() for name in params},
                user_attrs={NUMBER: number, OWNER: self.owner, BEAT: 0, "ticket": ticket},
            )
        )
        trials = self.study.get_trials(deepcopy=False)
        own = next(trial for trial in trials if trial.user_attrs.get("ticket") == ticket)
        first = live_claims(self.study).get(number)
        if first is None or first.number != own.number:
            release(self.study, own.number)
            return None
        trial = Trial(self.study, own._trial_id)
        if not params:
            if number and not self._sampled:
                self.study.sampler.reseed_rng()  # else this process would begin with the values of trial 0
            params = {name: parameter.suggest(trial, name) for name, parameter in self.plan.space.items()}
        self._sampled = True
        return number, params, trial

    def _known_params(self, number: int) -> dict[str, Any]:
        """The parameters that the number has or had; none if a sampler is to choose them."""
        if self.plan.sampler is None:
            return sample(self.plan.space, self.plan.seed, number)
        for trial in self.study.get_trials(deepcopy=False):
            if trial.user_attrs.get(NUMBER) == number and trial.params.keys() == self.plan.space.keys():
                return {name: trial.params[name] for name in self.plan.space}
        return {}

    def _bury(self, running: list["FrozenTrial"]) -> bool:
        """Release the trials of processes that are gone; return whether there were any."""
        dead = [trial for trial in running if self._is_gone(trial)]
        for trial in dead:
            release(self.study, trial.number)
        return bool(dead)

    def _is_gone(self, trial: "FrozenTrial") -> bool:
        *machine, process = trial.user_attrs[OWNER]
        if machine == self.owner[:-1] and not _process_exists(process):
            return True
        beat, since = self._heard.get(trial.number, (None, 0.0))
        if trial.user_attrs[BEAT] != beat:
            self._heard[trial.number] = trial.user_attrs[BEAT], time.monotonic()
            return False
        return time.monotonic() - since > SILENT_SECONDS


def release(study: "Study", number: int) -> None:
    """Let another process do a trial, given by Optuna's number."""
    from optuna.trial import TrialState

    finish(study, number, state=TrialState.FAIL)


def release_of(study: "Study", processes: set[int]) -> None:
    """Release what processes of this machine were doing when they were stopped."""
    for trial in live_claims(study).values():
        *machine, process = trial.user_attrs[OWNER]
        if not is_final(trial) and machine == _machine() and process in processes:
            release(study, trial.number)


def finish(study: "Study", number: int, value: float | None = None, state: Any = None) -> bool:
    """Store how a trial ended; False if another process took it for dead and has released it."""
    from optuna.trial import TrialState

    try:
        study.tell(number, value, state=state)
    except (ValueError, RuntimeError):
        stored = study.get_trials(deepcopy=False)[number]
        if not stored.state.is_finished():
            raise
        # Optuna's grid sampler ends up here, too, when it asks for the end of a loop that is not Optuna's.
        return stored.state == (state or TrialState.COMPLETE)
    return True


@contextlib.contextmanager
def heartbeat(trial: "OptunaTrial") -> Iterator[None]:
    """Count upwards in the trial's attributes while the body runs."""
    stop = threading.Event()

    def beat() -> None:
        count = 0
        while not stop.wait(BEAT_SECONDS):
            count += 1
            # A storage may be out of reach for a while, and that alone must not end a training.
            with contextlib.suppress(Exception):
                trial.set_user_attr(BEAT, count)

    thread = threading.Thread(target=beat, name="cnn_core.search heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@cache
def _machine() -> list[str]:
    """What process numbers belong to: this machine, since its last start, and its container."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return parts


def _process_exists(process: int) -> bool:
    if os.name == "nt":
        return True  # signal 0 would end it; its heartbeat will tell
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
