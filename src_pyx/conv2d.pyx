"""Convolution over NCHW: y[n, f] = bias[f] + sum over c, kh, kw of weight[f, c, kh, kw] * x[n, c, ...].

How it runs, an image (or a band of an image's rows) at a time:

1. ``copy_planes`` lays the padded input out so that every tap is a plain shift (convolution.pxd),
   unless the input already is: stride 1, no padding.
2. ``outer_product`` multiplies: each tile of 6 filters x 2 vectors of pixels stays in registers
   for all taps (simd/tiles.h).
3. The rows are finished: cropped to the output's width, then ReLU and 2x2 max pooling if asked for,
   unless there is nothing to do.

Contract, guaranteed by cnn_core.functional and not checked again here: shapes fit together, arrays
are C-contiguous, the output does not overlap the inputs and is not empty.
"""

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task
from convolution cimport Shape, copy_planes, copy_row, planes_along, reach, tap_offsets
from tiles cimport outer_product, packed_index

cdef extern from "finish.h" nogil:
    void relu_row_f32(const float *x, Py_ssize_t n, float *y) noexcept
    void relu_row_f64(const double *x, Py_ssize_t n, double *y) noexcept
    void pool_rows_f32(
        const float *upper, const float *lower, Py_ssize_t n, bint relu, float *y
    ) noexcept
    void pool_rows_f64(
        const double *upper, const double *lower, Py_ssize_t n, bint relu, double *y
    ) noexcept

import_kernel_api()

# Planes and result of a band should stay in a core's second-level cache.
cdef enum:
    BAND_BYTES = 384 * 1024
    FEWEST_BANDS = 8                    # of the whole batch, so that threads have something to share

cdef struct Job:
    Shape s
    const void *x
    void *y
    const void *bias                    # (F,) or NULL
    const void *weight                  # packed
    const Py_ssize_t *offset            # (K,)
    Py_ssize_t K                        # taps: C / groups * KH * KW
    Py_ssize_t n_bands, band_rows       # an image's rows, cut
    Py_ssize_t width, plane             # of the planes
    Py_ssize_t planes_numbers           # in all planes of a band; 0: the input serves as it is
    bint relu, pool
    bint finishes                       # rows are not yet those of y


cdef void _bands(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t item, n, row, n_rows, n_pixels, g, f, wide_stride
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
        n_pixels = (n_rows - 1) * job.width + s.OW

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
        for g in range(s.groups):
            bias = <const real *> job.bias + g * group_F if job.bias else NULL
            outer_product(
                <const real *> job.weight + g * group_F * job.K, planes + g * group_planes, job.offset, job.K,
                bias, wide + g * group_F * wide_stride, wide_stride, group_F, n_pixels,
            )
        if job.finishes:
            for f in range(s.F):
                _finish(job, wide + f * wide_stride, n_rows, y + f * plane)


cdef inline void relu_row(const real *x, Py_ssize_t n, real *y) noexcept nogil:
    if real is float:
        relu_row_f32(x, n, y)
    else:
        relu_row_f64(x, n, y)


cdef inline void pool_rows(
    const real *upper, const real *lower, Py_ssize_t n, bint relu, real *y
) noexcept nogil:
    if real is float:
        pool_rows_f32(upper, lower, n, relu, y)
    else:
        pool_rows_f64(upper, lower, n, relu, y)


# Rows of one filter from the planes' width to y.
cdef inline void _finish(const Job *job, const real *wide, Py_ssize_t n_rows, real *y) noexcept nogil:
    cdef Py_ssize_t i, width = job.s.OW
    if job.pool:
        for i in range(n_rows // 2):
            pool_rows(wide + 2 * i * job.width, wide + (2 * i + 1) * job.width, width // 2, job.relu, y)
            y += width // 2
    elif job.relu:
        for i in range(n_rows):
            relu_row(wide + i * job.width, width, y)
            y += width
    else:
        for i in range(n_rows):
            copy_row(y, wide + i * job.width, width * sizeof(real))
            y += width


def conv2d(
    const real[:, :, :, ::1] x,         # IN   (N, C, H, W)
    const real[::1] packed,             # IN   the weight (F, C / groups, KH, KW), by pack_conv2d
    const real[::1] bias,               # IN   (F,), or None
    real[:, :, :, ::1] y,               # OUT  (N, F, OH, OW); (N, F, OH // 2, OW // 2) with pool
    Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t sh, Py_ssize_t sw, Py_ssize_t ph, Py_ssize_t pw,
    Py_ssize_t dh, Py_ssize_t dw, Py_ssize_t groups, bint relu, bint pool, int n_threads,
):
    """Fill ``y``; bands of rows are shared among threads."""
    cdef Job job
    cdef Shape *s = &job.s
    cdef Py_ssize_t row_bytes, n_planes
    s.N, s.C, s.H, s.W, s.F = x.shape[0], x.shape[1], x.shape[2], x.shape[3], y.shape[1]
    s.KH, s.KW, s.sh, s.sw, s.ph, s.pw = KH, KW, sh, sw, ph, pw
    s.dh, s.dw, s.groups = dh, dw, groups
    s.OH = (s.H + 2 * ph - dh * (KH - 1) - 1) // sh + 1
    s.OW = (s.W + 2 * pw - dw * (KW - 1) - 1) // sw + 1
    if pool:                            # an odd last row is in no window
        s.OH -= s.OH % 2
    job.x, job.y, job.weight, job.relu, job.pool = &x[0, 0, 0, 0], &y[0, 0, 0, 0], &packed[0], relu, pool
    job.bias = &bias[0] if bias is not None else NULL
    job.K = s.C // groups * KH * KW

    job.width = s.OW + reach(s.KW, sw, dw)
    n_planes = s.C * planes_along(s.KH, sh, dh) * planes_along(s.KW, sw, dw)
    row_bytes = (n_planes + s.F) * job.width * sizeof(real)
    job.n_bands = max(1, (s.OH * row_bytes) // BAND_BYTES, FEWEST_BANDS // s.N)
    job.band_rows = (s.OH - 1) // min(job.n_bands, s.OH) + 1
    if pool:
        job.band_rows += job.band_rows % 2
    job.n_bands = (s.OH - 1) // job.band_rows + 1
    job.finishes = job.width != s.OW or relu or pool
    if sh == 1 and sw == 1 and ph == 0 and pw == 0:
        job.plane = s.H * s.W           # the width is W itself
        job.planes_numbers = 0
    else:
        job.plane = (job.band_rows + reach(s.KH, sh, dh)) * job.width
        job.planes_numbers = n_planes * job.plane

    cdef Py_ssize_t worker_numbers = job.planes_numbers
    if job.finishes:
        # and some numbers more, as pool_rows may read as far as two vectors reach
        worker_numbers += s.F * job.band_rows * job.width + 32
    worker_numbers = (worker_numbers + 15) // 16 * 16
    cdef Py_ssize_t n_offsets = (job.K + 7) // 8 * 8        # what follows stays aligned
    cdef Py_ssize_t *offset = <Py_ssize_t *> allocate(
        n_offsets * sizeof(Py_ssize_t) + n_threads * worker_numbers * sizeof(real)
    )
    if offset is NULL:
        raise MemoryError("conv2d: no memory for its working buffers")
    cdef real *scratch = <real *> (offset + n_offsets)
    job.offset = offset
    with nogil:
        tap_offsets(s, job.width, job.plane, offset)
        parallel_for(
            <task> &_bands[real], &job, s.N * job.n_bands, 1,
            scratch, worker_numbers * sizeof(real), n_threads,
        )
        release(offset)


def pack_conv2d(
    const real[:, :, :, ::1] weight,    # IN   (F, C / groups, KH, KW)
    real[::1] packed,                   # OUT  as long as weight has numbers
    Py_ssize_t groups,
):
    """Fill ``packed`` with the weight in the order in which ``conv2d`` reads it."""
    cdef Py_ssize_t group_F = weight.shape[0] // groups, _group, f, k
    cdef Py_ssize_t K = weight.shape[1] * weight.shape[2] * weight.shape[3]
    cdef const real *source = &weight[0, 0, 0, 0]
    cdef real *to = &packed[0]
    with nogil:
        for _group in range(groups):
            for f in range(group_F):
                for k in range(K):
                    to[packed_index(f, k, group_F, K)] = source[f * K + k]
            source += group_F * K
            to += group_F * K
