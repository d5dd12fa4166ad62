"""Batch normalization of x seen as (N, C, S): each channel by the mean and variance of its N * S values.

    y  = weight * (x - mean) * rstd + bias,    rstd = 1 / sqrt(var + eps)
    dx = weight * rstd * (dy - mean(dy) - x_hat * mean(dy * x_hat)),    x_hat = (x - mean) * rstd

Contract, guaranteed by cnn_core.functional and not checked again here:

* arrays are C-contiguous and not empty; outputs do not overlap inputs; those of channels are of length C.

How the sums are taken is said in channel_sums.pxd. They, and the numbers of each channel that y and dx are
made of, are doubles; parameters and statistics are of the dtype of x.

ReLU may follow in the same pass: y is then 0 where it is not above 0, and going backward dy counts only
where y is above 0, which is computed again from x as it was going forward.
"""

from libc.math cimport sqrt

from channel_sums cimport (
    COLUMNS, Job, affine_of, begin_of, combine_blocks, gate_of, place_of, reduce_block,
)
from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task
from vector_sums cimport (
    affine_of_both_f32, affine_of_both_f64, affine_of_x_f32, affine_of_x_f64, channel_numbers,
)

import_kernel_api()

cdef enum:
    VALUES_PER_BLOCK = 1 << 12  # a channel is cut by the shape alone: sums are the same for any threads
    MOST_BLOCKS = 32
    RUN = 1 << 15  # values of an image that a group has side by side: short runs defeat the prefetcher
    ELEMENTS_PER_RANGE = 1 << 14  # some 10 microseconds of work

cdef enum:  # the rows of ``numbers``
    WEIGHT, BIAS, MEAN, VAR, RSTD


cdef inline void _affine(
    const real *restrict x, const real *restrict dy, real *restrict out, const real *restrict centre,
    const real *restrict slope, const real *restrict scale, const real *restrict shift,
    const real *restrict gate_slope, const real *restrict gate_shift, bint relu,
    Py_ssize_t n, bint with_dy
) noexcept nogil:
    """out = (x - centre) * slope + shift (+ dy * scale), a channel in each lane; then ReLU, or its gate."""
    cdef Py_ssize_t i
    cdef real value, deviation
    for i in range(n):
        deviation = x[i] - centre[i]
        if with_dy:
            value = dy[i]
            if relu and deviation * gate_slope[i] + gate_shift[i] <= 0:
                value = 0
            out[i] = deviation * slope[i] + (value * scale[i] + shift[i])
        else:
            value = deviation * slope[i] + shift[i]
            out[i] = 0 if relu and value <= 0 else value


cdef inline void _apply(
    const Job *job, Py_ssize_t group, Py_ssize_t block, bint with_dy, real *out
) noexcept nogil:
    """y or dx of one block of one group's channels."""
    cdef const real *x = <const real *> job.x
    cdef const real *dy = <const real *> (job.dy if with_dy else job.x)
    cdef real centre[COLUMNS]
    cdef real slope[COLUMNS]
    cdef real scale[COLUMNS]
    cdef real shift[COLUMNS]
    cdef real gate_slope[COLUMNS]
    cdef real gate_shift[COLUMNS]
    cdef bint gated = job.dy is not NULL and job.relu
    cdef channel_numbers numbers = channel_numbers(
        <void *> centre, <void *> slope, <void *> scale, <void *> shift, NULL, NULL
    )
    cdef Py_ssize_t channel = group * job.width, n_channels = min(job.width, job.c - channel)
    cdef Py_ssize_t begin = begin_of(job, block), end = begin_of(job, block + 1), i = begin, j, here, length
    cdef double gain, values = job.n * job.s
    if gated:
        numbers.gate_slope, numbers.gate_shift = <void *> gate_slope, <void *> gate_shift
    for j in range(n_channels):
        gain = job.weight[channel + j] * job.rstd[channel + j]
        scale[j] = <real> gain
        centre[j] = <real> job.mean[channel + j]
        if gated:
            gate_of(job, channel + j, gate_slope + j, gate_shift + j)
        if job.dy is NULL:
            affine_of(gain, job.bias[channel + j], job.mean[channel + j], slope + j, shift + j)
        elif job.training:
            slope[j] = <real> (-gain * job.rstd[channel + j] * job.dweight[channel + j] / values)
            shift[j] = <real> (-gain * job.dbias[channel + j] / values)
        else:  # mean and variance are constants: dx = dy * gain, so dy stands for x
            slope[j] = <real> gain
            centre[j] = shift[j] = 0
    if job.dy is not NULL and not job.training:
        x = <const real *> job.dy
    if job.s == 1:
        for i in range(begin, end):
            here = i * job.c + channel
            _affine(
                x + here, dy + here, out + here, centre, slope, scale, shift, gate_slope, gate_shift,
                gated if with_dy else job.relu, n_channels, with_dy,
            )
        return
    while i < end:
        length = min(job.s - i % job.s, end - i)
        here = place_of(job, channel, i)
        if real is float:
            if with_dy:
                affine_of_both_f32(x, dy, out, &numbers, n_channels, here, job.s, length)
            else:
                affine_of_x_f32(x, out, &numbers, job.relu, n_channels, here, job.s, length)
        else:
            if with_dy:
                affine_of_both_f64(x, dy, out, &numbers, n_channels, here, job.s, length)
            else:
                affine_of_x_f64(x, out, &numbers, job.relu, n_channels, here, job.s, length)
        i += length


cdef void _reduce_blocks(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t item
    for item in range(first, last):
        if job.dy is NULL:
            reduce_block(job, item / job.n_blocks, item % job.n_blocks, True, <real *> job.out)
        else:
            reduce_block(job, item / job.n_blocks, item % job.n_blocks, False, <real *> job.out)


cdef void _apply_blocks(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t item
    for item in range(first, last):
        if job.dy is not NULL and job.training:
            _apply(job, item / job.n_blocks, item % job.n_blocks, True, <real *> job.out)
        else:
            _apply(job, item / job.n_blocks, item % job.n_blocks, False, <real *> job.out)


cdef void _groups(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    """Whole groups: what was read to be summed is still in the cache when it is applied."""
    cdef Py_ssize_t group
    for group in range(first, last):
        _reduce_blocks(job, group * job.n_blocks, (group + 1) * job.n_blocks, scratch)
        combine_blocks(job, group, group + 1)
        _apply_blocks(job, group * job.n_blocks, (group + 1) * job.n_blocks, scratch)


cdef void _run(Job *job, real *out, bint reduces, int n_threads) noexcept nogil:
    """Share groups among threads if there are plenty, else blocks: the arithmetic is the same."""
    cdef Py_ssize_t per_group, n_items, grain
    job.width = COLUMNS
    if job.s > 1:
        job.width = max(1, min(job.width, RUN / job.s))
        if n_threads > 1:  # leave each thread a few
            job.width = max(1, min(job.width, job.c * job.n_blocks / (4 * n_threads)))
    job.n_groups = (job.c + job.width - 1) / job.width
    per_group = job.n * job.s * min(job.width, job.c)
    n_items = job.n_groups * job.n_blocks
    if reduces and (job.n_blocks == 1 or job.n_groups >= 4 * n_threads):
        grain = 1 + ELEMENTS_PER_RANGE / per_group
        parallel_for(<task> &_groups[real], job, job.n_groups, grain, NULL, 0, n_threads)
        return
    grain = 1 + ELEMENTS_PER_RANGE * job.n_blocks / per_group
    if reduces:
        parallel_for(<task> &_reduce_blocks[real], job, n_items, grain, NULL, 0, n_threads)
        combine_blocks(job, 0, job.n_groups)
    parallel_for(<task> &_apply_blocks[real], job, n_items, grain, NULL, 0, n_threads)


cdef Job _job(
    const void *x, const void *dy, void *out, const double *numbers, Py_ssize_t n, Py_ssize_t c, Py_ssize_t s,
    bint training, bint relu,
) noexcept nogil:
    cdef double *rows = <double *> numbers
    cdef Py_ssize_t n_blocks = min(1 + n * s / VALUES_PER_BLOCK, <Py_ssize_t> MOST_BLOCKS)
    return Job(
        x, dy, out,
        rows + WEIGHT * c, rows + BIAS * c, rows + MEAN * c, rows + VAR * c, rows + RSTD * c,
        NULL, NULL, NULL, n, c, s, n_blocks, 0, 0, 0, training, relu,
    )


cdef int _allocate_sums(Job *job) except -1:
    """Room for two sums of each block of each channel, and of each channel."""
    job.parts = <double *> allocate(2 * (job.n_blocks + 1) * job.c * sizeof(double))
    if job.parts is NULL:
        raise MemoryError("batch_norm: no memory for its working buffers")
    job.dweight = job.parts + 2 * job.n_blocks * job.c
    job.dbias = job.dweight + job.c
    return 0


def batch_norm(
    const real[:, :, ::1] x,       # IN   (N, C, S)
    const real[::1] weight,        # IN   (C,), or None for 1
    const real[::1] bias,          # IN   (C,), or None for 0
    const real[::1] mean,          # IN   (C,), or None for that of x
    const real[::1] var,           # IN   (C,), or None likewise
    real[:, :, ::1] y,             # OUT  (N, C, S)
    double[:, ::1] numbers,        # OUT  (5, C): weight, bias, mean, var, rstd of each channel
    double eps,
    bint relu,
    int n_threads,
):
    """Fill ``y``, with ReLU if asked for, by the given statistics or by those of ``x`` (a biased var)."""
    cdef Py_ssize_t i
    cdef bint training = mean is None
    cdef Job job = _job(
        &x[0, 0, 0], NULL, &y[0, 0, 0], &numbers[0, 0], x.shape[0], x.shape[1], x.shape[2], training, relu
    )
    job.eps = eps
    for i in range(job.c):
        numbers[WEIGHT, i] = 1 if weight is None else weight[i]
        numbers[BIAS, i] = 0 if bias is None else bias[i]
        if not training:
            numbers[MEAN, i] = mean[i]
            numbers[VAR, i] = var[i]
            numbers[RSTD, i] = 1 / sqrt(numbers[VAR, i] + eps)
    if training:
        _allocate_sums(&job)
    with nogil:
        _run(&job, <real *> job.out, training, n_threads)
        release(job.parts)


def move_running(
    const double[:, ::1] numbers,  # IN     (5, C): as batch_norm filled it
    real[::1] running_mean,        # INOUT  (C,)
    real[::1] running_var,         # INOUT  (C,)
    double momentum,
    double unbias,
):
    """Move running statistics towards mean and unbias * var.

    By themselves, as Python does not come here when a signal has ended batch_norm early.
    """
    cdef Py_ssize_t i
    for i in range(running_mean.shape[0]):
        running_mean[i] = <real> ((1 - momentum) * running_mean[i] + momentum * numbers[MEAN, i])
        running_var[i] = <real> ((1 - momentum) * running_var[i] + momentum * (unbias * numbers[VAR, i]))


def batch_norm_backward(
    const real[:, :, ::1] dy,      # IN   (N, C, S)
    const real[:, :, ::1] x,       # IN   (N, C, S)
    const double[:, ::1] numbers,  # IN   (5, C): as batch_norm filled it
    real[:, :, ::1] dx,            # OUT  (N, C, S)
    real[::1] dweight,             # OUT  (C,)
    real[::1] dbias,               # OUT  (C,)
    bint training,
    bint relu,
    int n_threads,
):
    """Fill the gradients, of what ``relu`` followed; without ``training`` the statistics are constants."""
    cdef Py_ssize_t i
    cdef Job job = _job(
        &x[0, 0, 0], &dy[0, 0, 0], &dx[0, 0, 0], &numbers[0, 0], x.shape[0], x.shape[1], x.shape[2], training,
        relu,
    )
    _allocate_sums(&job)
    with nogil:
        _run(&job, <real *> job.out, True, n_threads)
        for i in range(job.c):
            dweight[i] = <real> job.dweight[i]
            dbias[i] = <real> job.dbias[i]
        release(job.parts)
