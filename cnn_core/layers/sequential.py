"""The network: layers one after the other."""

from collections.abc import Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from cnn_core.layers._shapes import Shape, ShapeError, Step, undeclared
from cnn_core.layers.base import Layer
from cnn_core.layers.container import Container, backward_through
from cnn_core.layers.together import steps_of

if TYPE_CHECKING:
    from cnn_core.layers.inference import InferenceSequential
    from cnn_core.summary import Summary


# What a network that only computes never needs is imported at first use: importing the package stays quick.
class Sequential(Container):
    """Apply layers one after the other: a network, or a part of one.

    Shapes are inferred and checked when a new input shape arrives, before any data flows; an error names the
    layer that does not fit and the layer that made the shape.

    Parameters
    ----------
    *layers : Layer

    Attributes
    ----------
    layers : tuple of Layer
        ``model[2]`` and ``model[2:5]`` work too; a slice is a Sequential of the same layers.

    Examples
    --------
    >>> model = Sequential(Conv2d(1, 8, 3), ReLU(), Flatten(), Linear(8 * 6 * 6, 10))
    >>> model(np.zeros((1, 1, 8, 8), np.float32)).shape
    (1, 10)
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__({str(i): layer for i, layer in enumerate(layers)})
        self.layers = layers
        self._run_as(steps_of(layers))

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        try:
            for step in self._steps:
                x = step.forward(x, training)
        except ShapeError as error:
            raise undeclared(error, self.modules()) from None
        return x

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        """Return the gradient for the input and fill ``grads``; see :meth:`Layer.backward`.

        With ``need_dx=False``, as in training, the pass ends at the first layer that has parameters, which
        saves the most expensive gradient of many networks, and the result is ``None``.
        """
        first = 0 if need_dx else self._first_with_params
        gradient: Any = dy
        for i in range(len(self._steps) - 1, first - 1, -1):
            gradient = backward_through(self._steps[i], gradient, accumulate, need_dx or i > first)
        return gradient if need_dx else None

    def _run_as(self, steps: tuple[Layer, ...]) -> None:
        """Run these steps: the layers, some of them together, or one by one to look between them."""
        self._steps = steps
        self._first_with_params = next((i for i, step in enumerate(steps) if step.params), len(steps))

    def trace(self, shape: Shape, before: Step | None, steps: list[Step]) -> tuple[Shape, Step | None]:
        for layer in self.layers:
            shape, before = layer.trace(shape, before, steps)
        return shape, before

    def summary(self, input_shape: Shape) -> "Summary":
        """Return a table of layers, output shapes, parameters, multiply-adds and activation memory; print it.

        Parameters
        ----------
        input_shape : tuple of int
            With the batch: ``(64, 1, 28, 28)``.
        """
        from cnn_core.summary import summarize

        return summarize(self, input_shape)

    def save(self, path: str | PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
        """Write parameters and buffers to a ``.safetensors`` or ``.npz`` file, with strings of your own."""
        from cnn_core import files

        files.save_tensors(path, self.state_dict(), dict(metadata) if metadata else None)

    def load(self, path: str | PathLike[str]) -> None:
        """Read parameters and buffers from a file of :meth:`save`, or from torch's state_dict in such a file.

        Raises
        ------
        ValueError
            If the file is damaged or does not fit; the message names the tensors, and nothing has been
            changed.
        """
        from cnn_core import files

        tensors, _ = files.load_tensors(path)
        self.load_state_dict(tensors)

    def for_inference(self) -> "InferenceSequential":
        """Return a copy for prediction: BatchNorm folded into the weights before it, Dropout left out."""
        from cnn_core.layers.inference import for_inference

        return for_inference(self)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> "Sequential": ...
    def __getitem__(self, index: int | slice) -> "Layer | Sequential":
        return Sequential(*self.layers[index]) if isinstance(index, slice) else self.layers[index]
