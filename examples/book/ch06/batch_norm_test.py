"""Section 6.3.2: learning with and without batch normalisation, for sixteen scales of the first weights."""

import os
import sys

sys.path.append(os.pardir)
import matplotlib.pyplot as plt
import numpy as np

from cnn_core.book.mnist import load_mnist
from cnn_core.book.multi_layer_net_extend import MultiLayerNetExtend
from cnn_core.book.optimizer import SGD

EPOCHS, SCALES, BATCH_SIZE, LEARNING_RATE = 20, 16, 100, 0.01

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
x_train = x_train[:1000]
t_train = t_train[:1000]


def accuracies(weight_init_std):
    """Train two networks on the same batches; return their accuracies after each epoch."""
    hidden = [100, 100, 100, 100, 100]
    bn_network = MultiLayerNetExtend(784, hidden, 10, weight_init_std=weight_init_std, use_batchnorm=True)
    network = MultiLayerNetExtend(784, hidden, 10, weight_init_std=weight_init_std)
    optimizer = SGD(lr=LEARNING_RATE)

    train_size = x_train.shape[0]
    iter_per_epoch = max(train_size // BATCH_SIZE, 1)
    bn_train_acc_list, train_acc_list = [], []
    for i in range(EPOCHS * iter_per_epoch):
        batch_mask = np.random.choice(train_size, BATCH_SIZE)
        x_batch, t_batch = x_train[batch_mask], t_train[batch_mask]
        for _network in (bn_network, network):
            grads = _network.gradient(x_batch, t_batch)
            optimizer.update(_network.params, grads)
        if i % iter_per_epoch == 0:
            train_acc_list.append(network.accuracy(x_train, t_train))
            bn_train_acc_list.append(bn_network.accuracy(x_train, t_train))
    return bn_train_acc_list, train_acc_list


plt.figure(figsize=(12, 12))
x = np.arange(EPOCHS)
for i, w in enumerate(np.logspace(0, -4, num=SCALES)):
    bn_train_acc_list, train_acc_list = accuracies(weight_init_std=w)
    print(f"scale {w:.5f}: {bn_train_acc_list[-1]:.3f} with, {train_acc_list[-1]:.3f} without")
    plt.subplot(4, 4, i + 1)
    plt.title(f"W: {w:.5f}", fontsize=8)
    plt.plot(x, bn_train_acc_list, label="Batch Normalization", markevery=2)
    plt.plot(x, train_acc_list, linestyle="--", label="Normal (without BatchNorm)", markevery=2)
    plt.ylim(0, 1.0)
    plt.yticks([] if i % 4 else [0, 0.5, 1])
    plt.xticks([])
plt.legend(loc="lower right", fontsize=6)
plt.show()
