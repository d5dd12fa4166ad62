"""The UCI handwritten digits, which come with the library; see digits.md for their source and licence."""

import os
from pathlib import Path

import numpy as np

from cnn_core.data.dataset import Arrays, DataSet
from cnn_core.data.normalize import to_float


def load_digits(root: str | os.PathLike[str] | None = None, download: bool = True) -> DataSet:
    """UCI handwritten digits: 1,797 images of 8x8, in the package itself.

    Of each class, in the order of the file, the first image and every fifth after it are for testing: 364 in
    all; the other 1,433 are for training.

    Parameters
    ----------
    root, download
        Not used: nothing need be looked for. They are here so that all loaders are called alike.

    Returns
    -------
    DataSet
        Images float32 (N, 1, 8, 8) in 0 ... 1 (the file's 0 ... 16, divided by 16), targets int64 (N,), the
        digits.

    Source: E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits, UCI Machine Learning
    Repository, 1998, doi:10.24432/C50P49, CC BY 4.0: the test part, 13 writers.
    """
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    everything = Arrays(to_float(images[:, np.newaxis], maximum=16), labels.astype(np.int64))
    held_out = np.zeros(len(everything), bool)
    for digit in range(10):
        held_out[np.flatnonzero(everything.t == digit)[::5]] = True
    return DataSet("digits", everything[~held_out], everything[held_out], tuple("0123456789"))
