"""The slow, obvious twins of `cnn_core.reference`: what compiled code buys."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cnn_core import reference as R
from cnn_core._version import __version__
from cnn_core.bench.costs import Cost
from cnn_core.bench.measure import Contender
from cnn_core.bench.peers import Peer

# A row that takes longer than a second or so in Python is left out.
_MOST_FLOPS, _MOST_BYTES = 10**8, 1 << 24


class Reference(Peer):
    """numpy in double precision, written to be read."""

    name = "reference"
    package = "cnn_core"
    unused_in = ("nets", "layers")

    @property
    def version(self) -> str:
        return __version__

    def kernel(self, op: str, arguments: dict[str, Any], cost: Cost) -> list[Contender]:
        if op not in _TWINS or cost.flops > _MOST_FLOPS or cost.nbytes > _MOST_BYTES:
            return []
        copies = {key: value.copy() if isinstance(value, np.ndarray) else value
                  for key, value in arguments.items()}  # fmt: skip
        return [Contender("reference", partial(_TWINS[op], **copies))]


def _max_pool2d_backward(
    dy: np.ndarray, indices: np.ndarray, x_shape: tuple[int, int, int, int], **unused: Any
) -> np.ndarray:
    return R.max_pool2d_backward(dy, indices, x_shape)


def _update(step: Callable[..., None]) -> Callable[..., None]:
    """One step of an optimizer over all parameters; ``step(optimizer, p, g, slots)``."""

    def run(optimizer: Any, params: dict[str, Any], grads: dict[str, Any], state: dict[str, Any]) -> None:
        for key, p in params.items():
            slots = [value for name, value in state.items() if name.partition(".")[0] == key]
            step(optimizer, p, grads[key], *slots)

    return run


def _sgd(o: Any, p: np.ndarray, g: np.ndarray, v: np.ndarray | None = None) -> None:
    R.sgd_update(p, g, v, o.lr, o.momentum, bool(o.nesterov))


def _adam(o: Any, p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray) -> None:
    R.adam_update(p, g, m, v, 1, o.lr, o.beta1, o.beta2, o.eps, o.weight_decay, o.decoupled)


_TWINS: dict[str, Callable[..., Any]] = {
    "conv2d": R.conv2d,
    "conv2d dW": partial(R.conv2d_backward, need_dx=False),
    "linear": R.linear,
    "linear dW": partial(R.linear_backward, need_dx=False),
    "max_pool2d": partial(R.max_pool2d, return_indices=True),
    "max_pool2d backward": _max_pool2d_backward,
    "batch_norm": partial(R.batch_norm, training=True, return_stats=True),
    "cross_entropy": R.cross_entropy_with_grad,
    "dropout": partial(R.dropout, return_mask=True),
    **{name: getattr(R, name) for name in ("avg_pool2d", "adaptive_avg_pool2d", "im2col", "col2im")},
    **{
        f"{name} backward": getattr(R, f"{name}_backward")
        for name in ("avg_pool2d", "adaptive_avg_pool2d", "batch_norm", "dropout")
    },
    **{
        f"{name}{suffix}": getattr(R, f"{name}{suffix.replace(' ', '_')}")
        for name in ("relu", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax")
        for suffix in ("", " backward")
    },
    **dict.fromkeys(("sgd", "momentum", "nesterov"), _update(_sgd)),
    **dict.fromkeys(("adam", "adamw"), _update(_adam)),
    "adagrad": _update(lambda o, p, g, h: R.adagrad_update(p, g, h, o.lr, o.eps)),
    "rmsprop": _update(lambda o, p, g, h: R.rmsprop_update(p, g, h, o.lr, o.alpha, o.eps)),
}
