"""Section 8.3.4: DeepConvNet with numbers of 16 bits recognises as well. Run train_deepnet.py first."""

import os
import sys

sys.path.append(os.pardir)
import numpy as np

from cnn_core.book.deep_convnet import DeepConvNet
from cnn_core.book.mnist import load_mnist
from cnn_core.book.params import load_params, save_params

SAMPLED = 10000  # fewer are quicker

(x_train, t_train), (x_test, t_test) = load_mnist(flatten=False)
x_test = x_test[:SAMPLED]
t_test = t_test[:SAMPLED]

network = DeepConvNet()
network.load_params("deep_convnet_params.pkl")
print("accuracy of float64 ...")
print(network.accuracy(x_test, t_test))

x_test = x_test.astype(np.float16)
for param in network.params.values():
    param[...] = param.astype(np.float16)
print("accuracy of float16 ...")
print(network.accuracy(x_test, t_test))

# The book stops here, with rounded numbers in arrays of float64. A file of float16 is a quarter as large.
save_params("half_params.pkl", {key: param.astype(np.float16) for key, param in network.params.items()})
for name in ("deep_convnet_params.pkl", "half_params.pkl"):
    print(f"{name}: {os.path.getsize(name)} bytes of {load_params(name)['W1'].dtype}")
