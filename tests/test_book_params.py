"""Row N9: parameter files; a pickle may hold arrays and nothing else, and nothing in it is executed."""

import io
import os
import pickle
import pickletools
import struct

import numpy as np
import pytest

from cnn_core.book.params import load_params, save_params

PARAMS = {
    "W1": np.arange(12.0).reshape(3, 4),
    "W2": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "big_endian": np.arange(5, dtype=">f8"),
    "half": np.ones((2, 1, 3), np.float16),
    "integer": np.array([-1, 2], np.int32),
    "bool": np.array([True, False]),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 4)),
}


def same(got, expected):
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(got[key], value)
        assert got[key].shape == value.shape
        assert got[key].dtype.newbyteorder("=") == value.dtype.newbyteorder("=")
        assert got[key].flags.writeable


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_pickles_of_numpy_arrays(tmp_path, protocol):
    path = tmp_path / "params.pkl"
    path.write_bytes(pickle.dumps(PARAMS, protocol=protocol))
    same(load_params(path), PARAMS)
    same(load_params(str(path)), PARAMS)


@pytest.mark.parametrize("old", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_pickles_of_numpy_before_and_after_version_2(tmp_path, old):
    data = pickle.dumps(PARAMS, protocol=3)
    data = data.replace(b"cnumpy._core.multiarray\n", b"c" + old + b"\n")
    data = data.replace(b"cnumpy.core.multiarray\n", b"c" + old + b"\n")
    assert old in data
    path = tmp_path / "params.pkl"
    path.write_bytes(data)
    same(load_params(path), PARAMS)


@pytest.mark.parametrize("suffix", [".pkl", ".npz", ".safetensors"])
def test_what_is_saved_is_loaded(tmp_path, suffix):
    path = tmp_path / f"params{suffix}"
    save_params(path, PARAMS)
    same(load_params(path), PARAMS)


def test_saved_pickles_are_those_of_the_book(tmp_path):
    save_params(tmp_path / "params.pkl", PARAMS)
    with open(tmp_path / "params.pkl", "rb") as file:
        same(pickle.load(file), PARAMS)


@pytest.mark.parametrize("value", [1.0, [1.0], np.array([None]), np.array([1j]), np.array(["a"])])
def test_only_arrays_of_numbers_are_saved(tmp_path, value):
    with pytest.raises(TypeError, match="'W2'"):
        save_params(tmp_path / "params.pkl", {"W1": np.ones(2), "W2": value})
    assert os.listdir(tmp_path) == []


class Attack:
    """Pickles as a call of os.mkdir, or of what is given."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def object_array():
    array = np.empty(1, dtype=object)
    array[0] = Attack(os.mkdir, "executed")
    return array


HOSTILE = {
    "call": Attack(os.mkdir, "executed"),
    "call in a dict": {"W1": Attack(os.mkdir, "executed")},
    "call as a key": {Attack(os.mkdir, "executed"): np.ones(1)},
    "eval": {"W1": Attack(eval, "__import__('os').mkdir('executed')")},
    "object array": {"W1": object_array()},
    "numpy function": {"W1": Attack(np.load, "x.npy", "r", True)},
    "getattr": {"W1": Attack(getattr, "", "format")},
    "structured array": {"W1": np.zeros(2, dtype=[("a", "f8"), ("b", "O")])},
    "dates": {"W1": np.zeros(2, dtype="M8[s]")},
    "text": {"W1": np.array(["a"])},
    "number": {"W1": 1.0},
    "list": [np.ones(1)],
    "array": np.ones(3),
    "nested": {"W1": {"W": np.ones(1)}},
    "number as a key": {1: np.ones(1)},
    "memoryview of a class": {"W1": np.ndarray},
    "dtype": {"W1": np.dtype("f8")},
    "set": {"W1": {1, 2}},
}


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_whatever_is_no_array_is_refused(tmp_path, monkeypatch, content, protocol):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "params.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(ValueError, match=r"params\.pkl"):
        load_params(path)
    assert os.listdir(tmp_path) == ["params.pkl"]


def refuses(tmp_path, data):
    path = tmp_path / "params.pkl"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"params\.pkl"):
        load_params(path)


def test_every_truncation_is_refused(tmp_path):
    data = pickle.dumps({"W1": np.arange(3.0), "b1": np.ones(2, np.float32)}, protocol=3)
    for length in range(len(data)):
        refuses(tmp_path, data[:length])


def test_every_changed_byte_gives_arrays_or_an_error(tmp_path):
    data = pickle.dumps({"W1": np.arange(3.0)}, protocol=4)
    path = tmp_path / "params.pkl"
    for position in range(len(data)):
        for value in (0, 0x28, 0x52, 0x62, 0x7F, 0xFF, data[position] ^ 1):
            path.write_bytes(data[:position] + bytes([value]) + data[position + 1 :])
            try:
                loaded = load_params(path)
            except ValueError:
                continue
            assert all(isinstance(array, np.ndarray) for array in loaded.values())


def array_program(*, shape=b"K\x02\x85", raw=b"C\x10" + bytes(16), dtype=b"X\x02\x00\x00\x00f8"):
    """The instructions that push one array of the given parts."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\n"
        + dtype
        + b"K\x00K\x01\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89"
        + raw
        + b"tb"
    )


def dict_program(value, key=b"X\x01\x00\x00\x00W"):
    return b"\x80\x03}" + key + value + b"s."


def test_the_hand_made_program_is_right(tmp_path):
    path = tmp_path / "params.pkl"
    path.write_bytes(dict_program(array_program()))
    same(load_params(path), {"W": np.zeros(2)})


def long1(n):
    raw = n.to_bytes((n.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


@pytest.mark.parametrize(
    "program",
    [
        array_program(shape=b"K\x03\x85"),
        array_program(shape=b"J\xff\xff\xff\xff\x85"),
        array_program(shape=long1(2**62) + b"\x85"),
        array_program(shape=long1(2**64 + 2) + b"\x85"),
        array_program(shape=b"(" + b"K\x00" + long1(2**62) * 9 + b"t", raw=b"C\x00"),
        array_program(shape=b"(" + b"K\x01" * 100 + b"K\x02t"),
        array_program(shape=b"K\x02"),
        array_program(shape=b"X\x01\x00\x00\x002\x85"),
        array_program(raw=b"N"),
        array_program(raw=b"K\x02"),
        array_program(dtype=b"X\x01\x00\x00\x00O"),
        array_program(dtype=b"X\x03\x00\x00\x00V16"),
        array_program(dtype=b"K\x01"),
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R",
        b"cnumpy\ndtype\nX\x02\x00\x00\x00f8K\x00K\x01\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb",
        b"cnumpy\nndarray\n)R",
        b"cnumpy\nndarray\n",
        b"cposix\nsystem\nX\x04\x00\x00\x00true\x85R",
        b"X\x05\x00\x00\x00posixX\x06\x00\x00\x00system\x93X\x04\x00\x00\x00true\x85R",
        b"K\x01K\x02\x93",
        b"K\x01)R",
        b"}}b",
        b"]Nb",
        b"h\x05",
        b"j\x05\x00\x00\x00",
        b"ttt",
        b"0000",
        b"RRR",
        b"P1\n",
        b"K\x01Q",
        b"(iposix\nsystem\n",
        b"(cposix\nsystem\no",
        b")cposix\nsystem\n\x81",
        b"\x82\x01",
    ],
)
def test_malformed_programs(tmp_path, program):
    refuses(tmp_path, dict_program(program))


def test_deeply_nested_values(tmp_path):
    """Neither the hash, the comparison nor the text of a nested value may be computed: they recurse in C."""
    deep = b")" + b"\x85" * 200_000
    for program in (
        dict_program(b"K\x01", key=deep),
        dict_program(deep),
        dict_program(deep + b"R"),
        dict_program(b"cnumpy\ndtype\n" + deep + b"R"),
        dict_program(b"cnumpy.core.multiarray\n_reconstruct\n" + deep + b"R"),
        dict_program(array_program(shape=deep)),
        dict_program(array_program(raw=deep)),
        dict_program(array_program(dtype=deep)),
        dict_program(b"cnumpy\ndtype\nX\x02\x00\x00\x00f8K\x00K\x01\x87R" + deep + b"b"),
        dict_program(deep + deep + b"\x93"),
    ):
        refuses(tmp_path, program)


def test_shared_values_do_not_multiply(tmp_path):
    """A short file that names one large array many times may not fill the memory."""
    raw = b"B" + struct.pack("<I", 1_000_000) + bytes(1_000_000)
    one = array_program(shape=b"J" + struct.pack("<i", 125_000) + b"\x85", raw=raw + b"q\x01")
    more = array_program(shape=b"J" + struct.pack("<i", 125_000) + b"\x85", raw=b"h\x01")
    keys = [b"X\x04\x00\x00\x00" + b"%04d" % n for n in range(5000)]
    program = io.BytesIO()
    program.write(b"\x80\x03}(" + keys[0] + one)
    for key in keys[1:]:
        program.write(key + more)
    program.write(b"u.")
    refuses(tmp_path, program.getvalue())


def test_exponential_nesting(tmp_path):
    doubling = b")" + b"q\x00h\x00\x86" * 60
    refuses(tmp_path, dict_program(b"K\x01", key=doubling))
    refuses(tmp_path, dict_program(doubling + b"h\x00\x86R"))


def test_no_unpickler_is_used(tmp_path, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("unpickled")

    path = tmp_path / "params.pkl"
    path.write_bytes(pickle.dumps(PARAMS))
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, never)
    same(load_params(path), PARAMS)
    assert pickletools.genops is not never


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_params(tmp_path / "nothing.pkl")
