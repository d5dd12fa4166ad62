"""Section 5.7.3: backpropagation against numerical differentiation, on three images (some seconds)."""

import os
import sys

sys.path.append(os.pardir)
import numpy as np

from cnn_core.book.mnist import load_mnist
from cnn_core.book.two_layer_net import TwoLayerNet

HIDDEN = 50

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, one_hot_label=True)
network = TwoLayerNet(input_size=784, hidden_size=HIDDEN, output_size=10)

x_batch = x_train[:3]
t_batch = t_train[:3]
grad_numerical = network.numerical_gradient(x_batch, t_batch)
grad_backprop = network.gradient(x_batch, t_batch)
for key in grad_numerical:
    diff = np.average(np.abs(grad_backprop[key] - grad_numerical[key]))
    print(f"{key}:{diff}")
