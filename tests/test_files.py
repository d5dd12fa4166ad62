"""Saving and loading tensors: round trips, atomicity, and files that lie."""

import io
import json
import os
import signal
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

import cnn_core
from cnn_core.files import load_tensors, save_tensors, write_atomically

SUFFIXES = (".safetensors", ".npz")
DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    return tmp_path / f"tensors{request.param}"


def example_tensors():
    rng = np.random.default_rng(0)
    return {
        "0.weight": rng.standard_normal((4, 3, 3, 3), np.float32),
        "0.bias": rng.standard_normal(4),
        "0.num_batches_tracked": np.array(7, np.int64),
        "mask": rng.random((5, 3)) < 0.5,
    }


def assert_same(loaded, expected):
    assert loaded.keys() == expected.keys()
    for name, array in expected.items():
        assert loaded[name].dtype == array.dtype.newbyteorder("="), name
        assert loaded[name].shape == array.shape, name
        np.testing.assert_array_equal(loaded[name], array)


def safetensors_bytes(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def npz_bytes(members, **kwargs):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **kwargs) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def npy_bytes(shape, descr="<f4", data=b"", version=(1, 0)):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    size = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + size + header + data


# ---------------------------------------------------------------- round trips


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_every_dtype_comes_back(path, dtype, byte_order):
    values = np.arange(-6, 6).reshape(3, 4).astype(np.dtype(dtype).newbyteorder(byte_order))
    save_tensors(path, {"x": values})
    loaded, _ = load_tensors(path)
    assert_same(loaded, {"x": values})
    assert loaded["x"].dtype.isnative
    assert loaded["x"].flags.c_contiguous
    assert loaded["x"].flags.writeable
    assert loaded["x"].flags.owndata or loaded["x"].base is not None


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a[::-1, ::2],
        lambda a: np.asfortranarray(a),
        lambda a: a[:0],
        lambda a: a[1, 2],
        lambda a: np.broadcast_to(a, (2, *a.shape)),
        lambda a: np.array(3.5),
        lambda a: a[:, None, :],
    ],
)
def test_any_layout_comes_back(path, view):
    array = view(np.arange(24.0).reshape(4, 6))
    save_tensors(path, {"x": array})
    assert_same(load_tensors(path)[0], {"x": np.asarray(array)})


def test_nan_infinity_and_negative_zero_keep_their_bits(path):
    array = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324])
    save_tensors(path, {"x": array})
    assert load_tensors(path)[0]["x"].tobytes() == array.tobytes()


def test_metadata_and_odd_names_come_back(path):
    metadata = {"": "", "wörter": "日本\n\0", "json": json.dumps({"a": [1, 2.5]})}
    tensors = {name: np.float32([1]) for name in ("file", "a/b", "../x", "x.npy", "日本", "a" * 200, " ")}
    save_tensors(path, tensors, metadata)
    loaded, loaded_metadata = load_tensors(path)
    assert_same(loaded, tensors)
    assert loaded_metadata == metadata


def test_nothing_at_all_comes_back(path):
    save_tensors(path, {})
    assert load_tensors(path) == ({}, {})


def test_inputs_are_not_changed_and_not_shared(path):
    array = np.arange(6.0)
    array.flags.writeable = False
    save_tensors(path, {"x": array})
    loaded, _ = load_tensors(path)
    loaded["x"][:] = 0
    np.testing.assert_array_equal(array, np.arange(6.0))


def test_npz_bytes_are_reproducible(tmp_path):
    for name in ("a.npz", "b.npz"):
        save_tensors(tmp_path / name, example_tensors(), {"k": "v"})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_other_programs_read_our_files_and_we_read_theirs(tmp_path):
    from safetensors.numpy import load_file, save_file

    tensors = example_tensors()
    save_tensors(tmp_path / "ours.safetensors", tensors, {"k": "v"})
    assert_same(load_file(tmp_path / "ours.safetensors"), tensors)
    save_file(tensors, tmp_path / "theirs.safetensors", metadata={"k": "v"})
    loaded, metadata = load_tensors(tmp_path / "theirs.safetensors")
    assert_same(loaded, tensors)
    assert metadata == {"k": "v"}

    save_tensors(tmp_path / "ours.npz", tensors)
    with np.load(tmp_path / "ours.npz", allow_pickle=False) as archive:
        assert_same({name: archive[name] for name in tensors}, tensors)
    np.savez_compressed(tmp_path / "theirs.npz", **tensors, zeros=np.zeros((1000, 1000)))
    loaded, metadata = load_tensors(tmp_path / "theirs.npz")
    assert_same(loaded, {**tensors, "zeros": np.zeros((1000, 1000))})
    assert metadata == {}


def test_torch_reads_our_files(tmp_path):
    pytest.importorskip("torch")
    from safetensors.torch import load_file

    tensors = example_tensors()
    save_tensors(tmp_path / "x.safetensors", tensors)
    assert_same({k: v.numpy() for k, v in load_file(tmp_path / "x.safetensors").items()}, tensors)


# ---------------------------------------------------------------- refusals when saving


@pytest.mark.parametrize(
    ("tensors", "error", "message"),
    [
        ({"x": np.array([None])}, ValueError, "tensor 'x': dtype object"),
        ({"x": np.zeros(2, np.complex64)}, ValueError, "tensor 'x': dtype complex64"),
        ({"x": np.array(["a"])}, ValueError, "tensor 'x'"),
        ({"x": np.zeros(2, [("a", "f4")])}, ValueError, "tensor 'x'"),
        ({"x": [1.0, 2.0]}, TypeError, "tensor 'x': expected a numpy array, got list"),
        ({3: np.zeros(2)}, TypeError, "names of tensors must be str, got 3"),
        ({"": np.zeros(2)}, ValueError, "empty, reserved"),
        ({"__metadata__": np.zeros(2)}, ValueError, "reserved"),
        ({"a\0b": np.zeros(2)}, ValueError, "NUL"),
        ({"\ud800": np.zeros(2)}, ValueError, "UTF-8"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_anything_is_written(path, tensors, error, message):
    save_tensors(path, {"old": np.ones(3)})
    before = path.read_bytes()
    with pytest.raises(error, match=message):
        save_tensors(path, {"fine": np.zeros(2), **tensors})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is float64 here")
def test_long_double_is_refused(path):
    with pytest.raises(ValueError, match="tensor 'x': dtype"):
        save_tensors(path, {"x": np.zeros(2, np.longdouble)})


@pytest.mark.parametrize("metadata", [{"a": 1}, {1: "a"}, {"a": None}])
def test_metadata_must_be_strings(path, metadata):
    with pytest.raises(TypeError, match="metadata must map str to str"):
        save_tensors(path, {}, metadata)


def test_the_checksum_key_is_reserved(path):
    with pytest.raises(ValueError, match="reserved for checksums"):
        save_tensors(path, {}, {"cnn_core.crc32": "0"})


@pytest.mark.parametrize("name", ["x", "x.pkl", "x.pt", ".npz"])
def test_unknown_suffixes_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="the suffix must be one of"):
        save_tensors(tmp_path / name, {})
    with pytest.raises(ValueError, match="the suffix must be one of"):
        load_tensors(tmp_path / name)


# ---------------------------------------------------------------- atomicity


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, monkeypatch, step, error):
    save_tensors(path, {"x": np.ones(3)})

    def fail(*args):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        save_tensors(path, {"x": np.zeros(3)})
    monkeypatch.undo()
    assert_same(load_tensors(path)[0], {"x": np.ones(3)})
    assert list(path.parent.iterdir()) == [path]


def test_the_directory_is_flushed_after_the_rename(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append(stat.S_IFMT(os.fstat(fd).st_mode)), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    write_atomically(tmp_path / "x", b"data")
    assert calls == [stat.S_IFREG, "replace", stat.S_IFDIR]


def test_without_nameless_files_a_named_one_is_written(path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no such file system")

    monkeypatch.setattr(os, "link", refuse)
    save_tensors(path, {"x": np.ones(3)})
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    save_tensors(path, {"x": np.ones(4)})
    assert_same(load_tensors(path)[0], {"x": np.ones(4)})
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="needs files without a name")
def test_a_process_killed_while_it_writes_leaves_no_trace(tmp_path):
    write_atomically(tmp_path / "x", b"old")
    script = (
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(Path(cnn_core.__file__).parents[1])!r})\n"
        "from cnn_core.files import write_atomically\n"
        "os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"write_atomically({str(tmp_path / 'x')!r}, b'new')\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert (tmp_path / "x").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
def test_permissions_follow_the_umask_and_links_are_followed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    previous = os.umask(0o027)
    try:
        write_atomically(tmp_path / "link", b"data")
    finally:
        os.umask(previous)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"data"
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o640


def test_a_missing_directory_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_tensors(tmp_path / "none" / "x.npz", {})
    with pytest.raises(FileNotFoundError):
        load_tensors(tmp_path / "x.npz")


# ---------------------------------------------------------------- damaged files


def test_truncation_anywhere_is_noticed(path):
    save_tensors(path, example_tensors(), {"note": "text"})
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"tensors\.(safetensors|npz): "):
            load_tensors(path)


def test_appended_bytes_are_noticed(tmp_path):
    path = tmp_path / "x.safetensors"
    save_tensors(path, example_tensors())
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="follow the header"):
        load_tensors(path)


def test_a_flipped_bit_is_noticed_or_harmless(path):
    tensors = example_tensors()
    save_tensors(path, tensors, {"note": "text"})
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    noticed = 0
    positions = np.unique(np.r_[np.arange(min(len(whole), 400)), rng.integers(0, len(whole), 600)])
    for position in positions:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            loaded, _ = load_tensors(path)
        except ValueError:
            noticed += 1
        else:
            assert_same(loaded, tensors)
    assert noticed > 0.8 * len(positions)  # dates in a zip and blanks in a header may change unnoticed


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_flipped_bit_in_the_data_names_the_tensor(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    tensors = {"first": np.full(64, 1.5), "second": np.full(64, 2.5)}
    save_tensors(path, tensors)
    content = bytearray(path.read_bytes())
    content[content.index(tensors["second"].tobytes()) + 100] ^= 16
    path.write_bytes(content)
    with pytest.raises(ValueError, match="tensor 'second'"):
        load_tensors(path)


# ---------------------------------------------------------------- hostile safetensors


def entry(shape, start, stop, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated"),
        (b"\0" * 7, "truncated"),
        (struct.pack("<Q", 2**64 - 1) + b"{}", "declared with 18446744073709551615 bytes"),
        (struct.pack("<Q", 10**12) + b"{}", "declared with 1000000000000 bytes"),
        (safetensors_bytes(b"{"), "header is unreadable"),
        (safetensors_bytes(b"\xff\xfe"), "header is unreadable"),
        (safetensors_bytes(b"[" * 100_000), "header is unreadable"),
        (safetensors_bytes(b'{"w": ' * 50_000), "header is unreadable"),
        (safetensors_bytes(b"[]"), "must be a JSON object"),
        (safetensors_bytes(b"9" * 5000), "header is unreadable"),
        (safetensors_bytes({"w": 3}), "tensor 'w': its entry must have"),
        (safetensors_bytes({"w": {"dtype": "F32"}}), "tensor 'w': its entry must have"),
        (safetensors_bytes({"w": entry([2], 0, 8, "BF16")}, bytes(8)), "tensor 'w': dtype 'BF16'"),
        (safetensors_bytes({"w": entry([2], 0, 8, [])}, bytes(8)), "tensor 'w': dtype"),
        (safetensors_bytes({"w": entry("2", 0, 8)}, bytes(8)), "tensor 'w': its shape"),
        (safetensors_bytes({"w": entry([2.0], 0, 8)}, bytes(8)), "tensor 'w': its shape"),
        (safetensors_bytes({"w": entry([True], 0, 4)}, bytes(4)), "tensor 'w': its shape"),
        (safetensors_bytes({"w": entry([-2], 0, 8)}, bytes(8)), "tensor 'w': its shape"),
        (safetensors_bytes({"w": entry([1] * 33, 0, 4)}, bytes(4)), "tensor 'w': has 33 dimensions"),
        (safetensors_bytes({"w": entry([2**62, 2**62], 0, 8)}, bytes(8)), "tensor 'w': shape"),
        (safetensors_bytes({"w": entry([0, 2**62, 4], 0, 0)}), "tensor 'w': shape"),
        (safetensors_bytes({"w": entry([10**12], 0, 4 * 10**12)}, bytes(8)), "tensor 'w': data_offsets"),
        (safetensors_bytes({"w": entry([2], 0, 16)}, bytes(16)), "tensor 'w': shape (2,) of float32 takes 8"),
        (safetensors_bytes({"w": entry([2], -8, 0)}, bytes(8)), "tensor 'w': data_offsets"),
        (safetensors_bytes({"w": entry([2], 8, 0)}, bytes(8)), "tensor 'w': data_offsets"),
        (safetensors_bytes({"w": entry([2], 0.0, 8)}, bytes(8)), "tensor 'w': data_offsets"),
        (safetensors_bytes({"v": entry([2], 0, 8), "w": entry([2], 4, 12)}, bytes(12)), "'w': .*overlaps"),
        (safetensors_bytes({"v": entry([2], 0, 8), "w": entry([2], 0, 8)}, bytes(8)), "'w': .*overlaps"),
        (safetensors_bytes({"v": entry([2], 0, 8), "w": entry([2], 12, 20)}, bytes(20)), "'w': .*gap"),
        (safetensors_bytes({"w": entry([2], 0, 8)}, bytes(12)), "tensors take 8 bytes, but 12 follow"),
        (safetensors_bytes(b'{"w": 1, "w": 2}'), "tensor 'w' appears twice"),
        (safetensors_bytes({"__metadata__": {"a": 1}}), "metadata must map"),
        (safetensors_bytes({"__metadata__": []} | {"w": 1}), "tensor 'w'"),
        (safetensors_bytes({"__metadata__": [1]}), "metadata must map"),
        (safetensors_bytes({"b": entry([2], 0, 2, "BOOL")}, b"\1\2"), "tensor 'b': its bytes must be 0 or 1"),
        (safetensors_bytes({"__metadata__": {"cnn_core.crc32": "[" * 99999}}), "crc32' is unreadable"),
        (safetensors_bytes({"__metadata__": {"cnn_core.crc32": "3"}}), "cnn_core.crc32' is unreadable"),
        (safetensors_bytes({"\ud800": entry([0], 0, 0)}), "x.safetensors"),
    ],
)
def test_hostile_safetensors(tmp_path, content, message):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")) as caught:
        load_tensors(path)
    assert str(path) in str(caught.value)


def test_a_removed_tensor_is_noticed(tmp_path):
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"a": np.zeros(2), "b": np.zeros(2)})
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    del header["b"]
    path.write_bytes(safetensors_bytes(header, bytes(16)))
    with pytest.raises(ValueError, match="tensor 'b' was saved but is missing"):
        load_tensors(path)


# ---------------------------------------------------------------- hostile npz


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an npz file"),
        (b"PK\x05\x06" + bytes(10), "not an npz file"),
        (npz_bytes([("w.npy", b"")]), "tensor 'w': "),
        (npz_bytes([("w.npy", b"\x93NUMPY\x03\0")]), "tensor 'w': npy version"),
        (npz_bytes([("w.npy", b"\x93NUMPY\x01\0\xff\xff{")]), "tensor 'w': "),
        (npz_bytes([("w.npy", npy_bytes((10**12,)))]), "tensor 'w': shape .* takes 4000000000000 bytes"),
        (npz_bytes([("w.npy", npy_bytes((10**12,), version=(2, 0)))]), "tensor 'w': shape"),
        (npz_bytes([("w.npy", npy_bytes((2**62, 2**62)))]), "tensor 'w': shape"),
        (npz_bytes([("w.npy", npy_bytes((-1,)))]), "tensor 'w': its shape"),
        (npz_bytes([("w.npy", npy_bytes((2,), data=bytes(12)))]), "tensor 'w': shape"),
        (npz_bytes([("w.npy", npy_bytes((1,), "|O", bytes(8)))]), "tensor 'w': dtype object"),
        (npz_bytes([("w.npy", npy_bytes((1,), "<c8", bytes(8)))]), "tensor 'w': dtype complex64"),
        (npz_bytes([("w.npy", npy_bytes((1,), [("a", "<f4")], bytes(4)))]), "tensor 'w': dtype"),
        (npz_bytes([("w.npy", npy_bytes((1,), "nonsense", bytes(4)))]), "tensor 'w': "),
        (npz_bytes([("w.txt", b"hello")]), "tensor 'w.txt': .*not an npy file"),
        (npz_bytes([("b.npy", npy_bytes((1,), "|b1", b"\7"))]), "tensor 'b': its bytes must be 0 or 1"),
        (npz_bytes([("__metadata__.npy", npy_bytes((2,), "|u1", b"[]"))]), "metadata must map"),
        (npz_bytes([("__metadata__.npy", npy_bytes((2,), "|u1", b"{["))]), "metadata are unreadable"),
        (npz_bytes([("w.npy", bytes(100))], compression=zipfile.ZIP_LZMA), "tensor 'w': "),
    ],
)
def test_hostile_npz(tmp_path, content, message):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_tensors(path)
    assert str(path) in str(caught.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_in_an_archive_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(npz_bytes([("w.npy", npy_bytes((0,))), ("w.npy", npy_bytes((0,)))]))
    with pytest.raises(ValueError, match="tensor 'w': appears twice"):
        load_tensors(path)


def test_a_decompression_bomb_is_refused_before_it_unpacks(tmp_path):
    path = tmp_path / "x.npz"
    bomb = npz_bytes([("w.npy", npy_bytes((2**25,), data=bytes(2**27)))], compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**18
    path.write_bytes(bomb)
    with pytest.raises(ValueError, match="tensor 'w': the archive would grow"):
        load_tensors(path)


def test_a_bomb_that_declares_a_small_size_is_not_unpacked(tmp_path):
    """The size in the archive's directory is a lie of the file; reading stops at it all the same."""
    path = tmp_path / "x.npz"
    content = bytearray(npz_bytes([("w.npy", bytes(2**22))], compression=zipfile.ZIP_DEFLATED))
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", 128)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="tensor 'w'"):
        load_tensors(path)


def test_an_encrypted_archive_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    content = bytearray(npz_bytes([("w.npy", npy_bytes((0,)))]))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"tensor 'w': .*encrypted"):
        load_tensors(path)


def test_the_checksum_covers_name_dtype_and_shape(tmp_path):
    """Bytes alone would not tell (2, 3) from (3, 2)."""
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"w": np.zeros((2, 3), np.float32)})
    content = path.read_bytes()
    for old, new in ((b"[2,3]", b"[3,2]"), (b'"F32"', b'"I32"'), (b'"w":{', b'"v":{')):
        assert old in content
        path.write_bytes(content.replace(old, new))
        with pytest.raises(ValueError, match=r"tensor '[vw]' (does not have|was saved but)"):
            load_tensors(path)


def test_crc32_of_a_known_file_is_stable(tmp_path):
    """Old files must stay readable: the checksum's definition is part of the format."""
    path: Path = tmp_path / "x.npz"
    save_tensors(path, {"w": np.arange(3, dtype=np.float32)})
    with np.load(path) as archive:
        metadata = json.loads(archive["__metadata__"].tobytes())
    expected = zlib.crc32(np.arange(3, dtype="<f4").tobytes(), zlib.crc32(b"w\0<f4\0(3,)"))
    assert json.loads(metadata["cnn_core.crc32"])["tensors"] == {"w": expected}
