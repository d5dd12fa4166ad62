"""Section 7.5: what SimpleConvNet is made of, and what an image becomes on its way through."""

import os
import sys

sys.path.append(os.pardir)
import numpy as np

from cnn_core.book.simple_convnet import SimpleConvNet

IMAGES = 10

network = SimpleConvNet(
    input_dim=(1, 28, 28),
    conv_param={"filter_num": 30, "filter_size": 5, "pad": 0, "stride": 1},
    hidden_size=100,
    output_size=10,
    weight_init_std=0.01,
)
for key, param in network.params.items():
    print(f"{key}: {param.shape}")
print("parameters:", sum(param.size for param in network.params.values()))  # 433890
print("the layers hold the same arrays:", network.layers["Conv1"].W is network.params["W1"])

x = np.random.rand(IMAGES, 1, 28, 28)
t = np.random.randint(0, 10, IMAGES)
out = x
for name, layer in network.layers.items():
    out = layer.forward(out)
    print(f"{name}: {out.shape}")
print("loss:", network.last_layer.forward(out, t), "near", np.log(10))

grads = network.gradient(x, t)
network.params["W1"] -= 0.1 * grads["W1"]
print("moved by", np.abs(0.1 * network.layers["Conv1"].dW).max(), "to a loss of", network.loss(x, t))
