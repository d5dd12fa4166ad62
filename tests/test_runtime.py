"""The parts below all kernels: threads, memory and the choice of the instruction set."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import cnn_core
from cnn_core import _kernels, _memory, _threads
from cnn_core import functional as F
from cnn_core._kernels import runtime

LARGE = (256, 1024)  # elements: float32 arrays of this shape come from the cache


@pytest.fixture
def empty_cache():
    runtime.trim_memory()
    yield
    runtime.trim_memory()


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


# Threads


@pytest.mark.parametrize("n", [1, 2, 3, 8, 256])
def test_the_number_of_threads_changes_no_bit(n, threads):
    x = np.random.default_rng(0).normal(size=(9, 3, 33, 31)).astype(np.float32)
    weight = np.random.default_rng(1).normal(size=(7, 3, 5, 3)).astype(np.float32)
    threads(1)
    expected = F.conv2d(x, weight), *F.conv2d_backward(F.conv2d(x, weight), x, weight)
    threads(n)
    for _ in range(20):
        result = F.conv2d(x, weight), *F.conv2d_backward(F.conv2d(x, weight), x, weight)
        for array, wanted in zip(result, expected, strict=True):
            assert array.tobytes() == wanted.tobytes()


def test_several_threads_may_call_at_once(threads):
    threads(2)
    wrong = []

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=200_000).astype(np.float32)
        expected = np.maximum(x, 0)
        wrong.extend(seed for _ in range(200) if not np.array_equal(F.relu(x), expected))

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_threads_of_its_own():
    code = """
import os, warnings
import numpy as np, cnn_core
from cnn_core import functional as F
warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of forks beside threads: that is the point
cnn_core.set_num_threads(2)
x = np.linspace(-1, 1, 300_000)
expected = F.relu(x)
child = os.fork()
if child == 0:
    os._exit(0 if all(np.array_equal(F.relu(x), expected) for _ in range(50)) else 1)
assert all(np.array_equal(F.relu(x), expected) for _ in range(50))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    assert python(code).returncode == 0


@pytest.mark.parametrize("n", [0, -1, 257, 10**30])
def test_numbers_of_threads_out_of_range(n):
    with pytest.raises(ValueError, match="1 to 256 threads"):
        cnn_core.set_num_threads(n)


@pytest.mark.parametrize("n", [1.5, "2", None, True])
def test_numbers_of_threads_that_are_none(n):
    with pytest.raises(TypeError, match="integer"):
        cnn_core.set_num_threads(n)


def test_the_environment_sets_the_number_of_threads():
    code = "import cnn_core; print(cnn_core.get_num_threads())"
    assert python(code, CNN_CORE_NUM_THREADS="3").stdout == "3\n"
    assert "CNN_CORE_NUM_THREADS" in python(code, CNN_CORE_NUM_THREADS="many").stderr
    assert python(code, CNN_CORE_NUM_THREADS="0").returncode != 0


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "max 100000"}, 256),
        ({"cpu.max": "250000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.cfs_quota_us": "400000", "cpu.cfs_period_us": "100000"}, 4),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, 256),
        ({"cpu.max": "not a quota"}, 256),
        ({}, 256),
    ],
)
def test_a_containers_quota_is_kept(files, cpus, tmp_path, monkeypatch):
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(_threads, "_cgroup_folders", lambda: [tmp_path, tmp_path / "missing"])
    assert _threads._cgroup_quota() == cpus


# Memory


def test_memory_is_used_again_once_nobody_sees_it(empty_cache):
    x = _memory.empty(LARGE, np.float32)
    address = x.ctypes.data
    assert address % 64 == 0
    row = x[3, 5:]
    del x
    other = _memory.empty(LARGE, np.float32)
    assert other.ctypes.data != address  # the row still stands on the first block
    del row
    assert _memory.empty(LARGE, np.float32).ctypes.data == address


def test_the_cache_knows_what_it_holds(empty_cache):
    in_use = runtime.memory_in_use()
    x = _memory.empty(LARGE, np.float32)
    assert runtime.memory_in_use() - in_use >= x.nbytes
    assert runtime.memory_cached() == 0
    del x
    assert runtime.memory_in_use() == in_use
    assert runtime.memory_cached() >= 256 * 1024 * 4
    runtime.trim_memory()
    assert runtime.memory_cached() == 0


def test_the_cache_forgets_the_oldest_blocks_first(empty_cache):
    block = runtime.CACHE_LIMIT // 5
    for size in range(block, block + 10 * 2**21, 2**21):
        _memory.empty((size,), np.uint8)
    assert runtime.memory_cached() <= runtime.CACHE_LIMIT
    last = _memory.empty((block + 9 * 2**21,), np.uint8)
    assert runtime.memory_cached() < runtime.CACHE_LIMIT
    assert last.size == block + 9 * 2**21


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the system does not say where huge blocks begin"
)
@pytest.mark.parametrize("size", [1 << 20, 3_000_000, 1 << 24])
def test_huge_arrays_begin_far_from_where_numpys_do_in_a_page(size):
    """A load waits for a store to the same place of another page: see allocator.h."""
    place = _memory.empty((size,), np.float32).ctypes.data % 4096
    numpys = 16
    assert 512 < (place - numpys) % 4096 < 4096 - 512
    assert place % 64 == 0


def test_arrays_that_cannot_be():
    with pytest.raises(MemoryError, match="bytes"):
        _memory.empty((2**60,), np.uint8)
    with pytest.raises(ValueError, match="0 bytes or more"):
        runtime.Block(-1)


# Instruction sets


def test_the_baseline_runs_everywhere():
    assert "baseline" in _kernels._FOLDERS
    assert runtime.cpu_supports("baseline")
    assert not runtime.cpu_supports("a level of the future")


def test_the_environment_chooses_the_instruction_set():
    for level in _kernels.available_levels():
        result = python("import cnn_core._kernels as k; print(k.isa_level)", CNN_CORE_ISA=level)
        assert result.stdout.strip() == level
    result = python("import cnn_core", CNN_CORE_ISA="sse17")
    assert "CNN_CORE_ISA=sse17: this build and CPU offer" in result.stderr
