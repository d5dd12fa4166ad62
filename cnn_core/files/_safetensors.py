"""The safetensors format: a JSON header with names, dtypes, shapes and offsets; then the bytes.

The ``safetensors`` package reads and writes; the header is checked here first, so that a bad file gives an
error that names the tensor. Source: https://github.com/huggingface/safetensors#format
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnn_core.files._sizes import check_size

_LENGTH_BYTES = 8  # the file begins with the header's length, a little-endian uint64
_MAX_HEADER_BYTES = 100_000_000  # the package's own limit
_DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}


def encode(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file with these C-contiguous, little-endian arrays."""
    from safetensors.numpy import save

    return save(dict(tensors), metadata=dict(metadata))


def decode(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and metadata in the bytes of a file; ValueError if they are not a whole, consistent file."""
    header, data_size = _read_header(content)
    metadata = _take_metadata(header)
    ranges = sorted((*_check_entry(name, entry, data_size), name) for name, entry in header.items())
    end = 0
    for start, stop, name in ranges:
        if start != end:
            problem = "overlaps the tensor before it" if start < end else "leaves a gap before it"
            raise ValueError(f"tensor {name!r}: starts at byte {start}, not {end}: {problem}")
        end = stop
    if end != data_size:
        raise ValueError(f"the tensors take {end} bytes, but {data_size} follow the header")

    import safetensors
    from safetensors.numpy import load

    try:
        arrays = load(content)
    except safetensors.SafetensorError as error:
        raise ValueError(f"not a safetensors file: {error}") from error
    return {name: np.require(array, requirements=["C", "W"]) for name, array in arrays.items()}, metadata


def _read_header(content: bytes) -> tuple[dict[str, Any], int]:
    """The parsed header and the number of bytes behind it."""
    if len(content) < _LENGTH_BYTES:
        raise ValueError(f"truncated: {len(content)} bytes; the header's length alone takes {_LENGTH_BYTES}")
    size = int.from_bytes(content[:_LENGTH_BYTES], "little")
    data_size = len(content) - _LENGTH_BYTES - size
    if data_size < 0 or size > _MAX_HEADER_BYTES:
        raise ValueError(
            f"truncated or not a safetensors file: the header is declared with {size} bytes, "
            f"the file has {len(content)} and the limit is {_MAX_HEADER_BYTES}"
        )
    try:
        text = content[_LENGTH_BYTES : _LENGTH_BYTES + size].decode()
        header = json.loads(text, object_pairs_hook=_dict_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the header is unreadable: {error}") from error
    if not isinstance(header, dict):
        raise ValueError(f"the header must be a JSON object, got {type(header).__name__}")
    return header, data_size


def _dict_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise ValueError(f"tensor {name!r} appears twice")
        result[name] = value
    return result


def _take_metadata(header: dict[str, Any]) -> dict[str, str]:
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("the metadata must map strings to strings")
    return metadata


def _check_entry(name: str, entry: Any, data_size: int) -> tuple[int, int]:
    """Where the bytes of one tensor start and end, once the entry is known to be consistent."""
    try:
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise ValueError("its entry must have dtype, shape and data_offsets")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise ValueError(f"dtype {dtype!r} is not read; convert it to one of {sorted(_DTYPES)}")
        if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
            raise ValueError("its shape and data_offsets must be lists of integers")
        start, stop = offsets
        if type(start) is not int or type(stop) is not int or not 0 <= start <= stop <= data_size:
            raise ValueError(f"data_offsets {offsets} do not lie within the {data_size} bytes of data")
        check_size(shape, _DTYPES[dtype], stop - start)
    except ValueError as error:
        raise ValueError(f"tensor {name!r}: {error}") from error
    return start, stop
