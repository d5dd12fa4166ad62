"""Downloads that are tried from several mirrors, verified, and either there whole or not at all."""

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from cnn_core._version import __version__

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Download:
    """A file that can be fetched.

    Parameters
    ----------
    filename : str
    urls : tuple of str
        Mirrors, in the order in which to try them.
    digest : str
        Checksum of the whole file, hexadecimal.
    size : int
        Length of the file in bytes; nothing longer is accepted.
    algorithm : str
        What the digest was computed with, a name that `hashlib.new` knows.
    """

    filename: str
    urls: tuple[str, ...]
    digest: str
    size: int
    algorithm: str = "sha256"

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which the content may lie in a folder: as downloaded, or decompressed."""
        if self.filename.endswith(".gz") and not self.filename.endswith(".tar.gz"):
            return (self.filename, self.filename.removesuffix(".gz"))
        return (self.filename,)


class DownloadError(OSError):
    """No mirror gave the file; the message has a line for each."""


def fetch(
    download: Download, folder: str | os.PathLike[str], *, progress: bool = True, timeout: float = 30.0
) -> Path:
    """Download a file into a folder, from the first mirror that gives it.

    The file appears under its name only when it is complete, verified and on disk; an interrupted download
    leaves nothing behind.

    Parameters
    ----------
    download : Download
    folder : path-like
        Created if it does not exist.
    progress : bool
        Draw a progress bar if the standard error is a terminal.
    timeout : float
        Seconds without an answer after which a mirror is given up.

    Raises
    ------
    DownloadError
        If every mirror failed.
    OSError
        If the folder cannot be written.
    """
    # Half the start-up time of an interpreter, spent only when there is something to download.
    from http.client import HTTPException

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / download.filename
    part = folder / f".{download.filename}.{os.getpid()}-{threading.get_ident()}.part"
    failures = []
    for url in download.urls:
        try:
            _transfer(url, download, part, progress, timeout)
            part.replace(target)
            return target
        except (OSError, HTTPException) as error:
            failures.append(f"  {url}: {error}")
        finally:
            part.unlink(missing_ok=True)
    raise DownloadError("\n".join(failures))


def _transfer(url: str, download: Download, part: Path, progress: bool, timeout: float) -> None:
    """Copy ``url`` to ``part``, or raise if what comes is not what was asked for."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    from tqdm import tqdm

    try:
        response = urlopen(Request(url, headers={"User-Agent": f"cnn_core/{__version__}"}), timeout=timeout)
    except HTTPError as error:
        error.close()
        raise
    found = hashlib.new(download.algorithm, usedforsecurity=False)
    received = 0
    bar = tqdm(
        total=download.size,
        desc=download.filename,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None if progress else True,  # None: draw on a terminal only
    )
    with response, bar, part.open("wb") as file:
        while block := response.read(_BLOCK):
            received += len(block)
            if received > download.size:
                raise DownloadError(f"more than the expected {download.size} bytes")
            file.write(block)
            found.update(block)
            bar.update(len(block))
        file.flush()
        os.fsync(file.fileno())
    if received < download.size:
        raise DownloadError(f"ended after {received} of {download.size} bytes")
    if found.hexdigest() != download.digest:
        raise DownloadError(f"{download.algorithm} is {found.hexdigest()}, should be {download.digest}")
