"""What layers that slide a window over an image have in common: output sizes, and how to explain them."""

from cnn_core._checks import out_size, pool_size
from cnn_core.layers._shapes import Shape, ShapeError
from cnn_core.layers.base import Layer


class WindowLayer(Layer):
    """A layer with a window of ``kernel_size`` that moves by ``stride`` over the padded height and width."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)
    ceil_mode: bool = False
    is_pooling: bool = False

    @property
    def pads(self) -> tuple[int, int]:
        """Rows and columns added on each side."""
        raise NotImplementedError

    def plane_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return height and width of the output for those of the input, or raise ShapeError."""
        return self._length(size, 0), self._length(size, 1)

    def explain_axis(self, axis: int, input_shape: Shape) -> tuple[str, int | None]:
        size = self.plane_size((input_shape[2], input_shape[3]))
        if axis < 2 or size == tuple(input_shape[2:]):  # who shrank it stands further back
            return "", axis
        height, width = (f"{self._formula(input_shape[2 + i], size[i], i)}" for i in (0, 1))
        if height == width:
            return f": {self.label} gave {size[0]} = {height}", None
        return f": {self.label} gave ({size[0]}, {size[1]}) = ({height}, {width})", None

    def _length(self, size: tuple[int, int], i: int) -> int:
        numbers = size[i], self.kernel_size[i], self.stride[i], self.pads[i], self.dilation[i]
        try:
            if self.is_pooling:
                return pool_size(*numbers, self.ceil_mode, name=self.label)
            return out_size(*numbers, name=self.label)
        except ValueError as error:
            raise ShapeError(str(error), axis=2 + i) from None

    def _formula(self, size: int, result: int, i: int) -> str:
        kernel, stride, dilation = self.kernel_size[i], self.stride[i], self.dilation[i]
        extent = f"{kernel}" if dilation == 1 else f"{dilation}*({kernel} - 1) - 1"
        span = f"{size} + 2*{self.pads[i]} - {extent}"
        if not self.ceil_mode:
            return f"({span})//{stride} + 1"
        whole = -(-(size + 2 * self.pads[i] - dilation * (kernel - 1) - 1) // stride) + 1
        return f"ceil(({span})/{stride}) + 1" + (" - 1" if result < whole else "")


def brief(value: tuple[int, int]) -> int | tuple[int, int]:
    """Write a pair of equal numbers as one."""
    return value[0] if value[0] == value[1] else value
