"""Section 7.5: train SimpleConvNet on MNIST, and keep its parameters. The book: 0.998 in training, 0.989 in
testing."""

import os
import sys

sys.path.append(os.pardir)
import matplotlib.pyplot as plt
import numpy as np

from cnn_core.book.mnist import load_mnist
from cnn_core.book.simple_convnet import SimpleConvNet
from cnn_core.book.trainer import Trainer

EPOCHS = 20

(x_train, t_train), (x_test, t_test) = load_mnist(flatten=False)

network = SimpleConvNet(
    input_dim=(1, 28, 28),
    conv_param={"filter_num": 30, "filter_size": 5, "pad": 0, "stride": 1},
    hidden_size=100,
    output_size=10,
    weight_init_std=0.01,
)
trainer = Trainer(
    network,
    x_train,
    t_train,
    x_test,
    t_test,
    epochs=EPOCHS,
    mini_batch_size=100,
    optimizer="Adam",
    optimizer_param={"lr": 0.001},
    evaluate_sample_num_per_epoch=1000,
)
trainer.train()

network.save_params("params.pkl")
print("Saved Network Parameters!")

x = np.arange(EPOCHS)
plt.plot(x, trainer.train_acc_list, marker="o", label="train", markevery=2)
plt.plot(x, trainer.test_acc_list, marker="s", label="test", markevery=2)
plt.xlabel("epochs")
plt.ylabel("accuracy")
plt.ylim(0, 1.0)
plt.legend(loc="lower right")
plt.show()
