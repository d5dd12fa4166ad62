"""Section 7.4: a convolution as a matrix product, and col2im, which adds overlapping windows."""

from cnn_core.book.layers import Convolution
from cnn_core.book.util import *

IMAGES = 10

x = np.random.rand(IMAGES, 3, 7, 7)
col = im2col(x, 5, 5, stride=1, pad=0)
print(col.shape)  # nine windows of each image, 75 numbers in each: (90, 75)

W, b = np.random.randn(4, 3, 5, 5), np.random.randn(4)
size = conv_output_size(7, 5, stride=1, pad=0)
product = np.dot(col, W.reshape(4, -1).T) + b
by_matrix = product.reshape(IMAGES, size, size, 4).transpose(0, 3, 1, 2)
print("largest difference:", np.abs(by_matrix - Convolution(W, b).forward(x)).max())

counts = col2im(np.ones_like(col), x.shape, 5, 5, stride=1, pad=0)
print("windows that see each pixel:", counts[0, 0].astype(int), sep="\n")
