"""Section 5.7.4: the two-layer network by backpropagation. The book ends near 0.98 and 0.97."""

import os
import sys

sys.path.append(os.pardir)
import numpy as np

from cnn_core.book.mnist import load_mnist
from cnn_core.book.two_layer_net import TwoLayerNet

ITERATIONS, BATCH_SIZE, LEARNING_RATE = 10000, 100, 0.1

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, one_hot_label=True)
network = TwoLayerNet(input_size=784, hidden_size=50, output_size=10)

train_size = x_train.shape[0]
iter_per_epoch = max(train_size // BATCH_SIZE, 1)
train_loss_list, train_acc_list, test_acc_list = [], [], []

for i in range(ITERATIONS):
    batch_mask = np.random.choice(train_size, BATCH_SIZE)
    x_batch, t_batch = x_train[batch_mask], t_train[batch_mask]
    grad = network.gradient(x_batch, t_batch)
    for key in ("W1", "b1", "W2", "b2"):
        network.params[key] -= LEARNING_RATE * grad[key]
    train_loss_list.append(network.loss(x_batch, t_batch))
    if i % iter_per_epoch == 0:
        train_acc_list.append(network.accuracy(x_train, t_train))
        test_acc_list.append(network.accuracy(x_test, t_test))
        print(train_acc_list[-1], test_acc_list[-1])
print("loss of the last layer:", network.lastLayer.loss, "of", len(network.layers), "layers")
