"""Whatever ends a training, what it saved last is whole, and resuming ends with the same bits.

``CNN_CORE_KILLS=50`` kills a training so many times; the nightly profile does (see ``fuzzing``).
"""

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fuzzing import NIGHTLY
from training_parts import assert_same_bits, everything, make_data, make_trainer, shift

import cnn_core
from cnn_core.files import _atomic, load_tensors, save_tensors
from cnn_core.optim import Adam
from cnn_core.optim.schedules import Cosine
from cnn_core.training import Checkpoint
from cnn_core.training.checkpoint import KEY

KILLS = int(os.environ.get("CNN_CORE_KILLS", "50" if NIGHTLY else "10"))
EPOCHS, BATCH_SIZE = 4 * KILLS, 20  # 50 examples: 3 steps an epoch


def build(path, **options):
    """A trainer with everything that has a state, which saves after every step."""
    options = {"schedule": Cosine(0.01, 3 * EPOCHS), "augment": shift} | options
    return make_trainer(Adam(), callbacks=[Checkpoint(path, every_steps=1)], **options)


def fit(trainer, epochs=EPOCHS):
    return trainer.fit(make_data(), make_data(30, 5), epochs=epochs, batch_size=BATCH_SIZE)


def undisturbed(tmp_path, epochs=EPOCHS):
    whole = build(tmp_path / "undisturbed.safetensors")
    fit(whole, epochs)
    return everything(whole)


# ---------------------------------------------------------------- kill -9

TRAIN = """
import os, signal, sys, time
sys.path[:0] = {paths!r}
import test_crashes as t
from cnn_core.files import _atomic
from cnn_core.training import Callback

path, suicide, kill_after = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
moments = steps = 0

def moment():  # one of those at which the process may end: before and after all that a write consists of
    global moments
    moments += 1
    if moments == suicide:
        os.kill(os.getpid(), signal.SIGKILL)

class Parts:  # a file that is written in three parts
    def __init__(self, file):
        self.file = file
    def write(self, data):
        third = len(data) // 3
        for part in (data[:third], data[third : 2 * third], data[2 * third :]):
            self.file.write(part)
            self.file.flush()
            moment()
    def __getattr__(self, name):
        return getattr(self.file, name)

def with_moments(function):
    def call(*arguments, **options):
        moment()
        result = function(*arguments, **options)
        moment()
        return result
    return call

fill = _atomic._fill
_atomic._fill = lambda file, data: fill(Parts(file), data)
for name in ("fsync", "link", "replace"):
    setattr(os, name, with_moments(getattr(os, name)))

class Report(Callback):
    runs_last = True
    def on_step_end(self, trainer):
        global steps
        steps += 1
        print(trainer.step, flush=True)
        if 0 < kill_after <= steps - 5:
            time.sleep(600)  # the kill is on its way, however busy the machine is

trainer = t.build(path)
trainer.callbacks.append(Report())
if os.path.exists(path):
    trainer.resume(path)
print(trainer.step, flush=True)
t.fit(trainer)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_at_many_moments_it_ends_with_the_same_bits(tmp_path):
    """Half of the kills come from within, at a moment of a write; half from without, whenever it may be."""
    script, path = tmp_path / "train.py", tmp_path / "c.safetensors"
    folders = [str(Path(__file__).parent), str(Path(cnn_core.__file__).parents[1])]
    script.write_text(TRAIN.format(paths=folders))
    rng = random.Random(os.urandom(8) if NIGHTLY else 0)
    reached = 0

    def run(suicide, kill_after):
        command = [sys.executable, str(script), str(path), str(suicide), str(kill_after)]
        steps = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                steps.append(int(line))
                if len(steps) == kill_after:
                    time.sleep(rng.random() / 100)  # into the next step, or into its write
                    process.kill()
        return process.returncode, steps

    for number in range(KILLS):
        within = number % 2 == 0
        code, steps = run(rng.randint(1, 30) if within else 0, 0 if within else rng.randint(1, 4))
        assert code == -signal.SIGKILL
        if path.exists():
            step = json.loads(load_tensors(path)[1][KEY])["progress"]["step"]
            assert step >= reached
            reached = step
            assert steps[-1] - 1 <= reached <= steps[-1] + 2  # the one that was being written may be there
    assert 0 < reached < 3 * EPOCHS

    resumed = build(path).resume(path)
    assert resumed.step == reached
    fit(resumed)
    assert_same_bits(everything(resumed), undisturbed(tmp_path))


# ---------------------------------------------------------------- full disks


class FullDisk:
    """A file on a disk that takes so many bytes more."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        self.file.write(data[: self.room])
        if len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.fixture(params=["nameless", "named"])
def temporary_file(request, monkeypatch):
    """Both ways of writing a file that is not there yet."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no files without names")


@pytest.mark.parametrize("part", [0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_disk_that_is_full_at_any_byte(tmp_path, monkeypatch, suffix, part, temporary_file):
    path = tmp_path / f"c{suffix}"
    first = build(path)
    fit(first, epochs=2)
    last_good, entries = path.read_bytes(), sorted(tmp_path.iterdir())

    room = int(part * len(last_good))
    fill = _atomic._fill
    monkeypatch.setattr(_atomic, "_fill", lambda file, data: fill(FullDisk(file, room), data))
    with pytest.raises(OSError, match=f"No space left on device: .*{path.name}"):
        fit(build(path).resume(path), epochs=4)
    monkeypatch.setattr(_atomic, "_fill", fill)

    assert path.read_bytes() == last_good
    assert sorted(tmp_path.iterdir()) == entries
    resumed = build(path).resume(path)
    fit(resumed, epochs=4)
    assert_same_bits(everything(resumed), undisturbed(tmp_path, epochs=4))


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_fails_when_all_is_written(tmp_path, monkeypatch, call, code, temporary_file):
    path = tmp_path / "c.safetensors"
    save_tensors(path, {"w": np.ones(3)})

    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=path.name) as caught:
        save_tensors(path, {"w": np.zeros(3)})
    monkeypatch.undo()
    assert caught.value.errno == code
    assert load_tensors(path)[0]["w"].tolist() == [1, 1, 1]
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own, of 256 kB: whoever may mount one has it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("room", [0, 4096])
def test_a_disk_that_is_really_full(small_disk, tmp_path, room):
    path, ballast = small_disk / "c.safetensors", small_disk / "ballast"
    fit(build(path), epochs=1)
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:  # to the last page
            file.write(bytes(4096))
    os.truncate(ballast, ballast.stat().st_size - room)
    assert path.stat().st_size > room
    last_good = path.read_bytes()

    with pytest.raises(OSError, match=f"No space left on device: .*{path.name}"):
        fit(build(path).resume(path), epochs=2)
    assert path.read_bytes() == last_good
    assert sorted(small_disk.iterdir()) == [ballast, path]

    ballast.unlink()
    resumed = build(path).resume(path)
    fit(resumed, epochs=2)
    assert_same_bits(everything(resumed), undisturbed(tmp_path, epochs=2))


@pytest.mark.parametrize("limit", [0, 1000, 100_000])
def test_a_limit_that_the_system_sets(tmp_path, limit):
    """The same with a real error of the system: no file may grow beyond a limit (setrlimit)."""
    pytest.importorskip("resource", reason="this system has no limits on the size of files")
    path = tmp_path / "c.safetensors"
    save_tensors(path, {"w": np.ones(3)})
    code = (
        "import resource, signal, sys\n"
        "import numpy as np\n"
        "from cnn_core.files import save_tensors\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "try:\n"
        f"    save_tensors({str(path)!r}, {{'w': np.zeros(50_000)}})\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "c.safetensors" in process.stdout
    assert load_tensors(path)[0]["w"].tolist() == [1, 1, 1]
    assert list(tmp_path.iterdir()) == [path]


# ---------------------------------------------------------------- folders that cannot be written to


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid"), reason="POSIX permissions")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "c.safetensors"
    fit(build(path), epochs=1)
    folder.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match=path.name):
            fit(build(path).resume(path), epochs=2)
    finally:
        folder.chmod(0o700)
    resumed = build(path).resume(path)
    fit(resumed, epochs=2)
    assert_same_bits(everything(resumed), undisturbed(tmp_path, epochs=2))


def test_a_read_only_file_system(tmp_path, monkeypatch):
    """What the system says where nobody may write, not even root."""
    path = tmp_path / "c.safetensors"
    fit(build(path), epochs=1)

    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(_atomic, "_write_nameless", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OSError, match=path.name) as caught:
        build(path).save_checkpoint(path)
    monkeypatch.undo()
    assert caught.value.errno == errno.EROFS
    resumed = build(path).resume(path)
    fit(resumed, epochs=2)
    assert_same_bits(everything(resumed), undisturbed(tmp_path, epochs=2))
