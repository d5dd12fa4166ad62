"""Section 8.1.1: the first images that DeepConvNet gets wrong. Run train_deepnet.py first."""

import os
import sys

sys.path.append(os.pardir)
import matplotlib.pyplot as plt
import numpy as np

from cnn_core.book.deep_convnet import DeepConvNet
from cnn_core.book.mnist import load_mnist

BATCH_SIZE, MOST = 100, 20

(x_train, t_train), (x_test, t_test) = load_mnist(flatten=False)

network = DeepConvNet()
network.load_params("deep_convnet_params.pkl")

classified_ids = []
acc = 0.0
for i in range(int(x_test.shape[0] / BATCH_SIZE)):
    tx = x_test[i * BATCH_SIZE : (i + 1) * BATCH_SIZE]
    tt = t_test[i * BATCH_SIZE : (i + 1) * BATCH_SIZE]
    y = network.predict(tx, train_flg=False)
    y = np.argmax(y, axis=1)
    classified_ids.append(y)
    acc += np.sum(y == tt)
print("test accuracy:", acc / x_test.shape[0])

classified_ids = np.array(classified_ids).flatten()
wrong = np.flatnonzero(classified_ids != t_test[: len(classified_ids)])
fig = plt.figure(figsize=(10, 8))
fig.subplots_adjust(left=0, right=1, bottom=0, top=1, hspace=0.2, wspace=0.2)
print("(label, inference):")
for view, i in enumerate(wrong[:MOST], start=1):
    ax = fig.add_subplot(4, 5, view, xticks=[], yticks=[])
    ax.imshow(x_test[i].reshape(28, 28), cmap=plt.cm.gray_r, interpolation="nearest")
    print(f"{view}: ({t_test[i]}, {classified_ids[i]})")
plt.show()
