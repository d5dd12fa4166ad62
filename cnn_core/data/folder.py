"""The folder in which data sets lie on this machine."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from cnn_core.data.download import Download, fetch


def data_folder(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder for data: ``root``, else the environment variable ``CNN_CORE_DATA``, else the user's cache.

    The cache is ``cnn_core`` in ``XDG_CACHE_HOME``, on Windows in ``LOCALAPPDATA``, else in ``~/.cache``.
    """
    if root is not None:
        return Path(root).expanduser()
    if folder := os.environ.get("CNN_CORE_DATA"):
        return Path(folder).expanduser()
    cache = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "cnn_core"


class DataFolder:
    """Where the files of one data set are looked for, and downloaded to.

    Parameters
    ----------
    title : str
        The data set's name, for messages.
    root : path-like, optional
        See `data_folder`.
    subfolders : sequence of str
        Looked through in this order; downloads go into the first.
    """

    def __init__(self, title: str, root: str | os.PathLike[str] | None, subfolders: Sequence[str]) -> None:
        self.title = title
        self.root = data_folder(root)
        self.subfolders = tuple(subfolders)

    def find(self, names: Iterable[str]) -> Path | None:
        """The first file that exists under one of some names (by folder first, then by name), or None."""
        names = tuple(names)
        for subfolder in self.subfolders:
            for name in names:
                path = self.root / subfolder / name
                if path.is_file():
                    return path
        return None

    def obtain(self, files: Sequence[Download], download: bool) -> list[Path]:
        """The paths of files that lie here, compressed or not, or are downloaded now.

        Raises
        ------
        FileNotFoundError
            If some are missing and cannot or must not be downloaded: says which, and where to put them.
        """
        found = [self.find(file.names) for file in files]
        missing = [file for file, path in zip(files, found, strict=True) if path is None]
        if missing and not download:
            raise FileNotFoundError(self._explain(missing, "and download=False forbids to fetch it."))
        for file in tuple(missing):
            try:
                found[files.index(file)] = fetch(file, self.root / self.subfolders[0])
            except OSError as error:
                why = f"and could not be downloaded:\n{error}"
                raise FileNotFoundError(self._explain(missing, why)) from error
            missing.remove(file)
        return [path for path in found if path is not None]

    def _explain(self, missing: Sequence[Download], why: str) -> str:
        wanted = "".join(f"\n  {' or '.join(file.names)}" for file in missing)
        return (
            f"{self.title} is not in {self.root} {why}\n"
            f"Put these files into {self.root / self.subfolders[0]}:{wanted}\n"
            f"or let the environment variable CNN_CORE_DATA name a folder that holds them."
        )
