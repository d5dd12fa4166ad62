"""The gradients of a convolution with respect to its weight and its bias.

    dweight[f, k] = sum over images and pixels q of dy[f][q] * plane[offset[k] + q]

in the planes of convolution.pxd: the dot tile, on dy with zeros in the columns that the planes have
beyond the output's. Bands of rows are added up in shards that depend on the shapes alone, and the
shards in their order.

Contract as in conv2d.pyx. Every element of the outputs is written.
"""

from libc.string cimport memcpy, memset

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task
from convolution cimport Shape, copy_planes, planes_along, reach, tap_offsets
from lane_sums cimport lane_sum
from tiles cimport dot_product

import_kernel_api()

cdef enum:
    PIXELS_AT_ONCE = 1024               # under a sum before its lanes are added
    SHARDS = 8

cdef struct Job:
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
cdef void _at_width(const Job *job, const real *dy, Py_ssize_t first, real *to) noexcept nogil:
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


cdef void _shards(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
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
    cdef Py_ssize_t _shard, i
    memcpy(total + first, partial + first, (last - first) * sizeof(real))
    for _shard in range(1, job.n_shards):
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
    cdef Job job
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
            <task> &_shards[real], &job, job.n_shards, 1,
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
    cdef Py_ssize_t n, f
    cdef double total
    for f in range(first, last):
        total = 0
        for n in range(job.N):
            total += lane_sum(<const real *> job.dy + (n * job.F + f) * job.n_pixels, job.n_pixels)
        (<real *> job.dbias)[f] = <real> total


def conv2d_backward_bias(
    const real[:, :, :, ::1] dy,        # IN   (N, F, OH, OW)
    real[::1] dbias,                    # OUT  (F,)
    int n_threads,
):
    """Fill ``dbias`` with the sums of ``dy`` over images and pixels; filters are shared among threads."""
    cdef BiasJob job = BiasJob(
        &dy[0, 0, 0, 0], &dbias[0], dy.shape[0], dy.shape[1], dy.shape[2] * dy.shape[3]
    )
    with nogil:
        parallel_for(<task> &_bias_filters[real], &job, job.F, 1, NULL, 0, n_threads)
