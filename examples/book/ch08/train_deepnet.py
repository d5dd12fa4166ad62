"""Section 8.1: train DeepConvNet on MNIST, and keep its parameters. The book: 0.9938 in testing."""

import os
import sys

sys.path.append(os.pardir)
from cnn_core.book.deep_convnet import DeepConvNet
from cnn_core.book.mnist import load_mnist
from cnn_core.book.trainer import Trainer

EPOCHS = 20

(x_train, t_train), (x_test, t_test) = load_mnist(flatten=False)

network = DeepConvNet()
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

network.save_params("deep_convnet_params.pkl")
print("Saved Network Parameters!")
