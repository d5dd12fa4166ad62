"""Element-wise losses: squared error and binary cross-entropy from logits, with their gradients.

Contract, guaranteed by cnn_core.functional and not checked again here:
  * arrays of a call have the same length, at least 1, but ``sums``, in double, which has one element for each
    SHARD of them (the last may be shorter); outputs do not overlap inputs;
  * ``losses`` and ``dx`` are None if they are not wanted; ``weight`` and ``pos_weight`` are None for 1.
Every element of the outputs is written. Sums run in double, in an order that depends on the length alone.
"""

from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task
from cnn_core.vector_math cimport exp, log1p_unit

import_kernel_api()

cdef enum:
    _SHARD = 1 << 12
    LANES = 16
    GRAIN = 1 << 13

SHARD = _SHARD

cdef struct Job:
    const void *x
    const void *target
    const void *weight       # NULL for 1
    const void *pos_weight   # NULL for 1
    void *losses             # NULL if they are not wanted
    void *dx                 # NULL if it is not wanted
    double *sums
    Py_ssize_t n
    double scale


cdef inline double _sum(const real *v, Py_ssize_t n) noexcept nogil:
    """The sum of at most SHARD numbers, in LANES partial sums that the compiler keeps in vectors."""
    cdef double lane[LANES]
    cdef double total = 0
    cdef Py_ssize_t i, j, blocks = n // LANES
    for j in range(LANES):
        lane[j] = 0
    for i in range(blocks):
        for j in range(LANES):
            lane[j] += v[i * LANES + j]
    for j in range(n - blocks * LANES):
        lane[j] += v[blocks * LANES + j]
    for j in range(LANES):
        total += lane[j]
    return total


def total(const double[::1] values):
    """The sum of the values, in an order that depends on their number alone; there may be none."""
    cdef double sum = 0
    cdef Py_ssize_t start, n = values.shape[0]
    for start in range(0, n, <Py_ssize_t> _SHARD):
        sum += _sum(&values[start], min(n - start, <Py_ssize_t> _SHARD))
    return sum


cdef void _mse(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t shard, i, n
    cdef const real *x
    cdef const real *t
    cdef real d
    cdef real losses[_SHARD]
    for shard in range(first, last):
        x = <const real *> job.x + shard * _SHARD
        t = <const real *> job.target + shard * _SHARD
        n = min(job.n - shard * _SHARD, <Py_ssize_t> _SHARD)
        for i in range(n):
            d = x[i] - t[i]
            losses[i] = d * d
        job.sums[shard] = _sum(losses, n)
        if job.losses is not NULL:
            _copy(losses, <real *> job.losses + shard * _SHARD, n)
        if job.dx is not NULL:
            _mse_backward(job, shard * _SHARD, shard * _SHARD + n, scratch)


cdef inline void _copy(const real *source, real *target, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        target[i] = source[i]


def mse(
    const real[::1] x, const real[::1] target, real[::1] losses, real[::1] dx, double[::1] sums, double scale,
    int n_threads,
):
    """losses = (x - target)^2, their sums, and dx = scale * 2 * (x - target)."""
    cdef Job job = Job(&x[0], &target[0], NULL, NULL, NULL, NULL, &sums[0], x.shape[0], scale)
    if losses is not None:
        job.losses = &losses[0]
    if dx is not None:
        job.dx = &dx[0]
    with nogil:
        parallel_for(<task> &_mse[real], &job, sums.shape[0], 4, NULL, 0, n_threads)


cdef void _mse_backward(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *x = <const real *> job.x
    cdef const real *t = <const real *> job.target
    cdef real *dx = <real *> job.dx
    cdef real scale = <real> (2 * job.scale)
    cdef Py_ssize_t i
    for i in range(first, last):
        dx[i] = scale * (x[i] - t[i])


def mse_backward(const real[::1] x, const real[::1] target, real[::1] dx, double scale, int n_threads):
    """dx = scale * 2 * (x - target)."""
    cdef Job job = Job(&x[0], &target[0], NULL, NULL, NULL, &dx[0], NULL, x.shape[0], scale)
    with nogil:
        parallel_for(<task> &_mse_backward[real], &job, x.shape[0], GRAIN, NULL, 0, n_threads)


cdef inline real _bce_of(real x, real negative, real positive) noexcept nogil:
    """negative * log(1 + exp(x)) + positive * log(1 + exp(-x)), by way of exp(-|x|)."""
    cdef real linear = x * negative if x > 0 else -x * positive
    return linear + (negative + positive) * log1p_unit(exp(-x if x > 0 else x))


cdef void _bce(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t shard, i, n
    cdef const real *x
    cdef const real *t
    cdef const real *w
    cdef real losses[_SHARD]
    for shard in range(first, last):
        x = <const real *> job.x + shard * _SHARD
        t = <const real *> job.target + shard * _SHARD
        n = min(job.n - shard * _SHARD, <Py_ssize_t> _SHARD)
        if job.pos_weight is NULL:
            for i in range(n):
                losses[i] = _bce_of(x[i], 1 - t[i], t[i])
        else:
            w = <const real *> job.pos_weight + shard * _SHARD
            for i in range(n):
                losses[i] = _bce_of(x[i], 1 - t[i], t[i] * w[i])
        if job.weight is not NULL:
            w = <const real *> job.weight + shard * _SHARD
            for i in range(n):
                losses[i] *= w[i]
        job.sums[shard] = _sum(losses, n)
        if job.losses is not NULL:
            _copy(losses, <real *> job.losses + shard * _SHARD, n)
        if job.dx is not NULL:
            _bce_backward(job, shard * _SHARD, shard * _SHARD + n, scratch)


def bce_with_logits(
    const real[::1] x, const real[::1] target, const real[::1] weight, const real[::1] pos_weight,
    real[::1] losses, real[::1] dx, double[::1] sums, double scale, int n_threads,
):
    """losses = weight * ((1 - t) * log(1 + exp(x)) + pos_weight * t * log(1 + exp(-x))), their sums, and dx.

    dx is what `bce_with_logits_backward` gives. Neither exponential overflows:
    log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)).
    """
    cdef Job job = Job(&x[0], &target[0], NULL, NULL, NULL, NULL, &sums[0], x.shape[0], scale)
    if weight is not None:
        job.weight = &weight[0]
    if pos_weight is not None:
        job.pos_weight = &pos_weight[0]
    if losses is not None:
        job.losses = &losses[0]
    if dx is not None:
        job.dx = &dx[0]
    with nogil:
        parallel_for(<task> &_bce[real], &job, sums.shape[0], 1, NULL, 0, n_threads)


cdef inline real _bce_gradient(real x, real negative, real positive) noexcept nogil:
    """negative * sigmoid(x) - positive * sigmoid(-x), both to full precision."""
    cdef real e = exp(-x if x > 0 else x)
    cdef real large = 1 / (1 + e)      # sigmoid(|x|)
    cdef real small = e * large        # sigmoid(-|x|)
    return negative * large - positive * small if x > 0 else negative * small - positive * large


cdef void _bce_backward(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *x = <const real *> job.x
    cdef const real *t = <const real *> job.target
    cdef const real *w = <const real *> job.pos_weight
    cdef real *dx = <real *> job.dx
    cdef real scale = <real> job.scale
    cdef Py_ssize_t i
    if w is NULL:
        for i in range(first, last):
            dx[i] = scale * _bce_gradient(x[i], 1 - t[i], t[i])
    else:
        for i in range(first, last):
            dx[i] = scale * _bce_gradient(x[i], 1 - t[i], t[i] * w[i])
    w = <const real *> job.weight
    if w is not NULL:
        for i in range(first, last):
            dx[i] *= w[i]


def bce_with_logits_backward(
    const real[::1] x, const real[::1] target, const real[::1] weight, const real[::1] pos_weight,
    real[::1] dx, double scale, int n_threads,
):
    """dx = scale * weight * ((1 - t) * sigmoid(x) - pos_weight * t * sigmoid(-x))."""
    cdef Job job = Job(&x[0], &target[0], NULL, NULL, NULL, &dx[0], NULL, x.shape[0], scale)
    if weight is not None:
        job.weight = &weight[0]
    if pos_weight is not None:
        job.pos_weight = &pos_weight[0]
    with nogil:
        parallel_for(<task> &_bce_backward[real], &job, x.shape[0], GRAIN, NULL, 0, n_threads)
