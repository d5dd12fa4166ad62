"""The npz format: a zip archive of npy files, as ``numpy.savez`` writes it.

Metadata are JSON in a uint8 array. ``numpy.load`` trusts the sizes in an archive; here they are compared
with the archive's own size first, so that a small file cannot ask for terabytes.
Source: ``numpy.lib.format``, NEP 1.
"""

import io
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cnn_core.files._sizes import check_size

if TYPE_CHECKING:
    import zipfile

_METADATA = "__metadata__"
_MAX_EXPANSION = 20  # weights compress by a few per cent, masks and zeros by more; bombs by a thousand
_SMALL = 64 * 2**20  # bytes that may be unpacked from however few
_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def encode(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The bytes of an archive with these arrays; the same input gives the same bytes."""
    import zipfile  # costs 9 ms: not at import

    text = np.frombuffer(json.dumps(dict(metadata)).encode(), np.uint8)
    archive_bytes = io.BytesIO()
    with zipfile.ZipFile(archive_bytes, "w", zipfile.ZIP_STORED) as archive:
        for name, array in {_METADATA: text, **tensors}.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    return archive_bytes.getvalue()


def decode(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and metadata in the bytes of an archive; ValueError if it is not whole and sane."""
    import zipfile

    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except Exception as error:  # zipfile raises many types on hostile bytes; all mean the same here
        raise ValueError(f"truncated or not an npz file: {error}") from error
    with archive:
        members = archive.infolist()
        _check_expansion(members, len(content))
        arrays: dict[str, np.ndarray] = {}
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name in arrays or name == member.filename:
                raise ValueError(f"tensor {name!r}: appears twice, or is not an npy file")
            try:
                arrays[name] = _decode_member(archive, member)
            except Exception as error:  # as above
                raise ValueError(f"tensor {name!r}: {error or type(error).__name__}") from error
    return arrays, _decode_metadata(arrays.pop(_METADATA, None))


def _check_expansion(members: "list[zipfile.ZipInfo]", archive_size: int) -> None:
    """Refuse decompression bombs: what is declared bounds what is unpacked, so that is what is checked."""
    unpacked = sum(member.file_size for member in members)
    if unpacked > max(_SMALL, _MAX_EXPANSION * archive_size):
        largest = max(members, key=lambda member: member.file_size)
        raise ValueError(
            f"tensor {largest.filename.removesuffix('.npy')!r}: the archive would grow from "
            f"{archive_size} to {unpacked} bytes; more than {_MAX_EXPANSION}-fold is refused"
        )


def _decode_member(archive: "zipfile.ZipFile", member: "zipfile.ZipInfo") -> np.ndarray:
    with archive.open(member) as file:
        content = file.read(member.file_size)  # bounded, unlike archive.read; verifies the CRC-32 as well
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in _HEADER_READERS:
        raise ValueError(f"npy version {version} is not read; expected one of {sorted(_HEADER_READERS)}")
    shape, fortran_order, dtype = _HEADER_READERS[version](stream)
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise ValueError(f"dtype {dtype} is not read; expected floats, integers or bool")
    check_size(shape, dtype, len(content) - stream.tell())
    flat = np.frombuffer(content, dtype, count=math.prod(shape), offset=stream.tell())
    array = flat.reshape(shape, order="F" if fortran_order else "C")
    return np.array(array, dtype=dtype.newbyteorder("="), order="C")


def _decode_metadata(text: np.ndarray | None) -> dict[str, str]:
    if text is None:
        return {}
    try:
        metadata = json.loads(text.tobytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the metadata are unreadable: {error}") from error
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("the metadata must map strings to strings")
    return metadata
