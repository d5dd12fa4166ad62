"""Forks, other processes, threads, torch and the end of the interpreter: nothing hangs or differs."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from scenarios import DEADLOCK, PRELUDE, needs_fork, run, script
from training_parts import assert_same_bits, make_data, make_trainer, weights_of

import cnn_core
from cnn_core import functional as F
from cnn_core.optim import Adam

# ---------------------------------------------------------------- processes


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing_after_use(method, tmp_path):
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    body = f"""
if __name__ == "__main__":
    import multiprocessing
    expected = [work(seed) for seed in range(4)]
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        assert pool.map(work, range(4)) == expected
    assert [work(seed) for seed in range(4)] == expected
"""
    run(tmp_path, body)


@needs_fork
def test_forks_while_other_threads_compute(tmp_path):
    """The child has none of those threads, and none of the locks that they may have held."""
    body = """
import threading
expected = work(0)
stop = False

def compute():
    while not stop:
        work(1)

threads = [threading.Thread(target=compute) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0 if work(0) == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
stop = True
for thread in threads:
    thread.join()
"""
    run(tmp_path, body)


@needs_fork
def test_a_child_of_a_child(tmp_path):
    body = """
expected = work(0)
for generation in range(4):
    child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    if work(0) != expected:
        os._exit(1)
os._exit(0)
"""
    run(tmp_path, body)


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib(backend, tmp_path):
    pytest.importorskip("joblib", reason="joblib is not installed")
    body = f"""
import joblib
if __name__ == "__main__":
    expected = [work(seed) for seed in range(4)]
    jobs = (joblib.delayed(work)(seed) for seed in range(4))
    assert joblib.Parallel(n_jobs=2, backend={backend!r})(jobs) == expected
"""
    run(tmp_path, body)


@pytest.mark.parametrize("first", ["cnn_core", "sklearn"])
def test_beside_scikit_learn_and_the_threads_of_numpy(first, tmp_path):
    """Taking turns with OpenMP and with OpenBLAS, and from several Python threads at once."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    body = """
import threading
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier

rng = np.random.default_rng(0)
points, a = rng.normal(size=(2000, 20)), rng.normal(size=(400, 400))

def turn(seed):
    bits = work(seed)
    product = (a @ a).tobytes()
    centres = KMeans(3, n_init=1, random_state=0).fit(points).cluster_centers_
    classes = KNeighborsClassifier().fit(points[:1000], points[:1000, 0] > 0).predict(points[1000:])
    return bits, product, np.round(centres, 6).tobytes(), classes.tobytes()

expected = [turn(seed) for seed in range(3)]
assert [turn(seed) for seed in range(3)] == expected
found = {}
threads = [threading.Thread(target=lambda seed=seed: found.update({seed: turn(seed)})) for seed in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert [found[seed][0] for seed in range(3)] == [bits for bits, *_ in expected]
print(*(bits for bits, *_ in expected))
"""
    alone = run(tmp_path, "print(*[work(seed) for seed in range(3)])")
    path = tmp_path / "scenario.py"
    path.write_text(
        ("import sklearn.cluster, sklearn.neighbors\n" if first == "sklearn" else "") + PRELUDE + body
    )
    process = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=DEADLOCK, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout == alone


# ---------------------------------------------------------------- torch


@pytest.mark.parametrize("first", ["cnn_core", "torch"])
def test_beside_torch(first, tmp_path):
    """Taking turns with torch's threads, and inside the workers of its DataLoader, which are forks."""
    pytest.importorskip("torch", reason="torch is not installed")
    imports = PRELUDE if first == "cnn_core" else "import torch\n" + PRELUDE
    body = """
import torch

class Transformed(torch.utils.data.Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, i):
        return work(i)

if __name__ == "__main__":
    expected = [work(seed) for seed in range(8)]
    x, weight = torch.ones(2, 3, 40, 41), torch.ones(4, 3, 3, 3)
    y = torch.nn.functional.conv2d(x, weight)
    for seed in range(8):
        assert work(seed) == expected[seed]
        assert torch.equal(torch.nn.functional.conv2d(x, weight), y)
    loader = torch.utils.data.DataLoader(Transformed(), batch_size=None, num_workers=2)
    assert list(loader) == expected
    print(*expected)
"""
    path = tmp_path / "scenario.py"
    path.write_text(imports + body)
    process = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=DEADLOCK, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    alone = tmp_path / "alone"
    alone.mkdir()
    assert process.stdout == run(alone, "print(*[work(seed) for seed in range(8)])")


# ---------------------------------------------------------------- threads


def test_trainings_in_several_threads_have_the_bits_of_trainings_in_turn(threads):
    threads(2)
    data = make_data()

    def train() -> dict:
        trainer = make_trainer(Adam(0.01))
        trainer.fit(data, epochs=3, batch_size=20)
        return weights_of(trainer.model)

    expected, found = train(), []
    workers = [threading.Thread(target=lambda: found.append(train())) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 6
    for weights in found:
        assert_same_bits(weights, expected)


def test_the_number_of_threads_may_change_at_any_time(threads):
    """Several threads set it while others compute; nothing but the speed depends on it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 3, 40, 41)).astype(np.float32)
    weight = rng.normal(size=(8, 3, 3, 3)).astype(np.float32)
    expected = F.conv2d(x, weight).tobytes()
    wrong, stop = [], threading.Event()

    def change(n: int) -> None:
        while not stop.is_set():
            threads(n)

    def compute() -> None:
        wrong.extend(i for i in range(100) if F.conv2d(x, weight).tobytes() != expected)

    changers = [threading.Thread(target=change, args=(n,)) for n in (1, 2, 5)]
    workers = [threading.Thread(target=compute) for _ in range(3)]
    for thread in (*changers, *workers):
        thread.start()
    for worker in workers:
        worker.join()
    stop.set()
    for changer in changers:
        changer.join()
    assert wrong == []
    assert cnn_core.get_num_threads() in (1, 2, 5)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_affinity_is_kept(tmp_path):
    """A process that may run on one CPU uses one thread, and the workers it starts stay on its CPUs."""
    body = """
tasks = "/proc/self/task"
before = set(os.listdir(tasks)) if os.path.exists(tasks) else None  # numpy's own
cpu = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {cpu})
cnn_core._threads._default = cnn_core._threads._chosen = None  # as at the start
assert cnn_core.get_num_threads() == 1
cnn_core.set_num_threads(3)
work(0)
for task in set(os.listdir(tasks)) - before if before else ():
    assert os.sched_getaffinity(int(task)) == {cpu}, task
"""
    environment = {k: v for k, v in os.environ.items() if k != "CNN_CORE_NUM_THREADS"}
    command = script(tmp_path, body)
    process = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=DEADLOCK, check=False
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="only Linux tells where threads may run")
def test_workers_that_were_woken_may_use_all_cpus(tmp_path):
    """One is woken on another CPU than its caller's, and may use that one afterwards."""
    body = """
import time
tasks, cpus = "/proc/self/task", os.sched_getaffinity(0)
expected = work(0)
for _ in range(50):
    time.sleep(0.002)  # for workers to fall asleep
    assert work(0) == expected
while any(os.sched_getaffinity(int(task)) != cpus for task in os.listdir(tasks)):
    time.sleep(0.01)  # one may be on its way
"""
    run(tmp_path, body)


@pytest.fixture
def new_cgroup():
    """A cgroup of our own, and how to set its quota; skips where none may be made."""
    v1, v2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    parent = v1 if (v1 / "cpu.cfs_quota_us").exists() else v2
    folder = parent / f"cnn_core_test_{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"may not make a cgroup: {error}")

    def set_quota(cpus: float) -> Path:
        try:
            if parent == v1:
                (folder / "cpu.cfs_period_us").write_text("100000")
                (folder / "cpu.cfs_quota_us").write_text(str(int(cpus * 100_000)))
            else:
                (folder / "cpu.max").write_text(f"{int(cpus * 100_000)} 100000")
        except OSError as error:
            pytest.skip(f"may not set a quota: {error}")
        return folder / "cgroup.procs"

    yield set_quota
    folder.rmdir()


@pytest.mark.parametrize(("quota", "cpus"), [(0.5, 1), (1, 1), (2.5, 2), (7, 7)])
def test_the_quota_of_a_real_cgroup_is_kept(new_cgroup, quota, cpus):
    """A process that is put into the cgroup, before it imports the library, as a container's is."""
    code = f"""
import os
open({str(new_cgroup(quota))!r}, "w").write(str(os.getpid()))
import cnn_core
print(cnn_core.get_num_threads(), cnn_core._threads._cgroup_quota(), cnn_core._threads._affinity())
"""
    environment = {k: v for k, v in os.environ.items() if k != "CNN_CORE_NUM_THREADS"}
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=DEADLOCK
    )
    assert process.returncode == 0, process.stderr
    n_threads, allowed, affinity = map(int, process.stdout.split())
    assert allowed == cpus
    assert n_threads == min(cpus, affinity)


# ---------------------------------------------------------------- the end


def test_the_interpreter_ends_with_work_in_flight(tmp_path):
    body = """
import atexit, threading
expected = work(0)
started = threading.Barrier(4)

def compute():
    work(1)
    started.wait()
    while True:
        work(1)

for _ in range(3):
    threading.Thread(target=compute, daemon=True).start()
started.wait()
atexit.register(lambda: print(work(0) == expected))
"""
    for _ in range(3):
        assert run(tmp_path, body) == "True\n"
