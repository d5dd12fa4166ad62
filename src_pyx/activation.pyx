"""Element-wise activations and their gradients, and the sum of two arrays, over flat arrays.

Contract, guaranteed by cnn_core.functional and not checked again here:
  * all arrays of a call have the same length, at least 1; outputs do not overlap inputs.
Every element of the output is written. NaN goes through.

A literal 1 beside a ``real`` would be a double to Cython, and with it the arithmetic: hence ``one``.
"""

from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task
from cnn_core.vector_math cimport exp, tanh as tanh_of

import_kernel_api()

cdef enum:
    CHEAP = 1 << 15    # elements that make a range worth a thread: some ten microseconds
    COSTLY = 1 << 13

cdef struct Job:
    const void *a      # x, or dy
    const void *b      # what the gradient needs beside dy
    void *out
    double slope


cdef void _relu(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *restrict x = <const real *> job.a
    cdef real *restrict y = <real *> job.out
    cdef Py_ssize_t i
    cdef real v
    for i in range(first, last):
        v = x[i]
        y[i] = <real> 0 if v <= 0 else v


def relu(const real[::1] x, real[::1] y, int n_threads):
    """y = x where x > 0, else 0."""
    cdef Job job = Job(&x[0], NULL, &y[0], 0)
    with nogil:
        parallel_for(<task> &_relu[real], &job, x.shape[0], CHEAP, NULL, 0, n_threads)


cdef void _relu_backward(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *restrict dy = <const real *> job.a
    cdef const real *restrict y = <const real *> job.b
    cdef real *restrict dx = <real *> job.out
    cdef Py_ssize_t i
    cdef real v
    for i in range(first, last):
        v = dy[i]
        dx[i] = <real> 0 if y[i] <= 0 else v


def relu_backward(const real[::1] dy, const real[::1] y, real[::1] dx, int n_threads):
    """dx = 0 where y <= 0, else dy."""
    cdef Job job = Job(&dy[0], &y[0], &dx[0], 0)
    with nogil:
        parallel_for(<task> &_relu_backward[real], &job, dy.shape[0], CHEAP, NULL, 0, n_threads)


cdef void _add(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *a = <const real *> job.a
    cdef const real *b = <const real *> job.b
    cdef real *y = <real *> job.out
    cdef Py_ssize_t i
    cdef real v
    if job.slope == 0:
        for i in range(first, last):
            v = a[i] + b[i]
            y[i] = <real> 0 if v <= 0 else v
    else:
        for i in range(first, last):
            y[i] = a[i] + b[i]


def add(const real[::1] a, const real[::1] b, real[::1] y, bint relu, int n_threads):
    """y = a + b, then ReLU if asked for."""
    cdef Job job = Job(&a[0], &b[0], &y[0], 0 if relu else 1)
    with nogil:
        parallel_for(<task> &_add[real], &job, a.shape[0], CHEAP, NULL, 0, n_threads)


cdef void _leaky_relu(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *restrict x = <const real *> job.a
    cdef real *restrict y = <real *> job.out
    cdef real slope = <real> job.slope, v
    cdef Py_ssize_t i
    for i in range(first, last):
        v = x[i]
        y[i] = v if v > 0 else v * slope


def leaky_relu(const real[::1] x, real[::1] y, double slope, int n_threads):
    """y = x where x > 0, else slope * x."""
    cdef Job job = Job(&x[0], NULL, &y[0], slope)
    with nogil:
        parallel_for(<task> &_leaky_relu[real], &job, x.shape[0], CHEAP, NULL, 0, n_threads)


cdef void _leaky_relu_backward(
    const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch
) noexcept nogil:
    cdef const real *restrict dy = <const real *> job.a
    cdef const real *restrict x = <const real *> job.b
    cdef real *restrict dx = <real *> job.out
    cdef real slope = <real> job.slope, v
    cdef Py_ssize_t i
    for i in range(first, last):
        v = dy[i]
        dx[i] = v if x[i] > 0 else v * slope


def leaky_relu_backward(const real[::1] dy, const real[::1] x, real[::1] dx, double slope, int n_threads):
    """dx = dy where x > 0, else slope * dy."""
    cdef Job job = Job(&dy[0], &x[0], &dx[0], slope)
    with nogil:
        parallel_for(<task> &_leaky_relu_backward[real], &job, dy.shape[0], CHEAP, NULL, 0, n_threads)


cdef void _sigmoid(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *restrict x = <const real *> job.a
    cdef real *restrict y = <real *> job.out
    cdef real one = 1
    cdef Py_ssize_t i
    for i in range(first, last):
        y[i] = one / (one + exp(-x[i]))


def sigmoid(const real[::1] x, real[::1] y, int n_threads):
    """y = 1 / (1 + exp(-x))."""
    cdef Job job = Job(&x[0], NULL, &y[0], 0)
    with nogil:
        parallel_for(<task> &_sigmoid[real], &job, x.shape[0], COSTLY, NULL, 0, n_threads)


cdef void _sigmoid_backward(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *restrict dy = <const real *> job.a
    cdef const real *restrict y = <const real *> job.b
    cdef real *restrict dx = <real *> job.out
    cdef real one = 1
    cdef Py_ssize_t i
    for i in range(first, last):
        dx[i] = dy[i] * (one - y[i]) * y[i]


def sigmoid_backward(const real[::1] dy, const real[::1] y, real[::1] dx, int n_threads):
    """dx = dy * (1 - y) * y."""
    cdef Job job = Job(&dy[0], &y[0], &dx[0], 0)
    with nogil:
        parallel_for(<task> &_sigmoid_backward[real], &job, dy.shape[0], CHEAP, NULL, 0, n_threads)


cdef void _tanh(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *restrict x = <const real *> job.a
    cdef real *restrict y = <real *> job.out
    cdef Py_ssize_t i
    for i in range(first, last):
        y[i] = tanh_of(x[i])


def tanh(const real[::1] x, real[::1] y, int n_threads):
    """y = tanh(x)."""
    cdef Job job = Job(&x[0], NULL, &y[0], 0)
    with nogil:
        parallel_for(<task> &_tanh[real], &job, x.shape[0], COSTLY, NULL, 0, n_threads)


cdef void _tanh_backward(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *restrict dy = <const real *> job.a
    cdef const real *restrict y = <const real *> job.b
    cdef real *restrict dx = <real *> job.out
    cdef real one = 1
    cdef Py_ssize_t i
    for i in range(first, last):
        dx[i] = dy[i] * (one - y[i] * y[i])


def tanh_backward(const real[::1] dy, const real[::1] y, real[::1] dx, int n_threads):
    """dx = dy * (1 - y * y)."""
    cdef Job job = Job(&dy[0], &y[0], &dx[0], 0)
    with nogil:
        parallel_for(<task> &_tanh_backward[real], &job, dy.shape[0], CHEAP, NULL, 0, n_threads)
