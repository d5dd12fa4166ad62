"""load_pickled: reads pickles of arrays, and does nothing else whatever they say."""

import collections
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_core.data.pickled import load_pickled

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)
PLAIN = {
    "numbers": [0, 1, 255, 256, 70000, -1, 2**40, 1.5, True, False, None],
    b"bytes": [b"", b"abc", bytes(300), "text", "", "ü" * 300],
    3: {"empty": [], "nested": [[], {}, [[1]]]},
}


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data(protocol):
    assert load_pickled(pickle.dumps(PLAIN, protocol), "x") == PLAIN


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "<i4", ">i4", "u8", "f2", "<f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays(protocol, dtype, order):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype, order=order)
    found = load_pickled(pickle.dumps({"a": array, "again": array}, protocol), "x")
    for name in found:
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2)])
def test_scalar_and_empty_arrays(protocol, shape):
    array = np.ones(shape)
    found = load_pickled(pickle.dumps([array], protocol), "x")[0]
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_truncation_is_noticed(protocol):
    content = pickle.dumps({"a": np.arange(3.0), "b": [1, 2, b"x"]}, protocol)
    for length in range(len(content)):
        with pytest.raises(ValueError, match="some file: not a pickle of plain arrays"):
            load_pickled(content[:length], "some file")


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value",
    [
        Malicious(os.system, "exit 1"),
        Malicious(eval, "1"),
        Malicious(np.load, "x"),
        Malicious(bytes, 2**40),
        np.array([object()], object),
        np.array(["text"]),
        np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")]),
        np.array(["2000-01-01"], "M8[D]"),
        np.dtype("f4"),
        np.float32(1),
        np.ma.array([1, 2]),
        collections.OrderedDict(a=1),
        {1, 2},
        {"a": (1, 2)},
        {(1, 2): 3},
        {"a": np.ndarray},
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_refused(protocol, value):
    with pytest.raises(ValueError, match="some file: not a pickle of plain arrays"):
        load_pickled(pickle.dumps({"x": value}, protocol), "some file")


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85C\x01btR"
DTYPE = b"cnumpy\ndtype\n(C\x02%sK\0K\1tR"


@pytest.mark.parametrize(
    "body",
    [
        b"cposix\nsystem\n(X\x06\0\0\0exit 1tR.",
        b"(X\x06\0\0\0exit 1ios\nsystem\n.",
        b"c__builtin__\neval\n(X\x01\0\0\x001tR.",
        b"cnumpy\ndtype\n(X\x01\0\0\0OK\0K\1tR.",
        b"cnumpy\ndtype\n(C\x02O8K\0K\1tR.",
        b"cnumpy.core.multiarray\nscalar\n(tR.",
        b"P0\n.",
        b"}K\1Q.",
        b"}}b.",
        b"]K\1K\2s.",
        b"}K\1a.",
        b"K\1K\2.",
        b".",
        b"(.",
        b"t.",
        b"h\0.",
        b"0.",
        b"K\1)R.",
        ARRAY + b".",
        ARRAY + b"(K\1K\3\x85" + DTYPE % b"O8" + b"\x89C\x03abctb.",
        ARRAY + b"(K\1K\4\x85" + DTYPE % b"u1" + b"\x89C\x03abctb.",
        ARRAY + b"(K\1J\xff\xff\xff\xff\x85" + DTYPE % b"u1" + b"\x89C\x03abctb.",
        ARRAY + b"(K\1\x8a\x09" + b"\xff" * 8 + b"\0\x85" + DTYPE % b"u1" + b"\x89C\x03abctb.",
        ARRAY + b"(K\1K\3\x85" + DTYPE % b"u1" + b"(K\3C\x01|NNC\1xJ\xff\xff\xff\xffK\0K\0tb\x89C\x03abctb.",
        b"B\xff\xff\xff\x7fabc.",
        b"\x8e" + b"\xff" * 7 + b"\x7fabc.",
    ],
)
def test_hostile_instructions_are_refused(body):
    with pytest.raises(ValueError, match="some file: not a pickle of plain arrays"):
        load_pickled(b"\x80\x03" + body, "some file")


@pytest.mark.parametrize("body", [b"K\x05r\xff\xff\xff\xff.", b"\x95" + b"\xff" * 8 + b"K\x05."])
def test_a_huge_memo_index_or_frame_costs_nothing(body):
    assert load_pickled(b"\x80\x04" + body, "x") == 5


def test_a_key_too_deep_to_hash_is_refused():
    with pytest.raises(ValueError, match="key of type tuple"):
        load_pickled(b"\x80\x02})" + b"\x85" * 100_000 + b"K\1s.", "x")


DEEP = b")" + b"\x85" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        DEEP + b"X\0\0\0\0\x93.",
        b"X\5\0\0\0numpyK\1\x93.",
        ARRAY + b"(K\1" + DEEP + DTYPE % b"u1" + b"\x89C\x03abctb.",
        DTYPE % b"u1" + DEEP + b"b.",
        b"c_codecs\nencode\nX\0\0\0\0" + DEEP + b"\x86R.",
        b"cnumpy\ndtype\n" + DEEP + b"R.",
        b"cnumpy\ndtype\nX\0\0\1\0" + b"a" * 0x10000 + b"\x85R.",
    ],
    ids=["module", "name", "shape", "state", "encoding", "code", "long code"],
)
def test_endless_values_do_not_reach_messages(body):
    with pytest.raises(ValueError, match="x: not a pickle of plain arrays") as caught:
        load_pickled(b"\x80\x04" + body, "x")
    assert len(str(caught.value)) < 300


def test_one_text_cannot_be_encoded_without_end():
    text = b"X" + struct.pack("<I", 1000) + b"a" * 1000 + b"X\6\0\0\0latin1\x86q\0"
    again = b"c_codecs\nencode\nh\0R"
    with pytest.raises(ValueError, match="encodes more than it holds"):
        load_pickled(b"\x80\x02]" + text + b"(" + again * 1000 + b"e.", "x")


@given(data=st.data())
def test_damage_never_does_more_than_raise_value_error(data):
    content = bytearray(pickle.dumps({"a": np.arange(6).reshape(2, 3), "l": [1, b"x", "y"]}, 2))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        load_pickled(bytes(content), "x")
    except ValueError as error:
        assert str(error).startswith("x: not a pickle of plain arrays")  # noqa: PT017


def test_an_escape_that_no_pickle_has_is_an_error_where_warnings_are():
    """Found by the nightly search: Python warns of it, and here every warning is an error."""
    with pytest.raises(ValueError, match=r"^a\.pkl: not a pickle of plain arrays: .*invalid escape"):
        load_pickled(b"S'\\e'\n.", "a.pkl")
