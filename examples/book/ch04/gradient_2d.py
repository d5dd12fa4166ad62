"""Section 4.4: the gradient of x0**2 + x1**2 as arrows; they point away from where the function falls."""

import matplotlib.pylab as plt
import numpy as np

from cnn_core.book.gradient import numerical_gradient_2d

STEP = 0.25


def bowl(x):
    return np.sum(x**2) if x.ndim == 1 else np.sum(x**2, axis=1)


x0 = np.arange(-2, 2.5, STEP)
x1 = np.arange(-2, 2.5, STEP)
X, Y = np.meshgrid(x0, x1)
X, Y = X.flatten(), Y.flatten()

grad = numerical_gradient_2d(bowl, np.array([X, Y]).T).T
print(numerical_gradient_2d(bowl, np.array([3.0, 4.0])))  # 6 and 8

plt.figure()
plt.quiver(X, Y, -grad[0], -grad[1], angles="xy", color="#666666")
plt.xlim([-2, 2])
plt.ylim([-2, 2])
plt.xlabel("x0")
plt.ylabel("x1")
plt.grid()
plt.show()
