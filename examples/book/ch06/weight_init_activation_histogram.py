"""Section 6.2.2: what five layers make of a thousand inputs, by the scale of their first weights."""

import matplotlib.pyplot as plt
import numpy as np

from cnn_core.book.functions import relu, sigmoid

INPUTS, NODES, LAYERS = 1000, 100, 5

functions = {"sigmoid": sigmoid, "tanh": np.tanh, "ReLU": relu}
scales = {"1": 1.0, "0.01": 0.01, "Xavier": np.sqrt(1.0 / NODES), "He": np.sqrt(2.0 / NODES)}

for name, function in functions.items():
    plt.figure(name, figsize=(12, 9))
    for row, (scale, std) in enumerate(scales.items()):
        x = np.random.randn(INPUTS, NODES)
        for layer in range(LAYERS):
            w = np.random.randn(NODES, NODES) * std
            x = function(np.dot(x, w))
            plt.subplot(len(scales), LAYERS, row * LAYERS + layer + 1)
            plt.title(f"{scale}: layer {layer + 1}", fontsize=8)
            if layer != 0:
                plt.yticks([], [])
            plt.hist(x.flatten(), 30)
        print(f"{name}, {scale}: the last layer has mean {x.mean():.4f}, standard deviation {x.std():.4f}")
plt.show()
