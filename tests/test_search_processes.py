"""Searching in several processes: each trial once, whoever comes, goes or dies."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from search_cases import (
    SPACE,
    UnpicklableError,
    broken,
    die_once,
    finish,
    hill,
    logged,
    raise_unpicklable,
    say_threads,
    start,
    wait_for_the_end,
)

from cnn_core import search
from cnn_core.search import _claims
from cnn_core.search._search import _make_plan
from cnn_core.search._study import open_study

pytest.importorskip("optuna")

STORAGES = ["sqlite:///{}/search.db", "{}/search.log"]


@pytest.fixture(params=STORAGES, ids=["sqlite", "journal"])
def storage(request, tmp_path):
    return request.param.format(tmp_path)


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "log.txt"
    monkeypatch.setenv("SEARCH_LOG", str(path))
    return path


def find(train=hill, **options):
    return search.random_search(train, SPACE, **{"trials": 6, "progress": False, **options})


def params(result):
    return {trial.number: trial.params for trial in result}


def expected_log(trials=6):
    """What the log holds if each trial is done once."""
    plan = params(search.random_search(lambda p, t: 0.0, SPACE, trials=trials, progress=False))
    return [f"{number} {plan[number]['lr']!r}" for number in range(trials)]


def wait_for(path):
    """Wait until a file is there."""
    for _ in range(6000):
        if path.exists():
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} does not come")


def no_children():
    return not multiprocessing.active_children()


def test_two_programs_on_one_storage_do_each_trial_once(storage, log):
    programs = [start(hill, storage, log, trials=6, progress=False) for _ in range(2)]
    assert [finish(program) for program in programs] == ["6 False\n", "6 False\n"]
    assert logged(log) == expected_log()
    here = find(storage=storage)  # finds all of them done
    assert logged(log) == expected_log()
    assert params(here) == params(find())


def test_workers_do_each_trial_once(log, capsys):
    result = find(workers=2, progress=True)
    assert logged(log) == expected_log()
    assert [(trial.number, trial.value, trial.curve) for trial in result] == [
        (trial.number, trial.value, trial.curve) for trial in find()
    ]
    assert len(capsys.readouterr().err.splitlines()) == 6
    assert no_children()


def test_workers_divide_the_threads(threads, monkeypatch):
    threads(5)
    assert {trial.value for trial in find(say_threads, workers=2, trials=2)} == {2.0}


def test_an_exception_of_a_worker_ends_the_search_and_is_raised(tmp_path, log):
    storage = str(tmp_path / "search.log")
    with pytest.raises(KeyError, match="no such layer") as caught:
        find(broken, workers=2, storage=storage)
    notes = "".join(caught.value.__notes__)
    assert "in trial 3 of the search, with {'lr': " in notes
    assert "in broken" in notes  # the traceback of the worker
    assert no_children()
    done = set(line.split()[0] for line in logged(log))
    assert "3" not in done
    assert params(find(storage=storage)) == params(find())


def test_an_exception_that_cannot_be_sent_is_told(log):
    with pytest.raises(RuntimeError, match="UnpicklableError: this"):
        find(raise_unpicklable, workers=2, trials=2)
    assert UnpicklableError("this", "that").args == ("this",)


def test_a_worker_that_dies_is_told_and_its_trial_done_again(tmp_path, log):
    storage = str(tmp_path / "search.log")
    with pytest.raises(RuntimeError, match="a worker process ended with exit code 9"):
        find(die_once, workers=2, storage=storage)
    assert no_children()
    result = find(die_once, workers=2, storage=storage)
    assert params(result) == params(find(trials=6))
    assert {line.split()[0] for line in logged(log)} == set("012345")


def run_script(folder, text):
    """Run a script that must fail, and return what it complains about."""
    script = folder / "script.py"
    script.write_text(text)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1
    return done.stderr


def test_a_script_without_its_guard_is_told(tmp_path):
    complaint = run_script(
        tmp_path,
        "import search_cases; from cnn_core import search\n"
        "search.random_search(search_cases.hill, search_cases.SPACE, trials=2, workers=2)\n",
    )
    assert "__main__" in complaint.splitlines()[-1]


def test_an_exception_of_the_script_itself_is_told(tmp_path):
    complaint = run_script(
        tmp_path,
        "import search_cases; from cnn_core import search\n"
        "class Oops(Exception): pass\n"
        "def train(params, trial): raise Oops('upside down')\n"
        "if __name__ == '__main__':\n"
        "    search.random_search(train, search_cases.SPACE, trials=2, workers=2)\n",
    )
    assert "Oops: upside down" in complaint
    assert "in trial " in complaint


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_program_that_is_killed_leaves_a_search_that_goes_on(workers, tmp_path, log):
    storage = str(tmp_path / "search.log")
    program = start(wait_for_the_end, storage, log, trials=6, workers=workers, progress=False)
    wait_for(tmp_path / "log.txt.waiting")
    program.kill()
    program.communicate()
    result = find(storage=storage)  # also waits until orphaned workers have seen that they are
    assert params(result) == params(find())
    assert sorted(set(logged(log)), key=lambda line: int(line.split()[0]))[:6] == expected_log()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to process groups")
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_a_program_and_its_workers(workers, tmp_path, log):
    storage = str(tmp_path / "search.log")
    program = start(wait_for_the_end, storage, log, trials=4, workers=workers, progress=False)
    wait_for(tmp_path / "log.txt.waiting")
    program.send_signal(signal.SIGINT)
    count, interrupted = finish(program).split()
    assert interrupted == "True"
    assert int(count) <= 3
    plan = make_plan(storage, trials=4)
    with open_study(plan) as study:
        assert 2 not in _claims.live_claims(study)
    assert len(find(storage=storage, trials=4)) == 4


# Claims


def make_plan(storage, trials=3):
    return _make_plan(SPACE, trials, 0, "maximize", "search", storage, None, None)


def test_the_first_claim_of_a_trial_wins(storage):
    plan = make_plan(storage)
    with open_study(plan) as one, open_study(plan) as other:
        first, second = _claims.Claimant(one, plan), _claims.Claimant(other, plan)
        number, values, trial = first._try(0)
        assert number == 0
        assert values.keys() == SPACE.keys()
        assert second._try(0) is None
        assert second.claim()[0] == 1
        assert first.claim()[0] == 2
        _claims.release(one, trial.number)
        assert second.claim()[0] == 0
        assert [_claims.is_final(claim) for claim in _claims.live_claims(one).values()] == [False] * 3


def test_a_silent_process_of_another_machine_is_given_up(tmp_path, monkeypatch):
    plan = make_plan(str(tmp_path / "search.log"), trials=1)
    with open_study(plan) as study:
        far = _claims.Claimant(study, plan)
        far.owner = ["another machine", 1]
        _, values, trial = far.claim()
        near = _claims.Claimant(study, plan)
        now = [0.0]
        monkeypatch.setattr(_claims.time, "monotonic", lambda: now[0])
        beats = iter(range(1, 4))

        def sleep(seconds):  # each pause is half a minute, and the other machine is heard in the first three
            now[0] += 30
            if (beat := next(beats, None)) is not None:
                trial.set_user_attr(_claims.BEAT, beat)

        monkeypatch.setattr(_claims.time, "sleep", sleep)
        again = near.claim()
        assert again[:2] == (0, values)
        assert now[0] == 90 + 90  # the last beat is that of 90, and 60 would not be enough
        assert not _claims.finish(study, trial.number, 1.0)  # too late
        assert _claims.finish(study, again[2].number, 2.0)
        assert near.claim() is None


def test_a_training_that_was_given_up_does_not_count(tmp_path):
    taken = []

    def train(params, trial):
        if not taken:  # what another process does after a long silence of this one
            taken.append(trial.number)
            _claims.release(trial.optuna.study, trial.optuna.number)
            if trial.number == 0:
                trial.report(0.0, 1)
        return 1.0

    result = find(train, storage=str(tmp_path / "search.log"))
    assert len(result.complete) == 6
    assert all(trial.steps == () for trial in result)


def test_a_trial_that_was_being_stored_at_ctrl_c_is_released(tmp_path, monkeypatch):
    storage = str(tmp_path / "search.log")
    finish = _claims.finish

    def interrupted(study, number, value=None, state=None):
        if value is not None:
            raise KeyboardInterrupt
        return finish(study, number, value, state)

    with monkeypatch.context() as patch:
        patch.setattr(_claims, "finish", interrupted)
        result = find(storage=storage)
    assert result.interrupted
    assert len(result) == 0
    with open_study(make_plan(storage)) as study:
        assert not _claims.live_claims(study)
    assert len(find(storage=storage)) == 6


def test_the_heart_beats_while_a_trial_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(_claims, "BEAT_SECONDS", 0.001)
    plan = make_plan(str(tmp_path / "search.log"))
    with open_study(plan) as study:
        _, _, trial = _claims.Claimant(study, plan).claim()
        with _claims.heartbeat(trial):
            while study.trials[0].user_attrs[_claims.BEAT] < 3:
                time.sleep(0.001)
        _claims.finish(study, trial.number, 1.0)
