"""The IDX format: a header of a few bytes, then one array of numbers, often inside gzip.

Format: http://yann.lecun.com/exdb/mnist, section "The IDX file format". Two zero bytes, a byte for the type
of the numbers, a byte for the number of axes, then the length of each axis and the numbers, all big-endian.
"""

import gzip
import hashlib
import io
import math
import os
import zlib
from pathlib import Path

import numpy as np

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 32
_BLOCK = 1 << 20
_DEFLATE = 1032  # times its size is the most that gzip's compression can stand for (zlib.net/zlib_tech.html)


def read_idx(
    path: str | os.PathLike[str], *, sha256: str | None = None, max_bytes: int = 2**30
) -> np.ndarray:
    """Read the array of an IDX file, gzip-compressed or not.

    Parameters
    ----------
    path : path-like
    sha256 : str, optional
        What the uncompressed content must hash to.
    max_bytes : int
        The largest array to accept. Whatever the header claims, memory is taken only for what a file of
        this size can hold.

    Returns
    -------
    ndarray
        In the shape of the header and the byte order of this machine.

    Raises
    ------
    ValueError
        If the file is not IDX, is truncated, damaged or longer than its header says, would be larger than
        ``max_bytes``, or has another checksum.
    """
    path = Path(path)
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        capacity = os.fstat(file.fileno()).st_size * (_DEFLATE if compressed else 1)
        stream = gzip.GzipFile(fileobj=file) if compressed else file
        try:
            return _read(stream, path, sha256, max_bytes, capacity)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: damaged or truncated gzip file ({error}); get it anew") from error


def _read(
    stream: io.BufferedIOBase, path: Path, sha256: str | None, max_bytes: int, capacity: int
) -> np.ndarray:
    header, dtype, shape = _read_header(stream, path)
    # A length of zero must not hide the size of the other axes: numpy refuses such shapes.
    if math.prod(max(n, 1) for n in shape) * dtype.itemsize > max_bytes:
        raise ValueError(f"{path}: header promises shape {shape} of {dtype}, more than {max_bytes} bytes")

    needed = math.prod(shape) * dtype.itemsize
    if needed > capacity:
        raise ValueError(
            f"{path}: truncated: {shape} of {dtype} are {needed} bytes, the file holds at most {capacity}"
        )

    content = np.empty(needed, np.uint8)
    filled = 0
    while filled < content.size:
        count = stream.readinto(content.data[filled : filled + _BLOCK])
        if not count:
            raise ValueError(f"{path}: truncated: {shape} of {dtype} are {content.size} bytes, got {filled}")
        filled += count
    if stream.read(1):
        raise ValueError(f"{path}: too long: more follows the {content.size} bytes of {shape} of {dtype}")

    if sha256 is not None:
        found = hashlib.sha256(header)
        found.update(content.data)
        if found.hexdigest() != sha256:
            raise ValueError(
                f"{path}: another content than expected: SHA-256 is {found.hexdigest()}, should be {sha256}; "
                f"the file was altered, or belongs to another data set"
            )
    array = content.view(dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_header(stream: io.BufferedIOBase, path: Path) -> tuple[bytes, np.dtype, tuple[int, ...]]:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES or not 1 <= start[3] <= _MOST_AXES:
        raise ValueError(
            f"{path}: not an IDX file: begins with {start.hex(' ') or 'nothing'}, expected 00 00, a type "
            f"({', '.join(f'{code:02x}' for code in TYPES)}) and a number of axes (1 to {_MOST_AXES})"
        )
    sizes = stream.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise ValueError(f"{path}: truncated: the header should give the length of {start[3]} axes")
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    return start + sizes, np.dtype(TYPES[start[2]]), shape
