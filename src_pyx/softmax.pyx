"""Softmax and log-softmax along the middle axis of (outer, classes, inner), and their gradients.

Contract, guaranteed by cnn_core.functional and not checked again here:
  * all arrays of a call have the same shape, without an empty axis; outputs do not overlap inputs.
Every element of the output is written. The maximum is subtracted before the exponential: nothing overflows.

A sample is one pair (outer, inner), and its sums run over its classes in their order, whichever samples are
beside it. How samples are taken is a matter of the shape:

    rows     inner = 1 and many classes: one by one, along their classes
    strips   inner >= LANES: neighbours of one outer, side by side where they lie. A strip of them stays in
             the cache from one pass over its classes to the next, so that memory is read once
    lanes    otherwise: LANES side by side in a copy (lanes.pxd)
"""

from libc.math cimport log

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task
from lanes cimport LANES, Samples, are_rows, gather_one_by_one, grain, n_items, scatter_one_by_one
from cnn_core.vector_math cimport exp, log_from_one
from vector_sums cimport dot_of, largest_of, sum_of

import_kernel_api()

cdef enum:
    STRIP = 1024                 # the most samples of a strip
    STRIP_ELEMENTS = 1 << 16     # of one array: 64 KB of float32
    STRETCH = 16                 # classes that are added in ``real``; sums of more are in double

cdef struct Job:
    Samples samples
    const void *a     # x, or dy
    const void *y
    void *out
    bint is_log
    task by_strips
    Py_ssize_t strips, width     # of each outer, and the samples of a strip


cdef void _softmax_rows(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t sample, c, classes = job.samples.classes
    cdef const real *restrict x
    cdef real *restrict y
    cdef real largest, scale
    for sample in range(first, last):
        x = <const real *> job.a + sample * classes
        y = <real *> job.out + sample * classes
        largest = largest_of(x, classes)
        for c in range(classes):
            y[c] = exp(x[c] - largest)
        if job.is_log:
            scale = <real> log(sum_of(<const real *> y, classes))
            for c in range(classes):
                y[c] = (x[c] - largest) - scale
        else:
            scale = <real> (1 / sum_of(<const real *> y, classes))
            for c in range(classes):
                y[c] *= scale


cdef inline Py_ssize_t strip_at(const Job *job, Py_ssize_t item, Py_ssize_t *n) noexcept nogil:
    """Where a strip begins, in its first class, and how many samples it has."""
    cdef Py_ssize_t inner = job.samples.inner, begin = item % job.strips * job.width
    n[0] = min(job.width, inner - begin)
    return item / job.strips * job.samples.classes * inner + begin


cdef inline Job job_of_tile(const Job *job, const void *a, const void *y, void *out) noexcept nogil:
    """A strip of LANES samples that were copied to lie side by side."""
    return Job(Samples(LANES, job.samples.classes, LANES), a, y, out, job.is_log, NULL, 1, LANES)


cdef void _softmax_strips(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t item, place, n, c, j, classes = job.samples.classes, inner = job.samples.inner
    cdef const real *restrict x
    cdef real *restrict y
    cdef real v
    cdef real[STRIP] largest
    cdef real[STRIP] sums
    cdef double[STRIP] totals
    for item in range(first, last):
        place = strip_at(job, item, &n)
        x = <const real *> job.a + place
        y = <real *> job.out + place
        for j in range(n):
            largest[j] = x[j]
            sums[j] = totals[j] = 0
        for c in range(1, classes):
            for j in range(n):
                largest[j] = x[c * inner + j] if x[c * inner + j] > largest[j] else largest[j]
        for c in range(classes):
            for j in range(n):
                v = exp(x[c * inner + j] - largest[j])
                sums[j] += v
                y[c * inner + j] = v
            if c % STRETCH == STRETCH - 1 or c == classes - 1:
                for j in range(n):
                    totals[j] += sums[j]
                    sums[j] = 0
        if job.is_log:
            for j in range(n):
                sums[j] = log_from_one(<real> totals[j])
            for c in range(classes):
                for j in range(n):
                    y[c * inner + j] = (x[c * inner + j] - largest[j]) - sums[j]
        else:
            for j in range(n):
                sums[j] = <real> (1 / totals[j])
            for c in range(classes):
                for j in range(n):
                    y[c * inner + j] *= sums[j]


cdef void _softmax_lanes(const Job *job, Py_ssize_t first, Py_ssize_t last, real *x) noexcept nogil:
    cdef Py_ssize_t tile, classes = job.samples.classes
    cdef real *y = x + classes * LANES
    cdef Job copies = job_of_tile(job, x, NULL, y)
    for tile in range(first, last):
        gather_one_by_one(&job.samples, tile, <const real *> job.a, x)
        job.by_strips(&copies, 0, 1, NULL)
        scatter_one_by_one(&job.samples, tile, y, <real *> job.out)


cdef void _backward_rows(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t sample, c, classes = job.samples.classes
    cdef const real *restrict dy
    cdef const real *restrict y
    cdef real *restrict dx
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


cdef void _backward_strips(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t item, place, n, c, j, classes = job.samples.classes, inner = job.samples.inner
    cdef const real *restrict dy
    cdef const real *restrict y
    cdef real *restrict dx
    cdef real[STRIP] sums
    cdef double[STRIP] totals
    for item in range(first, last):
        place = strip_at(job, item, &n)
        dy = <const real *> job.a + place
        y = <const real *> job.y + place
        dx = <real *> job.out + place
        for j in range(n):
            sums[j] = totals[j] = 0
        for c in range(classes):
            if job.is_log:
                for j in range(n):
                    sums[j] += dy[c * inner + j]
            else:
                for j in range(n):
                    sums[j] += dy[c * inner + j] * y[c * inner + j]
            if c % STRETCH == STRETCH - 1 or c == classes - 1:
                for j in range(n):
                    totals[j] += sums[j]
                    sums[j] = 0
        for j in range(n):
            sums[j] = <real> totals[j]
        for c in range(classes):
            if job.is_log:
                for j in range(n):
                    dx[c * inner + j] = dy[c * inner + j] - exp(y[c * inner + j]) * sums[j]
            else:
                for j in range(n):
                    dx[c * inner + j] = (dy[c * inner + j] - sums[j]) * y[c * inner + j]


cdef void _backward_lanes(const Job *job, Py_ssize_t first, Py_ssize_t last, real *dy) noexcept nogil:
    cdef Py_ssize_t tile, classes = job.samples.classes
    cdef real *y = dy + classes * LANES
    cdef real *dx = y + classes * LANES
    cdef Job copies = job_of_tile(job, dy, y, dx)
    for tile in range(first, last):
        gather_one_by_one(&job.samples, tile, <const real *> job.a, dy)
        gather_one_by_one(&job.samples, tile, <const real *> job.y, y)
        job.by_strips(&copies, 0, 1, NULL)
        scatter_one_by_one(&job.samples, tile, dx, <real *> job.out)


cdef int _run(Job *job, task by_rows, task by_lanes, size_t real_bytes, int n_threads) except -1 nogil:
    cdef Samples *samples = &job.samples
    cdef size_t lane_bytes
    cdef void *scratch
    if are_rows(samples):
        parallel_for(by_rows, job, samples.count, grain(samples), NULL, 0, n_threads)
    elif samples.inner >= LANES:
        job.width = min(<Py_ssize_t> STRIP, max(<Py_ssize_t> LANES, STRIP_ELEMENTS / samples.classes))
        job.strips = (samples.inner - 1) / job.width + 1
        job.width = ((samples.inner - 1) / job.strips / LANES + 1) * LANES  # all about as long
        parallel_for(
            job.by_strips, job, samples.count / samples.inner * job.strips,
            1 + 8192 / (samples.classes * job.width), NULL, 0, n_threads,
        )
    else:
        lane_bytes = 3 * LANES * samples.classes * real_bytes
        scratch = allocate(n_threads * lane_bytes)
        if scratch is NULL:
            raise MemoryError("softmax: no memory for its working buffers")
        parallel_for(by_lanes, job, n_items(samples), grain(samples), scratch, lane_bytes, n_threads)
        release(scratch)
    return 0


def softmax(const real[:, :, ::1] x, real[:, :, ::1] y, bint is_log, int n_threads):
    """y = exp(x) / sum over classes of exp(x), or its logarithm."""
    cdef Job job = Job(
        Samples(x.shape[0] * x.shape[2], x.shape[1], x.shape[2]), &x[0, 0, 0], NULL, &y[0, 0, 0], is_log,
        <task> &_softmax_strips[real], 0, 0,
    )
    with nogil:
        _run(&job, <task> &_softmax_rows[real], <task> &_softmax_lanes[real], sizeof(real), n_threads)


def softmax_backward(
    const real[:, :, ::1] dy, const real[:, :, ::1] y, real[:, :, ::1] dx, bint is_log, int n_threads,
):
    """dx = y * (dy - sum of dy * y), or, for the logarithm, dx = dy - exp(y) * sum of dy."""
    cdef Job job = Job(
        Samples(dy.shape[0] * dy.shape[2], dy.shape[1], dy.shape[2]),
        &dy[0, 0, 0], &y[0, 0, 0], &dx[0, 0, 0], is_log, <task> &_backward_strips[real], 0, 0,
    )
    with nogil:
        _run(&job, <task> &_backward_rows[real], <task> &_backward_lanes[real], sizeof(real), n_threads)
