"""Convolution over NCHW: y[n, f] = bias[f] + sum over c, kh, kw of weight[f, c, kh, kw] * x[n, c, ...].

How it runs, an image (or a band of an image's rows) at a time:

1. ``copy_planes`` lays the padded input out so that every tap is a plain shift (convolution.pxd),
   unless the input already is: stride 1, no padding.
2. ``outer_product`` multiplies: each tile of 6 filters x 2 vectors of pixels stays in registers
   for all taps (simd/tiles.h).
3. The rows are cropped to the output's width, unless none is wider.

Contract, guaranteed by cnn_core.functional and not checked again here: shapes fit together, arrays
are C-contiguous, the output does not overlap the inputs and is not empty.
"""

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task
from convolution cimport Shape, copy_planes, copy_row, planes_along, reach, tap_offsets
from tiles cimport outer_product, packed_index

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
    bint crops                          # rows are wider than the output's


cdef void _bands(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t item, n, row, n_rows, n_pixels, g, f, i, y_stride
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

        y = <real *> job.y + (n * s.F * s.OH + row) * s.OW
        wide = scratch + job.planes_numbers if job.crops else y
        y_stride = job.band_rows * job.width if job.crops else s.OH * s.OW
        for g in range(s.groups):
            bias = <const real *> job.bias + g * group_F if job.bias else NULL
            outer_product(
                <const real *> job.weight + g * group_F * job.K, planes + g * group_planes, job.offset, job.K,
                bias, wide + g * group_F * y_stride, y_stride, group_F, n_pixels,
            )
        if job.crops:
            for f in range(s.F):
                for i in range(n_rows):
                    copy_row(
                        y + (f * s.OH + i) * s.OW, wide + f * y_stride + i * job.width, s.OW * sizeof(real)
                    )


cdef void _pack(const Shape *s, Py_ssize_t K, const real *weight, real *packed) noexcept nogil:
    cdef Py_ssize_t group_F = s.F // s.groups, _group, f, k
    for _group in range(s.groups):
        for f in range(group_F):
            for k in range(K):
                packed[packed_index(f, k, group_F, K)] = weight[f * K + k]
        weight += group_F * K
        packed += group_F * K


def conv2d(
    const real[:, :, :, ::1] x,         # IN   (N, C, H, W)
    const real[:, :, :, ::1] weight,    # IN   (F, C / groups, KH, KW)
    const real[::1] bias,               # IN   (F,), or None
    real[:, :, :, ::1] y,               # OUT  (N, F, OH, OW)
    Py_ssize_t sh, Py_ssize_t sw, Py_ssize_t ph, Py_ssize_t pw, Py_ssize_t dh, Py_ssize_t dw,
    Py_ssize_t groups, int n_threads,
):
    """Fill ``y``; bands of rows are shared among threads."""
    cdef Job job
    cdef Shape *s = &job.s
    cdef Py_ssize_t row_bytes, n_planes
    s.N, s.C, s.H, s.W = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    s.F, s.OH, s.OW = y.shape[1], y.shape[2], y.shape[3]
    s.KH, s.KW, s.sh, s.sw, s.ph, s.pw = weight.shape[2], weight.shape[3], sh, sw, ph, pw
    s.dh, s.dw, s.groups = dh, dw, groups
    job.x, job.y = &x[0, 0, 0, 0], &y[0, 0, 0, 0]
    job.bias = &bias[0] if bias is not None else NULL
    job.K = weight.shape[1] * s.KH * s.KW

    job.width = s.OW + reach(s.KW, sw, dw)
    n_planes = s.C * planes_along(s.KH, sh, dh) * planes_along(s.KW, sw, dw)
    row_bytes = (n_planes + s.F) * job.width * sizeof(real)
    job.n_bands = max(1, (s.OH * row_bytes) // BAND_BYTES, FEWEST_BANDS // s.N)
    job.band_rows = (s.OH - 1) // min(job.n_bands, s.OH) + 1
    job.n_bands = (s.OH - 1) // job.band_rows + 1
    job.crops = job.width != s.OW
    if sh == 1 and sw == 1 and ph == 0 and pw == 0:
        job.plane = s.H * s.W           # the width is W itself
        job.planes_numbers = 0
    else:
        job.plane = (job.band_rows + reach(s.KH, sh, dh)) * job.width
        job.planes_numbers = n_planes * job.plane

    cdef Py_ssize_t worker_numbers = job.planes_numbers
    if job.crops:
        worker_numbers += s.F * job.band_rows * job.width
    worker_numbers = (worker_numbers + 15) // 16 * 16
    cdef real *memory = <real *> allocate(
        (s.F * job.K + n_threads * worker_numbers) * sizeof(real) + (job.K + 8) * sizeof(Py_ssize_t)
    )
    if memory is NULL:
        raise MemoryError("conv2d: no memory for its working buffers")
    cdef real *scratch = memory
    cdef real *packed = scratch + n_threads * worker_numbers
    cdef Py_ssize_t *offset = <Py_ssize_t *> (
        (<size_t> (packed + s.F * job.K) + sizeof(Py_ssize_t) - 1) // sizeof(Py_ssize_t) * sizeof(Py_ssize_t)
    )
    job.weight, job.offset = packed, offset
    with nogil:
        _pack(s, job.K, &weight[0, 0, 0, 0], packed)
        tap_offsets(s, job.width, job.plane, offset)
        parallel_for(
            <task> &_bands[real], &job, s.N * job.n_bands, 1,
            scratch, worker_numbers * sizeof(real), n_threads,
        )
        release(memory)
