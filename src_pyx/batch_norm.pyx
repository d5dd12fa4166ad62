"""Batch normalization of x seen as (N, C, S): each channel by the mean and variance of its N * S values.

    y  = weight * (x - mean) * rstd + bias,    rstd = 1 / sqrt(var + eps)
    dx = weight * rstd * (dy - mean(dy) - x_hat * mean(dy * x_hat)),    x_hat = (x - mean) * rstd

Contract, guaranteed by cnn_core.functional and not checked again here:

* arrays are C-contiguous and not empty; outputs do not overlap inputs; n_blocks <= N * S.

A channel's values are cut into ``n_blocks`` blocks.  Each is reduced in a fixed order, and the blocks are
combined in order, whoever did them.  Sums are held in double and taken of deviations: from the block's first
value going forward (as that is one of the values, a large mean cannot swamp a small variance), from the mean
going backward.

float32 deviations are first summed in float32 over short stretches (vector_sums.h). Where that is not good
enough, as the block's first value lies far from the others or squares leave float32's range, the block is
summed again in double throughout.

ReLU may follow in the same pass: y is then 0 where it is not above 0, and going backward dy counts only
where y is above 0, which is computed again from x as it was going forward.

Neighbouring channels form a group, so that memory is read in long runs: with S = 1 a channel is a column, and
the group walks down the rows together; otherwise the channels' S values of an image follow each other.
"""

from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memset

from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task
from vector_sums cimport (
    MOST_LANES, add_gradients_f32, add_gradients_f64, add_lanes, add_moments_f32, add_moments_f64,
    affine_of_both_f32, affine_of_both_f64, affine_of_x_f32, affine_of_x_f64, channel_numbers, empty_sums_f32,
    empty_sums_f64,
)

import_kernel_api()

cdef enum:
    COLUMNS = 64  # the most channels of a group
    RUN = 1 << 15  # values of an image that a group has side by side: short runs defeat the prefetcher
    PIECES = 16  # of a channel, from as many images, that are summed in float32
    LANES = 32  # partial sums; no fewer: gcc unrolls shorter loops before it looks for vectors
    ELEMENTS_PER_RANGE = 1 << 14  # some 10 microseconds of work

cdef struct Job:
    const void *x
    const void *dy         # NULL going forward
    void *out              # y or dx
    const double *weight   # these and all that follow: one for each channel
    const double *bias
    double *mean
    double *var
    double *rstd
    double *dweight
    double *dbias
    double *parts          # (C, n_blocks, 2): forward mean and sum of squares, backward both sums
    Py_ssize_t n, c, s, n_blocks, width, n_groups  # width: channels in a group
    double eps
    bint training
    bint relu
    const double *gate     # (5, C): weight, bias, mean, var, rstd going forward, if ReLU gates dy; or NULL


cdef inline Py_ssize_t _begin(const Job *job, Py_ssize_t block) noexcept nogil:
    """The first value of a block of each channel.

    It is the first of an image if there are enough, else one where a cache line may begin: loads and stores
    that cross lines take twice as long.
    """
    cdef Py_ssize_t begin = job.n * job.s * block / job.n_blocks
    if job.n_blocks <= job.n:
        return job.n * block / job.n_blocks * job.s
    if block < job.n_blocks and job.n * job.s >= LANES * job.n_blocks:
        return begin - begin % LANES
    return begin


cdef inline Py_ssize_t _place(const Job *job, Py_ssize_t channel, Py_ssize_t i) noexcept nogil:
    """Where in memory the value i of a channel lies."""
    return (i / job.s * job.c + channel) * job.s + i % job.s


cdef inline void _gate(const Job *job, Py_ssize_t channel, real *slope, real *shift) noexcept nogil:
    """y = (x - centre) * slope + shift, as it was going forward."""
    cdef double weight = job.gate[channel], bias = job.gate[job.c + channel]
    cdef double mean = job.gate[2 * job.c + channel], rstd = job.gate[4 * job.c + channel]
    _affine_of(weight * rstd, bias, mean, slope, shift)


cdef inline void _affine_of(
    double gain, double bias, double mean, real *slope, real *shift
) noexcept nogil:
    """What the rounding of the mean to the centre took away is in the shift."""
    slope[0] = <real> gain
    shift[0] = <real> (bias + gain * (<real> mean - mean))


cdef inline void _add(
    const real *restrict x, const real *restrict dy, const double *restrict centre,
    const real *restrict slope, const real *restrict shift, bint gated,
    double *restrict first, double *restrict second, Py_ssize_t n, bint forward
) noexcept nogil:
    """Lane by lane, with d = x - centre, sum d and d * d going forward, dy and dy * d going backward."""
    cdef Py_ssize_t i
    cdef double deviation, factor
    for i in range(n):
        deviation = x[i] - centre[i]
        factor = deviation if forward else dy[i]
        if gated and (x[i] - <real> centre[i]) * slope[i] + shift[i] <= 0:
            factor = 0
        first[i] += factor
        second[i] += factor * deviation


cdef inline void _add_run(
    const real *x, const real *dy, const double *centre, const real *slope, const real *shift, bint gated,
    double *first, double *second, Py_ssize_t n, bint forward
) noexcept nogil:
    """n values of one channel, dealt to LANES lanes."""
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        _add(x + i, dy + i, centre, slope, shift, gated, first, second, LANES, forward)
        i += LANES
    _add(x + i, dy + i, centre, slope, shift, gated, first, second, n - i, forward)


cdef inline double _total(double *lanes) noexcept nogil:
    """The sum of LANES lanes, added in pairs; they are changed."""
    cdef Py_ssize_t i, width = LANES / 2
    while width > 0:
        for i in range(width):
            lanes[i] += lanes[i + width]
        width /= 2
    return lanes[0]


cdef inline void _keep(
    const Job *job, Py_ssize_t channel, Py_ssize_t block,
    double centre, double first, double second, Py_ssize_t n
) noexcept nogil:
    """Store what one block says of one channel."""
    cdef double *part = job.parts + 2 * (channel * job.n_blocks + block)
    if job.dy is NULL:
        part[0] = centre + first / n
        part[1] = second - first * first / n
    else:
        part[0] = first
        part[1] = second


cdef inline void _reduce_columns(
    const Job *job, Py_ssize_t channel, Py_ssize_t n_channels, Py_ssize_t block, bint forward, real *out
) noexcept nogil:
    """The sums of one block of a group's channels, for S = 1."""
    cdef const real *x = <const real *> job.x + channel
    cdef const real *dy = (<const real *> (job.x if forward else job.dy)) + channel
    cdef double centre[COLUMNS]
    cdef double first[COLUMNS]
    cdef double second[COLUMNS]
    cdef real slope[COLUMNS]
    cdef real shift[COLUMNS]
    cdef bint gated = not forward and job.gate is not NULL
    cdef Py_ssize_t begin = _begin(job, block), end = _begin(job, block + 1), i, j
    memset(first, 0, sizeof(first))
    memset(second, 0, sizeof(second))
    for j in range(n_channels):
        centre[j] = x[begin * job.c + j] if forward else job.mean[channel + j]
        if gated:
            _gate(job, channel + j, slope + j, shift + j)
    for i in range(begin, end):
        _add(
            x + i * job.c, dy + i * job.c, centre, slope, shift, gated, first, second, n_channels, forward
        )
    for j in range(n_channels):
        _keep(job, channel + j, block, centre[j], first[j], second[j], end - begin)


cdef inline void _reduce_carefully(
    const Job *job, Py_ssize_t channel, Py_ssize_t block, double near, bint forward, real *out
) noexcept nogil:
    """The sums of one block of a channel, in double throughout.

    Forward, a finite ``near`` is about its mean; backward it is the mean, NaN or not.
    """
    cdef const real *x = <const real *> job.x
    cdef const real *dy = <const real *> (job.x if forward else job.dy)
    cdef double centre[LANES]
    cdef double first[LANES]
    cdef double second[LANES]
    cdef real slope[LANES]
    cdef real shift[LANES]
    cdef bint gated = not forward and job.gate is not NULL
    cdef Py_ssize_t begin = _begin(job, block), end = _begin(job, block + 1), i = begin, j, here, length
    memset(first, 0, sizeof(first))
    memset(second, 0, sizeof(second))
    if forward and not fabs(near) < INFINITY:
        near = x[_place(job, channel, begin)]
    for j in range(LANES):
        centre[j] = near
        if gated:
            _gate(job, channel, slope + j, shift + j)
    while i < end:
        length = min(job.s - i % job.s, end - i)
        here = _place(job, channel, i)
        _add_run(x + here, dy + here, centre, slope, shift, gated, first, second, length, forward)
        i += length
    _keep(job, channel, block, centre[0], _total(first), _total(second), end - begin)


cdef inline bint _accurate(double first, double second, double n, bint forward) noexcept nogil:
    """Whether sums in ``real`` of d and d * d, or dy and dy * d, say what they should."""
    if not fabs(second) < 1e30:
        return False
    return not forward or (second > 1e-30 * n and first * first / n <= 64 * (second - first * first / n))


cdef inline void _add_pieces(
    const real *x, const real *dy, const channel_numbers *channels, Py_ssize_t n_channels, Py_ssize_t apart,
    Py_ssize_t n, bint forward, real *sums, double *lanes
) noexcept nogil:
    """Add d and d * d, for d = x - centre, or dy and dy * d, for n values of each channel."""
    if real is float:
        if forward:
            add_moments_f32(x, channels, n_channels, apart, n, sums, lanes)
        else:
            add_gradients_f32(x, dy, channels, n_channels, apart, n, sums, lanes)
    else:
        if forward:
            add_moments_f64(x, channels, n_channels, apart, n, sums, lanes)
        else:
            add_gradients_f64(x, dy, channels, n_channels, apart, n, sums, lanes)


cdef inline void _empty_sums(real *sums, Py_ssize_t n_channels, double *lanes) noexcept nogil:
    if real is float:
        empty_sums_f32(sums, n_channels, lanes)
    else:
        empty_sums_f64(sums, n_channels, lanes)


cdef inline void _reduce(
    const Job *job, Py_ssize_t group, Py_ssize_t block, bint forward, real *out
) noexcept nogil:
    """The sums of one block of one group's channels."""
    cdef const real *x = <const real *> job.x
    cdef const real *dy = <const real *> (job.x if forward else job.dy)
    cdef real[COLUMNS] centre
    cdef real[COLUMNS] slope
    cdef real[COLUMNS] shift
    cdef bint gated = not forward and job.gate is not NULL
    cdef channel_numbers numbers = channel_numbers(<void *> centre, NULL, NULL, NULL, NULL, NULL)
    cdef double[COLUMNS * LANES] lanes
    cdef real[COLUMNS * LANES] sums
    cdef double first, second
    cdef Py_ssize_t channel = group * job.width, n_channels = min(job.width, job.c - channel)
    cdef Py_ssize_t begin = _begin(job, block), end = _begin(job, block + 1), i = begin, j, here, length
    cdef Py_ssize_t n_pieces = 0
    if job.s == 1:
        _reduce_columns(job, channel, n_channels, block, forward, out)
        return
    if gated:
        numbers.gate_slope, numbers.gate_shift = <void *> slope, <void *> shift
    memset(lanes, 0, n_channels * LANES * sizeof(double))
    memset(<void *> sums, 0, n_channels * LANES * sizeof(real))
    for j in range(n_channels):
        centre[j] = x[_place(job, channel + j, begin)] if forward else <real> job.mean[channel + j]
        if gated:
            _gate(job, channel + j, <real *> slope + j, <real *> shift + j)
    while i < end:
        length = min(job.s - i % job.s, end - i)
        here = _place(job, channel, i)
        _add_pieces(x + here, dy + here, &numbers, n_channels, job.s, length, forward, <real *> sums, lanes)
        i += length
        n_pieces += 1
        if n_pieces == PIECES or i == end:
            _empty_sums(<real *> sums, n_channels, lanes)
            n_pieces = 0
    for j in range(n_channels):
        first = add_lanes(lanes + 2 * j * MOST_LANES, MOST_LANES)
        second = add_lanes(lanes + (2 * j + 1) * MOST_LANES, MOST_LANES)
        if _accurate(first, second, end - begin, forward):
            _keep(job, channel + j, block, centre[j], first, second, end - begin)
        else:
            first = centre[j] + first / (end - begin) if forward else job.mean[channel + j]
            _reduce_carefully(job, channel + j, block, first, forward, out)


cdef inline void _combine_moments(const Job *job, Py_ssize_t channel) noexcept nogil:
    """Mean and variance of a channel from those of its blocks (Chan, Golub and LeVeque, 1983)."""
    cdef const double *part = job.parts + 2 * channel * job.n_blocks
    cdef double mean = 0, squares = 0, n = 0, n_block, apart
    cdef Py_ssize_t block
    for block in range(job.n_blocks):
        n_block = _begin(job, block + 1) - _begin(job, block)
        apart = part[2 * block] - mean
        mean += apart * (n_block / (n + n_block))
        squares += part[2 * block + 1] + apart * apart * (n * n_block / (n + n_block))
        n += n_block
    job.mean[channel] = mean
    job.var[channel] = squares / n
    job.rstd[channel] = 1 / sqrt(job.var[channel] + job.eps)


cdef inline void _combine_sums(const Job *job, Py_ssize_t channel) noexcept nogil:
    """The gradients of a channel's weight and bias."""
    cdef const double *part = job.parts + 2 * channel * job.n_blocks
    cdef double first = 0, second = 0
    cdef Py_ssize_t block
    for block in range(job.n_blocks):
        first += part[2 * block]
        second += part[2 * block + 1]
    job.dbias[channel] = first
    job.dweight[channel] = second * job.rstd[channel]


cdef void _combine(const Job *job, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Combine the blocks of the channels of the groups first <= group < last."""
    cdef Py_ssize_t channel
    for channel in range(first * job.width, min(last * job.width, job.c)):
        if job.dy is NULL:
            _combine_moments(job, channel)
        else:
            _combine_sums(job, channel)


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
    cdef bint gated = job.gate is not NULL
    cdef channel_numbers numbers = channel_numbers(
        <void *> centre, <void *> slope, <void *> scale, <void *> shift, NULL, NULL
    )
    cdef Py_ssize_t channel = group * job.width, n_channels = min(job.width, job.c - channel)
    cdef Py_ssize_t begin = _begin(job, block), end = _begin(job, block + 1), i = begin, j, here, length
    cdef double gain, values = job.n * job.s
    if gated:
        numbers.gate_slope, numbers.gate_shift = <void *> gate_slope, <void *> gate_shift
    for j in range(n_channels):
        gain = job.weight[channel + j] * job.rstd[channel + j]
        scale[j] = <real> gain
        centre[j] = <real> job.mean[channel + j]
        if gated:
            _gate(job, channel + j, gate_slope + j, gate_shift + j)
        if job.dy is NULL:
            _affine_of(gain, job.bias[channel + j], job.mean[channel + j], slope + j, shift + j)
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
        here = _place(job, channel, i)
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
            _reduce(job, item / job.n_blocks, item % job.n_blocks, True, <real *> job.out)
        else:
            _reduce(job, item / job.n_blocks, item % job.n_blocks, False, <real *> job.out)


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
        _combine(job, group, group + 1)
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
        _combine(job, 0, job.n_groups)
    parallel_for(<task> &_apply_blocks[real], job, n_items, grain, NULL, 0, n_threads)


def batch_norm(
    const real[:, :, ::1] x,       # IN     (N, C, S)
    real[:, :, ::1] y,             # OUT    (N, C, S)
    double[:, ::1] numbers,        # INOUT  (5, C): weight, bias, mean, var, rstd of each channel
    double[:, :, ::1] parts,       # OUT    (C, n_blocks, 2): scratch
    double eps,
    bint training,
    bint relu,
    int n_threads,
):
    """Fill ``y``, with ReLU if asked for; if ``training`` mean, biased var and rstd, which else are read."""
    cdef Job job = Job(
        &x[0, 0, 0], NULL, &y[0, 0, 0],
        &numbers[0, 0], &numbers[1, 0], &numbers[2, 0], &numbers[3, 0], &numbers[4, 0], NULL, NULL,
        &parts[0, 0, 0],
        x.shape[0], x.shape[1], x.shape[2], parts.shape[1], 0, 0, eps, training, relu, NULL,
    )
    with nogil:
        _run(&job, <real *> job.out, training, n_threads)


def batch_norm_backward(
    const real[:, :, ::1] dy,      # IN     (N, C, S)
    const real[:, :, ::1] x,       # IN     (N, C, S)
    real[:, :, ::1] dx,            # OUT    (N, C, S)
    double[:, ::1] numbers,        # INOUT  (5, C): weight, mean, rstd are read, dweight, dbias written
    double[:, :, ::1] parts,       # OUT    (C, n_blocks, 2): scratch
    bint training,
    const double[:, ::1] gate,     # IN     (5, C): weight, bias, mean, var, rstd going forward, or None
    int n_threads,
):
    """Fill the gradients; without ``training`` the statistics are constants (and ``gate`` is None)."""
    cdef Job job = Job(
        &x[0, 0, 0], &dy[0, 0, 0], &dx[0, 0, 0],
        &numbers[0, 0], NULL, &numbers[1, 0], NULL, &numbers[2, 0], &numbers[3, 0], &numbers[4, 0],
        &parts[0, 0, 0],
        x.shape[0], x.shape[1], x.shape[2], parts.shape[1], 0, 0, 0, training, False, NULL,
    )
    if gate is not None:
        job.gate = &gate[0, 0]
    with nogil:
        _run(&job, <real *> job.out, True, n_threads)
