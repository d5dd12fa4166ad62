"""Section 5.7: a network of one's own, as an ordered dict of layers, trained with its own gradient method."""

import os
import sys

sys.path.append(os.pardir)
from collections import OrderedDict

from cnn_core.book.gradient import numerical_gradient
from cnn_core.book.layers import *
from cnn_core.book.mnist import load_mnist

ITERATIONS, BATCH_SIZE = 1000, 100


class ThreeLayerNet:
    def __init__(self, sizes):
        self.params = {}
        self.layers = OrderedDict()
        for n in range(1, len(sizes)):
            self.params["W" + str(n)] = np.random.randn(sizes[n - 1], sizes[n]) / np.sqrt(sizes[n - 1])
            self.params["b" + str(n)] = np.zeros(sizes[n])
            self.layers["Affine" + str(n)] = Affine(self.params["W" + str(n)], self.params["b" + str(n)])
            if n < len(sizes) - 1:
                self.layers["Sigmoid" + str(n)] = Sigmoid()
        self.lastLayer = SoftmaxWithLoss()

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.lastLayer.forward(self.predict(x), t)

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.lastLayer.backward(1)
        layers = list(self.layers.values())
        layers.reverse()
        for layer in layers:
            dout = layer.backward(dout)
        return {key: getattr(self.layers["Affine" + key[1:]], "d" + key[0]) for key in self.params}


(x_train, t_train), (x_test, t_test) = load_mnist(one_hot_label=True)
network = ThreeLayerNet((784, 50, 30, 10))
loss_W = lambda W: network.loss(x_train[:2], t_train[:2])
numerical = numerical_gradient(loss_W, network.params["W3"])
difference = np.abs(numerical - network.gradient(x_train[:2], t_train[:2])["W3"]).mean()
print("gradient check of W3:", difference)

for _ in range(ITERATIONS):
    mask = np.random.choice(len(x_train), BATCH_SIZE)
    grads = network.gradient(x_train[mask], t_train[mask])
    for key in network.params.keys():
        network.params[key] -= 0.5 * grads[key]
print("loss:", network.loss(x_train[mask], t_train[mask]))
print("accuracy:", np.mean(softmax(network.predict(x_test)).argmax(axis=1) == t_test.argmax(axis=1)))
