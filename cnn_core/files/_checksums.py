"""CRC-32 checksums kept in a file's metadata, because safetensors has none of its own.

CRC-32 finds every error of up to 32 adjacent bits, and others with probability 1 - 2**-32. It is meant for
bad disks and torn copies; whoever forges a file can forge its checksums.
"""

import json
import zlib
from collections.abc import Mapping

import numpy as np

KEY = "cnn_core.crc32"


def add(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> dict[str, str]:
    """``metadata`` with the checksums of itself and of the tensors under ``KEY``."""
    if KEY in metadata:
        raise ValueError(f"metadata key {KEY!r} is reserved for checksums")
    checksums = {
        "metadata": _metadata_crc(metadata),
        "tensors": {name: _tensor_crc(name, tensor) for name, tensor in tensors.items()},
    }
    return {**metadata, KEY: json.dumps(checksums)}


def verify_and_remove(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> dict[str, str]:
    """``metadata`` without the checksums; ValueError where one does not fit. No checksums: no check."""
    metadata = dict(metadata)
    text = metadata.pop(KEY, None)
    if text is None:
        return metadata
    try:
        checksums = json.loads(text)
        metadata_crc, expected = checksums["metadata"], dict(checksums["tensors"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"metadata {KEY!r} is unreadable: the file is corrupted") from error
    if metadata_crc != _metadata_crc(metadata):
        raise ValueError("the metadata do not have the checksum they were saved with: the file is corrupted")
    for name in expected.keys() - tensors.keys():
        raise ValueError(f"tensor {name!r} was saved but is missing: the file is corrupted")
    for name, tensor in tensors.items():
        if expected.get(name) != _tensor_crc(name, tensor):
            raise ValueError(
                f"tensor {name!r} does not have the checksum it was saved with: the file is corrupted "
                f"(if it was edited on purpose, drop the metadata key {KEY!r})"
            )
    return metadata


def _tensor_crc(name: str, tensor: np.ndarray) -> int:
    little_endian = np.asarray(tensor, dtype=tensor.dtype.newbyteorder("<"), order="C")
    label = zlib.crc32(f"{name}\0{little_endian.dtype.str}\0{tensor.shape}".encode())
    return zlib.crc32(little_endian.reshape(-1).view(np.uint8).data, label)


def _metadata_crc(metadata: Mapping[str, str]) -> int:
    return zlib.crc32(json.dumps(sorted(metadata.items())).encode())
