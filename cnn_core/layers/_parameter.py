"""Attribute access to the arrays of a layer."""

from typing import Any, Literal

import numpy as np


class Parameter:
    """``layer.weight`` for ``layer.params["weight"]`` (or a buffer), ``None`` where there is no such array.

    Assigning copies the values into the existing array, so ``params``, containers and optimizers keep
    seeing the same object.
    """

    def __init__(self, kind: Literal["params", "buffers"] = "params") -> None:
        self.kind = kind

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        return self if layer is None else getattr(layer, self.kind).get(self.name)

    def __set__(self, layer: Any, value: Any) -> None:
        array = getattr(layer, self.kind).get(self.name)
        if array is None:
            raise AttributeError(f"{layer.label}: was made without {self.name}, so it cannot be set")
        value = np.asarray(value)
        if value.shape != array.shape:
            raise ValueError(f"{layer.label}: {self.name} has shape {array.shape}, got {value.shape}")
        np.copyto(array, value, casting="same_kind")
