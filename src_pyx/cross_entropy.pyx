"""Softmax cross-entropy from logits: the loss of each sample and its gradient, in one pass.

A sample's targets are weights q over the classes. With class weights w, label smoothing e and C classes,

    q[c] = w[c] * ((1 - e) * p[c] + e / C)       for probabilities p,
    q[c] = (1 - e) * w[t] * [c == t] + e / C * w[c]     for a label t;    all 0 if t is ignored.
    loss = sum of q[c] * (log(sum of exp(x)) - x[c])
    dx[c] = scale * (sum(q) * softmax(x)[c] - q[c])

A class with q = 0 adds nothing even where its logit is minus infinity.

Contract, guaranteed by cnn_core.functional and not checked again here:
  * x and dx are (outer, classes, inner) without an empty axis, losses (outer * inner,) in double;
  * labels are in 0 <= t < classes or equal to ignore_index; weight has one number for each class;
  * dx is None if it is not wanted.
Every element of losses and dx is written. Nothing overflows: the maximum is subtracted first.
"""

from libc.math cimport log
from libc.stdint cimport int64_t
from libc.string cimport memset

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task
from lanes cimport LANES, Samples, are_rows, gather, grain, lane_maxima, n_items, scatter
from cnn_core.vector_math cimport exp
from vector_sums cimport largest_of, sum_of

import_kernel_api()

cdef struct Job:
    Samples samples
    const void *x
    const int64_t *labels
    const void *probabilities    # NULL if there are labels
    const void *weight
    double *losses
    void *dx                     # NULL if it is not wanted
    int64_t ignore_index
    double smoothing
    double scale


cdef inline void _targets_of_labels(const Job *job, Py_ssize_t tile, real *z, real *q) noexcept nogil:
    """Fill ``q`` (classes, LANES); an ignored lane gets 0, and finite logits for a gradient of 0."""
    cdef Py_ssize_t first = tile * LANES, c, j, classes = job.samples.classes
    cdef Py_ssize_t n = min(job.samples.count - first, <Py_ssize_t> LANES)
    cdef const real *w = <const real *> job.weight
    cdef int64_t t
    cdef real share
    for c in range(classes):
        share = <real> (job.smoothing / classes * w[c])
        for j in range(LANES):
            q[c * LANES + j] = share
    for j in range(n):
        t = job.labels[first + j]
        if t == job.ignore_index:
            for c in range(classes):
                q[c * LANES + j] = 0
                z[c * LANES + j] = 0
        else:
            q[t * LANES + j] += <real> ((1 - job.smoothing) * w[t])


cdef inline void _targets_of_probabilities(const Job *job, Py_ssize_t tile, real *q) noexcept nogil:
    cdef Py_ssize_t c, j, classes = job.samples.classes
    cdef const real *w = <const real *> job.weight
    cdef real keep = <real> (1 - job.smoothing), share = <real> (job.smoothing / classes)
    gather(&job.samples, tile, <const real *> job.probabilities, q)
    for c in range(classes):
        for j in range(LANES):
            q[c * LANES + j] = (q[c * LANES + j] * keep + share) * w[c]


cdef void _lanes(const Job *job, Py_ssize_t first, Py_ssize_t last, real *z) noexcept nogil:
    cdef Py_ssize_t tile, c, j, classes = job.samples.classes
    cdef real *q = z + classes * LANES
    cdef real m[LANES]
    cdef real v, weight, scale = <real> job.scale
    cdef double total[LANES]
    cdef double dot[LANES]
    cdef double mass[LANES]
    for tile in range(first, last):
        gather(&job.samples, tile, <const real *> job.x, z)
        if job.probabilities is NULL:
            _targets_of_labels(job, tile, z, q)
        else:
            _targets_of_probabilities(job, tile, q)
        lane_maxima(z, classes, m)
        for j in range(LANES):
            total[j] = dot[j] = mass[j] = 0
        for c in range(classes):
            for j in range(LANES):
                v = z[c * LANES + j] - m[j]
                weight = q[c * LANES + j]
                dot[j] += <double> 0 if weight == 0 else <double> weight * v
                mass[j] += weight
                v = exp(v)
                total[j] += v
                z[c * LANES + j] = v
        for j in range(min(job.samples.count - tile * LANES, <Py_ssize_t> LANES)):
            job.losses[tile * LANES + j] = mass[j] * log(total[j]) - dot[j]
        if job.dx is not NULL:
            for j in range(LANES):
                m[j] = <real> (mass[j] / total[j])
            for c in range(classes):
                for j in range(LANES):
                    z[c * LANES + j] = scale * (z[c * LANES + j] * m[j] - q[c * LANES + j])
            scatter(&job.samples, tile, z, <real *> job.dx)


cdef inline void _targets_of_row(const Job *job, Py_ssize_t sample, real *q) noexcept nogil:
    """Fill ``q`` (classes,) of a sample whose label is not ignored."""
    cdef Py_ssize_t c, classes = job.samples.classes
    cdef const real *w = <const real *> job.weight
    cdef const real *p
    cdef real keep = <real> (1 - job.smoothing), share = <real> (job.smoothing / classes)
    if job.probabilities is NULL:
        for c in range(classes):
            q[c] = <real> (job.smoothing / classes * w[c])
        q[job.labels[sample]] += <real> ((1 - job.smoothing) * w[job.labels[sample]])
    else:
        p = <const real *> job.probabilities + sample * classes
        for c in range(classes):
            q[c] = (p[c] * keep + share) * w[c]


cdef void _rows(const Job *job, Py_ssize_t first, Py_ssize_t last, real *z) noexcept nogil:
    """One sample at a time."""
    cdef Py_ssize_t sample, c, classes = job.samples.classes
    cdef real *q = z + classes
    cdef const real *x
    cdef real *dx
    cdef real largest, share, scale = <real> job.scale
    cdef double total, mass, dot
    for sample in range(first, last):
        x = <const real *> job.x + sample * classes
        dx = NULL if job.dx is NULL else <real *> job.dx + sample * classes
        if job.probabilities is NULL and job.labels[sample] == job.ignore_index:
            job.losses[sample] = 0
            if dx is not NULL:
                memset(dx, 0, classes * sizeof(real))
            continue
        _targets_of_row(job, sample, q)
        largest = largest_of(x, classes)
        for c in range(classes):
            z[c] = <real> 0 if q[c] == 0 else q[c] * (x[c] - largest)
        dot = sum_of(z, classes)
        mass = sum_of(q, classes)
        for c in range(classes):
            z[c] = exp(x[c] - largest)
        total = sum_of(z, classes)
        job.losses[sample] = mass * log(total) - dot
        if dx is not NULL:
            share = <real> (mass / total)
            for c in range(classes):
                dx[c] = scale * (z[c] * share - q[c])


def count_kept(const int64_t[::1] labels, int64_t classes, int64_t ignore_index):
    """How many labels are not ignored, or -1 if one is neither ignored nor in 0 <= label < classes."""
    cdef Py_ssize_t i, kept = 0, outside = 0
    cdef int64_t label
    for i in range(labels.shape[0]):
        label = labels[i]
        kept += label != ignore_index
        outside += (label != ignore_index) & ((label < 0) | (label >= classes))
    return -1 if outside else kept


cdef int _run(Job *job, task by_rows, task by_lanes, size_t real_bytes, int n_threads) except -1 nogil:
    cdef Samples *samples = &job.samples
    cdef size_t worker_bytes = 2 * LANES * samples.classes * real_bytes
    cdef void *scratch = allocate(n_threads * worker_bytes)
    if scratch is NULL:
        raise MemoryError("cross_entropy: no memory for its working buffers")
    parallel_for(
        by_rows if are_rows(samples) else by_lanes, job, n_items(samples), grain(samples),
        scratch, worker_bytes, n_threads,
    )
    release(scratch)
    return 0


def of_labels(
    const real[:, :, ::1] x, const int64_t[::1] labels, const real[::1] weight,
    double[::1] losses, real[:, :, ::1] dx,
    int64_t ignore_index, double smoothing, double scale, int n_threads,
):
    """Losses and, unless dx is None, scale * gradient, where the targets are class numbers."""
    cdef Job job = Job(
        Samples(x.shape[0] * x.shape[2], x.shape[1], x.shape[2]), &x[0, 0, 0], &labels[0], NULL, &weight[0],
        &losses[0], NULL, ignore_index, smoothing, scale,
    )
    if dx is not None:
        job.dx = &dx[0, 0, 0]
    with nogil:
        _run(&job, <task> &_rows[real], <task> &_lanes[real], sizeof(real), n_threads)


def of_probabilities(
    const real[:, :, ::1] x, const real[:, :, ::1] probabilities, const real[::1] weight,
    double[::1] losses, real[:, :, ::1] dx,
    double smoothing, double scale, int n_threads,
):
    """Losses and, unless dx is None, scale * gradient, where the targets are probabilities shaped as x."""
    cdef Job job = Job(
        Samples(x.shape[0] * x.shape[2], x.shape[1], x.shape[2]), &x[0, 0, 0], NULL, &probabilities[0, 0, 0],
        &weight[0], &losses[0], NULL, 0, smoothing, scale,
    )
    if dx is not None:
        job.dx = &dx[0, 0, 0]
    with nogil:
        _run(&job, <task> &_rows[real], <task> &_lanes[real], sizeof(real), n_threads)
