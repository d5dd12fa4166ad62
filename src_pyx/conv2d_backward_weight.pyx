"""The gradients of a convolution with respect to its weight and its bias.

    dweight[f, k] = sum over images and pixels q of dy[f][q] * plane[offset[k] + q]
    dbias[f]      = sum over images and pixels q of dy[f][q]

A band of an image's rows at a time, dy gets its filters side by side, and ``taps_product`` (simd/taps.h)
adds to the sums of all taps, reading the padded image as it lies. Where a group has too few filters to
fill a vector (depthwise convolution), dy keeps its planes, with zeros in the columns that those of the
input (convolution.pxd) have beyond the output's, and ``dot_product`` (simd/tiles.h) adds over pixels.

With ``indices``, dy is the gradient after 2x2 max pooling and the ReLU that may follow it, and stands for the
one before, (N, F, OH, OW), which is made in the cache, a band at a time.

Bands are added up in shards that depend on the shapes alone, and the shards in their order. A long sum is
taken in rounds: each adds some bands to every shard.

Contract as in conv2d.pyx. Every element of the outputs is written.
"""

from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task
from convolution cimport Shape, copy_planes, planes_along, reach, tap_offsets
from filters cimport (
    blocks_for,
    channels_to_planes,
    fills_lanes,
    lanes_of,
    planes_to_channels,
    pooled_to_channels,
    taps_product,
)
from tiles cimport dot_product
from vector_sums cimport add_vectors, sum_of

import_kernel_api()

cdef enum:
    PIXELS_AT_ONCE = 1024               # under a sum before its lanes are added
    SHARDS = 8
    ROUND_PRODUCTS = 1 << 28            # of a shard: between rounds, Ctrl-C may end the call

cdef struct Job:
    Shape s
    const void *x
    const void *dy
    const int32_t *indices              # of dy, or NULL
    void *dweight
    void *partial                       # (n_shards, F, K), filters side by side (n_shards, groups, K, lanes)
    Py_ssize_t partial_numbers          # of one shard
    void *dbias                         # or NULL
    double *sums                        # for it: (n_shards, sums_numbers)
    Py_ssize_t sums_numbers             # (F,), filters side by side (groups, n_blocks, lanes)
    Py_ssize_t n_blocks                 # vectors that a group's filters fill; 0: pixels side by side
    Shape padded                        # filters side by side: as if at stride 1, so the planes are the image
    Py_ssize_t padded_rows              # of a band
    const Py_ssize_t *offset            # (K,)
    Py_ssize_t K
    Py_ssize_t n_bands, band_rows       # an image's rows, cut
    Py_ssize_t n_units, n_shards        # units are bands of images
    Py_ssize_t round, n_rounds          # each takes a part of each shard's units
    Py_ssize_t at_once                  # units in scratch together
    Py_ssize_t width, plane             # of the planes
    Py_ssize_t planes_numbers           # of one unit; 0: the input serves as it is
    Py_ssize_t group_planes             # of one group
    Py_ssize_t n_pixels                 # of one unit, those between the rows included


# One row of a plane of dy from the one after pooling: each number at its index, if that is in the row.
cdef inline void _pooled_row(const Job *job, Py_ssize_t plane, Py_ssize_t row, real *to) noexcept nogil:
    cdef Py_ssize_t OW = job.s.OW, oh = job.s.OH // 2, ow = OW // 2, i, place
    memset(to, 0, OW * sizeof(real))
    if row < 2 * oh:                    # an odd last one is in no window
        for i in range((plane * oh + row // 2) * ow, (plane * oh + row // 2 + 1) * ow):
            place = job.indices[i] - row * OW
            if 0 <= place < OW:
                to[place] = (<const real *> job.dy)[i] + 0


# Image n's rows first ... first + band_rows of dy at the planes' width, with zeros between: (F, n_pixels).
cdef void _at_width(const Job *job, Py_ssize_t n, Py_ssize_t first, real *to) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef const real *dy = <const real *> job.dy
    cdef Py_ssize_t f, i, j
    for f in range(n * s.F, (n + 1) * s.F):
        for i in range(job.band_rows):
            if first + i < s.OH and job.indices:
                _pooled_row(job, f, first + i, to)
            elif first + i < s.OH:
                memcpy(to, dy + (f * s.OH + first + i) * s.OW, s.OW * sizeof(real))
            else:
                for j in range(s.OW):
                    to[j] = 0
            to += s.OW
            if i + 1 < job.band_rows:
                for j in range(job.width - s.OW):
                    to[j] = 0
                to += job.width - s.OW


# Where the part of a shard that a round takes begins, in units.
cdef inline Py_ssize_t _begin(const Job *job, Py_ssize_t shard, Py_ssize_t round) noexcept nogil:
    return (shard * job.n_rounds + round) * job.n_units // (job.n_shards * job.n_rounds)


cdef void _shards(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t shard, unit, end, n_now
    cdef real *partial
    cdef double *sums
    for shard in range(first, last):
        partial = <real *> job.partial + shard * job.partial_numbers
        sums = job.sums + shard * job.sums_numbers
        if job.round == 0:
            memset(partial, 0, job.partial_numbers * sizeof(real))
            memset(sums, 0, job.sums_numbers * sizeof(double))
        unit, end = _begin(job, shard, job.round), _begin(job, shard, job.round + 1)
        while unit < end:
            n_now = min(job.at_once, end - unit)
            if job.n_blocks:
                _add_filters_side_by_side(job, unit, scratch, partial, sums)
            else:
                _add_pixels_side_by_side(job, unit, n_now, scratch, partial, sums)
            unit += n_now


cdef inline void _add_filters_side_by_side(
    const Job *job, Py_ssize_t unit, real *scratch, real *partial, double *sums,
) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t lanes = lanes_of(sizeof(real)), group_F = s.F // s.groups, g, b
    cdef Py_ssize_t n = unit // job.n_bands, row = unit % job.n_bands * job.band_rows
    cdef Py_ssize_t n_rows = min(job.band_rows, s.OH - row), block = n_rows * s.OW * lanes
    cdef const real *planes = <const real *> job.x + n * s.C * s.H * s.W
    cdef Py_ssize_t plane = (s.OH // 2) * (s.OW // 2) if job.indices else s.OH * s.OW, first
    cdef const real *dy = <const real *> job.dy
    cdef real *dy_lanes = scratch + job.planes_numbers
    if job.planes_numbers:
        copy_planes(&job.padded, planes, row * s.sh, job.padded_rows, job.width, scratch)
        planes = scratch
    else:
        planes += row * s.sh * s.W
    for g in range(s.groups):
        for b in range(job.n_blocks):
            first = (n * s.F + g * group_F + b * lanes) * plane
            if job.indices:
                pooled_to_channels(
                    dy + first, job.indices + first, s.N * s.F * plane - first, s.OH, s.OW,
                    group_F - b * lanes, row, n_rows, s.OW, s.F * plane, dy_lanes + b * block,
                )
            else:
                planes_to_channels(
                    dy + first + row * s.OW, plane, group_F - b * lanes, n_rows * s.OW, s.OW, 0,
                    s.F * plane, dy_lanes + b * block,
                )
            if job.dbias is not NULL:
                add_vectors(
                    <const real *> dy_lanes + b * block, n_rows * s.OW, sums + (g * job.n_blocks + b) * lanes
                )
        taps_product(
            planes + g * job.group_planes, s.sh * job.width, s.sw, job.offset, job.K,
            <const real *> dy_lanes, block, n_rows, s.OW, job.n_blocks,
            partial + g * job.K * job.n_blocks * lanes,
        )


cdef inline void _add_pixels_side_by_side(
    const Job *job, Py_ssize_t unit, Py_ssize_t n_units, real *scratch, real *partial, double *sums,
) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t group_F = s.F // s.groups, u, n, row, g, f
    cdef real *planes = scratch
    cdef real *wide = scratch + job.at_once * job.planes_numbers
    for u in range(n_units):
        n, row = (unit + u) // job.n_bands, (unit + u) % job.n_bands * job.band_rows
        copy_planes(
            s, <const real *> job.x + n * s.C * s.H * s.W, row, job.band_rows, job.width,
            planes + u * job.planes_numbers,
        )
        _at_width(job, n, row, wide + u * s.F * job.n_pixels)
        if job.dbias is not NULL:       # what is between the rows is zero
            for f in range(s.F):
                sums[f] += sum_of(<const real *> wide + (u * s.F + f) * job.n_pixels, job.n_pixels)
    for g in range(s.groups):
        dot_product(
            wide + g * group_F * job.n_pixels, job.n_pixels, planes + g * job.group_planes, job.offset,
            job.n_pixels, n_units, s.F * job.n_pixels, job.planes_numbers,
            partial + g * group_F * job.K, job.K, group_F, job.K,
        )


# The first shard's sums become those of all shards.
cdef void _add_shards(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef real *total = <real *> job.partial
    cdef const real *partial = total
    cdef Py_ssize_t _shard, i
    for _shard in range(1, job.n_shards):
        partial += job.partial_numbers
        for i in range(first, last):
            total[i] += partial[i]


# The sums of all shards, without the lanes that no filter fills.
cdef void _sums_to_bias(const Job *job, real *dbias) noexcept nogil:
    cdef Py_ssize_t group_F = job.s.F // job.s.groups, in_group = job.sums_numbers // job.s.groups, f, shard
    cdef double total
    for f in range(job.s.F):
        total = 0
        for shard in range(job.n_shards):
            total += job.sums[shard * job.sums_numbers + f // group_F * in_group + f % group_F]
        dbias[f] = <real> total


# Sums of (groups, K, lanes) to dweight (groups, filters, K).
cdef void _lanes_to_weight(const Job *job, const real *total, const real *no_bias) noexcept nogil:
    cdef Py_ssize_t lanes = lanes_of(sizeof(real)), group_F = job.s.F // job.s.groups, g, b
    for g in range(job.s.groups):
        for b in range(job.n_blocks):
            channels_to_planes(
                total + (g * job.K * job.n_blocks + b) * lanes, 1, job.n_blocks - 1, no_bias, False,
                group_F - b * lanes, job.K, job.K, 0,
                <real *> job.dweight + (g * group_F + b * lanes) * job.K,
            )


def conv2d_backward_weight(
    const real[:, :, :, ::1] dy,        # IN   (N, F, OH, OW); (N, F, OH // 2, OW // 2) with indices
    const int32_t[:, :, :, ::1] indices,    # IN   of max_pool2d or minus one: dy is its gradient; or None
    const real[:, :, :, ::1] x,         # IN   (N, C, H, W)
    real[:, :, :, ::1] dweight,         # OUT  (F, C / groups, KH, KW)
    real[::1] dbias,                    # OUT  (F,), or None
    Py_ssize_t sh, Py_ssize_t sw, Py_ssize_t ph, Py_ssize_t pw, Py_ssize_t dh, Py_ssize_t dw,
    Py_ssize_t groups, int n_threads,
):
    """Fill the gradients; shards of the batch are shared among threads."""
    cdef Job job
    cdef Shape *s = &job.s
    cdef Py_ssize_t lanes = lanes_of(sizeof(real)), unit_numbers
    cdef real[16] no_bias
    s.N, s.C, s.H, s.W = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    s.KH, s.KW, s.sh, s.sw, s.ph, s.pw = dweight.shape[2], dweight.shape[3], sh, sw, ph, pw
    s.F, s.dh, s.dw, s.groups = dy.shape[1], dh, dw, groups
    s.OH = (s.H + 2 * ph - dh * (s.KH - 1) - 1) // sh + 1
    s.OW = (s.W + 2 * pw - dw * (s.KW - 1) - 1) // sw + 1
    job.x, job.dy, job.dweight = &x[0, 0, 0, 0], &dy[0, 0, 0, 0], &dweight[0, 0, 0, 0]
    job.indices = &indices[0, 0, 0, 0] if indices is not None else NULL
    job.dbias = &dbias[0] if dbias is not None else NULL
    job.K = dweight.shape[1] * s.KH * s.KW
    job.n_blocks = 0
    if fills_lanes(s.F // groups, sizeof(real)):
        job.n_blocks = blocks_for(s.F // groups, sizeof(real))

    job.n_bands = max(1, s.OH * (s.OW + reach(s.KW, sw, dw)) // PIXELS_AT_ONCE, SHARDS // s.N)
    job.band_rows = (s.OH - 1) // min(job.n_bands, s.OH) + 1
    job.n_bands = (s.OH - 1) // job.band_rows + 1
    job.n_units = s.N * job.n_bands
    job.n_shards = min(SHARDS, job.n_units)
    job.n_rounds = 1 + job.n_units // job.n_shards * (job.band_rows * s.OW * s.F * job.K) // ROUND_PRODUCTS
    job.at_once = 1
    if job.n_blocks:
        job.padded = s[0]
        job.padded.sh = job.padded.sw = 1
        job.padded_rows = (job.band_rows - 1) * sh + 1
        job.width = (s.OW - 1) * sw + 1 + (s.KW - 1) * dw
        job.plane = (job.padded_rows + (s.KH - 1) * dh) * job.width
        job.planes_numbers = (s.C * job.plane + 15) // 16 * 16
        if ph == 0 and pw == 0:
            job.width, job.plane, job.planes_numbers = s.W, s.H * s.W, 0
        job.group_planes = s.C // groups * job.plane
        unit_numbers = job.n_blocks * job.band_rows * s.OW * lanes
        job.sums_numbers = groups * job.n_blocks * lanes
        job.partial_numbers = job.K * job.sums_numbers
    else:
        job.padded = s[0]
        job.width = s.OW + reach(s.KW, sw, dw)
        job.plane = (job.band_rows + reach(s.KH, sh, dh)) * job.width
        job.n_pixels = (job.band_rows - 1) * job.width + s.OW
        job.group_planes = (
            s.C // groups * planes_along(s.KH, sh, dh) * planes_along(s.KW, sw, dw) * job.plane
        )
        job.planes_numbers = groups * job.group_planes
        job.at_once = min(max(1, PIXELS_AT_ONCE // job.n_pixels), (job.n_units - 1) // job.n_shards + 1)
        unit_numbers = s.F * job.n_pixels
        job.sums_numbers = s.F
        job.partial_numbers = s.F * job.K

    cdef Py_ssize_t worker_numbers = (job.at_once * (job.planes_numbers + unit_numbers) + 15) // 16 * 16
    cdef Py_ssize_t n_sums = (job.n_shards * job.sums_numbers + 7) // 8 * 8
    cdef Py_ssize_t *offset = <Py_ssize_t *> allocate(
        (job.n_shards * job.partial_numbers + n_threads * worker_numbers) * sizeof(real)
        + (job.K + 7) // 8 * 8 * sizeof(Py_ssize_t) + n_sums * sizeof(double)
    )
    if offset is NULL:
        raise MemoryError("conv2d_backward: no memory for its working buffers")
    job.sums = <double *> (offset + (job.K + 7) // 8 * 8)
    cdef real *scratch = <real *> (job.sums + n_sums)
    job.partial, job.offset = scratch + n_threads * worker_numbers, offset
    with nogil:
        tap_offsets(&job.padded, job.width, job.plane, offset)
        for job.round in range(job.n_rounds):
            parallel_for(
                <task> &_shards[real], &job, job.n_shards, 1,
                scratch, worker_numbers * sizeof(real), n_threads,
            )
        parallel_for(<task> &_add_shards[real], &job, job.partial_numbers, 16384, NULL, 0, n_threads)
        if job.n_blocks:
            memset(no_bias, 0, sizeof(no_bias))
            _lanes_to_weight(&job, <const real *> job.partial, <const real *> no_bias)
        else:
            memcpy(job.dweight, job.partial, job.partial_numbers * sizeof(real))
        if job.dbias is not NULL:
            _sums_to_bias(&job, <real *> job.dbias)
        release(offset)
