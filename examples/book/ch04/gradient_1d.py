"""Section 4.3.2: the derivative of a function of one variable, drawn as its tangent."""

import matplotlib.pylab as plt
import numpy as np

from cnn_core.book.gradient import numerical_diff, tangent_line

PLACES = (5.0, 10.0)


def parabola(x):
    return 0.01 * x**2 + 0.1 * x


x = np.arange(0.0, 20.0, 0.1)
plt.xlabel("x")
plt.ylabel("f(x)")
plt.plot(x, parabola(x))
for place in PLACES:
    print(f"slope at {place}: {numerical_diff(parabola, place):.6f}")  # 0.2 and 0.3
    plt.plot(x, tangent_line(parabola, place)(x))
plt.show()
