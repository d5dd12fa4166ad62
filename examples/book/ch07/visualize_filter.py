"""Section 7.6.1: the filters of the first layer before and after learning. Run train_convnet.py first."""

import matplotlib.pyplot as plt
import numpy as np

from cnn_core.book.simple_convnet import SimpleConvNet

PARAMS = "params.pkl"


def filter_show(filters, title, nx=8):
    FN = filters.shape[0]
    ny = int(np.ceil(FN / nx))
    fig = plt.figure(title)
    fig.subplots_adjust(left=0, right=1, bottom=0, top=1, hspace=0.05, wspace=0.05)
    for i in range(FN):
        ax = fig.add_subplot(ny, nx, i + 1, xticks=[], yticks=[])
        ax.imshow(filters[i, 0], cmap=plt.cm.gray_r, interpolation="nearest")


network = SimpleConvNet()
filter_show(network.params["W1"], "before")
network.load_params(PARAMS)
filter_show(network.params["W1"], "after")
plt.show()
