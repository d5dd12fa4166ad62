"""The book's layers and optimizers from their definitions, in loops and float64: the oracle of its tests."""

import math

import numpy as np


def images(*shape, seed=0):
    """Distinct values around zero, so that no maximum is tied and no ReLU stands on its kink."""
    rng = np.random.default_rng(seed)
    values = (np.arange(math.prod(shape)) + 0.5 + 0.4 * rng.uniform(-1, 1, math.prod(shape))) / math.prod(
        shape
    ) - 0.5
    return rng.permutation(values).reshape(shape)


def out_size(size, window, stride, pad):
    """Count the positions by walking."""
    count = 0
    while count * stride + window <= size + 2 * pad:
        count += 1
    return count


def padded(x, pad, value=0.0):
    n, c, h, w = x.shape
    out = np.full((n, c, h + 2 * pad, w + 2 * pad), value)
    out[:, :, pad : pad + h, pad : pad + w] = x
    return out


def positions(x, fh, fw, stride, pad):
    """Yield (i, j, rows, columns) of every window in the padded image."""
    for i in range(out_size(x.shape[2], fh, stride, pad)):
        for j in range(out_size(x.shape[3], fw, stride, pad)):
            yield i, j, slice(i * stride, i * stride + fh), slice(j * stride, j * stride + fw)


def crop(x, pad):
    return x[:, :, pad : x.shape[2] - pad, pad : x.shape[3] - pad]


def im2col(x, fh, fw, stride, pad):
    xp = padded(x, pad)
    rows = []
    for n in range(len(x)):
        rows += [xp[n, :, r, c].ravel() for _, _, r, c in positions(x, fh, fw, stride, pad)]
    return np.array(rows)


def col2im(col, shape, fh, fw, stride, pad):
    xp = padded(np.zeros(shape), pad)
    row = iter(col)
    for n in range(shape[0]):
        for _, _, r, c in positions(np.empty(shape), fh, fw, stride, pad):
            xp[n, :, r, c] += next(row).reshape(shape[1], fh, fw)
    return crop(xp, pad)


def convolution(x, W, b, stride, pad):
    xp, (fn, _, fh, fw) = padded(x, pad), W.shape
    out = np.empty((len(x), fn, out_size(x.shape[2], fh, stride, pad), out_size(x.shape[3], fw, stride, pad)))
    for n in range(len(x)):
        for f in range(fn):
            for i, j, r, c in positions(x, fh, fw, stride, pad):
                out[n, f, i, j] = np.sum(xp[n, :, r, c] * W[f]) + b[f]
    return out


def convolution_backward(dout, x, W, stride, pad):
    xp, (fn, _, fh, fw) = padded(x, pad), W.shape
    dxp, dW = np.zeros_like(xp), np.zeros_like(W)
    for n in range(len(x)):
        for f in range(fn):
            for i, j, r, c in positions(x, fh, fw, stride, pad):
                dxp[n, :, r, c] += dout[n, f, i, j] * W[f]
                dW[f] += dout[n, f, i, j] * xp[n, :, r, c]
    return crop(dxp, pad), dW, dout.sum(axis=(0, 2, 3))


def pooling(x, fh, fw, stride, pad, dout=None):
    """Return the maxima and, for a dout, the gradient of x."""
    xp = padded(x, pad, -np.inf)
    dxp = np.zeros_like(xp)
    out = np.empty(
        (*x.shape[:2], out_size(x.shape[2], fh, stride, pad), out_size(x.shape[3], fw, stride, pad))
    )
    for n, ch in np.ndindex(x.shape[:2]):
        for i, j, r, c in positions(x, fh, fw, stride, pad):
            window = xp[n, ch, r, c]
            first = np.unravel_index(np.argmax(window), window.shape)
            out[n, ch, i, j] = window[first]
            if dout is not None:
                dxp[n, ch, r, c][first] += dout[n, ch, i, j]
    return out, crop(dxp, pad)


def average_pooling(x, fh, fw, stride, pad, dout=None):
    """Return the means, zeros of the padding included, and, for a dout, the gradient of x."""
    xp = padded(x, pad)
    dxp = np.zeros_like(xp)
    out = np.empty(
        (*x.shape[:2], out_size(x.shape[2], fh, stride, pad), out_size(x.shape[3], fw, stride, pad))
    )
    for i, j, r, c in positions(x, fh, fw, stride, pad):
        out[:, :, i, j] = xp[:, :, r, c].sum(axis=(2, 3)) / (fh * fw)
        if dout is not None:
            dxp[:, :, r, c] += dout[:, :, i, j][:, :, None, None] / (fh * fw)
    return out, crop(dxp, pad)


def batch_norm(x, gamma, beta, dout):
    """Return y, dx, dgamma, dbeta of rows (N, D), each gradient from the chain rule, one column at a time."""
    n, d = x.shape
    y, dx, dgamma, dbeta = np.empty_like(x), np.empty_like(x), np.empty(d), np.empty(d)
    for k in range(d):
        mean = sum(x[:, k]) / n
        var = sum((x[:, k] - mean) ** 2) / n
        std = math.sqrt(var + 1e-6)
        xhat = (x[:, k] - mean) / std
        y[:, k] = gamma[k] * xhat + beta[k]
        dgamma[k], dbeta[k] = sum(dout[:, k] * xhat), sum(dout[:, k])
        # d xhat_i / d x_j = (delta_ij - 1/n - xhat_i xhat_j / n) / std
        jacobian = (np.eye(n) - 1 / n - np.outer(xhat, xhat) / n) / std
        dx[:, k] = jacobian.T @ (gamma[k] * dout[:, k])
    return y, dx, dgamma, dbeta


def softmax(x):
    y = np.empty_like(x)
    for n, row in enumerate(x):
        e = [math.exp(v - max(row)) for v in row]
        y[n] = [v / sum(e) for v in e]
    return y


def optimizer_walk(name, p, gradient, steps, lr, a=0.9, b=0.999):
    """Walk a single number with the book's formulas, in Python floats; return all its values."""
    v = m = h = 0.0
    walk = []
    for t in range(1, steps + 1):
        g = gradient(p)
        if name == "SGD":
            p = p - lr * g
        elif name == "Momentum":
            v = a * v - lr * g
            p = p + v
        elif name == "Nesterov":
            p = p + a * a * v - (1 + a) * lr * g
            v = a * v - lr * g
        elif name == "AdaGrad":
            h = h + g * g
            p = p - lr * g / (math.sqrt(h) + 1e-7)
        elif name == "RMSprop":
            h = a * h + (1 - a) * g * g
            p = p - lr * g / (math.sqrt(h) + 1e-7)
        elif name == "Adam":
            m = a * m + (1 - a) * g
            v = b * v + (1 - b) * g * g
            p = p - lr * math.sqrt(1 - b**t) / (1 - a**t) * m / (math.sqrt(v) + 1e-7)
        walk.append(p)
    return walk
