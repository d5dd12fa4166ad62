"""The gradient of a convolution with respect to its input.

dx is again a sum over taps, of filters this time: in the planes of convolution.pxd,

    dplane[c][q] = sum over f and the plane's taps of weight[f, c, kh, kw] * dy[f][q - shift(kh, kw)],

so the tile of the forward pass serves, on dy with a margin of zeros. Then the planes are put back
together, less the padding.

At a stride, each plane has some of the taps and brings every other pixel. There the vectors hold channels
instead of pixels, if there are enough to fill them: ``pixels_product`` (simd/pixels.h) writes each pixel to
its place in the image, and ``channels_to_planes`` turns that into planes.

Contract as in conv2d.pyx. Every element of ``dx`` is written.
"""

from libc.string cimport memset

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task
from convolution cimport Shape, clear_row, copy_row, fetch_row, reach
from filters cimport blocks_for, channels_to_planes, fills_lanes, lanes_of, pixels_product
from tiles cimport outer_product, packed_index

import_kernel_api()

cdef enum:
    BAND_BYTES = 384 * 1024             # planes and result of a band: in the second-level cache
    FEWEST_BANDS = 8                    # of the whole batch, so that threads have something to share

cdef struct Job:
    Shape s
    const void *dy
    void *dx
    const void *weight                  # packed per group and plane
    const Py_ssize_t *offset            # per plane
    Py_ssize_t n_blocks                 # vectors that a group's channels fill; 0: pixels side by side
    Py_ssize_t first_row, n_rows        # of the planes: those that hold pixels of the image
    Py_ssize_t n_bands, band_rows
    Py_ssize_t width                    # of a plane, and of dy with its margin
    Py_ssize_t margin_h, margin_w       # zeros above and left of dy: as far as taps reach


# dy's rows first - margin_h ... first + n_rows, each behind margin_w zeros: (F, rows, width), then a
# last margin.
cdef void _with_margin(
    const Job *job, const real *dy, Py_ssize_t first, Py_ssize_t n_rows, real *to,
) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t f, i
    for f in range(s.F):
        for i in range(first - job.margin_h, first + n_rows):
            if i < 0 or i >= s.OH:
                clear_row(to, job.width * sizeof(real))
            else:
                clear_row(to, job.margin_w * sizeof(real))
                copy_row(to + job.margin_w, dy + (f * s.OH + i) * s.OW, s.OW * sizeof(real))
                fetch_row(dy + ((s.F + f) * s.OH + i) * s.OW, s.OW * sizeof(real))
                clear_row(to + job.margin_w + s.OW, (job.width - job.margin_w - s.OW) * sizeof(real))
            to += job.width
        clear_row(to, job.margin_w * sizeof(real))
        to += job.margin_w


# The rows of the planes (a, 0) ... (a, sw - 1) back to their places in the image: every sh-th row, to which
# each plane brings every sw-th column.
cdef void _planes_to_image(
    const Job *job, const real *planes, Py_ssize_t plane_stride, Py_ssize_t n_channels,
    Py_ssize_t first, Py_ssize_t n_rows, Py_ssize_t a, real *dx,
) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t c, i, row
    for c in range(n_channels):
        for i in range(n_rows):
            row = (first + i) * s.sh + a - s.ph
            if 0 <= row < s.H:
                _interleave(
                    s, planes + c * plane_stride + i * job.width, n_channels * plane_stride,
                    dx + (c * s.H + row) * s.W,
                )


# Column w of a row is number (w + pw) // sw of plane (w + pw) % sw.
cdef inline void _interleave(
    const Shape *s, const real *planes, Py_ssize_t between_planes, real *row,
) noexcept nogil:
    cdef Py_ssize_t w = s.pw % 2, j, b, column
    cdef const real *even
    cdef const real *odd
    if s.sw == 1:
        copy_row(row, planes + s.pw, s.W * sizeof(real))
    elif s.sw == 2:                     # two by two, which the compiler makes shuffles of
        even = planes + (s.pw + 1) // 2
        odd = even + between_planes
        if w:
            row[0] = (odd - 1)[0]
        for j in range((s.W - w) // 2):
            row[w + 2 * j] = even[j]
            row[w + 2 * j + 1] = odd[j]
        if (s.W - w) % 2:
            row[s.W - 1] = even[(s.W - w) // 2]
    else:
        b, j = s.pw % s.sw, s.pw // s.sw
        for column in range(s.W):
            row[column] = planes[b * between_planes + j]
            b += 1
            if b == s.sw:
                b = 0
                j += 1


cdef void _bands(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t group_F = s.F // s.groups, group_C = s.C // s.groups
    cdef Py_ssize_t item, n, row, n_rows, n_pixels, g, a, b, taps, dy_plane
    cdef Py_ssize_t band_pixels = job.band_rows * job.width
    cdef real *margined = scratch
    cdef real *plane
    cdef real *planes = scratch + s.F * ((job.band_rows + job.margin_h) * job.width + job.margin_w)
    cdef const real *weight
    cdef const Py_ssize_t *offset
    cdef real *dx
    for item in range(first, last):
        n = item // job.n_bands
        row = job.first_row + item % job.n_bands * job.band_rows
        n_rows = min(job.band_rows, job.first_row + job.n_rows - row)
        n_pixels = n_rows * job.width
        dy_plane = (job.band_rows + job.margin_h) * job.width + job.margin_w
        _with_margin(job, <const real *> job.dy + n * s.F * s.OH * s.OW, row, job.band_rows, margined)
        for g in range(s.groups):
            dx = <real *> job.dx + (n * s.C + g * group_C) * s.H * s.W
            weight = <const real *> job.weight + g * group_C * group_F * s.KH * s.KW
            offset = job.offset
            for a in range(s.sh):
                for b in range(s.sw):
                    taps = _taps(s.KH, s.sh, s.dh, a) * _taps(s.KW, s.sw, s.dw, b)
                    plane = planes + b * group_C * band_pixels
                    if taps == 0:
                        memset(plane, 0, group_C * band_pixels * sizeof(real))
                    else:
                        outer_product(
                            weight, margined + g * group_F * dy_plane, offset, group_F * taps,
                            <const real *> NULL, plane, band_pixels, group_C, n_pixels,
                        )
                    weight += group_C * group_F * taps
                    offset += group_F * taps
                _planes_to_image(job, planes, band_pixels, group_C, row, n_rows, a, dx)


# The same with channels side by side.
cdef void _bands_of_channels(
    const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch
) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t group_F = s.F // s.groups, group_C = s.C // s.groups, lanes = lanes_of(sizeof(real))
    cdef Py_ssize_t item, n, row, top, bottom, g, a, b, i, j, n_i, n_j, taps, n_pixels
    cdef Py_ssize_t dy_plane = (job.band_rows + job.margin_h) * job.width + job.margin_w
    cdef Py_ssize_t block = min(job.band_rows * s.sh, s.H) * s.W * lanes
    cdef real *margined = scratch
    cdef real *pixels = scratch + (s.F * dy_plane + 15) // 16 * 16
    cdef const real *weight = <const real *> job.weight
    cdef const Py_ssize_t *offset
    cdef real[16] no_bias
    memset(no_bias, 0, sizeof(no_bias))
    for item in range(first, last):
        n = item // job.n_bands
        row = job.first_row + item % job.n_bands * job.band_rows
        top = max(0, row * s.sh - s.ph)                                 # the band's rows in the image
        bottom = min(s.H, (row + job.band_rows) * s.sh - s.ph)
        n_pixels = (bottom - top) * s.W
        _with_margin(job, <const real *> job.dy + n * s.F * s.OH * s.OW, row, job.band_rows, margined)
        weight = <const real *> job.weight
        for g in range(s.groups):
            memset(pixels, 0, job.n_blocks * block * sizeof(real))      # some planes may have no taps
            offset = job.offset
            for a in range(s.sh):
                i = row + (row * s.sh + a < s.ph)                       # the plane's first row in the image
                n_i = (bottom + s.ph - a + s.sh - 1) // s.sh - i
                for b in range(s.sw):
                    j = (max(0, s.pw - b) + s.sw - 1) // s.sw       # and its first column
                    n_j = (s.W + s.pw - b + s.sw - 1) // s.sw - j
                    taps = _taps(s.KH, s.sh, s.dh, a) * _taps(s.KW, s.sw, s.dw, b)
                    if taps > 0 and n_i > 0 and n_j > 0:
                        pixels_product(
                            <const real *> margined + g * group_F * dy_plane + (i - row) * job.width + j,
                            job.width, 1, offset, weight, group_F * taps, n_i, n_j, job.n_blocks,
                            pixels + ((i * s.sh + a - s.ph - top) * s.W + j * s.sw + b - s.pw) * lanes,
                            block, s.sh * s.W * lanes, s.sw * lanes,
                        )
                    weight += job.n_blocks * lanes * group_F * taps
                    offset += group_F * taps
            for b in range(job.n_blocks):
                channels_to_planes(
                    <const real *> pixels + b * block, n_pixels, 0, <const real *> no_bias, False,
                    group_C - b * lanes, n_pixels, s.H * s.W, s.C * s.H * s.W,
                    <real *> job.dx + ((n * s.C + g * group_C + b * lanes) * s.H + top) * s.W,
                )


# How many of K taps fall into plane a.
cdef Py_ssize_t _taps(Py_ssize_t K, Py_ssize_t stride, Py_ssize_t dilation, Py_ssize_t a) noexcept nogil:
    cdef Py_ssize_t k, n = 0
    for k in range(K):
        n += k * dilation % stride == a
    return n


# Weights and offsets plane after plane: rows are channels, steps are (filter, tap of this plane). With
# channels side by side: (block of channels, step, lane).
cdef void _pack_by_plane(
    const Job *job, const real *weight, real *packed, Py_ssize_t *offset,
) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t group_F = s.F // s.groups, group_C = s.C // s.groups
    cdef Py_ssize_t dy_plane = (job.band_rows + job.margin_h) * job.width + job.margin_w
    cdef Py_ssize_t lanes = lanes_of(sizeof(real)), rows = job.n_blocks * lanes if job.n_blocks else group_C
    cdef Py_ssize_t g, a, b, f, kh, kw, c, k, n_k, to
    memset(packed, 0, s.groups * rows * group_F * s.KH * s.KW * sizeof(real))
    for g in range(s.groups):
        for a in range(s.sh):
            for b in range(s.sw):
                n_k = group_F * _taps(s.KH, s.sh, s.dh, a) * _taps(s.KW, s.sw, s.dw, b)
                k = 0
                for f in range(group_F):
                    for kh in range(s.KH):
                        for kw in range(s.KW):
                            if kh * s.dh % s.sh != a or kw * s.dw % s.sw != b:
                                continue
                            if g == 0:
                                offset[k] = (
                                    f * dy_plane + (job.margin_h - kh * s.dh // s.sh) * job.width
                                    + job.margin_w - kw * s.dw // s.sw
                                )
                            for c in range(group_C):
                                if job.n_blocks:
                                    to = (c // lanes * n_k + k) * lanes + c % lanes
                                else:
                                    to = packed_index(c, k, group_C, n_k)
                                packed[to] = weight[
                                    (((g * group_F + f) * group_C + c) * s.KH + kh) * s.KW + kw
                                ]
                            k += 1
                packed += rows * n_k
                if g == 0:
                    offset += n_k


def conv2d_backward_input(
    const real[:, :, :, ::1] dy,        # IN   (N, F, OH, OW)
    const real[:, :, :, ::1] weight,    # IN   (F, C / groups, KH, KW)
    real[:, :, :, ::1] dx,              # OUT  (N, C, H, W)
    Py_ssize_t sh, Py_ssize_t sw, Py_ssize_t ph, Py_ssize_t pw, Py_ssize_t dh, Py_ssize_t dw,
    Py_ssize_t groups, int n_threads,
):
    """Fill ``dx``; bands of rows are shared among threads."""
    cdef Job job
    cdef Shape *s = &job.s
    cdef Py_ssize_t row_bytes, result_row, worker_numbers, group_C = weight.shape[1]
    s.N, s.C, s.H, s.W = dx.shape[0], dx.shape[1], dx.shape[2], dx.shape[3]
    s.F, s.OH, s.OW = dy.shape[1], dy.shape[2], dy.shape[3]
    s.KH, s.KW, s.sh, s.sw, s.ph, s.pw = weight.shape[2], weight.shape[3], sh, sw, ph, pw
    s.dh, s.dw, s.groups = dh, dw, groups
    job.dy, job.dx = &dy[0, 0, 0, 0], &dx[0, 0, 0, 0]

    job.margin_h, job.margin_w = reach(s.KH, sh, dh), reach(s.KW, sw, dw)
    job.width = max(s.OW + job.margin_w, (s.W + pw - 1) // sw + 1)
    job.first_row = ph // sh
    job.n_rows = (s.H + ph - 1) // sh + 1 - job.first_row
    job.n_blocks, result_row = 0, sw * group_C * job.width
    if (sh > 1 or sw > 1) and fills_lanes(group_C, sizeof(real)):
        job.n_blocks = blocks_for(group_C, sizeof(real))
        group_C = job.n_blocks * lanes_of(sizeof(real))
        result_row = group_C * min(sh, s.H) * s.W
    row_bytes = (s.F * job.width + result_row) * sizeof(real)
    job.n_bands = max(1, (job.n_rows * row_bytes) // BAND_BYTES, FEWEST_BANDS // s.N)
    job.band_rows = (job.n_rows - 1) // min(job.n_bands, job.n_rows) + 1
    job.n_bands = (job.n_rows - 1) // job.band_rows + 1

    worker_numbers = (s.F * ((job.band_rows + job.margin_h) * job.width + job.margin_w) + 15) // 16 * 16
    worker_numbers = (worker_numbers + job.band_rows * result_row + 15) // 16 * 16
    cdef Py_ssize_t n_weights = s.F * group_C * s.KH * s.KW
    cdef Py_ssize_t n_offsets = (s.F // groups * s.KH * s.KW + 7) // 8 * 8      # what follows stays aligned
    cdef real *memory = <real *> allocate(
        (n_weights + n_threads * worker_numbers) * sizeof(real) + n_offsets * sizeof(Py_ssize_t)
    )
    if memory is NULL:
        raise MemoryError("conv2d_backward: no memory for its working buffers")
    cdef Py_ssize_t *offset = <Py_ssize_t *> memory
    cdef real *scratch = <real *> (offset + n_offsets)
    cdef real *packed = scratch + n_threads * worker_numbers
    job.weight, job.offset = packed, offset
    with nogil:
        _pack_by_plane(&job, &weight[0, 0, 0, 0], packed, offset)
        parallel_for(
            <task> &_bands_of_channels[real] if job.n_blocks else <task> &_bands[real],
            &job, s.N * job.n_bands, 1, scratch, worker_numbers * sizeof(real), n_threads,
        )
        release(memory)
