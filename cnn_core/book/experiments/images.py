"""The images that the experiments use: MNIST or, where it cannot be had, the digits of the package."""

import os

from cnn_core import data


def find_images(
    root: str | os.PathLike[str] | None = None, download: bool = True
) -> tuple[data.DataSet, str | None]:
    """Return MNIST or, if it is neither here nor to be downloaded, the 8x8 digits of the package.

    Returns
    -------
    images : DataSet
    why : str or None
        Why it is not MNIST.

    Raises
    ------
    ValueError
        If the files of MNIST are here but damaged.
    """
    try:
        return data.load_mnist(root, download), None
    except FileNotFoundError as error:
        return data.load_digits(), str(error)
