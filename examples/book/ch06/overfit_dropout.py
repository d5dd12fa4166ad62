"""Section 6.4.3: the same 300 images with dropout, by the trainer. The book ends near 0.67 and 0.55."""

import os
import sys

sys.path.append(os.pardir)
import matplotlib.pyplot as plt
import numpy as np

from cnn_core.book.mnist import load_mnist
from cnn_core.book.multi_layer_net_extend import MultiLayerNetExtend
from cnn_core.book.trainer import Trainer

EPOCHS, USE_DROPOUT, DROPOUT_RATIO = 301, True, 0.2

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
x_train = x_train[:300]
t_train = t_train[:300]

network = MultiLayerNetExtend(
    input_size=784,
    hidden_size_list=[100, 100, 100, 100, 100, 100],
    output_size=10,
    use_dropout=USE_DROPOUT,
    dropout_ration=DROPOUT_RATIO,
)
trainer = Trainer(
    network,
    x_train,
    t_train,
    x_test,
    t_test,
    epochs=EPOCHS,
    mini_batch_size=100,
    optimizer="sgd",
    optimizer_param={"lr": 0.01},
    verbose=True,
)
trainer.train()
train_acc_list, test_acc_list = trainer.train_acc_list, trainer.test_acc_list

x = np.arange(len(train_acc_list))
plt.plot(x, train_acc_list, marker="o", label="train", markevery=10)
plt.plot(x, test_acc_list, marker="s", label="test", markevery=10)
plt.xlabel("epochs")
plt.ylabel("accuracy")
plt.ylim(0, 1.0)
plt.legend(loc="lower right")
plt.show()
