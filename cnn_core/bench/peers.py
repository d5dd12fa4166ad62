"""The libraries that results are compared with: what each can do, and how to find the installed ones."""

import importlib
import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from cnn_core._checks import one_of
from cnn_core.bench.costs import Cost
from cnn_core.bench.measure import Contender
from cnn_core.layers import Layer, Sequential


class Peer:
    """A library to compare with: a subclass overrides what it can do.

    Every method returns contenders for the same work, such as one per memory layout; the fastest counts. The
    first word of their names is the peer's. What a peer cannot do has no contenders.
    """

    name: ClassVar[str]
    package: ClassVar[str]  # as pip knows it
    unused_in: ClassVar[tuple[str, ...]] = ()  # suites in which it can do nothing

    @property
    def version(self) -> str:
        """The installed version."""
        return importlib.metadata.version(self.package)

    @contextmanager
    def session(self, threads: int) -> Iterator[None]:
        """Compute with so many threads inside the block."""
        yield

    def kernel(self, op: str, arguments: dict[str, Any], cost: Cost) -> list[Contender]:
        """The twin of a function of `cnn_core.bench.kernels.OPS`, on copies of its arguments."""
        return []

    def training_step(self, model: Sequential, x: np.ndarray, target: np.ndarray) -> list[Contender]:
        """Forward, cross-entropy, backward and Adam of the same network."""
        return []

    def inference(self, model: Sequential, x: np.ndarray) -> list[Contender]:
        """Forward of the same network outside training."""
        return []

    def layer(
        self, layer: Layer, x: np.ndarray, dy: np.ndarray, need_dx: bool
    ) -> tuple[list[Contender], list[Contender]]:
        """Forward and backward of one layer."""
        return [], []


def _torch() -> Peer:
    from cnn_core.bench.peers_torch import Torch

    return Torch()


def _onnxruntime() -> Peer:
    from cnn_core.bench.peers_onnx import OnnxRuntime

    return OnnxRuntime()


def _reference() -> Peer:
    from cnn_core.bench.peers_reference import Reference

    return Reference()


# Each with what it imports.
PEERS: dict[str, tuple[tuple[str, ...], Callable[[], Peer]]] = {
    "torch": (("torch",), _torch),
    "onnxruntime": (("onnxruntime", "onnx"), _onnxruntime),
    "reference": ((), _reference),
}


def load_peers(names: Sequence[str], suite: str) -> tuple[list[Peer], list[str]]:
    """The peers of those names that are installed, and a message for each that is of no use.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    peers, messages = [], []
    for name in dict.fromkeys(names):
        packages, load = PEERS[one_of(name, "--against", tuple(PEERS))]
        missing = [package for package in packages if not _is_installed(package)]
        if missing:
            messages.append(f"{name}: not compared, because it needs {' and '.join(missing)}: "
                            f"pip install {' '.join(missing)}")  # fmt: skip
            continue
        peer = load()
        if suite in peer.unused_in:
            messages.append(f"{name}: not compared, because it has nothing for 'bench {suite}'")
        else:
            peers.append(peer)
    return peers, messages


def _is_installed(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True
