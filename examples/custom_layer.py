"""Write a layer, check its gradients, and train a network with it.

python examples/custom_layer.py
"""

import numpy as np

import cnn_core as cc
from cnn_core.gradcheck import check_layer, tie_free
from cnn_core.training import Trainer


class PReLU(cc.Layer):
    """Scale negative values of each channel by a learned slope: ``y = max(x, 0) + slope * min(x, 0)``.

    Source: He et al., *Delving deep into rectifiers*, 2015, section 2.1.
    """

    def __init__(self, channels: int, *, dtype: type = np.float32) -> None:
        super().__init__()
        self.add_param("slope", np.full((channels, 1, 1), 0.25, dtype))

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        y = np.where(x > 0, x, self.params["slope"] * x)
        self.remember(training, y, x)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        (x,) = self.recall(dy)
        slope = (dy * np.minimum(x, 0)).sum(axis=(0, 2, 3)).reshape(-1, 1, 1)
        self.store_grads(accumulate, slope=slope)
        return np.where(x > 0, dy, self.params["slope"] * dy)


print(check_layer(PReLU(3), tie_free((2, 3, 4, 4))).assert_ok(), end="\n\n")

model = cc.Sequential(
    cc.Conv2d(1, 16, 3, padding=1, rng=0),
    PReLU(16),
    cc.MaxPool2d(2),
    cc.Flatten(),
    cc.Linear(16 * 4 * 4, 10, rng=1),
)
data = cc.data.load_digits()
trainer = Trainer(model, cc.losses.CrossEntropyLoss(), cc.optim.Adam(lr=0.003), seed=0)
trainer.fit(data.train, epochs=10, batch_size=32)
print(f"accuracy {trainer.evaluate(data.test)['accuracy']:.4f}")
print("slopes", np.array2string(model.params["1.slope"].ravel(), precision=2))
