"""Is a backward pass right?  Compare it with differences of the forward pass, and catch one that is not.

python examples/gradient_check.py
"""

import numpy as np

import cnn_core as cc
from cnn_core.gradcheck import check_layer, check_model, tie_free

# A network with its loss. ReLU and max-pool have kinks, where no derivative exists; the report counts them.
model = cc.Sequential(
    cc.Conv2d(1, 4, 3, padding=1, rng=0),
    cc.BatchNorm2d(4),
    cc.ReLU(),
    cc.MaxPool2d(2),
    cc.Flatten(),
    cc.Linear(4 * 4 * 4, 10, rng=1),
)
x, t = tie_free((8, 1, 8, 8)), np.arange(8)  # pictures have ties, such as all the black of their margins
print(check_model(model, cc.losses.CrossEntropyLoss(), x, t), end="\n\n")


class WrongLinear(cc.Linear):
    """A linear layer with a mistake that a training survives, and so hides: half the bias's gradient."""

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        dx = super().backward(dy, accumulate=accumulate, need_dx=need_dx)
        self.grads["bias"] *= 0.5
        return dx


print(check_layer(WrongLinear(6, 3, rng=0), tie_free((5, 6))))
