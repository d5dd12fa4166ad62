"""Tensors in files: safetensors or npz, written whole or not at all, never unpickled.

:func:`save_tensors` and :func:`load_tensors` are what ``model.save``, ``model.load`` and the checkpoints of
:mod:`cnn_core.training` stand on. Both formats hold arrays and strings and nothing that could be executed.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from cnn_core.files import _checksums, _npz, _safetensors
from cnn_core.files._atomic import write_atomically

__all__ = ["load_tensors", "save_tensors", "write_atomically"]

_FORMATS = {".safetensors": _safetensors, ".npz": _npz}


def save_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write named arrays and strings to one file, whole or not at all.

    The file is written under another name in the same directory, flushed to the disk and renamed, so that
    whoever opens ``path``, whenever, finds the old file or the new one. A CRC-32 of every tensor and of the
    metadata goes along, and :func:`load_tensors` verifies it.

    Parameters
    ----------
    path : str or PathLike
        The suffix chooses the format: ``.safetensors`` or ``.npz`` (uncompressed).
    tensors : mapping of str to ndarray
        float16, float32, float64, integers or bool; any shape, strides and byte order.
    metadata : mapping of str to str, optional

    Raises
    ------
    ValueError
        Unknown suffix, or a name or dtype that the formats cannot hold. Nothing is written.
    TypeError
        A tensor that is not an array, or metadata that are not strings. Nothing is written.
    OSError
        The disk refused. The old file, if there was one, is intact.
    """
    codec = _format_of(path)
    tensors = {name: _normalised(name, value) for name, value in tensors.items()}
    metadata = dict(metadata or {})
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata must map str to str, got {key!r}: {type(value).__name__}")
        _check_text(key, f"metadata key {key!r}")
        _check_text(value, f"metadata {key!r}")
    write_atomically(path, codec.encode(tensors, _checksums.add(tensors, metadata)))


def load_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read named arrays and strings from a safetensors or npz file, which may come from anybody.

    Every size that the file declares is compared with the size of the file before memory is taken for it.
    Files written by :func:`save_tensors` are verified against their checksums; files of other programs have
    none and are taken as they are.

    Parameters
    ----------
    path : str or PathLike
        A file with the suffix ``.safetensors`` or ``.npz``.

    Returns
    -------
    tensors : dict of str to ndarray
        Fresh, writable, C-contiguous arrays in native byte order.
    metadata : dict of str to str

    Raises
    ------
    ValueError
        Unknown suffix, or a truncated, corrupted or hostile file; the message names file and tensor.
    OSError
        The file cannot be read.
    """
    codec = _format_of(path)
    content = Path(path).read_bytes()
    try:
        tensors, metadata = codec.decode(content)
        metadata = _checksums.verify_and_remove(tensors, metadata)
        for name, tensor in tensors.items():
            if tensor.dtype == np.bool_ and tensor.view(np.uint8).max(initial=0) > 1:
                raise ValueError(f"tensor {name!r}: its bytes must be 0 or 1 for dtype bool")
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error
    return tensors, metadata


def _format_of(path: str | os.PathLike[str]) -> ModuleType:
    suffix = Path(path).suffix
    if suffix not in _FORMATS:
        raise ValueError(f"{os.fspath(path)}: the suffix must be one of {sorted(_FORMATS)}, got {suffix!r}")
    return _FORMATS[suffix]


def _normalised(name: str, value: np.ndarray) -> np.ndarray:
    """``value`` as a C-contiguous little-endian array, the only layout that both formats agree on."""
    if not isinstance(name, str):
        raise TypeError(f"names of tensors must be str, got {name!r}")
    _check_text(name, f"tensor {name!r}")
    if name in ("", "__metadata__") or "\0" in name:
        raise ValueError(f"tensor {name!r}: the name is empty, reserved or contains a NUL character")
    if not isinstance(value, np.ndarray | np.generic):
        raise TypeError(f"tensor {name!r}: expected a numpy array, got {type(value).__name__}")
    if value.dtype.kind not in "fiub" or value.dtype.itemsize > 8:
        raise ValueError(
            f"tensor {name!r}: dtype {value.dtype} cannot be saved; "
            "use float16, float32, float64, an integer type or bool"
        )
    return np.asarray(value, dtype=value.dtype.newbyteorder("<"), order="C")


def _check_text(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} cannot be written as UTF-8: {error}") from error
