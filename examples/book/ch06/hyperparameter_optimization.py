"""Section 6.5.3: a random search for learning rate and weight decay.

The book's best trials reach 0.8; their learning rates lie between 0.001 and 0.01.
"""

import os
import sys

sys.path.append(os.pardir)
import matplotlib.pyplot as plt
import numpy as np

from cnn_core.book.mnist import load_mnist
from cnn_core.book.multi_layer_net import MultiLayerNet
from cnn_core.book.trainer import Trainer
from cnn_core.book.util import shuffle_dataset

TRIALS, EPOCHS = 100, 50

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
x_train = x_train[:500]  # few, to have many trials
t_train = t_train[:500]

validation_num = int(x_train.shape[0] * 0.20)
x_train, t_train = shuffle_dataset(x_train, t_train)
x_val, t_val = x_train[:validation_num], t_train[:validation_num]
x_train, t_train = x_train[validation_num:], t_train[validation_num:]


def train(lr, weight_decay):
    network = MultiLayerNet(
        input_size=784,
        hidden_size_list=[100, 100, 100, 100, 100, 100],
        output_size=10,
        weight_decay_lambda=weight_decay,
    )
    trainer = Trainer(
        network,
        x_train,
        t_train,
        x_val,
        t_val,
        epochs=EPOCHS,
        mini_batch_size=100,
        optimizer="sgd",
        optimizer_param={"lr": lr},
        verbose=False,
    )
    trainer.train()
    return trainer.test_acc_list, trainer.train_acc_list


results_val, results_train = {}, {}
for _ in range(TRIALS):
    weight_decay = 10 ** np.random.uniform(-8, -4)
    lr = 10 ** np.random.uniform(-6, -2)
    key = f"lr:{lr:.2e}, weight decay:{weight_decay:.2e}"
    results_val[key], results_train[key] = train(lr, weight_decay)
    print(f"val acc:{results_val[key][-1]} | {key}")

print("=========== the best ===========")
plt.figure(figsize=(13, 10))
best = sorted(results_val.items(), key=lambda item: item[1][-1], reverse=True)[:20]
for i, (key, val_acc_list) in enumerate(best):
    print(f"{i + 1}: val acc {val_acc_list[-1]} | {key}")
    plt.subplot(4, 5, i + 1)
    plt.title(f"Best-{i + 1}")
    plt.ylim(0.0, 1.0)
    if i % 5:
        plt.yticks([])
    plt.xticks([])
    x = np.arange(len(val_acc_list))
    plt.plot(x, val_acc_list)
    plt.plot(x, results_train[key], "--")
plt.show()
