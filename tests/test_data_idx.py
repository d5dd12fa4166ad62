"""read_idx: what it reads, and that whatever is wrong with a file is said with its name."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnn_core.data import read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array):
    header = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim]) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def array():
    return np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "some-idx3-ubyte"
        path.write_bytes(content)
        return path

    return write


@given(
    array=st.sampled_from(sorted(CODES)).flatmap(
        lambda code: hnp.arrays(np.dtype(code), hnp.array_shapes(max_dims=4, min_side=0, max_side=4))
    ),
    compress=st.booleans(),
)
def test_reads_what_was_written(tmp_path_factory, array, compress):
    path = tmp_path_factory.mktemp("idx") / "x"
    path.write_bytes(gzip.compress(idx_bytes(array)) if compress else idx_bytes(array))
    found = read_idx(path)
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)


def test_the_result_is_writable_and_owned(written, array):
    found = read_idx(written(idx_bytes(array)))
    found += 1


@pytest.mark.parametrize("compress", [False, True])
def test_every_truncation_is_noticed(written, array, compress):
    content = gzip.compress(idx_bytes(array)) if compress else idx_bytes(array)
    for length in range(len(content)):
        with pytest.raises(ValueError, match="some-idx3-ubyte"):
            read_idx(written(content[:length]))


@pytest.mark.parametrize("compress", [False, True])
def test_too_long(written, array, compress):
    content = idx_bytes(array) + b"\0"
    with pytest.raises(ValueError, match=r"some-idx3-ubyte: too long.*60 bytes"):
        read_idx(written(gzip.compress(content) if compress else content))


def test_damage_to_the_compressed_data_is_noticed(written, array):
    content = gzip.compress(idx_bytes(array))
    unnoticed = 0
    for position in range(10, len(content)):  # after gzip's own header, of which no checksum is taken
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        try:
            np.testing.assert_array_equal(read_idx(written(damaged)), array)
            unnoticed += 1
        except ValueError as error:
            assert "some-idx3-ubyte" in str(error)  # noqa: PT017
    assert unnoticed <= 1  # the bits that fill up the last byte mean nothing


def test_garbage_after_the_compressed_data(written, array):
    with pytest.raises(ValueError, match="damaged"):
        read_idx(written(gzip.compress(idx_bytes(array)) + b"garbage"))


@pytest.mark.parametrize(
    "header",
    [b"", b"\x89PNG\r\n", b"\0\1\x08\1", b"\0\0\x07\1", b"\0\0\x08\0", b"\0\0\x08\xff"],
    ids=["empty", "png", "second byte", "type", "no axes", "255 axes"],
)
def test_not_idx(written, header):
    with pytest.raises(ValueError, match="some-idx3-ubyte: not an IDX file: begins with"):
        read_idx(written(header + bytes(64) if header else b""))


@pytest.mark.parametrize("shape", [(2**32 - 1,) * 4, (0, 2**32 - 1, 2**32 - 1), (2**30 + 1,)])
def test_huge_headers_are_refused_before_memory_is_asked_for(written, shape):
    header = bytes([0, 0, 0x08, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    with pytest.raises(ValueError, match="more than 1073741824 bytes"):
        read_idx(written(header))


def test_max_bytes(written, array):
    path = written(idx_bytes(array))
    assert read_idx(path, max_bytes=60).shape == (5, 4, 3)
    with pytest.raises(ValueError, match="more than 59 bytes"):
        read_idx(path, max_bytes=59)


@pytest.mark.parametrize("compress", [False, True])
def test_checksum_of_the_content(written, array, compress):
    content = idx_bytes(array)
    path = written(gzip.compress(content) if compress else content)
    read_idx(path, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ValueError, match="another content than expected: SHA-256"):
        read_idx(path, sha256="0" * 64)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing")
