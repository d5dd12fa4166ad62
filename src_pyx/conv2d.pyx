"""Convolution over NCHW: y[n, f] = bias[f] + sum over c, kh, kw of weight[f, c, kh, kw] * x[n, c, ...].

How it runs, an image (or a band of an image's rows) at a time:

1. ``copy_planes`` lays the padded input out so that every tap is a plain shift (convolution.pxd),
   unless the input already is: stride 1, no padding.
2. ``outer_product`` multiplies: each tile of 6 filters x 2 vectors of pixels stays in registers
   for all taps (simd/tiles.h). It takes the band at once, or row by row if rows fill vectors well: then
   no pixel between two rows is computed, and the results go straight to y.
3. The rows are finished: cropped to the output's width, then ReLU and 2x2 max pooling if asked for,
   unless there is nothing to do.

At a stride, planes of every other pixel would have to be picked out of the image. There the vectors hold
filters instead of pixels: ``pixels_product`` (simd/pixels.h) reads the padded image as it lies, and
``channels_to_planes`` finishes. With too few filters to fill a vector, pixels stay in the vectors.

Contract, guaranteed by cnn_core.functional and not checked again here: shapes fit together, arrays
are C-contiguous, the output does not overlap the inputs and is not empty; pooling is for stride 1.
"""

from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task
from convolution cimport Shape, copy_planes, copy_row, planes_along, reach, tap_offsets
from filters cimport blocks_for, channels_to_planes, fills_lanes, lanes_of, pixels_product, planes_to_channels
from tiles cimport outer_product, packed_index

cdef extern from "finish.h" nogil:
    void relu_row_f32(const float *x, Py_ssize_t n, float *y) noexcept
    void relu_row_f64(const double *x, Py_ssize_t n, double *y) noexcept
    ctypedef struct rows_to_pool:
        Py_ssize_t pitch, w, n_rows, first
        int relu

    void pool_rows_f32(const rows_to_pool *, const float *x, float *y, int32_t *indices) noexcept
    void pool_rows_f64(const rows_to_pool *, const double *x, double *y, int32_t *indices) noexcept

import_kernel_api()

# Planes and result of a band should stay in a core's second-level cache.
cdef enum:
    BAND_BYTES = 384 * 1024
    FEWEST_BANDS = 8                    # of the whole batch, so that threads have something to share
    COPY_TAPS = 8                       # as much work as copying a row afterwards

cdef struct Job:
    Shape s
    const void *x
    void *y
    const void *bias                    # (F,) or NULL; filters side by side: one for each lane
    const void *weight                  # packed
    Py_ssize_t n_blocks                 # vectors that a group's filters fill; 0: pixels side by side
    Shape padded                        # filters side by side: as if at stride 1, so the planes are the image
    Py_ssize_t padded_rows              # of a band
    const Py_ssize_t *offset            # (K,)
    Py_ssize_t K                        # taps: C / groups * KH * KW
    Py_ssize_t n_bands, band_rows       # an image's rows, cut
    Py_ssize_t width, plane             # of the planes
    Py_ssize_t planes_numbers           # in all planes of a band; 0: the input serves as it is
    bint relu, pool
    int32_t *indices                    # of the winners of pooling, or NULL
    bint by_rows                        # multiplies row by row
    bint finishes                       # rows are not yet those of y


cdef void _bands(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t item, n, row, n_rows, times, at_once, n_pixels, i, g, f, wide_stride
    cdef Py_ssize_t shrink = 2 if job.pool else 1
    cdef Py_ssize_t plane = (s.OH // shrink) * (s.OW // shrink)
    cdef Py_ssize_t group_F = s.F // s.groups
    cdef Py_ssize_t group_planes = (s.C // s.groups) * (
        planes_along(s.KH, s.sh, s.dh) * planes_along(s.KW, s.sw, s.dw) * job.plane
    )
    cdef const real *planes
    cdef const real *bias
    cdef real *y
    cdef real *wide
    for item in range(first, last):
        n = item // job.n_bands
        row = item % job.n_bands * job.band_rows
        n_rows = min(job.band_rows, s.OH - row)
        times = n_rows if job.by_rows else 1
        at_once = n_rows // times
        n_pixels = (at_once - 1) * job.width + s.OW

        planes = <const real *> job.x + n * s.C * s.H * s.W
        if job.planes_numbers:
            # a last band may have fewer rows: its planes keep the strides of a full one
            copy_planes(s, planes, row, job.band_rows, job.width, scratch)
            planes = scratch
        else:
            planes += row * s.W

        y = <real *> job.y + n * s.F * plane + (row // shrink) * (s.OW // shrink)
        wide = scratch + job.planes_numbers if job.finishes else y
        wide_stride = job.band_rows * job.width if job.finishes else plane
        for i in range(times):
            for g in range(s.groups):
                bias = <const real *> job.bias + g * group_F if job.bias else NULL
                outer_product(
                    <const real *> job.weight + g * group_F * job.K,
                    planes + g * group_planes + i * job.width, job.offset, job.K, bias,
                    wide + g * group_F * wide_stride + i * s.OW, wide_stride, group_F, n_pixels,
                )
            if job.relu and not job.finishes:
                for f in range(s.F):
                    relu_row(y + f * plane + i * s.OW, at_once * s.OW, y + f * plane + i * s.OW)
        if job.finishes:
            for f in range(s.F):
                if job.pool:
                    _pool(job, wide + f * wide_stride, row, n_rows, (n * s.F + f) * plane)
                else:
                    _finish(job, wide + f * wide_stride, n_rows, y + f * plane)


# The same with filters side by side.
cdef void _bands_of_filters(
    const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch
) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t lanes = lanes_of(sizeof(real)), group_F = s.F // s.groups, item, n, row, n_pixels, g, b
    cdef Py_ssize_t block = job.band_rows * s.OW * lanes, plane = s.OH * s.OW
    cdef const real *planes
    cdef const real *bias
    cdef real *y
    cdef real *pixels = scratch + job.planes_numbers
    for item in range(first, last):
        n = item // job.n_bands
        row = item % job.n_bands * job.band_rows
        n_pixels = min(job.band_rows, s.OH - row) * s.OW
        planes = <const real *> job.x + n * s.C * s.H * s.W
        if job.planes_numbers:
            copy_planes(&job.padded, planes, row * s.sh, job.padded_rows, job.width, scratch)
            planes = scratch
        else:
            planes += row * s.sh * s.W
        for g in range(s.groups):
            pixels_product(
                planes + g * (s.C // s.groups) * job.plane, s.sh * job.width, s.sw, job.offset,
                <const real *> job.weight + g * job.n_blocks * job.K * lanes, job.K,
                n_pixels // s.OW, s.OW, job.n_blocks, pixels, block, s.OW * lanes, lanes,
            )
            bias = <const real *> job.bias + g * job.n_blocks * lanes
            y = <real *> job.y + (n * s.F + g * group_F) * plane + row * s.OW
            for b in range(job.n_blocks):
                channels_to_planes(
                    <const real *> pixels + b * block, n_pixels, 0, bias + b * lanes, job.relu,
                    group_F - b * lanes, n_pixels, plane, s.F * plane, y + b * lanes * plane,
                )


cdef inline void relu_row(const real *x, Py_ssize_t n, real *y) noexcept nogil:
    if real is float:
        relu_row_f32(x, n, y)
    else:
        relu_row_f64(x, n, y)


# Rows of one filter from the planes' width to y.
cdef inline void _finish(const Job *job, const real *wide, Py_ssize_t n_rows, real *y) noexcept nogil:
    cdef Py_ssize_t i, width = job.s.OW
    if job.relu:
        for i in range(n_rows):
            relu_row(wide + i * job.width, width, y)
            y += width
    else:
        for i in range(n_rows):
            copy_row(y, wide + i * job.width, width * sizeof(real))
            y += width


# The same with pooling: `row` is the first one's number in the image, `plane` where the filter begins in y.
cdef inline void _pool(
    const Job *job, const real *wide, Py_ssize_t row, Py_ssize_t n_rows, Py_ssize_t plane
) noexcept nogil:
    cdef Py_ssize_t OW = job.s.OW, to = plane + row // 2 * (OW // 2)
    cdef rows_to_pool rows = rows_to_pool(job.width, OW, n_rows // 2, row * OW, job.relu)
    cdef int32_t *indices = job.indices + to if job.indices else NULL
    if real is float:
        pool_rows_f32(&rows, wide, <float *> job.y + to, indices)
    else:
        pool_rows_f64(&rows, wide, <double *> job.y + to, indices)


def conv2d(
    const real[:, :, :, ::1] x,         # IN   (N, C, H, W)
    const real[::1] packed,             # IN   the weight (F, C / groups, KH, KW), by pack_conv2d
    const real[::1] bias,               # IN   (F,), or None
    real[:, :, :, ::1] y,               # OUT  (N, F, OH, OW); (N, F, OH // 2, OW // 2) with pool
    int32_t[:, :, :, ::1] indices,      # OUT  with pool: as max_pool2d's, or None
    Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t sh, Py_ssize_t sw, Py_ssize_t ph, Py_ssize_t pw,
    Py_ssize_t dh, Py_ssize_t dw, Py_ssize_t groups, bint relu, bint pool, int n_threads,
):
    """Fill ``y``; bands of rows are shared among threads."""
    cdef Job job
    cdef Shape *s = &job.s
    cdef Py_ssize_t row_bytes, n_planes, result_numbers = 0, bias_numbers = 0, lanes = lanes_of(sizeof(real))
    s.N, s.C, s.H, s.W, s.F = x.shape[0], x.shape[1], x.shape[2], x.shape[3], y.shape[1]
    s.KH, s.KW, s.sh, s.sw, s.ph, s.pw = KH, KW, sh, sw, ph, pw
    s.dh, s.dw, s.groups = dh, dw, groups
    s.OH = (s.H + 2 * ph - dh * (KH - 1) - 1) // sh + 1
    s.OW = (s.W + 2 * pw - dw * (KW - 1) - 1) // sw + 1
    if pool:                            # an odd last row is in no window
        s.OH -= s.OH % 2
    job.x, job.y, job.weight, job.relu, job.pool = &x[0, 0, 0, 0], &y[0, 0, 0, 0], &packed[0], relu, pool
    job.bias = &bias[0] if bias is not None else NULL
    job.indices = &indices[0, 0, 0, 0] if indices is not None else NULL
    job.K = s.C // groups * KH * KW
    job.n_blocks = _blocks(s.F // groups, sh, sw, sizeof(real))

    job.width = s.OW + reach(s.KW, sw, dw)
    n_planes = s.C * planes_along(s.KH, sh, dh) * planes_along(s.KW, sw, dw)
    row_bytes = (n_planes + s.F) * job.width * sizeof(real)
    job.n_bands = max(1, (s.OH * row_bytes) // BAND_BYTES, FEWEST_BANDS // s.N)
    job.band_rows = (s.OH - 1) // min(job.n_bands, s.OH) + 1
    if pool:
        job.band_rows += job.band_rows % 2
    job.n_bands = (s.OH - 1) // job.band_rows + 1
    job.padded = s[0]
    if job.n_blocks:
        job.padded.sh = job.padded.sw = 1
        job.padded_rows = (job.band_rows - 1) * sh + 1
        job.width = (s.OW - 1) * sw + 1 + (KW - 1) * dw
        job.plane = (job.padded_rows + (KH - 1) * dh) * job.width
        job.planes_numbers = (s.C * job.plane + 15) // 16 * 16
        result_numbers = job.n_blocks * lanes * job.band_rows * s.OW
        bias_numbers = groups * job.n_blocks * lanes
    else:
        job.by_rows = not pool and _fill_vectors(&job, lanes)
        job.finishes = pool or (job.width != s.OW and not job.by_rows)
        job.plane = (job.band_rows + reach(s.KH, sh, dh)) * job.width
        job.planes_numbers = n_planes * job.plane
        if job.finishes:
            result_numbers = s.F * job.band_rows * job.width
    if ph == 0 and pw == 0 and (job.n_blocks or (sh == 1 and sw == 1)):
        job.width, job.plane, job.planes_numbers = s.W, s.H * s.W, 0

    cdef Py_ssize_t worker_numbers = (job.planes_numbers + result_numbers + 15) // 16 * 16
    cdef Py_ssize_t n_offsets = (job.K + 7) // 8 * 8        # what follows stays aligned
    cdef Py_ssize_t *offset = <Py_ssize_t *> allocate(
        n_offsets * sizeof(Py_ssize_t) + (n_threads * worker_numbers + bias_numbers) * sizeof(real)
    )
    if offset is NULL:
        raise MemoryError("conv2d: no memory for its working buffers")
    cdef real *scratch = <real *> (offset + n_offsets)
    job.offset = offset
    with nogil:
        tap_offsets(&job.padded, job.width, job.plane, offset)
        if job.n_blocks:
            _bias_of_lanes(&job, scratch + n_threads * worker_numbers)
        parallel_for(
            <task> &_bands_of_filters[real] if job.n_blocks else <task> &_bands[real],
            &job, s.N * job.n_bands, 1, scratch, worker_numbers * sizeof(real), n_threads,
        )
        release(offset)


# Whether to multiply row by row. Its last vector overlaps the one before it, which wastes lanes; a band at
# once wastes the pixels between its rows, and each row is copied: as much work as some taps.
cdef inline bint _fill_vectors(const Job *job, Py_ssize_t lanes) noexcept nogil:
    cdef Py_ssize_t OW = job.s.OW
    return OW >= lanes and ((OW + lanes - 1) // lanes * lanes - job.width) * job.K <= COPY_TAPS * OW


# job.bias becomes (groups, blocks, lane), with zeros in the lanes without a filter.
cdef inline void _bias_of_lanes(Job *job, real *bias) noexcept nogil:
    cdef Py_ssize_t group_F = job.s.F // job.s.groups, group_lanes = job.n_blocks * lanes_of(sizeof(real)), g
    memset(bias, 0, job.s.groups * group_lanes * sizeof(real))
    if job.bias:
        for g in range(job.s.groups):
            memcpy(bias + g * group_lanes, <const real *> job.bias + g * group_F, group_F * sizeof(real))
    job.bias = bias


# ---- the weight ----

# How many vectors a group's filters fill; 0: pixels lie side by side.
cdef inline Py_ssize_t _blocks(
    Py_ssize_t group_F, Py_ssize_t sh, Py_ssize_t sw, size_t number_bytes
) noexcept nogil:
    if (sh > 1 or sw > 1) and fills_lanes(group_F, number_bytes):
        return blocks_for(group_F, number_bytes)
    return 0


def packed_size(
    const real[:, :, :, ::1] weight,    # IN   (F, C / groups, KH, KW)
    Py_ssize_t sh, Py_ssize_t sw, Py_ssize_t groups,
):
    """The length of what ``pack_conv2d`` fills."""
    cdef Py_ssize_t group_F = weight.shape[0] // groups
    cdef Py_ssize_t n_blocks = _blocks(group_F, sh, sw, sizeof(real))
    if n_blocks:
        group_F = n_blocks * lanes_of(sizeof(real))
    return groups * group_F * weight.shape[1] * weight.shape[2] * weight.shape[3]


def pack_conv2d(
    const real[:, :, :, ::1] weight,    # IN   (F, C / groups, KH, KW)
    real[::1] packed,                   # OUT  (packed_size(weight, ...),)
    Py_ssize_t sh, Py_ssize_t sw, Py_ssize_t groups,
):
    """Fill ``packed`` with the weight in the order in which ``conv2d`` reads it."""
    cdef Py_ssize_t group_F = weight.shape[0] // groups, _group, b, f, k
    cdef Py_ssize_t K = weight.shape[1] * weight.shape[2] * weight.shape[3]
    cdef Py_ssize_t lanes = lanes_of(sizeof(real)), n_blocks = _blocks(group_F, sh, sw, sizeof(real))
    cdef const real *source = &weight[0, 0, 0, 0]
    cdef real *to = &packed[0]
    with nogil:
        for _group in range(groups):
            for b in range(n_blocks):   # (block of filters, k, lane)
                planes_to_channels(
                    source + b * lanes * K, K, group_F - b * lanes, K, K, 0, 0, to + b * lanes * K
                )
            if n_blocks == 0:
                for f in range(group_F):
                    for k in range(K):
                        to[packed_index(f, k, group_F, K)] = source[f * K + k]
            source += group_F * K
            to += (n_blocks * lanes if n_blocks else group_F) * K
