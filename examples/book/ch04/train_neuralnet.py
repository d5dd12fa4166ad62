"""Section 4.5: train two layers on MNIST by mini-batches. The book ends near 0.947 and 0.946."""

import os
import sys

sys.path.append(os.pardir)
import matplotlib.pyplot as plt
import numpy as np

from cnn_core.book.mnist import load_mnist
from cnn_core.book.two_layer_net_ch04 import TwoLayerNet

ITERATIONS, BATCH_SIZE, LEARNING_RATE = 10000, 100, 0.1

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, one_hot_label=True)
network = TwoLayerNet(input_size=784, hidden_size=50, output_size=10)

train_size = x_train.shape[0]
iter_per_epoch = max(train_size // BATCH_SIZE, 1)
train_loss_list = []
train_acc_list = []
test_acc_list = []

for i in range(ITERATIONS):
    batch_mask = np.random.choice(train_size, BATCH_SIZE)
    x_batch = x_train[batch_mask]
    t_batch = t_train[batch_mask]

    grad = network.gradient(x_batch, t_batch)  # numerical_gradient would do too, in hours
    for key in ("W1", "b1", "W2", "b2"):
        network.params[key] -= LEARNING_RATE * grad[key]

    train_loss_list.append(network.loss(x_batch, t_batch))
    if i % iter_per_epoch == 0:
        train_acc_list.append(network.accuracy(x_train, t_train))
        test_acc_list.append(network.accuracy(x_test, t_test))
        print(f"train acc, test acc | {train_acc_list[-1]}, {test_acc_list[-1]}")

x = np.arange(len(train_acc_list))
plt.plot(x, train_acc_list, label="train acc")
plt.plot(x, test_acc_list, label="test acc", linestyle="--")
plt.xlabel("epochs")
plt.ylabel("accuracy")
plt.ylim(0, 1.0)
plt.legend(loc="lower right")
plt.show()
