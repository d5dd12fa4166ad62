"""MNIST and Fashion-MNIST: 28x28 grey images, 60,000 to learn from and 10,000 to be tested on."""

import os
from dataclasses import dataclass

import numpy as np

from cnn_core.data.dataset import Arrays, DataSet
from cnn_core.data.download import Download
from cnn_core.data.folder import DataFolder
from cnn_core.data.idx import read_idx
from cnn_core.data.normalize import to_float


@dataclass(frozen=True)
class _IdxFile:
    """A file as published, and what it holds however it is compressed."""

    archive: Download
    shape: tuple[int, ...]
    content_sha256: str


def _files(mirrors: tuple[str, ...], *checksums: tuple[int, str, str]) -> tuple[_IdxFile, ...]:
    """The four files of a set, with the bytes and SHA-256 of the archive and the SHA-256 of its content."""
    names = (
        ("train-images-idx3-ubyte.gz", (60000, 28, 28)),
        ("train-labels-idx1-ubyte.gz", (60000,)),
        ("t10k-images-idx3-ubyte.gz", (10000, 28, 28)),
        ("t10k-labels-idx1-ubyte.gz", (10000,)),
    )
    return tuple(
        _IdxFile(Download(name, tuple(mirror + name for mirror in mirrors), digest, size), shape, content)
        for (name, shape), (size, digest, content) in zip(names, checksums, strict=True)
    )


MNIST_FILES = _files(
    ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    (
        9912422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    (
        28881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    (
        1648877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    (
        4542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)

FASHION_MNIST_FILES = _files(
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    (
        26421880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    (
        29515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    (
        4422102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    (
        5148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)

FASHION_CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_mnist(root: str | os.PathLike[str] | None = None, download: bool = True) -> DataSet:
    """MNIST: handwritten digits, 28x28, 60,000 for training and 10,000 for testing.

    Looks for the four IDX files, gzip-compressed or unpacked, in the subfolders ``mnist`` and ``MNIST/raw``
    of the data folder and in the folder itself. What was compressed anew is accepted, what has another
    content is not.

    Parameters
    ----------
    root : path-like, optional
        The data folder; by default ``CNN_CORE_DATA``, else the user's cache (see `data_folder`).
    download : bool
        Whether to download files that are missing, about 11 MB, into the subfolder ``mnist``.

    Returns
    -------
    DataSet
        Images float32 (N, 1, 28, 28) in 0 ... 1, targets int64 (N,), the digits.

    Raises
    ------
    FileNotFoundError
        If files are missing and not downloaded.
    ValueError
        If a file is damaged or not MNIST's.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document
    recognition, Proceedings of the IEEE 86(11), 1998.
    """
    folder = DataFolder("MNIST", root, ("mnist", "MNIST/raw", ""))
    return _load("mnist", folder, MNIST_FILES, tuple("0123456789"), download)


def load_fashion_mnist(root: str | os.PathLike[str] | None = None, download: bool = True) -> DataSet:
    """Fashion-MNIST: pictures of clothing in ten classes, in the format and the numbers of MNIST.

    Looks for its files in the subfolders ``fashion-mnist`` and ``FashionMNIST/raw`` of the data folder and in
    the folder itself. Parameters, result and errors are those of `load_mnist`; the download is about 31 MB.

    Source: H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine
    learning algorithms, arXiv:1708.07747, 2017.
    """
    folder = DataFolder("Fashion-MNIST", root, ("fashion-mnist", "FashionMNIST/raw", ""))
    return _load("fashion-mnist", folder, FASHION_MNIST_FILES, FASHION_CLASS_NAMES, download)


def _load(
    name: str, folder: DataFolder, files: tuple[_IdxFile, ...], class_names: tuple[str, ...], download: bool
) -> DataSet:
    paths = folder.obtain([file.archive for file in files], download)
    arrays = []
    for path, file in zip(paths, files, strict=True):
        array = read_idx(path, sha256=file.content_sha256)
        if array.shape != file.shape:
            raise ValueError(f"{path}: expects {file.shape} of {folder.title}, got {array.shape}")
        arrays.append(array)
    train_images, train_labels, test_images, test_labels = arrays
    return DataSet(name, _arrays(train_images, train_labels), _arrays(test_images, test_labels), class_names)


def _arrays(images: np.ndarray, labels: np.ndarray) -> Arrays:
    return Arrays(to_float(images[:, np.newaxis]), labels.astype(np.int64))
