"""Files from anywhere: a reader returns arrays or raises, executes nothing and takes little memory.

Hypothesis damages good files of every format; a list of hostile ones is read under a limit on memory. An
error is a ValueError or OSError that begins with the file's name.
"""

import contextlib
import gzip
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import damaged, edits, memory_of, search, supervised
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from training_parts import assert_same_bits, everything, make_data, make_trainer

from cnn_core.book.params import load_params
from cnn_core.data.cifar import read_cifar_binary, read_cifar_python
from cnn_core.data.idx import read_idx
from cnn_core.files import load_tensors, save_tensors
from cnn_core.optim import Adam
from cnn_core.optim.schedules import Plateau, WarmUp
from cnn_core.training import EarlyStopping
from cnn_core.training.checkpoint import KEY

MEGABYTE = 2**20
# Parsed headers and instructions take more memory than their text: up to this many bytes for each byte.
GROWTH, FIXED = 128, 4 * MEGABYTE


# ---------------------------------------------------------------- good files


def example() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "0.weight": rng.standard_normal((2, 1, 3, 3), np.float32),
        "0.bias": rng.standard_normal(2),
        "steps": np.array(7, np.int64),
        "mask": np.array([True, False, True]),
        "none": np.zeros((0, 3), np.float32),
    }


def written(write: Callable[[Path], None], suffix: str) -> bytes:
    """What a function writes to a path with this suffix."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        write(path)
        return path.read_bytes()


def zipped(members: list[tuple[str, bytes]], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, **({"compress_type": 8} if options else {}))
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def npy_claims(shape: tuple, descr: Any = "<f4", data: bytes = b"") -> bytes:
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


def idx(shape: tuple[int, ...], code: int = 8, data: bytes = b"") -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data


def safetensors(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def trainer(**options: Any) -> Any:
    return make_trainer(Adam(), schedule=WarmUp(Plateau(0.01), 2), callbacks=[EarlyStopping()], **options)


def checkpoint_parts() -> tuple[dict[str, np.ndarray], dict[str, str]]:
    def write(path: Path) -> None:
        trained = trainer()
        trained.fit(make_data(20), make_data(10, 5), epochs=1, batch_size=10)
        trained.save_checkpoint(path)
        nonlocal parts
        parts = load_tensors(path)

    parts: Any = None
    written(write, ".safetensors")
    return parts


ARRAYS = {name: array for name, array in example().items() if name != "none"}
BATCH = {"data": np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8), "labels": [3, 9], "names": ["a", "b"]}
CHECKPOINT = checkpoint_parts()


@dataclass(frozen=True)
class Reader:
    """A reader, the suffix of its files, and files that it takes.

    The last of several files has no checksums, so that damage to it reaches what stands behind them.
    """

    name: str
    suffix: str
    read: Callable[[Path], Any]
    files: tuple[bytes, ...]

    def __str__(self) -> str:
        return self.name


READERS = [
    Reader("safetensors", ".safetensors", load_tensors, (
        written(lambda path: save_tensors(path, example(), {"note": "text"}), ".safetensors"),
        save(example(), {"note": "text"}),
    )),
    Reader("npz", ".npz", load_tensors, (
        written(lambda path: save_tensors(path, example(), {"note": "text"}), ".npz"),
        zipped([(f"{name}.npy", npy(array)) for name, array in example().items()], compression=8),
        zipped([(f"{name}.npy", npy(array)) for name, array in example().items()]),
    )),
    Reader("checkpoint", ".safetensors", lambda path: trainer().resume(path), (save(*CHECKPOINT),)),
    Reader("idx", ".idx", lambda path: read_idx(path, max_bytes=8 * MEGABYTE), (
        gzip.compress(idx((2, 3, 4), 0x0D, bytes(96)), mtime=0),
        idx((5, 4), 0x0B, bytes(40)),
    )),
    Reader("cifar binary", ".bin", read_cifar_binary, (bytes([7]) + bytes(3072) + bytes([1]) + bytes(3072),)),
    Reader("cifar python", "", read_cifar_python, (pickle.dumps(BATCH, 2), pickle.dumps(BATCH, 4))),
    Reader("book", ".pkl", load_params, tuple(pickle.dumps(ARRAYS, protocol) for protocol in (3, 5, 2))),
]  # fmt: skip
BY_NAME = {reader.name: reader for reader in READERS}


def read_safely(reader: Reader, path: Path) -> bool:
    """Read; return whether it was taken. Whatever happens must be an answer or an error with the name."""
    taken = []

    def attempt() -> None:
        try:
            reader.read(path)
            taken.append(True)
        except (ValueError, OSError) as error:
            if os.fspath(path) not in str(error):
                raise AssertionError(f"the file's name is missing: {error}") from error

    before = path.read_bytes(), sorted(path.parent.iterdir())
    with supervised() as forbidden:
        memory = memory_of(attempt)
    assert forbidden == []
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == before
    assert memory <= GROWTH * len(before[0]) + FIXED, f"{memory} bytes for a file of {len(before[0])}"
    return bool(taken)


@pytest.mark.parametrize("reader", READERS, ids=str)
def test_the_undamaged_files_are_taken(reader: Reader, tmp_path: Path) -> None:
    for content in reader.files:
        path = tmp_path / f"x{reader.suffix}"
        path.write_bytes(content)
        reader.read(path)  # imports what it needs, and imports execute
        assert read_safely(reader, path)


@pytest.mark.parametrize("reader", READERS, ids=str)
def test_damage_gives_an_error_or_arrays(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / f"x{reader.suffix}"
    path.write_bytes(reader.files[0])
    reader.read(path)  # imports what it needs, and imports execute

    @search(ci=60, rows=len(READERS))
    @given(st.integers(0, len(reader.files) - 1), edits)
    def check(which: int, how: list) -> None:
        path.write_bytes(damaged(reader.files[which], how))
        read_safely(reader, path)

    check()


@pytest.mark.parametrize("reader", READERS, ids=str)
def test_any_truncation_is_an_error(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / f"x{reader.suffix}"
    path.write_bytes(reader.files[0])
    reader.read(path)  # imports what it needs, and imports execute

    @search(ci=40, rows=len(READERS))
    @given(st.integers(0, len(reader.files) - 1), st.floats(0, 1, exclude_max=True))
    def check(which: int, part: float) -> None:
        content = reader.files[which]
        path.write_bytes(content[: int(part * len(content))])
        whole_records = reader.name == "cifar binary" and path.stat().st_size == 3073
        assert read_safely(reader, path) == whole_records

    check()


# ---------------------------------------------------------------- documents of checkpoints

HOSTILE_VALUES = [
    *(None, True, False, 0, -1, 1.5, 2**31, 2**40, 2**63, 2**128, 10**400, 1e308, float("nan"), float("inf")),
    *("", "x", "\0", "nan", "lr", [], [[]], [None], {}, {"a": 1}, {"array": [1], "dtype": "uint64"}),
]  # fmt: skip


def places(value: Any, here: tuple = ()) -> list[tuple]:
    """The paths to everything inside a JSON value."""
    items = {dict: lambda: value.items(), list: lambda: enumerate(value)}
    inner = items.get(type(value), tuple)()
    return [here, *(place for key, child in inner for place in places(child, (*here, key)))]


def replaced(value: Any, place: tuple, new: Any) -> Any:
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = replaced(value[place[0]], place[1:], new)
    return copy


DOCUMENT = json.loads(CHECKPOINT[1][KEY])


@search(ci=150, rows=2)
@given(st.sampled_from(places(DOCUMENT)), st.sampled_from(HOSTILE_VALUES))
def test_a_document_with_any_value_anywhere(tmp_path_factory, place, value) -> None:
    """It is refused and changes nothing, or the training goes on and can be saved and resumed again."""
    path = tmp_path_factory.getbasetemp() / "document.safetensors"
    save_tensors(path, CHECKPOINT[0], {KEY: json.dumps(replaced(DOCUMENT, place, value))})
    own = trainer()
    before = everything(own)
    try:
        own.resume(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
        assert_same_bits(everything(own), before)
        return
    # Other data than those of the epoch's first half, or a learning rate of 1e308.
    with contextlib.suppress(ValueError, FloatingPointError):
        own.fit(make_data(20), make_data(10, 5), epochs=2, batch_size=10)
    own.save_checkpoint(path)
    trainer().resume(path)


# ---------------------------------------------------------------- hostile files


class Runs:
    """Pickled, it is a call."""

    def __init__(self, function: Callable, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def attacks() -> dict[str, bytes]:
    """Pickles that would do something if anybody unpickled them."""
    values = {
        "system": Runs(os.system, "touch executed"),
        "eval": {"W1": Runs(eval, "open('executed', 'w')")},
        "open": {"W1": Runs(open, "executed", "w")},
        "import": {"W1": Runs(__import__, "antigravity")},
        "getattr": Runs(getattr, 1, "real"),
        "load": {"W1": Runs(np.load, "executed.npy", None, True)},
        "array": {"W1": Runs(np.zeros, 2**40)},
        "objects": {"W1": np.array([Runs(os.system, "touch executed")], object)},
        "structured": {"W1": np.zeros(2, [("a", "f4"), ("b", "O")])},
        "text": {"W1": np.array(["a"])},
        "complex": {"W1": np.zeros(2, complex)},
    }
    pickles = {
        f"{name}, protocol {protocol}": pickle.dumps(value, protocol)
        for name, value in values.items()
        for protocol in (0, 2, 4, 5)
    }
    return pickles | {
        "instance": b"(ios\nsystem\nS'touch executed'\n.",
        "persistent id": b"\x80\x02X\1\0\0\0aQ.",
        "extension": b"\x80\x02\x82\x01.",
        "a dict that is never filled": b"\x80\x02" + b"}" * 3_000_000 + b".",
        "lists for ever": b"\x80\x02" + b"]" * 3_000_000 + b".",
        "bytes of four gigabytes": b"\x80\x03B\xff\xff\xff\xff.",
        "bytes of exabytes": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",
        "a frame of exabytes": b"\x80\x04\x95" + b"\xff" * 8 + b"N.",
        "a number of two gigabytes": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    }


def bomb(size: int) -> bytes:
    """A gzip member of zeros that is a thousand times smaller than what it holds."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = compressor.compress(idx((2**10, 2**20)))
    return start + b"".join(compressor.compress(bytes(MEGABYTE)) for _ in range(size)) + compressor.flush()


def entry(shape: Any, start: Any, stop: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def hostile_files() -> dict[str, dict[str, bytes]]:
    """Files to be refused, by reader."""
    ones = npy(np.ones(3, np.float32))
    huge = 2**40
    return {
        "safetensors": {
            "a header of exabytes": struct.pack("<Q", 2**64 - 1) + b"{}",
            "a tensor of terabytes": safetensors({"w": entry([huge], 0, 4 * huge)}, bytes(8)),
            "terabytes from nothing": safetensors({"w": entry([huge], 0, 0)}),
            "overlapping": safetensors({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)),
            "the same bytes": safetensors({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, bytes(8)),
            "backwards": safetensors({"a": entry([2], 8, 0)}, bytes(8)),
            "negative shape": safetensors({"a": entry([-2, -1], 0, 8)}, bytes(8)),
            "NaN shape": safetensors(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}', bytes(4)),
            "infinite": safetensors(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1e999]}}', b"a"),
            "long": safetensors(b'{"a":{"dtype":"U8","shape":[' + b"9" * 9999 + b'],"data_offsets":[0,4]}}'),
            "objects": safetensors({"a": entry([1], 0, 8, "O")}, bytes(8)),
            "twice": safetensors(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
                                 b'"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
            "deep": safetensors(b'{"a":' * 100_000),
            "a pickle": pickle.dumps(Runs(os.system, "touch executed")),
        },
        "npz": {
            "terabytes": zipped([("w.npy", npy_claims((huge,)))]),
            "more than can be addressed": zipped([("w.npy", npy_claims((2**62, 2**62)))]),
            "negative shape": zipped([("w.npy", npy_claims((-1,)))]),
            "two negative lengths": zipped([("w.npy", npy_claims((-2, -2), data=bytes(16)))]),
            "NaN shape": zipped([("w.npy", npy_claims((float("nan"),)))]),
            "a shape that is code": zipped([("w.npy", npy_claims(()).replace(b"()", b"f()"))]),
            "objects": zipped([("w.npy", npy_claims((1,), "|O", pickle.dumps(Runs(os.system, "touch x"))))]),
            "records with objects": zipped([("w.npy", npy_claims((1,), [("a", "|O")], bytes(8)))]),
            "twice": zipped([("w.npy", ones), ("v.npy", ones)]).replace(b"v.npy", b"w.npy"),
            "a bomb": zipped([("w.npy", npy(np.zeros(2**25, np.float32)))], compression=8),
            "small bombs": zipped([(f"{i}.npy", npy(np.zeros(2**20))) for i in range(20)], compression=8),
            "no npy file": zipped([("../../w", ones)]),
            "a pickle": pickle.dumps(Runs(os.system, "touch executed")),
        },
        "idx": {
            "32 axes of 4 billion": idx((2**32 - 1,) * 32),
            "more than allowed": idx((2**10, 2**20)),
            "as much as allowed, and nothing there": idx((8, MEGABYTE)),
            "the same, compressed": gzip.compress(idx((8, MEGABYTE)), mtime=0),
            "zero times 4 billion": idx((0, 2**32 - 1, 2**32 - 1)),
            "a bomb": bomb(64),
            "a bomb behind a small array": gzip.compress(idx((1,), 8, b"a") + bytes(64 * MEGABYTE), mtime=0),
            "objects": idx((1,), 0x0F, bytes(8)),
        },
        "cifar binary": {"a label of 255": b"\xff" + bytes(3072)},
        "cifar python": attacks(),
        "book": attacks(),
    }  # fmt: skip


def test_path_traversal_writes_nowhere(tmp_path: Path) -> None:
    """Names of tensors are names, not places: they may be anything, and nothing is unpacked."""
    folder = tmp_path / "inner"
    folder.mkdir()
    array = npy(np.ones(3, np.float32))
    (folder / "x.npz").write_bytes(zipped([("a.npy", array)]))
    load_tensors(folder / "x.npz")  # imports what it needs, and imports execute
    names = ["../evil", "/tmp/evil", "..\\evil", "C:\\evil", "a/../../evil"]
    (folder / "x.npz").write_bytes(zipped([(f"{name}.npy", array) for name in names]))
    assert read_safely(BY_NAME["npz"], folder / "x.npz")
    assert sorted(tmp_path.rglob("*")) == [folder, folder / "x.npz"]


READ_UNDER_LIMIT = """
import os, resource, sys, warnings
from pathlib import Path
folder = Path(sys.argv[1])
os.chdir(folder / "work")
sys.path.insert(0, sys.argv[2])
from fuzzing import supervised
from cnn_core.book.params import load_params
from cnn_core.data.cifar import read_cifar_binary, read_cifar_python
from cnn_core.data.idx import read_idx
from cnn_core.files import load_tensors
import encodings.cp437, gzip, json, lzma, pickletools, safetensors.numpy, zipfile  # what readers import
readers = {"safetensors": load_tensors, "npz": load_tensors, "idx": read_idx, "book": load_params,
           "cifar binary": read_cifar_binary, "cifar python": read_cifar_python}
in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = in_use + 300 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sorted(folder.glob("*/*/*")):
    with supervised() as forbidden:
        try:
            readers[path.parts[-3]](path)
            print(f"{path}: was taken")
        except (ValueError, OSError) as error:
            if not str(error).startswith(str(path)) or len(str(error)) > 2000:
                print(f"{path}: an error without the name, or without end: {str(error)[:500]}")
        except BaseException as error:
            print(f"{path}: {type(error).__name__}: {error}")
    if forbidden:
        print(f"{path}: did {forbidden}")
print("done")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits memory as Linux does")
def test_hostile_files_are_refused_in_little_memory(tmp_path: Path) -> None:
    """All of them, in a process that may take 300 MB and is watched for anything that it does."""
    (tmp_path / "work").mkdir()
    all_files = hostile_files()
    assert all_files.keys() == BY_NAME.keys() - {"checkpoint"}  # those are safetensors files with a document
    for name, files in all_files.items():
        for number, content in enumerate(files.values()):
            folder = tmp_path / name / f"{number:02}"
            folder.mkdir(parents=True)
            (folder / f"x{BY_NAME[name].suffix}").write_bytes(content)
    script = tmp_path / "read.py"
    script.write_text(READ_UNDER_LIMIT)
    process = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stdout == "done\n", process.stdout + process.stderr
    assert list((tmp_path / "work").iterdir()) == []


def test_the_supervision_notices() -> None:
    with supervised() as found:
        pickle.loads(pickle.dumps(Runs(os.getenv, "HOME")))
    assert any("find_class" in event for event in found)
    assert memory_of(lambda: np.ones(MEGABYTE)) >= 8 * MEGABYTE
