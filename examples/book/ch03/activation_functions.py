"""Sections 3.2 and 3.5: the activation functions, and their slopes where the book needs them."""

import matplotlib.pyplot as plt

from cnn_core.book.functions import *

LEFT, RIGHT = -5.0, 5.0

functions = {
    "identity": (identity_function, None),
    "step": (step_function, None),
    "sigmoid": (sigmoid, sigmoid_grad),
    "ReLU": (relu, relu_grad),
}
x = np.arange(LEFT, RIGHT, 0.1)
plt.figure(figsize=(9, 7))
for place, (name, (function, slope)) in enumerate(functions.items(), start=1):
    plt.subplot(2, 2, place)
    plt.title(name)
    plt.plot(x, function(x), label="value")
    if slope is not None:
        plt.plot(x, slope(x), linestyle="--", label="slope")
        plt.legend()
print(softmax(np.array([0.3, 2.9, 4.0])))  # 0.018 0.245 0.737
plt.show()
