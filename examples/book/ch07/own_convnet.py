"""Chapter 7: a convolutional network of one's own, of every kind of layer that the book has."""

import os
import sys

sys.path.append(os.pardir)
from collections import OrderedDict

from cnn_core.book.layers import *
from cnn_core.book.mnist import load_mnist
from cnn_core.book.optimizer import Adam

ITERATIONS, BATCH_SIZE, FILTERS = 300, 100, 8


def he(*shape):
    return np.random.randn(*shape) * np.sqrt(2.0 / np.prod(shape[1:] if len(shape) == 4 else shape[:1]))


params = {
    "W1": he(FILTERS, 1, 3, 3),
    "b1": np.zeros(FILTERS),
    "gamma1": np.ones(FILTERS * 28 * 28),
    "beta1": np.zeros(FILTERS * 28 * 28),
    "W2": he(FILTERS, FILTERS, 3, 3),
    "b2": np.zeros(FILTERS),
    "W3": he(FILTERS * 7 * 7, 10),
    "b3": np.zeros(10),
}
layers = OrderedDict()
layers["Conv1"] = Convolution(params["W1"], params["b1"], stride=1, pad=1)
layers["BatchNorm1"] = BatchNormalization(params["gamma1"], params["beta1"])
layers["Relu1"] = Relu()
layers["Pool1"] = Pooling(pool_h=2, pool_w=2, stride=2)
layers["Conv2"] = Convolution(params["W2"], params["b2"], stride=1, pad=1)
layers["Relu2"] = Relu()
layers["Pool2"] = AveragePooling(pool_h=2, pool_w=2, stride=2)
layers["Dropout"] = Dropout(0.2)
layers["Affine"] = Affine(params["W3"], params["b3"])
last_layer = SoftmaxWithLoss()
owners = {"1": "Conv1", "2": "Conv2", "3": "Affine"}


def predict(x, train_flg=False):
    for key, layer in layers.items():
        knows_training = "Dropout" in key or "BatchNorm" in key
        x = layer.forward(x, train_flg) if knows_training else layer.forward(x)
    return x


def gradient(x, t):
    last_layer.forward(predict(x, train_flg=True), t)
    dout = 1
    dout = last_layer.backward(dout)
    for layer in reversed(layers.values()):
        dout = layer.backward(dout)
    grads = {"gamma1": layers["BatchNorm1"].dgamma, "beta1": layers["BatchNorm1"].dbeta}
    for n, owner in owners.items():
        grads["W" + n], grads["b" + n] = layers[owner].dW, layers[owner].db
    return grads


(x_train, t_train), (x_test, t_test) = load_mnist(flatten=False)
optimizer = Adam(lr=0.003)
for i in range(ITERATIONS):
    mask = np.random.choice(x_train.shape[0], BATCH_SIZE)
    optimizer.update(params, gradient(x_train[mask], t_train[mask]))
    if i % 50 == 0:
        print(f"loss after {i} steps: {last_layer.loss}")
print("accuracy:", np.mean(predict(x_test).argmax(axis=1) == t_test))
