"""Parameter files: the book's pickles, read without unpickling, and the library's own formats.

The suffix decides. ``.npz`` and ``.safetensors`` are those of :mod:`cnn_core.files`; any other name means
the book's format, a pickled dict of arrays, of which nothing is executed in reading.
"""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cnn_core.book._arrays import Array
from cnn_core.data.pickled import load_pickled
from cnn_core.files import load_tensors, save_tensors, write_atomically

__all__ = ["load_params", "save_params"]

_OWN_FORMATS = (".npz", ".safetensors")
_PROTOCOL = 3  # that of the book's files, and the oldest that holds arrays as plain bytes


def load_params(file_name: str | os.PathLike[str]) -> dict[str, Array]:
    """Return the arrays of a parameter file by name.

    Raises
    ------
    ValueError
        If a pickle holds anything but numeric arrays in a dict, or a file is damaged.
    """
    path = Path(file_name)
    if path.suffix in _OWN_FORMATS:
        return load_tensors(path)[0]
    content = path.read_bytes()
    views = load_pickled(content, str(path))
    if not isinstance(views, dict):
        raise ValueError(f"{path}: expects a dict of arrays, got a {type(views).__name__}")
    for name, value in views.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            raise ValueError(f"{path}: expects arrays by name, got a {type(value).__name__}")
    # Views may share their bytes; copies of them must not outgrow the file.
    if sum(view.nbytes for view in views.values()) > len(content):
        raise ValueError(f"{path}: its arrays are larger than the file")
    return {name: view.astype(view.dtype.newbyteorder("=")) for name, view in views.items()}


def save_params(file_name: str | os.PathLike[str], params: Mapping[str, Array]) -> None:
    """Write arrays under their names; the file appears whole or not at all.

    Raises
    ------
    TypeError
        If a value is not an array of real numbers; nothing is written then.
    """
    path = Path(file_name)
    for name, value in params.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
            kind = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
            raise TypeError(f"{name!r}: expects an array of real numbers in at most 64 bits, got {kind}")
    if path.suffix in _OWN_FORMATS:
        save_tensors(path, params)
    else:
        write_atomically(path, pickle.dumps(dict(params), protocol=_PROTOCOL))
