"""The gradients of a convolution: with respect to its input, its weight and its bias.

Input.  dx is again a sum over taps, of filters this time: in the planes of convolution.pxd,
    dplane[c][q] = sum over f and the plane's taps of weight[f, c, kh, kw] * dy[f][q - shift(kh, kw)],
so the tile of the forward pass serves, on dy with a margin of zeros; then the planes are put back
together, less the padding.

Weight.  dweight[f, k] = sum over images and pixels of dy[f][q] * plane[offset[k] + q]: the dot tile,
on dy with zeros in the columns that the planes have beyond the output's. Bands of rows are added up
in shards that depend on the shapes alone, and the shards in their order.

Contract as in conv2d.pyx. Every element of the outputs is written.
"""

from libc.string cimport memcpy, memset

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task
from convolution cimport Shape, copy_planes, planes_along, reach, tap_offsets
from tiles cimport dot_product, outer_product, packed_index

import_kernel_api()

cdef enum:
    BAND_BYTES = 384 * 1024             # planes and result of a band: in the second-level cache
    FEWEST_BANDS = 8                    # of the whole batch, so that threads have something to share
    PIXELS_AT_ONCE = 1024               # of the weight gradient's sums, before lanes are added
    SHARDS = 8                          # of the weight gradient


# ---- with respect to the input ----

cdef struct InputJob:
    Shape s
    const void *dy
    void *dx
    const void *weight                  # packed per group and plane
    const Py_ssize_t *offset            # per plane
    Py_ssize_t first_row, n_rows        # of the planes: those that hold pixels of the image
    Py_ssize_t n_bands, band_rows
    Py_ssize_t width                    # of a plane, and of dy with its margin
    Py_ssize_t margin_h, margin_w       # zeros above and left of dy: as far as taps reach


# dy's rows first - margin_h ... first + n_rows, each behind margin_w zeros: (F, rows, width) and a last margin.
cdef void _with_margin(
    const InputJob *job, const real *dy, Py_ssize_t first, Py_ssize_t n_rows, real *to,
) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t f, i, j
    for f in range(s.F):
        for i in range(first - job.margin_h, first + n_rows):
            if i < 0 or i >= s.OH:
                memset(to, 0, job.width * sizeof(real))
            else:
                for j in range(job.margin_w):
                    to[j] = 0
                memcpy(to + job.margin_w, dy + (f * s.OH + i) * s.OW, s.OW * sizeof(real))
                for j in range(job.margin_w + s.OW, job.width):
                    to[j] = 0
            to += job.width
        for j in range(job.margin_w):
            to[j] = 0
        to += job.margin_w


# The rows of one plane back to their places in the image: every sh-th row, every sw-th column.
cdef void _plane_to_image(
    const InputJob *job, const real *plane, Py_ssize_t plane_stride, Py_ssize_t n_channels,
    Py_ssize_t first, Py_ssize_t n_rows, Py_ssize_t a, Py_ssize_t b, real *dx,
) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t c, i, j, row, column
    cdef Py_ssize_t begin = (s.pw - b + s.sw - 1) // s.sw if s.pw > b else 0
    cdef Py_ssize_t end = (s.W + s.pw - b + s.sw - 1) // s.sw if s.W + s.pw > b else 0
    cdef const real *source
    cdef real *to
    for c in range(n_channels):
        for i in range(n_rows):
            row = (first + i) * s.sh + a - s.ph
            if row < 0 or row >= s.H or begin >= end:
                continue
            source = plane + c * plane_stride + i * job.width
            to = dx + (c * s.H + row) * s.W
            column = begin * s.sw + b - s.pw
            if s.sw == 1:
                memcpy(to + column, source + begin, (end - begin) * sizeof(real))
            else:
                for j in range(begin, end):
                    to[column + (j - begin) * s.sw] = source[j]


cdef void _input_bands(const InputJob *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t group_F = s.F // s.groups, group_C = s.C // s.groups
    cdef Py_ssize_t item, n, row, n_rows, n_pixels, g, a, b, taps, dy_plane, plane_stride
    cdef Py_ssize_t band_pixels = job.band_rows * job.width
    cdef real *margined = scratch
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
                    if taps == 0:
                        memset(planes, 0, group_C * band_pixels * sizeof(real))
                    else:
                        outer_product(
                            weight, margined + g * group_F * dy_plane, offset, group_F * taps, <const real *> NULL,
                            planes, band_pixels, group_C, n_pixels,
                        )
                    _plane_to_image(job, planes, band_pixels, group_C, row, n_rows, a, b, dx)
                    weight += group_C * group_F * taps
                    offset += group_F * taps


# How many of K taps fall into plane a.
cdef Py_ssize_t _taps(Py_ssize_t K, Py_ssize_t stride, Py_ssize_t dilation, Py_ssize_t a) noexcept nogil:
    cdef Py_ssize_t k, n = 0
    for k in range(K):
        n += k * dilation % stride == a
    return n


# Weights and offsets plane after plane: rows are channels, steps are (filter, tap of this plane).
cdef void _pack_by_plane(
    const InputJob *job, const real *weight, real *packed, Py_ssize_t *offset,
) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t group_F = s.F // s.groups, group_C = s.C // s.groups
    cdef Py_ssize_t dy_plane = (job.band_rows + job.margin_h) * job.width + job.margin_w
    cdef Py_ssize_t g, a, b, f, kh, kw, c, k, n_k
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
                                packed[packed_index(c, k, group_C, n_k)] = weight[
                                    (((g * group_F + f) * group_C + c) * s.KH + kh) * s.KW + kw
                                ]
                            k += 1
                packed += group_C * n_k
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
    cdef InputJob job
    cdef Shape *s = &job.s
    cdef Py_ssize_t row_bytes, worker_numbers, n_weights = weight.shape[0] * weight.shape[1]
    s.N, s.C, s.H, s.W = dx.shape[0], dx.shape[1], dx.shape[2], dx.shape[3]
    s.F, s.OH, s.OW = dy.shape[1], dy.shape[2], dy.shape[3]
    s.KH, s.KW, s.sh, s.sw, s.ph, s.pw = weight.shape[2], weight.shape[3], sh, sw, ph, pw
    s.dh, s.dw, s.groups = dh, dw, groups
    n_weights *= s.KH * s.KW
    job.dy, job.dx = &dy[0, 0, 0, 0], &dx[0, 0, 0, 0]

    job.margin_h, job.margin_w = reach(s.KH, sh, dh), reach(s.KW, sw, dw)
    job.width = max(s.OW + job.margin_w, (s.W + pw - 1) // sw + 1)
    job.first_row = ph // sh
    job.n_rows = (s.H + ph - 1) // sh + 1 - job.first_row
    row_bytes = (s.F + s.C // groups) * job.width * sizeof(real)
    job.n_bands = max(1, (job.n_rows * row_bytes) // BAND_BYTES, FEWEST_BANDS // s.N)
    job.band_rows = (job.n_rows - 1) // min(job.n_bands, job.n_rows) + 1
    job.n_bands = (job.n_rows - 1) // job.band_rows + 1

    worker_numbers = (
        s.F * ((job.band_rows + job.margin_h) * job.width + job.margin_w)
        + s.C // groups * job.band_rows * job.width + 15
    ) // 16 * 16
    cdef Py_ssize_t n_offsets = s.F // groups * s.KH * s.KW
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
            <task> &_input_bands[real], &job, s.N * job.n_bands, 1,
            scratch, worker_numbers * sizeof(real), n_threads,
        )
        release(memory)


# ---- with respect to the weight ----

cdef struct WeightJob:
    Shape s
    const void *x
    const void *dy
    void *partial                       # (n_shards, F, K)
    const Py_ssize_t *offset            # (K,)
    Py_ssize_t K
    Py_ssize_t n_bands, band_rows       # an image's rows, cut
    Py_ssize_t n_units, n_shards        # units are bands of images
    Py_ssize_t at_once                  # units in scratch together
    Py_ssize_t width, plane             # of the planes
    Py_ssize_t planes_numbers           # of one unit
    Py_ssize_t n_pixels                 # of one unit, those between the rows included


# dy's rows first ... first + band_rows at the planes' width, with zeros between: (F, n_pixels).
cdef void _at_width(const WeightJob *job, const real *dy, Py_ssize_t first, real *to) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t f, i, j
    for f in range(s.F):
        for i in range(job.band_rows):
            if first + i < s.OH:
                memcpy(to, dy + (f * s.OH + first + i) * s.OW, s.OW * sizeof(real))
            else:
                for j in range(s.OW):
                    to[j] = 0
            to += s.OW
            if i + 1 < job.band_rows:
                for j in range(job.width - s.OW):
                    to[j] = 0
                to += job.width - s.OW


cdef void _weight_shards(const WeightJob *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const Shape *s = &job.s
    cdef Py_ssize_t group_F = s.F // s.groups, group_planes = job.planes_numbers // s.groups
    cdef Py_ssize_t shard, unit, end, u, n_now, n, row, g
    cdef real *planes = scratch
    cdef real *wide = scratch + job.at_once * job.planes_numbers
    cdef real *partial
    for shard in range(first, last):
        partial = <real *> job.partial + shard * s.F * job.K
        memset(partial, 0, s.F * job.K * sizeof(real))
        unit = shard * job.n_units // job.n_shards
        end = (shard + 1) * job.n_units // job.n_shards
        while unit < end:
            n_now = min(job.at_once, end - unit)
            for u in range(n_now):
                n, row = (unit + u) // job.n_bands, (unit + u) % job.n_bands * job.band_rows
                copy_planes(
                    s, <const real *> job.x + n * s.C * s.H * s.W, row, job.band_rows, job.width,
                    planes + u * job.planes_numbers,
                )
                _at_width(
                    job, <const real *> job.dy + n * s.F * s.OH * s.OW, row, wide + u * s.F * job.n_pixels
                )
            for g in range(s.groups):
                dot_product(
                    wide + g * group_F * job.n_pixels, job.n_pixels, planes + g * group_planes, job.offset,
                    job.n_pixels, n_now, s.F * job.n_pixels, job.planes_numbers,
                    partial + g * group_F * job.K, job.K, group_F, job.K,
                )
            unit += n_now


cdef struct SumJob:
    const void *partial                 # (n_shards, size)
    void *total                         # (size,)
    Py_ssize_t n_shards, size


cdef void _add_shards(const SumJob *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef const real *partial = <const real *> job.partial
    cdef real *total = <real *> job.total
    cdef Py_ssize_t shard, i
    memcpy(total + first, partial + first, (last - first) * sizeof(real))
    for shard in range(1, job.n_shards):
        partial += job.size
        for i in range(first, last):
            total[i] += partial[i]


def conv2d_backward_weight(
    const real[:, :, :, ::1] dy,        # IN   (N, F, OH, OW)
    const real[:, :, :, ::1] x,         # IN   (N, C, H, W)
    real[:, :, :, ::1] dweight,         # OUT  (F, C / groups, KH, KW)
    Py_ssize_t sh, Py_ssize_t sw, Py_ssize_t ph, Py_ssize_t pw, Py_ssize_t dh, Py_ssize_t dw,
    Py_ssize_t groups, int n_threads,
):
    """Fill ``dweight``; shards of the batch are shared among threads."""
    cdef WeightJob job
    cdef SumJob add
    cdef Shape *s = &job.s
    s.N, s.C, s.H, s.W = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    s.F, s.OH, s.OW = dy.shape[1], dy.shape[2], dy.shape[3]
    s.KH, s.KW, s.sh, s.sw, s.ph, s.pw = dweight.shape[2], dweight.shape[3], sh, sw, ph, pw
    s.dh, s.dw, s.groups = dh, dw, groups
    job.x, job.dy = &x[0, 0, 0, 0], &dy[0, 0, 0, 0]
    job.K = dweight.shape[1] * s.KH * s.KW

    job.width = s.OW + reach(s.KW, sw, dw)
    job.n_bands = max(1, s.OH * job.width // PIXELS_AT_ONCE, SHARDS // s.N)
    job.band_rows = (s.OH - 1) // min(job.n_bands, s.OH) + 1
    job.n_bands = (s.OH - 1) // job.band_rows + 1
    job.n_units = s.N * job.n_bands
    job.n_shards = min(SHARDS, job.n_units)
    job.plane = (job.band_rows + reach(s.KH, sh, dh)) * job.width
    job.planes_numbers = s.C * planes_along(s.KH, sh, dh) * planes_along(s.KW, sw, dw) * job.plane
    job.n_pixels = (job.band_rows - 1) * job.width + s.OW
    job.at_once = min(max(1, PIXELS_AT_ONCE // job.n_pixels), (job.n_units - 1) // job.n_shards + 1)

    cdef Py_ssize_t worker_numbers = (
        job.at_once * (job.planes_numbers + s.F * job.n_pixels) + 15
    ) // 16 * 16
    cdef real *memory = <real *> allocate(
        (job.n_shards * s.F * job.K + n_threads * worker_numbers) * sizeof(real) + job.K * sizeof(Py_ssize_t)
    )
    if memory is NULL:
        raise MemoryError("conv2d_backward: no memory for its working buffers")
    cdef Py_ssize_t *offset = <Py_ssize_t *> memory
    cdef real *scratch = <real *> (offset + job.K)
    job.partial, job.offset = scratch + n_threads * worker_numbers, offset
    add.partial, add.total = job.partial, &dweight[0, 0, 0, 0]
    add.n_shards, add.size = job.n_shards, s.F * job.K
    with nogil:
        tap_offsets(s, job.width, job.plane, offset)
        parallel_for(
            <task> &_weight_shards[real], &job, job.n_shards, 1,
            scratch, worker_numbers * sizeof(real), n_threads,
        )
        parallel_for(<task> &_add_shards[real], &add, add.size, 16384, NULL, 0, n_threads)
        release(memory)


# ---- with respect to the bias ----

cdef struct BiasJob:
    const void *dy
    void *dbias
    Py_ssize_t N, F, n_pixels


cdef void _bias_filters(const BiasJob *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t n, f, q, lane
    cdef const real *dy
    cdef double total
    cdef double[8] lanes
    for f in range(first, last):
        for lane in range(8):
            lanes[lane] = 0
        total = 0
        for n in range(job.N):
            dy = <const real *> job.dy + (n * job.F + f) * job.n_pixels
            for q in range(0, job.n_pixels - 7, 8):
                for lane in range(8):
                    lanes[lane] += dy[q + lane]
            for q in range(job.n_pixels // 8 * 8, job.n_pixels):
                total += dy[q]
        for lane in range(8):
            total += lanes[lane]
        (<real *> job.dbias)[f] = <real> total


def conv2d_backward_bias(
    const real[:, :, :, ::1] dy,        # IN   (N, F, OH, OW)
    real[::1] dbias,                    # OUT  (F,)
    int n_threads,
):
    """Fill ``dbias`` with the sums of ``dy`` over images and pixels; filters are shared among threads."""
    cdef BiasJob job = BiasJob(&dy[0, 0, 0, 0], &dbias[0], dy.shape[0], dy.shape[1], dy.shape[2] * dy.shape[3])
    with nogil:
        parallel_for(<task> &_bias_filters[real], &job, job.F, 1, NULL, 0, n_threads)
