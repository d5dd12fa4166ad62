"""Multiplication and addition as layers (the book's ``ch05/layer_naive.py``): backpropagation on numbers."""

from typing import Any

__all__ = ["AddLayer", "MulLayer"]


class MulLayer:
    """Multiply two values, ``x * y``; each gradient is the other value times dout (section 5.4.1)."""

    def __init__(self) -> None:
        self.x: Any = None
        self.y: Any = None

    def forward(self, x: Any, y: Any) -> Any:
        """Return ``x * y``."""
        self.x, self.y = x, y
        return x * y

    def backward(self, dout: Any) -> tuple[Any, Any]:
        """Return ``(dout * y, dout * x)``."""
        if self.x is None:
            raise RuntimeError("MulLayer.backward needs a forward pass before it")
        return dout * self.y, dout * self.x


class AddLayer:
    """Add two values, ``x + y``; both gradients are dout (section 5.4.2)."""

    def forward(self, x: Any, y: Any) -> Any:
        """Return ``x + y``."""
        return x + y

    def backward(self, dout: Any) -> tuple[Any, Any]:
        """Return ``(dout, dout)``."""
        return dout * 1, dout * 1
