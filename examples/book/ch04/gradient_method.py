"""Section 4.4.1: walk down x0**2 + x1**2, with a good learning rate and with two bad ones."""

import matplotlib.pylab as plt
import numpy as np

from cnn_core.book.gradient import gradient_descent

STEPS = 20


def bowl(x):
    return x[0] ** 2 + x[1] ** 2


init_x = np.array([-3.0, 4.0])
x, x_history = gradient_descent(bowl, init_x, lr=0.1, step_num=STEPS)
print("learning rate 0.1:", x)
print("learning rate 10:", gradient_descent(bowl, init_x, lr=10.0, step_num=STEPS)[0])
print("learning rate 1e-10:", gradient_descent(bowl, init_x, lr=1e-10, step_num=STEPS)[0])

plt.plot([-5, 5], [0, 0], "--b")
plt.plot([0, 0], [-5, 5], "--b")
plt.plot(x_history[:, 0], x_history[:, 1], "o")
plt.xlim(-3.5, 3.5)
plt.ylim(-4.5, 4.5)
plt.xlabel("X0")
plt.ylabel("X1")
plt.show()
