"""What the networks of the book have in common."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cnn_core.book import _passes
from cnn_core.book import params as params_file
from cnn_core.book._arrays import Array, as_labels, columns_together
from cnn_core.book.gradient import numerical_gradient
from cnn_core.book.layers import Affine, BatchNormalization, Convolution, SoftmaxWithLoss

__all__ = ["Network"]


class Network:
    """A stack of layers with a loss on top; see :mod:`cnn_core.book.awesome_net` for how to write one.

    A subclass sets three attributes in its constructor.

    Attributes
    ----------
    params : dict of arrays
        ``W1, b1, W2, ...`` for the convolution and affine layers in order, ``gamma1, beta1, ...`` for the
        batch normalisations. The layers hold the same arrays: what changes one in place changes both.
    layers : dict of layers by name, or list of layers
    last_layer : SoftmaxWithLoss
    """

    params: dict[str, Array]
    layers: dict[str, Any] | list[Any]
    last_layer: SoftmaxWithLoss

    def predict(self, x: ArrayLike, train_flg: bool = False) -> Array:
        """Return the scores (N, classes) of the batch x, before softmax.

        ``train_flg`` tells dropout and batch normalisation that this is training.
        """
        return np.asarray(_passes.forward(self._layers(), x, train_flg))

    def loss(self, x: ArrayLike, t: ArrayLike, train_flg: bool = False) -> float:
        """Return the loss of the batch x for the labels or one-hot rows t."""
        return self.last_layer.forward(self.predict(x, train_flg), t)

    def accuracy(self, x: Array, t: ArrayLike, batch_size: int = 100) -> float:
        """Return the share of the images x for which the highest score is at the label in t.

        ``batch_size`` images are looked at together; a smaller rest at the end counts too. (The book leaves
        the rest out but divides by all, which gives 0.0 for fewer images than one batch.)
        """
        if len(x) == 0 or batch_size < 1:
            raise ValueError(f"expects images and a batch_size >= 1, got {len(x)} and {batch_size}")
        scores = np.concatenate([self.predict(x[i : i + batch_size]) for i in range(0, len(x), batch_size)])
        return float(np.mean(scores.argmax(axis=1) == as_labels(t, scores)))

    def gradient(self, x: ArrayLike, t: ArrayLike) -> dict[str, Array]:
        """Return the gradient of the loss for every parameter, by backpropagation in training mode."""
        self.loss(x, t, train_flg=True)
        _passes.backward(self._layers(), self.last_layer.backward(1))
        return {key: getattr(layer, f"d{attribute}") for key, layer, attribute in self._slots()}

    def numerical_gradient(self, x: ArrayLike, t: ArrayLike) -> dict[str, Array]:
        """Return the gradient of the loss for every parameter, by central differences.

        Slow: two passes for every single number. Dropout draws a new mask in each pass, so a network with
        dropout has no numerical gradient.
        """
        return {
            key: numerical_gradient(lambda _: self.loss(x, t, train_flg=True), param)
            for key, param in self.params.items()
        }

    def save_params(self, file_name: str | os.PathLike[str] = "params.pkl") -> None:
        """Write the parameters, and the running statistics of batch normalisation, to a file.

        A pickle of plain arrays as in the book, or what the suffixes ``.npz`` and ``.safetensors`` say.
        """
        statistics = {key: getattr(layer, attribute) for key, layer, attribute in self._statistics()}
        known = {key: value for key, value in statistics.items() if value is not None}
        params_file.save_params(file_name, self.params | known)

    def load_params(self, file_name: str | os.PathLike[str] = "params.pkl") -> None:
        """Take the parameters from a file, in the float type that they have there.

        Raises
        ------
        ValueError
            If it is not a parameter file, or if names, shapes or types do not fit; nothing is changed then.
        """
        loaded = params_file.load_params(file_name)
        shapes = {key: param.shape for key, param in self.params.items()}
        optional = {key: layer.gamma.shape for key, layer, _ in self._statistics()}
        missing, unknown = shapes.keys() - loaded.keys(), loaded.keys() - shapes.keys() - optional.keys()
        if missing or unknown:
            raise ValueError(f"{file_name}: lacks {sorted(missing)}, has unknown {sorted(unknown)}")
        for key, value in loaded.items():
            shape = (shapes | optional)[key]
            if value.shape != shape or value.dtype.kind != "f":
                raise ValueError(
                    f"{file_name}: {key} has shape {value.shape} and type {value.dtype}, "
                    f"expected {shape} and floating point"
                )
        self._bind(loaded)

    def astype(self, dtype: DTypeLike) -> None:
        """Store the parameters in another float type: float16, float32 or float64.

        float16 halves the file of float32 and the memory; layers compute in the type of their input then,
        at least float32 (section 8.3.4 rounds to float16 and computes in float64).
        """
        dtype = np.dtype(dtype)
        if dtype not in (np.float16, np.float32, np.float64):
            raise TypeError(f"expects float16, float32 or float64, got {dtype}")
        kept = {key: getattr(layer, attribute) for key, layer, attribute in self._statistics()}
        arrays = self.params | {key: value for key, value in kept.items() if value is not None}
        self._bind({key: value.astype(dtype) for key, value in arrays.items()})

    def _bind(self, arrays: dict[str, Array]) -> None:
        """Make these arrays the parameters and running statistics, here and in the layers."""
        weights = {key for key, layer, name in self._slots() if name == "W" and isinstance(layer, Affine)}
        arrays = {key: columns_together(a) if key in weights else a for key, a in arrays.items()}
        for key in self.params:
            self.params[key] = arrays[key]
        for key, layer, attribute in [*self._slots(), *self._statistics()]:
            setattr(layer, attribute, arrays.get(key))

    def _layers(self) -> list[Any]:
        return list(self.layers.values()) if isinstance(self.layers, dict) else self.layers

    def _slots(self) -> Iterator[tuple[str, Any, str]]:
        """Yield the name of every parameter, its layer, and the layer's name for it."""
        weighted = [layer for layer in self._layers() if isinstance(layer, Affine | Convolution)]
        for n, layer in enumerate(weighted, start=1):
            yield f"W{n}", layer, "W"
            yield f"b{n}", layer, "b"
        for n, norm in self._batch_norms():
            yield f"gamma{n}", norm, "gamma"
            yield f"beta{n}", norm, "beta"

    def _statistics(self) -> Iterator[tuple[str, BatchNormalization, str]]:
        """Yield the name of every running statistic, its layer, and the layer's name for it."""
        for n, layer in self._batch_norms():
            yield f"running_mean{n}", layer, "running_mean"
            yield f"running_var{n}", layer, "running_var"

    def _batch_norms(self) -> Iterator[tuple[int, BatchNormalization]]:
        return enumerate(
            (layer for layer in self._layers() if isinstance(layer, BatchNormalization)), start=1
        )
