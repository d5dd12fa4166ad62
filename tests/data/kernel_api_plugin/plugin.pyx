"""A kernel in Cython: y = 2 x in either precision."""

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task

import_kernel_api()

cdef struct Job:
    const void *x
    void *y


cdef void _twice(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(first, last):
        scratch[0] = (<const real *> job.x)[i]
        (<real *> job.y)[i] = scratch[0] + (<const real *> job.x)[i]


def doubled(const real[::1] x, real[::1] y, int n_threads):
    cdef Job job = Job(&x[0], &y[0])
    cdef void *scratch = allocate(64 * n_threads)
    if scratch is NULL:
        raise MemoryError
    with nogil:
        parallel_for(<task> &_twice[real], &job, x.shape[0], 1000, scratch, 64, n_threads)
    release(scratch)
