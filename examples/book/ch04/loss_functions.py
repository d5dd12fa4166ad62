"""Section 4.2: two losses of a guess that is right and of one that is wrong."""

import numpy as np

from cnn_core.book.functions import cross_entropy_error, softmax_loss, sum_squared_error

t = np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 0])  # a 2
guesses = {
    "it is a 2": np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]),
    "it is a 7": np.array([0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0]),
}
for name, y in guesses.items():
    print(f"{name}: squares {sum_squared_error(y, t):.4f}, cross entropy {cross_entropy_error(y, t):.4f}")

scores = np.array([[0.3, 2.9, 4.0], [1.0, 0.0, 0.0]])
print(f"of a batch of scores: {softmax_loss(scores, np.array([2, 0])):.4f}")
