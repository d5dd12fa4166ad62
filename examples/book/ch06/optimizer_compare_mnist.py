"""Section 6.1.8: all optimizers on a network of five layers.

The book's four end at losses near 0.15 (SGD), 0.05 (Momentum), 0.02 (AdaGrad) and 0.03 (Adam).
"""

import os
import sys

sys.path.append(os.pardir)
import matplotlib.pyplot as plt

from cnn_core.book.mnist import load_mnist
from cnn_core.book.multi_layer_net import MultiLayerNet
from cnn_core.book.optimizer import *
from cnn_core.book.util import smooth_curve

ITERATIONS, BATCH_SIZE = 2000, 128

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)

optimizers = {}
optimizers["SGD"] = SGD()
optimizers["Momentum"] = Momentum()
optimizers["Nesterov"] = Nesterov()
optimizers["AdaGrad"] = AdaGrad()
optimizers["RMSprop"] = RMSprop(lr=0.001)
optimizers["Adam"] = Adam()

networks = {}
train_loss = {}
for key in optimizers.keys():
    networks[key] = MultiLayerNet(input_size=784, hidden_size_list=[100, 100, 100, 100], output_size=10)
    train_loss[key] = []

for i in range(ITERATIONS):
    batch_mask = np.random.choice(x_train.shape[0], BATCH_SIZE)
    x_batch = x_train[batch_mask]
    t_batch = t_train[batch_mask]
    for key in optimizers.keys():
        grads = networks[key].gradient(x_batch, t_batch)
        optimizers[key].update(networks[key].params, grads)
        train_loss[key].append(networks[key].loss(x_batch, t_batch))
    if i % 100 == 0:
        print(f"=========== iteration:{i} ===========")
        for key in optimizers.keys():
            print(f"{key}:{train_loss[key][-1]}")

markers = {"SGD": "o", "Momentum": "x", "Nesterov": "v", "AdaGrad": "s", "RMSprop": "^", "Adam": "D"}
x = np.arange(ITERATIONS)
for key in optimizers.keys():
    plt.plot(x, smooth_curve(train_loss[key]), marker=markers[key], markevery=100, label=key)
plt.xlabel("iterations")
plt.ylabel("loss")
plt.ylim(0, 1)
plt.legend()
plt.show()
