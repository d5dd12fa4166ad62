"""Section 7.6.1: what the learned filters see in a picture. Run train_convnet.py first.

The book has a photograph; here a disc, a square and stripes are drawn, so that edges of all directions occur.
"""

import matplotlib.pyplot as plt
import numpy as np

from cnn_core.book.layers import Convolution
from cnn_core.book.simple_convnet import SimpleConvNet

PARAMS, FILTERS, SIZE = "params.pkl", 16, 128


def filter_show(filters, nx=4, show_num=16):
    FN = filters.shape[0]
    ny = int(np.ceil(show_num / nx))
    fig = plt.figure()
    fig.subplots_adjust(left=0, right=1, bottom=0, top=1, hspace=0.05, wspace=0.05)
    for i in range(min(show_num, FN)):
        ax = fig.add_subplot(ny, nx, i + 1, xticks=[], yticks=[])
        ax.imshow(filters[i, 0], cmap=plt.cm.gray_r, interpolation="nearest")


row, column = np.mgrid[0:SIZE, 0:SIZE] / SIZE
img = np.full((SIZE, SIZE), 0.2)
img[(row - 0.3) ** 2 + (column - 0.3) ** 2 < 0.04] = 0.9
img[(abs(row - 0.3) < 0.18) & (abs(column - 0.75) < 0.18)] = 0.6
stripes = row > 0.6
img[stripes] = 0.5 + 0.4 * np.sin(40 * (row + column)[stripes])
img = img.reshape(1, 1, *img.shape)

network = SimpleConvNet(
    input_dim=(1, 28, 28),
    conv_param={"filter_num": 30, "filter_size": 5, "pad": 0, "stride": 1},
    hidden_size=100,
    output_size=10,
    weight_init_std=0.01,
)
network.load_params(PARAMS)
filter_show(network.params["W1"], 4, FILTERS)

fig = plt.figure()
for i in range(FILTERS):
    w = network.params["W1"][i]
    b = 0  # network.params["b1"][i]
    w = w.reshape(1, *w.shape)
    conv_layer = Convolution(w, b)
    out = conv_layer.forward(img)
    out = out.reshape(out.shape[2], out.shape[3])
    ax = fig.add_subplot(4, 4, i + 1, xticks=[], yticks=[])
    ax.imshow(out, cmap=plt.cm.gray_r, interpolation="nearest")
plt.show()
