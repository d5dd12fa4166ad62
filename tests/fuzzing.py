"""How hard the searches search, what they do to files, and what a reader is watched for.

The profile is chosen by the environment: ``HYPOTHESIS_PROFILE=ci`` (the default) tries a few hundred
examples, the same ones every time, and takes seconds; ``HYPOTHESIS_PROFILE=nightly`` tries 50,000 in each
file of tests, other ones every night, and prints how to repeat what fails.
"""

import codecs
import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

PROFILES = {"ci": 1, "nightly": 50_000}
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
if PROFILE not in PROFILES:
    raise ValueError(f"HYPOTHESIS_PROFILE: expects one of {list(PROFILES)}, got {PROFILE!r}")
NIGHTLY = PROFILE == "nightly"


def search(ci: int, rows: int = 1) -> settings:
    """Return the settings of a test that is one of ``rows`` in its file, with ``ci`` examples in CI."""
    common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}  # the clock fails nothing
    if NIGHTLY:
        return settings(max_examples=max(ci, PROFILES["nightly"] // rows), print_blob=True, **common)
    return settings(max_examples=ci, derandomize=True, database=None, **common)


# ---------------------------------------------------------------- damage

_NUMBERS = st.sampled_from(
    [0, 1, 2, 0x7F, 0x80, 0xFF, 2**15, 2**16 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1]
)
_edits = st.tuples(
    st.sampled_from(["flip", "set", "cut", "drop", "repeat", "number"]),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 255),
    _NUMBERS,
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from(["little", "big"]),
)
edits = st.lists(_edits, min_size=1, max_size=4)


def damaged(content: bytes, how: list[tuple]) -> bytes:
    """Flip bits, overwrite numbers, cut, drop and repeat parts."""
    data = bytearray(content)
    for kind, place, value, number, width, order in how:
        i = int(place * len(data))
        if not data:
            break
        if kind == "flip":
            data[i] ^= 1 << value % 8
        elif kind == "set":
            data[i] = value
        elif kind == "cut":
            del data[i:]
        elif kind == "drop":
            del data[i : i + value]
        elif kind == "repeat":
            data[i:i] = data[i : i + value]
        else:
            data[i : i + width] = (number % 2 ** (8 * width)).to_bytes(width, order)
    return bytes(data)


# ---------------------------------------------------------------- supervision

_FORBIDDEN = (
    *("pickle.find_class", "exec", "subprocess.Popen", "ctypes.dlopen"),
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.kill"),
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod"),
    *("shutil.rmtree", "shutil.copyfile", "shutil.move", "socket.connect", "socket.bind", "urllib.Request"),
)
_seen: list[str] | None = None


def _watch(event: str, arguments: tuple) -> None:
    if _seen is None:
        return
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in _FORBIDDEN:
        _seen.append(f"{event}{arguments}"[:200])


_hooked = False


# Python imports a codec, and so executes its module, when a pickle first asks for it.
for codec in ("ascii", "latin-1", "utf-8", "raw-unicode-escape", "unicode-escape"):
    codecs.lookup(codec)


@contextmanager
def supervised() -> Iterator[list[str]]:
    """Collect what the code inside executes, writes or deletes, by Python's audit events (PEP 578)."""
    global _seen, _hooked
    if not _hooked:
        sys.addaudithook(_watch)  # there is no way to take it out again: it sleeps between uses
        _hooked = True
    _seen = found = []
    try:
        yield found
    finally:
        _seen = None


def memory_of(call: Callable[[], Any]) -> int:
    """Return the most bytes that Python and numpy held at a time during the call."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
