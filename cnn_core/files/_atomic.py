"""Replacing a file in one indivisible step."""

import contextlib
import os
from pathlib import Path


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
        The disk refused. The temporary file is removed and the old file is intact.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:50]}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _flush_directory(target.parent)


def _flush_directory(directory: Path) -> None:
    """Make the rename itself durable, where directories can be opened (not on Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
