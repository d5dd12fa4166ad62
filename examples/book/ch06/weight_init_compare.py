"""Section 6.2.4: MNIST with first weights of three scales. With 0.01 nothing is learned (a loss of 2.3)."""

import os
import sys

sys.path.append(os.pardir)
import matplotlib.pyplot as plt
import numpy as np

from cnn_core.book.mnist import load_mnist
from cnn_core.book.multi_layer_net import MultiLayerNet
from cnn_core.book.optimizer import SGD
from cnn_core.book.util import smooth_curve

ITERATIONS, BATCH_SIZE = 2000, 128

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)

weight_init_types = {"std=0.01": 0.01, "Xavier": "sigmoid", "He": "relu"}
optimizer = SGD(lr=0.01)

networks = {}
train_loss = {}
for key, weight_type in weight_init_types.items():
    networks[key] = MultiLayerNet(
        input_size=784, hidden_size_list=[100, 100, 100, 100], output_size=10, weight_init_std=weight_type
    )
    train_loss[key] = []

for i in range(ITERATIONS):
    batch_mask = np.random.choice(x_train.shape[0], BATCH_SIZE)
    x_batch = x_train[batch_mask]
    t_batch = t_train[batch_mask]
    for key in weight_init_types.keys():
        grads = networks[key].gradient(x_batch, t_batch)
        optimizer.update(networks[key].params, grads)
        train_loss[key].append(networks[key].loss(x_batch, t_batch))
    if i % 100 == 0:
        print(f"iteration {i}: " + ", ".join(f"{key} {train_loss[key][-1]:.3f}" for key in weight_init_types))

markers = {"std=0.01": "o", "Xavier": "s", "He": "D"}
x = np.arange(ITERATIONS)
for key in weight_init_types.keys():
    plt.plot(x, smooth_curve(train_loss[key]), marker=markers[key], markevery=100, label=key)
plt.xlabel("iterations")
plt.ylabel("loss")
plt.ylim(0, 2.5)
plt.legend()
plt.show()
