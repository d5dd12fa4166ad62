"""Chapter 8: your own network on the base class of all of them, and the one that is there to be copied."""

import os
import sys

sys.path.append(os.pardir)
import numpy as np

from cnn_core.book.awesome_net import AwesomeNet
from cnn_core.book.layers import Affine, Convolution, Pooling, Relu, SoftmaxWithLoss
from cnn_core.book.mnist import load_mnist
from cnn_core.book.network import Network
from cnn_core.book.trainer import Trainer

EPOCHS, IMAGES = 2, 10000


class TwoConvNet(Network):
    def __init__(self):
        self.params = {
            "W1": np.random.randn(8, 1, 5, 5) * np.sqrt(2 / 25),
            "b1": np.zeros(8),
            "W2": np.random.randn(16, 8, 3, 3) * np.sqrt(2 / 72),
            "b2": np.zeros(16),
            "W3": np.random.randn(16 * 5 * 5, 10) * np.sqrt(2 / 400),
            "b3": np.zeros(10),
        }
        self.layers = [
            Convolution(self.params["W1"], self.params["b1"]),
            Relu(),
            Pooling(2, 2),
            Convolution(self.params["W2"], self.params["b2"]),
            Relu(),
            Pooling(2, 2),
            Affine(self.params["W3"], self.params["b3"]),
        ]
        self.last_layer = SoftmaxWithLoss()


(x_train, t_train), (x_test, t_test) = load_mnist(flatten=False)
for network in (TwoConvNet(), AwesomeNet()):
    trainer = Trainer(
        network,
        x_train[:IMAGES],
        t_train[:IMAGES],
        x_test,
        t_test,
        epochs=EPOCHS,
        optimizer="Adam",
        optimizer_param={"lr": 0.002},
        verbose=False,
    )
    trainer.train()
    accuracy = network.accuracy(x_test, t_test, batch_size=500)
    print(f"{type(network).__name__}: {accuracy} after epochs at {trainer.test_acc_list}")
