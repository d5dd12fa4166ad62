"""Kernels with bugs, for the check of the contract to find."""

from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task

import_kernel_api()

cdef enum:
    GRAIN = 1 << 10

cdef struct Job:
    const void *x
    void *y
    Py_ssize_t n


cdef void _total(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(first, last):
        (<real *> job.y)[0] += (<const real *> job.x)[i]    # every worker into the same memory


def total(const real[::1] x, real[::1] y, int n_threads):
    """A race."""
    cdef Job job = Job(&x[0], &y[0], x.shape[0])
    with nogil:
        parallel_for(<task> &_total[real], &job, x.shape[0], GRAIN, NULL, 0, n_threads)


cdef void _shift(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(first, last):
        (<real *> job.y)[i + (i == job.n - 1)] = 2 * (<const real *> job.x)[i]


def shift(const real[::1] x, real[::1] y, int n_threads):
    """The last element lands behind the end."""
    cdef Job job = Job(&x[0], &y[0], x.shape[0])
    with nogil:
        parallel_for(<task> &_shift[real], &job, x.shape[0], GRAIN, NULL, 0, n_threads)


def skip(const real[::1] x, real[::1] y, int n_threads):
    """The last element is forgotten."""
    cdef Job job = Job(&x[0], &y[0], x.shape[0])
    with nogil:
        parallel_for(<task> &_shift[real], &job, x.shape[0] - 1, GRAIN, NULL, 0, n_threads)
