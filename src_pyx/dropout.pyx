"""Dropout and its gradient, over flat arrays.

Contract, guaranteed by cnn_core.functional and not checked again here:
  * all arrays of a call have the same length, at least 1; outputs do not overlap inputs;
  * masks hold 0 and 1, uniform numbers are in 0 <= u < 1.
Every element of the outputs is written.
"""

from libc.stdint cimport uint8_t

from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task

import_kernel_api()

cdef enum:
    GRAIN = 1 << 15

cdef struct Job:
    const void *x
    const float *uniform
    void *y
    uint8_t *mask
    float p
    double scale


cdef void _dropout(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *x = <const real *> job.x
    cdef real *y = <real *> job.y
    cdef real scale = <real> job.scale
    cdef Py_ssize_t i
    for i in range(first, last):
        job.mask[i] = job.uniform[i] >= job.p
    for i in range(first, last):
        y[i] = x[i] * (scale * job.mask[i])


def dropout(
    const real[::1] x, const float[::1] uniform, real[::1] y, uint8_t[::1] mask,
    float p, double scale, int n_threads,
):
    """mask = uniform >= p;  y = x * mask * scale."""
    cdef Job job = Job(&x[0], &uniform[0], &y[0], &mask[0], p, scale)
    with nogil:
        parallel_for(<task> &_dropout[real], &job, x.shape[0], GRAIN, NULL, 0, n_threads)


cdef void _apply_mask(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *x = <const real *> job.x
    cdef real *y = <real *> job.y
    cdef real scale = <real> job.scale
    cdef Py_ssize_t i
    for i in range(first, last):
        y[i] = x[i] * (scale * job.mask[i])


def apply_mask(const real[::1] x, const uint8_t[::1] mask, real[::1] y, double scale, int n_threads):
    """y = x * mask * scale."""
    cdef Job job = Job(&x[0], NULL, &y[0], <uint8_t *> &mask[0], 0, scale)
    with nogil:
        parallel_for(<task> &_apply_mask[real], &job, x.shape[0], GRAIN, NULL, 0, n_threads)
