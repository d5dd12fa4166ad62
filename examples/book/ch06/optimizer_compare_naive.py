"""Section 6.1: the ways of four optimizers down x**2 / 20 + y**2, a long and narrow valley."""

import os
import sys

sys.path.append(os.pardir)
from collections import OrderedDict

import matplotlib.pyplot as plt
import numpy as np

from cnn_core.book.optimizer import *

STEPS, GRID = 30, 0.01


def f(x, y):
    return x**2 / 20.0 + y**2


def df(x, y):
    return x / 10.0, 2.0 * y


init_pos = (-7.0, 2.0)
params = {}
params["x"], params["y"] = init_pos[0], init_pos[1]
grads = {}
grads["x"], grads["y"] = 0, 0

optimizers = OrderedDict()
optimizers["SGD"] = SGD(lr=0.95)
optimizers["Momentum"] = Momentum(lr=0.1)
optimizers["AdaGrad"] = AdaGrad(lr=1.5)
optimizers["Adam"] = Adam(lr=0.3)

X, Y = np.meshgrid(np.arange(-10, 10, GRID), np.arange(-5, 5, GRID))
Z = f(X, Y)
Z[Z > 7] = 0  # leaves the far contours out

for idx, key in enumerate(optimizers, start=1):
    optimizer = optimizers[key]
    x_history, y_history = [], []
    params["x"], params["y"] = init_pos[0], init_pos[1]
    for _ in range(STEPS):
        x_history.append(params["x"])
        y_history.append(params["y"])
        grads["x"], grads["y"] = df(params["x"], params["y"])
        optimizer.update(params, grads)
    print(f"{key}: ends at {params['x']:.4f}, {params['y']:.4f}")

    plt.subplot(2, 2, idx)
    plt.plot(x_history, y_history, "o-", color="red")
    plt.contour(X, Y, Z)
    plt.ylim(-10, 10)
    plt.xlim(-10, 10)
    plt.plot(0, 0, "+")
    plt.title(key)
    plt.xlabel("x")
    plt.ylabel("y")
plt.show()
