"""Replacing a file in one indivisible step."""

import contextlib
import os
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Make ``data`` the content of the file ``path``, or leave everything as it was.

    The bytes go to a temporary file in the same directory, are flushed to the disk, and the file is renamed:
    a process killed at any moment, or a machine that loses power, leaves the old content or the new.

    Parameters
    ----------
    path : str or PathLike
        A symbolic link is followed; what it points to is replaced.
    data : bytes

    Raises
    ------
    OSError
        The disk refused; the error names the file. The temporary file is removed and the old one intact.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:50]}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        _write(temporary, data)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), os.fspath(path)) from error
        raise
    _flush_directory(target.parent)


def _write(path: Path, data: bytes) -> None:
    """Write a new file through to the disk; where the system can, give it a name only afterwards."""
    with contextlib.suppress(OSError):  # no such file system, or no /proc
        if hasattr(os, "O_TMPFILE"):
            return _write_nameless(path, data)
    with path.open("xb") as file:
        _fill(file, data)


def _write_nameless(path: Path, data: bytes) -> None:
    """Write a file that vanishes with the process until it is linked to ``path``; see open(2)."""
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        with os.fdopen(os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666), "wb") as file:
            _fill(file, data)
            # With a dir_fd Python calls linkat(2), which follows the link in /proc; os.link alone does not.
            os.link(f"/proc/self/fd/{file.fileno()}", path.name, src_dir_fd=directory, dst_dir_fd=directory)
    finally:
        os.close(directory)


def _fill(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _flush_directory(directory: Path) -> None:
    """Make the rename itself durable, where directories can be opened (not on Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
