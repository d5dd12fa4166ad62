"""Ctrl-C, and other signals with handlers in Python, while a kernel runs.

The long kernel of these tests would take some ten seconds, and its output begins as NaN: what is still NaN
afterwards says how early it was left, whatever the clock says.
"""

import signal
import subprocess

import pytest
from scenarios import DEADLOCK, needs_fork, run, script

LONG = """
import signal, threading
from cnn_core._kernels import max_pool

x = np.random.default_rng(0).normal(size=(200, 1, 160, 160)).astype(np.float32)

def pool(y, size, n_threads, n):
    "The maxima of ``n`` planes; their windows are as large as the time that this should take."
    half = size // 2
    max_pool.max_pool2d(x[:n], y, None, size, size, 1, 1, half, half, 1, 1, False, n_threads)

def long_kernel(y, n_threads):
    pool(y, 151, n_threads, len(x))

def short_kernel(n_threads):
    "Half a second or so: time for some looks."
    y = np.full((12, 1, 160, 160), np.nan, np.float32)
    pool(y, 121, n_threads, len(y))
    return y.tobytes()

def unfinished(y):
    return np.isnan(y).mean()

def soon(number=signal.SIGINT, seconds=0.2):
    "Send this process a signal; another thread can, as a kernel runs without the GIL."
    threading.Timer(seconds, signal.raise_signal, (number,)).start()

signal.signal(signal.SIGINT, signal.default_int_handler)
y = np.full_like(x, np.nan)
"""

SIGUSR = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs a second signal")
either = pytest.mark.parametrize("n_threads", [1, 2])

INTERRUPTED = """
def interrupted(n_threads):
    expected = work(0)
    try:
        soon()
        long_kernel(y, n_threads)
    except KeyboardInterrupt:
        assert unfinished(y) > 0
        assert work(0) == expected
    else:
        raise AssertionError("not interrupted")
"""


@either
def test_ctrl_c_ends_a_long_kernel(n_threads, tmp_path):
    run(tmp_path, LONG + INTERRUPTED + f"interrupted({n_threads})")


@either
def test_ctrl_c_again_and_again(n_threads, tmp_path):
    """Nothing of an interruption is left for the next."""
    body = f"for _ in range(3):\n    y.fill(np.nan)\n    interrupted({n_threads})"
    run(tmp_path, LONG + INTERRUPTED + body)


@either
def test_running_statistics_are_those_of_whole_batches(n_threads, tmp_path):
    """They are the one thing that a layer's forward pass writes in place.

    Outliers in front make the sums take long beside the rest of the kernel: there the signals have to come.
    """
    body = f"""
from cnn_core._kernels import batch_norm
from cnn_core.layers import BatchNorm2d

cnn_core.set_num_threads({n_threads})
x = np.random.default_rng(0).normal(size=(1, 2, 600, 400)).astype(np.float32)
x[..., 0, 0] = 1e6
x = np.repeat(x, 32, axis=0)
batches = [x, -x]  # whoever took the sums that the last one left behind would have others

def after_each_batch():
    "The running mean after any number of whole batches, in turn."
    layer, numbers = BatchNorm2d(2), []
    for batch in batches:
        layer.forward(batch, training=True)
        numbers.append(layer._saved[2][1])
    mean, var, values = np.zeros(2, np.float32), np.ones(2, np.float32), x.size // 2
    for i in range(1000):
        batch_norm.move_running(numbers[i % 2], mean, var, 0.1, values / (values - 1))
        yield mean.tolist()

expected = list(after_each_batch())
for _ in range(8):
    layer = BatchNorm2d(2)
    try:
        soon()
        for i in range(10**6):
            layer.forward(batches[i % 2], training=True)
    except KeyboardInterrupt:
        assert layer.running_mean.tolist() in [[0, 0], *expected]
"""
    run(tmp_path, LONG + body)


@needs_fork
@either
def test_ctrl_c_in_a_forked_child(n_threads, tmp_path):
    """Its main thread is the one that forked, even if that was not the parent's."""
    body = f"""
import sysconfig, traceback

def finished(n_threads):
    "In the child of a thread, CPython without the GIL makes no pending calls, so kernels go on to their end."
    try:
        soon()
        assert short_kernel(n_threads) == expected
    except KeyboardInterrupt:
        pass
    assert short_kernel(n_threads) == expected

def fork(test):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            test({n_threads})
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)  # or the threads of the pool would keep the child alive
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

codes = []
expected = short_kernel({n_threads})
interrupted({n_threads})
y.fill(np.nan)
fork(interrupted)
in_a_thread = finished if sysconfig.get_config_var("Py_GIL_DISABLED") else interrupted
thread = threading.Thread(target=fork, args=(in_a_thread,))
thread.start()
thread.join()
assert codes == [0, 0], codes
"""
    run(tmp_path, LONG + INTERRUPTED + body)


def test_ctrl_c_from_another_process(tmp_path):
    body = """
expected = work(0)
try:
    print("ready", flush=True)  # inside: the signal may come before the kernel begins
    long_kernel(y, 2)
except KeyboardInterrupt:
    print(work(0) == expected, unfinished(y) > 0)
"""
    if not hasattr(signal, "SIGKILL"):
        pytest.skip("POSIX signals")
    with subprocess.Popen(script(tmp_path, LONG + body), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=DEADLOCK)
    assert output == "True True\n"
    assert process.returncode == 0


@either
def test_ctrl_c_while_other_threads_compute(n_threads, tmp_path):
    """They go on, and the pool serves whoever is next."""
    body = f"""
expected, wrong, stop = work(1), [], False

def compute():
    while not stop:
        wrong.extend([work(1)] if work(1) != expected else [])

others = [threading.Thread(target=compute, daemon=True) for _ in range(2)]
for thread in others:
    thread.start()
interrupted({n_threads})
stop = True
for thread in others:
    thread.join()
assert wrong == []
"""
    run(tmp_path, LONG + INTERRUPTED + body)


def test_ctrl_c_ends_the_gradient_of_a_weight(tmp_path):
    """It is added up in eight parts, whatever its size, but in rounds: so many jobs of two threads."""
    body = """
from cnn_core._kernels import conv2d_backward_weight as kernel, runtime

x = np.random.default_rng(0).normal(size=(32, 64, 94, 94)).astype(np.float32)
dy = np.random.default_rng(1).normal(size=(32, 64, 64, 64)).astype(np.float32)
dweight = np.empty((64, 64, 31, 31), np.float32)

def gradient(x, dy, dweight):
    "Returns the number of jobs."
    jobs = runtime.jobs_shared()
    try:
        kernel.conv2d_backward_weight(dy, None, x, dweight, None, 1, 1, 0, 0, 1, 1, 1, 2)
    finally:
        done.append(runtime.jobs_shared() - jobs)

done = []
gradient(x[:1, :, :, :60].copy(), dy[:1, :, :, :30].copy(), dweight)  # a hundredth of the work
soon()
try:
    gradient(x, dy, dweight)
except KeyboardInterrupt:
    pass
else:
    raise AssertionError("not interrupted")
print(done[0], done[1])
assert done[0] > 2 and done[1] < 50 * done[0], done
"""
    run(tmp_path, LONG + body)


# ---------------------------------------------------------------- handlers


@either
def test_a_handler_that_only_notes_the_signal_changes_nothing(n_threads, tmp_path):
    body = f"""
expected, noted = short_kernel({n_threads}), []
signal.signal(signal.SIGINT, lambda *_: noted.append(True))
soon()
assert short_kernel({n_threads}) == expected
while not noted:  # the kernel may have been quicker than the timer
    pass
assert short_kernel({n_threads}) == expected
"""
    run(tmp_path, LONG + body)


@SIGUSR
@either
def test_a_kernel_goes_on_after_a_handler(n_threads, tmp_path):
    body = f"""
class Enough(Exception):
    pass

shares, enough = [], Enough("told", {{"by": "a handler"}})

def note(*_):
    shares.append(unfinished(y))
    soon(signal.SIGUSR1, 0.5)

def end(*_):
    raise enough

signal.signal(signal.SIGINT, note)
signal.signal(signal.SIGUSR1, end)
try:
    soon()
    long_kernel(y, {n_threads})
except Enough as error:
    assert error is enough
    assert 1 >= shares[0] > unfinished(y) > 0, (shares, unfinished(y))
    assert error.__traceback__.tb_next is not None  # where it was raised is told, too
else:
    raise AssertionError("not interrupted")
"""
    run(tmp_path, LONG + body)


@either
def test_a_handler_that_computes(n_threads, tmp_path):
    """It has the library to itself, whatever is in the middle of a job."""
    body = f"""
expected, bits, results = short_kernel({n_threads}), work(0), []

def compute(*_):
    cnn_core.set_num_threads(3 - cnn_core.get_num_threads())
    results.append(work(0))
    results.append(float(np.full(100, 1e-30, np.float32).max() * np.float32(1e-10)) > 0)  # denormals live

signal.signal(signal.SIGINT, compute)
soon()
assert short_kernel({n_threads}) == expected
while not results:
    pass
assert results == [bits, True]
"""
    run(tmp_path, LONG + body)


@SIGUSR
@either
def test_an_interruption_inside_of_a_handler(n_threads, tmp_path):
    """The handler's kernel is left, and the handler deals with it: the kernel that it interrupted goes on."""
    body = f"""
expected, caught = short_kernel({n_threads}), []

def compute(*_):
    try:
        soon()
        long_kernel(y, {n_threads})
    except KeyboardInterrupt:
        caught.append(unfinished(y) > 0)

signal.signal(signal.SIGUSR1, compute)
soon(signal.SIGUSR1)
assert short_kernel({n_threads}) == expected
while not caught:
    pass
assert caught == [True]
"""
    run(tmp_path, LONG + body)


@needs_fork
@either
def test_a_handler_that_forks(n_threads, tmp_path):
    """Both processes go on with the kernel that was interrupted, and end with the same bits."""
    body = f"""
expected, bits, children = short_kernel({n_threads}), work(0), []

def fork(*_):
    children.append(os.fork())
    assert work(0) == bits

signal.signal(signal.SIGINT, fork)
soon()
assert short_kernel({n_threads}) == expected
while not children:
    pass
assert work(0) == bits
if children[0] == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
"""
    run(tmp_path, LONG + body)


def test_no_room_for_a_pending_call(tmp_path):
    """Then the signal waits until the kernel has returned: neither is lost."""
    body = """
import ctypes
nothing = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda _: 0)

def fill_and_interrupt():
    while ctypes.pythonapi.Py_AddPendingCall(nothing, None) == 0:
        pass
    signal.raise_signal(signal.SIGINT)

expected = short_kernel(2)
caught = 0
for _ in range(3):
    try:
        timer = threading.Timer(0.2, fill_and_interrupt)
        timer.start()
        assert short_kernel(2) == expected
        while True:
            pass
    except KeyboardInterrupt:
        caught += 1
    timer.join()
assert caught == 3
assert short_kernel(2) == expected
"""
    run(tmp_path, LONG + body)
