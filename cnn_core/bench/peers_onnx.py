"""onnxruntime: prediction with the same networks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import onnxruntime

from cnn_core.bench._onnx_export import NotInOnnxError, to_onnx
from cnn_core.bench.measure import Contender
from cnn_core.bench.peers import Peer
from cnn_core.layers import Sequential


class OnnxRuntime(Peer):
    """onnxruntime on the CPU, with all optimisations of the graph and a fixed batch size."""

    name = "onnxruntime"
    package = "onnxruntime"
    unused_in: ClassVar[tuple[str, ...]] = ("kernels", "layers")

    def __init__(self) -> None:
        self._threads = 1

    @contextmanager
    def session(self, threads: int) -> Iterator[None]:
        before, self._threads = self._threads, threads
        try:
            yield
        finally:
            self._threads = before

    def inference(self, model: Sequential, x: np.ndarray) -> list[Contender]:
        try:
            exported = to_onnx(model.for_inference(), x.shape)
        except NotInOnnxError:
            return []
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
        feed = {"x": x.copy()}
        return [Contender("onnxruntime", lambda: session.run(None, feed)[0])]
