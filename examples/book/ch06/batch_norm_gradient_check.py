"""Section 6.3.1: the gradient of batch normalisation.

With one image, as the book's script has it, every value is its own mean and all gradients are zero or on a
kink. Four images say more.
"""

import os
import sys

sys.path.append(os.pardir)
import numpy as np

from cnn_core.book.mnist import load_mnist
from cnn_core.book.multi_layer_net_extend import MultiLayerNetExtend

IMAGES, HIDDEN = 4, [20, 20]

(x_train, t_train), (x_test, t_test) = load_mnist(one_hot_label=True)
network = MultiLayerNetExtend(input_size=784, hidden_size_list=HIDDEN, output_size=10, use_batchnorm=True)

x_batch = x_train[:IMAGES]
t_batch = t_train[:IMAGES]
grad_backprop = network.gradient(x_batch, t_batch)
grad_numerical = network.numerical_gradient(x_batch, t_batch)
for key in grad_numerical.keys():
    diff = np.average(np.abs(grad_backprop[key] - grad_numerical[key]))
    print(f"{key}:{diff}")
