"""Softmax and log-softmax along the middle axis of (outer, classes, inner), and their gradients.

Contract, guaranteed by cnn_core.functional and not checked again here:
  * all arrays of a call have the same shape, without an empty axis; outputs do not overlap inputs;
  * ``scratch`` has n_threads rows of 2 * LANES * classes elements.
Every element of the output is written. The maximum is subtracted before the exponential: nothing overflows.

Samples whose classes are many and contiguous are done one by one, along their rows. Others are done LANES
side by side (lanes.pxd): the loops over lanes vectorise for any number of classes, and a sample's sums run
over its classes in their order. Either way a sample's results are the same whichever samples are beside it.
"""

from libc.math cimport log

from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task
from lanes cimport LANES, Samples, are_rows, gather, grain, lane_maxima, n_items, scatter
from cnn_core.vector_math cimport exp
from vector_sums cimport dot_of, largest_of, sum_of

import_kernel_api()

LANE_COUNT = LANES

cdef struct Job:
    Samples samples
    const void *a     # x, or dy
    const void *y
    void *out
    bint is_log


cdef void _softmax_rows(const Job *job, Py_ssize_t first, Py_ssize_t last, real *z) noexcept nogil:
    cdef Py_ssize_t sample, c, classes = job.samples.classes
    cdef const real *x
    cdef real *y
    cdef real largest, scale
    for sample in range(first, last):
        x = <const real *> job.a + sample * classes
        y = <real *> job.out + sample * classes
        largest = largest_of(x, classes)
        for c in range(classes):
            z[c] = exp(x[c] - largest)
        if job.is_log:
            scale = <real> log(sum_of(z, classes))
            for c in range(classes):
                y[c] = (x[c] - largest) - scale
        else:
            scale = <real> (1 / sum_of(z, classes))
            for c in range(classes):
                y[c] = z[c] * scale


cdef void _softmax_lanes(const Job *job, Py_ssize_t first, Py_ssize_t last, real *z) noexcept nogil:
    cdef Py_ssize_t tile, c, j, classes = job.samples.classes
    cdef real m[LANES]
    cdef real v
    cdef double total[LANES]
    for tile in range(first, last):
        gather(&job.samples, tile, <const real *> job.a, z)
        lane_maxima(z, classes, m)
        for j in range(LANES):
            total[j] = 0
        if job.is_log:
            for c in range(classes):
                for j in range(LANES):
                    v = z[c * LANES + j] - m[j]
                    z[c * LANES + j] = v
                    total[j] += exp(v)
            for j in range(LANES):
                m[j] = <real> log(total[j])
            for c in range(classes):
                for j in range(LANES):
                    z[c * LANES + j] -= m[j]
        else:
            for c in range(classes):
                for j in range(LANES):
                    v = exp(z[c * LANES + j] - m[j])
                    z[c * LANES + j] = v
                    total[j] += v
            for j in range(LANES):
                m[j] = <real> (1 / total[j])
            for c in range(classes):
                for j in range(LANES):
                    z[c * LANES + j] *= m[j]
        scatter(&job.samples, tile, z, <real *> job.out)


def softmax(const real[:, :, ::1] x, real[:, :, ::1] y, real[:, ::1] scratch, bint is_log, int n_threads):
    """y = exp(x) / sum over classes of exp(x), or its logarithm."""
    cdef Job job = Job(
        Samples(x.shape[0] * x.shape[2], x.shape[1], x.shape[2]), &x[0, 0, 0], NULL, &y[0, 0, 0], is_log
    )
    cdef task run = <task> &_softmax_rows[real] if are_rows(&job.samples) else <task> &_softmax_lanes[real]
    with nogil:
        parallel_for(run, &job, n_items(&job.samples), grain(&job.samples),
                     &scratch[0, 0], scratch.shape[1] * sizeof(real), n_threads)


cdef void _backward_rows(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t sample, c, classes = job.samples.classes
    cdef const real *dy
    cdef const real *y
    cdef real *dx
    cdef real s
    for sample in range(first, last):
        dy = <const real *> job.a + sample * classes
        y = <const real *> job.y + sample * classes
        dx = <real *> job.out + sample * classes
        if job.is_log:
            s = <real> sum_of(dy, classes)
            for c in range(classes):
                dx[c] = dy[c] - exp(y[c]) * s
        else:
            s = <real> dot_of(dy, y, classes)
            for c in range(classes):
                dx[c] = (dy[c] - s) * y[c]


cdef void _backward_lanes(const Job *job, Py_ssize_t first, Py_ssize_t last, real *g) noexcept nogil:
    cdef Py_ssize_t tile, c, j, classes = job.samples.classes
    cdef real *y = g + classes * LANES
    cdef double dot[LANES]
    cdef real s[LANES]
    for tile in range(first, last):
        gather(&job.samples, tile, <const real *> job.a, g)
        gather(&job.samples, tile, <const real *> job.y, y)
        for j in range(LANES):
            dot[j] = 0
        if job.is_log:
            for c in range(classes):
                for j in range(LANES):
                    dot[j] += g[c * LANES + j]
            for j in range(LANES):
                s[j] = <real> dot[j]
            for c in range(classes):
                for j in range(LANES):
                    g[c * LANES + j] -= exp(y[c * LANES + j]) * s[j]
        else:
            for c in range(classes):
                for j in range(LANES):
                    dot[j] += <double> g[c * LANES + j] * y[c * LANES + j]
            for j in range(LANES):
                s[j] = <real> dot[j]
            for c in range(classes):
                for j in range(LANES):
                    g[c * LANES + j] = (g[c * LANES + j] - s[j]) * y[c * LANES + j]
        scatter(&job.samples, tile, g, <real *> job.out)


def softmax_backward(
    const real[:, :, ::1] dy, const real[:, :, ::1] y, real[:, :, ::1] dx, real[:, ::1] scratch,
    bint is_log, int n_threads,
):
    """dx = y * (dy - sum of dy * y), or, for the logarithm, dx = dy - exp(y) * sum of dy."""
    cdef Job job = Job(
        Samples(dy.shape[0] * dy.shape[2], dy.shape[1], dy.shape[2]),
        &dy[0, 0, 0], &y[0, 0, 0], &dx[0, 0, 0], is_log,
    )
    cdef task run = <task> &_backward_rows[real] if are_rows(&job.samples) else <task> &_backward_lanes[real]
    with nogil:
        parallel_for(run, &job, n_items(&job.samples), grain(&job.samples),
                     &scratch[0, 0], scratch.shape[1] * sizeof(real), n_threads)
