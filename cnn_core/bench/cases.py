"""Which functions are measured on which shapes: those of the networks, and a few large ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cnn_core import layers as L
from cnn_core.bench.kernels import OPS
from cnn_core.layers import Sequential
from cnn_core.models import MODELS

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Net:
    """A network of the benchmark, and the batch it is trained with."""

    name: str
    input_shape: Shape

    def build(self) -> Sequential:
        """The network, always with the same weights."""
        return MODELS[self.name](self.input_shape[1:], 10, rng=0)


NETS = (
    Net("simple", (100, 1, 28, 28)),
    Net("deep", (100, 1, 28, 28)),
    Net("resnet20", (128, 3, 32, 32)),
    Net("vgg", (64, 3, 32, 32)),
)


# Of Adam in training steps: so low that thousands of steps on one batch change nothing that matters.
LEARNING_RATE = 1e-5


@dataclass(frozen=True)
class Case:
    """A function of `cnn_core.bench.kernels.OPS`, the shape of its input (N, ...), and its options.

    ``origin`` says where the shape comes from: names of networks, or nothing.
    """

    op: str
    shape: Shape
    options: tuple[tuple[str, Any], ...] = ()
    origin: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Unique, and what ``--filter`` looks into."""
        parts = [self.op, "x".join(map(str, self.shape)) if self.shape else "", self._details()]
        parts.append(f"({', '.join(self.origin)})" if self.origin else "")
        return " ".join(part for part in parts if part)

    def _details(self) -> str:
        options = dict(self.options)
        words = []
        if "filters" in options:
            words.append(f"to {options['filters']}")
        if "outputs" in options:
            words.append(f"to {options['outputs']}")
        if "output_size" in options:
            words.append(f"to {options['output_size']}x{options['output_size']}")
        if "kernel_size" in options:
            kernel, stride = options["kernel_size"], options.get("stride")
            words.append(f"{kernel}x{kernel}")
            if stride not in (None, kernel if "pool" in self.op else 1):
                words.append(f"stride {stride}")
            if options.get("padding"):
                words.append(f"pad {options['padding']}")
        if "shapes" in options:
            words.append(f"{len(options['shapes'])} arrays")
        if "dim" in options:
            words.append(f"dim {options['dim']}")
        return " ".join(words)


def kernel_cases() -> list[Case]:
    """All cases, function by function; a shape that several networks have comes once."""
    merged: dict[tuple[Any, ...], Case] = {}
    for case in (*_network_cases(), *_more_cases()):
        key = (case.op, case.shape, case.options)
        if key in merged:
            origin = dict.fromkeys(merged[key].origin + case.origin)
            case = Case(*key, tuple(origin))
        merged[key] = case
    order = list(OPS)
    return sorted(merged.values(), key=lambda case: order.index(case.op))


def _network_cases() -> Iterator[Case]:
    for net in NETS:
        model = net.build()
        steps: list[Any] = []
        model.trace(net.input_shape, None, steps)
        for layer, x_shape, _, before in steps:
            for kind, cases in _OF_LAYER.items():
                if isinstance(layer, kind):
                    for op, options in cases(layer):
                        if not (op.endswith(" dx") and before is None):  # the gradient for the images
                            yield Case(op, x_shape, tuple(options.items()), (net.name,))
        shapes = tuple(p.shape for p in model.params.values())
        yield Case("cross_entropy", (net.input_shape[0], 10), (), (net.name,))
        yield Case("adam", (), (("shapes", shapes),), (net.name,))


def _convolution(layer: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    options = {"filters": layer.out_channels, "kernel_size": layer.kernel_size[0], "stride": layer.stride[0]}
    options["padding"] = layer.padding[0]
    yield "conv2d", options | {"bias": layer.bias is not None}
    yield "conv2d dx", options
    yield "conv2d dW", options


def _linear(layer: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for op in ("linear", "linear dx", "linear dW"):
        yield op, {"outputs": layer.out_features}


def _max_pool(layer: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for op in ("max_pool2d", "max_pool2d backward"):
        yield op, {"kernel_size": layer.kernel_size[0], "stride": layer.stride[0]}


def _adaptive(layer: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for op in ("adaptive_avg_pool2d", "adaptive_avg_pool2d backward"):
        yield op, {"output_size": layer.output_size[0]}


def _plain(op: str) -> Callable[[Any], Iterator[tuple[str, dict[str, Any]]]]:
    return lambda layer: iter([(op, {}), (f"{op} backward", {})])


_OF_LAYER: dict[type[L.Layer], Callable[[Any], Iterator[tuple[str, dict[str, Any]]]]] = {
    L.Conv2d: _convolution,
    L.MaxPool2d: _max_pool,
    L.AdaptiveAvgPool2d: _adaptive,
    L.BatchNorm2d: _plain("batch_norm"),
    L.ReLU: _plain("relu"),
    L.Dropout: _plain("dropout"),
    L.Linear: _linear,
}

# Feature maps of networks for large images: far larger than any cache, in between, and an image.
HUGE, LARGE, IMAGES = (32, 64, 112, 112), (16, 64, 56, 56), (8, 3, 224, 224)
DEEP = (100, 16, 28, 28)


def _more_cases() -> Iterator[Case]:
    both = ("", " backward")
    for shape, options in (
        (HUGE, {"filters": 64, "kernel_size": 1, "stride": 1, "padding": 0}),
        (LARGE, {"filters": 64, "kernel_size": 3, "stride": 1, "padding": 1}),
        (IMAGES, {"filters": 64, "kernel_size": 7, "stride": 2, "padding": 3}),
    ):
        yield Case("conv2d", shape, (*options.items(), ("bias", False)))
        for op in ("conv2d dx", "conv2d dW"):
            if shape != IMAGES or op != "conv2d dx":
                yield Case(op, shape, tuple(options.items()))
    for suffix in both:
        yield Case(f"max_pool2d{suffix}", HUGE, (("kernel_size", 3), ("stride", 2), ("padding", 1)))
        yield Case(f"max_pool2d{suffix}", LARGE, (("kernel_size", 2), ("stride", 2)))
        yield Case(f"avg_pool2d{suffix}", HUGE, (("kernel_size", 3), ("stride", 2), ("padding", 1)))
        yield Case(f"avg_pool2d{suffix}", LARGE, (("kernel_size", 2), ("stride", 2)))
        yield Case(f"avg_pool2d{suffix}", DEEP, (("kernel_size", 2), ("stride", 2)))
        yield Case(f"adaptive_avg_pool2d{suffix}", LARGE, (("output_size", 1),))
        yield Case(f"adaptive_avg_pool2d{suffix}", LARGE, (("output_size", 7),))
        for shape in (HUGE, LARGE):
            yield Case(f"batch_norm{suffix}", shape)
            yield Case(f"relu{suffix}", shape)
        for op in ("leaky_relu", "sigmoid", "tanh"):
            for shape in (DEEP, LARGE):
                yield Case(f"{op}{suffix}", shape)
        yield Case(f"dropout{suffix}", LARGE)
        for op in ("softmax", "log_softmax"):
            yield Case(f"{op}{suffix}", (100, 10), (("dim", -1),))
            yield Case(f"{op}{suffix}", (128, 1000), (("dim", -1),))
        yield Case(f"softmax{suffix}", LARGE, (("dim", 1),))
    yield Case("cross_entropy", (128, 1000))
    for op in ("im2col", "col2im"):
        yield Case(op, (100, 1, 28, 28), (("kernel_size", 5),))
        yield Case(op, DEEP, (("kernel_size", 3), ("padding", 1)))
        yield Case(op, LARGE, (("kernel_size", 3), ("padding", 1)))
        yield Case(op, IMAGES, (("kernel_size", 7), ("stride", 2), ("padding", 3)))
    yield Case("linear", (128, 1024), (("outputs", 1024),))
    yield Case("linear dx", (128, 1024), (("outputs", 1024),))
    yield Case("linear dW", (128, 1024), (("outputs", 1024),))
    deep = next(net for net in NETS if net.name == "deep")
    shapes = tuple(p.shape for p in deep.build().params.values())
    for name in ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adamw"):
        yield Case(name, (), (("shapes", shapes),), ("deep",))
