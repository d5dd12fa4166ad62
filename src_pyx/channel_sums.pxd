"""What batch_norm.pyx sums of each channel, block by block. Inline helpers only.

A channel's values are cut into ``n_blocks`` blocks.  Each is reduced in a fixed order, and the blocks are
combined in order, whoever did them.  Sums are held in double and taken of deviations: from the block's first
value going forward (as that is one of the values, a large mean cannot swamp a small variance), from the mean
going backward.

float32 deviations are first summed in float32 over short stretches (vector_sums.h). Where that is not good
enough, as the block's first value lies far from the others or squares leave float32's range, the block is
summed again in double throughout.

Neighbouring channels form a group, so that memory is read in long runs: with S = 1 a channel is a column, and
the group walks down the rows together; otherwise the channels' S values of an image follow each other.
"""

from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memset

from cnn_core.kernel_api cimport real
from vector_sums cimport (
    MOST_LANES, add_gradients_f32, add_gradients_f64, add_lanes, add_moments_f32, add_moments_f64,
    channel_numbers, empty_sums_f32, empty_sums_f64,
)

cdef enum:
    COLUMNS = 64  # the most channels of a group
    PIECES = 16  # of a channel, from as many images, that are summed in float32
    LANES = 32  # partial sums; no fewer: gcc unrolls shorter loops before it looks for vectors

cdef struct Job:
    const void *x
    const void *dy         # NULL going forward
    void *out              # y or dx
    double *weight         # these and all that follow: one for each channel
    double *bias
    double *mean
    double *var
    double *rstd
    double *dweight
    double *dbias
    double *parts          # (C, n_blocks, 2): forward mean and sum of squares, backward both sums
    Py_ssize_t n, c, s, n_blocks, width, n_groups  # width: channels in a group
    double eps
    bint training
    bint relu              # follows going forward, so that it gates dy going backward


cdef inline Py_ssize_t begin_of(const Job *job, Py_ssize_t block) noexcept nogil:
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


cdef inline Py_ssize_t place_of(const Job *job, Py_ssize_t channel, Py_ssize_t i) noexcept nogil:
    """Where in memory the value i of a channel lies."""
    return (i / job.s * job.c + channel) * job.s + i % job.s


cdef inline void gate_of(const Job *job, Py_ssize_t channel, real *slope, real *shift) noexcept nogil:
    """y = (x - centre) * slope + shift, as it was going forward."""
    affine_of(
        job.weight[channel] * job.rstd[channel], job.bias[channel], job.mean[channel], slope, shift
    )


cdef inline void affine_of(
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
    cdef bint gated = not forward and job.relu
    cdef Py_ssize_t begin = begin_of(job, block), end = begin_of(job, block + 1), i, j
    memset(first, 0, sizeof(first))
    memset(second, 0, sizeof(second))
    for j in range(n_channels):
        centre[j] = x[begin * job.c + j] if forward else job.mean[channel + j]
        if gated:
            gate_of(job, channel + j, slope + j, shift + j)
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
    cdef bint gated = not forward and job.relu
    cdef Py_ssize_t begin = begin_of(job, block), end = begin_of(job, block + 1), i = begin, j, here, length
    memset(first, 0, sizeof(first))
    memset(second, 0, sizeof(second))
    if forward and not fabs(near) < INFINITY:
        near = x[place_of(job, channel, begin)]
    for j in range(LANES):
        centre[j] = near
        if gated:
            gate_of(job, channel, slope + j, shift + j)
    while i < end:
        length = min(job.s - i % job.s, end - i)
        here = place_of(job, channel, i)
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


cdef inline void reduce_block(
    const Job *job, Py_ssize_t group, Py_ssize_t block, bint forward, real *out
) noexcept nogil:
    """The sums of one block of one group's channels."""
    cdef const real *x = <const real *> job.x
    cdef const real *dy = <const real *> (job.x if forward else job.dy)
    cdef real[COLUMNS] centre
    cdef real[COLUMNS] slope
    cdef real[COLUMNS] shift
    cdef bint gated = not forward and job.relu
    cdef channel_numbers numbers = channel_numbers(<void *> centre, NULL, NULL, NULL, NULL, NULL)
    cdef double[COLUMNS * LANES] lanes
    cdef real[COLUMNS * LANES] sums
    cdef double first, second
    cdef Py_ssize_t channel = group * job.width, n_channels = min(job.width, job.c - channel)
    cdef Py_ssize_t begin = begin_of(job, block), end = begin_of(job, block + 1), i = begin, j, here, length
    cdef Py_ssize_t n_pieces = 0
    if job.s == 1:
        _reduce_columns(job, channel, n_channels, block, forward, out)
        return
    if gated:
        numbers.gate_slope, numbers.gate_shift = <void *> slope, <void *> shift
    memset(lanes, 0, n_channels * LANES * sizeof(double))
    memset(<void *> sums, 0, n_channels * LANES * sizeof(real))
    for j in range(n_channels):
        centre[j] = x[place_of(job, channel + j, begin)] if forward else <real> job.mean[channel + j]
        if gated:
            gate_of(job, channel + j, <real *> slope + j, <real *> shift + j)
    while i < end:
        length = min(job.s - i % job.s, end - i)
        here = place_of(job, channel, i)
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
        n_block = begin_of(job, block + 1) - begin_of(job, block)
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


cdef inline void combine_blocks(const Job *job, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Combine the blocks of the channels of the groups first <= group < last."""
    cdef Py_ssize_t channel
    for channel in range(first * job.width, min(last * job.width, job.c)):
        if job.dy is NULL:
            _combine_moments(job, channel)
        else:
            _combine_sums(job, channel)
