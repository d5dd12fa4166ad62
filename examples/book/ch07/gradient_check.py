"""Section 7.5: backpropagation through a convolution against numerical differentiation, on a small image."""

import numpy as np

from cnn_core.book.simple_convnet import SimpleConvNet

SIZE = 10

network = SimpleConvNet(
    input_dim=(1, SIZE, SIZE),
    conv_param={"filter_num": 10, "filter_size": 3, "pad": 0, "stride": 1},
    hidden_size=10,
    output_size=10,
    weight_init_std=0.01,
)
X = np.random.rand(SIZE * SIZE).reshape((1, 1, SIZE, SIZE))
T = np.array([1]).reshape((1, 1))

grad_num = network.numerical_gradient(X, T)
grad = network.gradient(X, T)
for key, val in grad_num.items():
    print(key, np.abs(val - grad[key]).mean())
