"""Networks as ONNX graphs, as far as the benchmark needs it: for prediction, float32, a fixed input shape."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cnn_core import layers as L

# Old enough for every onnxruntime that runs on a Python of ours.
_OPSET, _IR_VERSION = 17, 8


class NotInOnnxError(ValueError):
    """A layer that this exporter does not know."""


def to_onnx(model: L.Sequential, input_shape: tuple[int, ...]) -> bytes:
    """Return the serialised graph of a network that takes ``x`` and gives ``y``.

    Parameters
    ----------
    model : Sequential
        As `Sequential.for_inference` makes it.
    input_shape : tuple of int
        With the batch.

    Raises
    ------
    NotInOnnxError
        If a layer is not one of this library, or has a setting that ONNX lacks.
    """
    graph = _Graph()
    last = graph.add_layer(model, "x", tuple(input_shape))
    graph.add("Identity", [last], output="y")
    proto = helper.make_graph(
        graph.nodes,
        "cnn_core",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, model.output_shape(input_shape))],
        graph.weights,
    )
    exported = helper.make_model(proto, opset_imports=[helper.make_opsetid("", _OPSET)])
    exported.ir_version = _IR_VERSION
    onnx.checker.check_model(exported)
    return exported.SerializeToString()


class _Graph:
    """Nodes and weights, collected layer by layer; values are known by their names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, op: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        output = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def weight(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def add_layer(self, layer: Any, x: str, shape: tuple[int, ...]) -> str:
        """Add what computes ``layer`` of the value ``x`` and return the result's name."""
        if isinstance(layer, L.Sequential):
            for each in layer.layers:
                x, shape = self.add_layer(each, x, shape), each.output_shape(shape)
            return x
        if isinstance(layer, L.Residual):
            skip = x if layer.shortcut is None else self.add_layer(layer.shortcut, x, shape)
            return self.add("Add", [self.add_layer(layer.body, x, shape), skip])
        if isinstance(layer, L.Concat):
            return self.add("Concat", [self.add_layer(branch, x, shape) for branch in layer.branches], axis=1)
        if isinstance(layer, (L.Dropout, L.Identity)):
            return x
        op, inputs, attributes = self._node(layer, shape)
        return self.add(op, [x, *map(self.weight, inputs)], **attributes)

    def _node(
        self, layer: Any, shape: tuple[int, ...]
    ) -> tuple[str, Iterator[np.ndarray] | list[np.ndarray], dict[str, Any]]:
        """Operator, weights and attributes of a layer with one node."""
        match layer:
            case L.Conv2d():
                weights = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
                attributes = _window(layer) | {"group": layer.groups, "dilations": layer.dilation}
                return "Conv", weights, attributes
            case L.Linear() if len(shape) == 2:
                weights = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
                return "Gemm", weights, {"transB": 1}
            case L.BatchNorm1d() | L.BatchNorm2d() if layer.buffers:
                ones = np.ones(layer.num_features)
                scale = ones if layer.weight is None else layer.weight
                bias = 0 * ones if layer.bias is None else layer.bias
                weights = [scale, bias, layer.running_mean, layer.running_var]
                return "BatchNormalization", weights, {"epsilon": layer.eps}
            case L.MaxPool2d():
                rounding = {"ceil_mode": int(layer.ceil_mode), "dilations": layer.dilation}
                return "MaxPool", [], _window(layer) | rounding
            case L.AvgPool2d() if layer.divisor_override is None and not layer.ceil_mode:
                return "AveragePool", [], _window(layer) | {"count_include_pad": int(layer.count_include_pad)}
            case L.AdaptiveAvgPool2d() if layer.output_shape(shape)[2:] == (1, 1):
                return "GlobalAveragePool", [], {}
            case L.Flatten() if layer.output_shape(shape) == (shape[0], int(np.prod(shape[1:]))):
                return "Flatten", [], {"axis": 1}
            case L.ReLU():
                return "Relu", [], {}
            case L.LeakyReLU():
                return "LeakyRelu", [], {"alpha": layer.negative_slope}
            case L.Sigmoid():
                return "Sigmoid", [], {}
            case L.Tanh():
                return "Tanh", [], {}
        raise NotInOnnxError(f"{layer.label}: is not among the layers that are exported")


def _window(layer: Any) -> dict[str, Any]:
    window = {"kernel_shape": layer.kernel_size, "strides": layer.stride}
    if layer.padding == "same":  # uneven padding adds below and to the right, as here
        return window | {"auto_pad": "SAME_UPPER"}
    return window | {"pads": [*layer.pads, *layer.pads]}
