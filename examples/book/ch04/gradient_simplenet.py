"""Section 4.4.2: the gradient of a network's loss with respect to its weights."""

import os
import sys

sys.path.append(os.pardir)  # as in the book, whose packages lie one folder up; it does no harm
import numpy as np

from cnn_core.book.functions import cross_entropy_error, softmax
from cnn_core.book.gradient import numerical_gradient
from cnn_core.book.simple_net import simpleNet

x = np.array([0.6, 0.9])
t = np.array([0, 0, 1])

net = simpleNet()
print("weights:", net.W, sep="\n")
p = net.predict(x)
print("scores:", p, "largest at", np.argmax(p))
print("loss:", net.loss(x, t), "=", cross_entropy_error(softmax(p), t))

f = lambda w: net.loss(x, t)
dW = numerical_gradient(f, net.W)
print("gradient:", dW, sep="\n")

before = net.loss(x, t)
net.W -= 0.1 * dW
print("loss after a step against it:", net.loss(x, t), "<", before)
