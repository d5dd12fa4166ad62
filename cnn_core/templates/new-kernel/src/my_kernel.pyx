"""SiLU, y = x * sigmoid(x), and its gradient, over flat arrays.

Contract, guaranteed by my_kernel.functional and not checked again here:
  * all arrays of a call have the same length, at least 1; outputs do not overlap inputs.
Every element of the output is written. NaN goes through.

A literal 1 beside a ``real`` would be a double to Cython, and with it the arithmetic: hence ``one``.
"""

from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task
from cnn_core.vector_math cimport exp

import_kernel_api()

cdef enum:
    GRAIN = 1 << 13    # elements that make a range worth a thread: some ten microseconds

cdef struct Job:
    const void *dy     # NULL in the forward pass
    const void *x
    void *out


cdef void _forward(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *restrict x = <const real *> job.x
    cdef real *restrict y = <real *> job.out
    cdef real one = 1
    cdef Py_ssize_t i
    for i in range(first, last):
        y[i] = x[i] / (one + exp(-x[i]))


def forward(
    const real[::1] x,     # IN
    real[::1] y,           # OUT  same length
    int n_threads,
):
    """y = x * sigmoid(x)."""
    cdef Job job = Job(NULL, &x[0], &y[0])
    with nogil:
        parallel_for(<task> &_forward[real], &job, x.shape[0], GRAIN, NULL, 0, n_threads)


cdef void _backward(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *restrict dy = <const real *> job.dy
    cdef const real *restrict x = <const real *> job.x
    cdef real *restrict dx = <real *> job.out
    cdef real one = 1, sigmoid
    cdef Py_ssize_t i
    for i in range(first, last):
        sigmoid = one / (one + exp(-x[i]))
        dx[i] = dy[i] * sigmoid * (one + x[i] * (one - sigmoid))


def backward(
    const real[::1] dy,    # IN
    const real[::1] x,     # IN   same length
    real[::1] dx,          # OUT  same length
    int n_threads,
):
    """dx = dy * s * (1 + x * (1 - s)) with s = sigmoid(x)."""
    cdef Job job = Job(&dy[0], &x[0], &dx[0])
    with nogil:
        parallel_for(<task> &_backward[real], &job, x.shape[0], GRAIN, NULL, 0, n_threads)
