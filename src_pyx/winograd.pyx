"""3x3 convolution at stride 1 by Winograd's F(4x4, 3x3): a quarter of the multiplications, float32.

A chunk of tiles at a time (simd/winograd.h has the algebra and the register tile):

1. ``transform_input``: the chunk's pixels with channels side by side, then V = B^T d B: 36 matrices
   (tiles, channels) that stay in the second-level cache;
2. ``winograd_product``: M = V U, with U = G g G^T of the weight, which ``pack_winograd`` makes;
3. ``transform_output``: A^T M A, and back to planes, with the bias added, and ReLU and 2x2 max pooling
   if asked for.

Filters are taken some at a time, so that M does not grow with their number. The price of the
algorithm is rounding: some ten times that of the direct sum, which is still in the sixth digit.

Backward, ``gate`` is the output of the ReLU that gave the convolution its input, if one did: its own
backward pass is then done while the gradient is written.

Contract as in conv2d.pyx, and: 3x3, stride 1, no dilation, one group, padding at most 2. Every element
of the output is written.
"""

from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, release, task
from winograd_tiles cimport (
    CHANNEL_LANES,
    Images,
    Tiles,
    blocks_of,
    cut_into_chunks,
    n_chunks,
    part_numbers,
    pixel_numbers,
    transform_input,
    transform_output,
    winograd_filter,
    winograd_product,
)

import_kernel_api()

cdef enum:
    CHUNK_BYTES = 640 * 1024            # of V and M together: in the second-level cache
    FILTERS_AT_ONCE = 64
    FEWEST_TILES = 24                   # in a chunk, however many channels there are
    TOO_FEW_TILES = 6                   # of a thread: fewer are not worth reading all filters
    CHUNKS_PER_THREAD = 4               # at least, if there are several: sums do not depend on it
    CHUNKS_AT_ONCE = 64                 # at most: between them, Ctrl-C may end the call

cdef struct Job:
    Tiles tiles
    Images x                            # input, or the gradient that comes back
    float *y                            # (N, F, OH, OW)
    bint relu, pool
    int32_t *indices                    # of the winners of pooling, or NULL
    const float *bias                   # one for each lane of each block of filters
    const float *gate                   # like y, or NULL
    const float *U                      # (36, blocks of filters, C, lane)
    Py_ssize_t C, F
    Py_ssize_t shares                   # into which the filters are cut: 1 unless tiles are few
    Py_ssize_t V_part, M_part, U_part   # from one of the 36 to the next


# Items are (chunk, share of the filters).
cdef void _items(const Job *job, Py_ssize_t begin, Py_ssize_t end, float *scratch) noexcept nogil:
    cdef const Tiles *s = &job.tiles
    cdef Py_ssize_t block = s.n_tiles * CHANNEL_LANES, u_block = job.C * CHANNEL_LANES
    cdef Py_ssize_t item, chunk, share, first, last, b, xi, n_blocks
    cdef float *pixels = scratch
    cdef float *V = pixels + pixel_numbers(s)
    cdef float *M = V + 36 * job.V_part
    for item in range(begin, end):
        chunk, share = item // job.shares, item % job.shares
        for b in range(blocks_of(job.C)):
            transform_input(
                s, &job.x, b * CHANNEL_LANES, chunk, pixels, V + b * block, job.V_part
            )
        first = share * blocks_of(job.F) // job.shares
        last = (share + 1) * blocks_of(job.F) // job.shares
        while first < last:
            n_blocks = min(_blocks_at_once(), last - first)
            for xi in range(36):
                winograd_product(
                    V + xi * job.V_part, block, job.U + xi * job.U_part + first * u_block, u_block,
                    s.n_tiles, job.C, n_blocks, M + xi * job.M_part, block,
                )
            for b in range(n_blocks):
                transform_output(
                    s, M + b * block, job.M_part, job.bias + (first + b) * CHANNEL_LANES, job.relu,
                    job.pool, job.gate, job.F, (first + b) * CHANNEL_LANES, chunk, pixels, job.y, job.indices,
                )
            first += n_blocks


cdef inline Py_ssize_t _blocks_at_once() noexcept nogil:
    return FILTERS_AT_ONCE // CHANNEL_LANES


def winograd(
    const float[:, :, :, ::1] x,        # IN   (N, C, H, W); (N, C, H // 2, W // 2) with x_indices
    const int32_t[:, :, :, ::1] x_indices,  # IN   of max_pool2d or minus one: x is its gradient; or None
    const float[::1] packed,            # IN   by pack_winograd
    const float[::1] bias,              # IN   (F,), or None
    const float[:, :, :, ::1] gate,     # IN   like y, or None: where it is not above zero, y is zero
    float[:, :, :, ::1] y,              # OUT  (N, F, OH, OW); (N, F, OH // 2, OW // 2) with pool
    int32_t[:, :, :, ::1] indices,      # OUT  with pool: as max_pool2d's, or None
    Py_ssize_t ph, Py_ssize_t pw, bint relu, bint pool, int n_threads,
):
    """Fill ``y``; chunks of tiles are shared among threads, and filters where tiles are few."""
    cdef Job job
    cdef Tiles *s = &job.tiles
    job.U, job.y, job.relu, job.pool = &packed[0], &y[0, 0, 0, 0], relu, pool
    job.indices = &indices[0, 0, 0, 0] if indices is not None else NULL
    job.gate = &gate[0, 0, 0, 0] if gate is not None else NULL
    s.N, job.C, s.H, s.W = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    if x_indices is not None:
        s.H, s.W = y.shape[2] + 2 - 2 * ph, y.shape[3] + 2 - 2 * pw
    job.x = Images(&x[0, 0, 0, 0], NULL, s.N, job.C, s.H, s.W)
    if x_indices is not None:
        job.x.indices = &x_indices[0, 0, 0, 0]
    job.F, s.OH, s.OW, s.ph, s.pw = y.shape[1], s.H + 2 * ph - 2, s.W + 2 * pw - 2, ph, pw
    if pool:                            # an odd last row is in no window
        s.OH -= s.OH % 2
    cdef Py_ssize_t filters_at_once = min(blocks_of(job.F), _blocks_at_once())
    cdef Py_ssize_t tile_bytes = (
        36 * (blocks_of(job.C) + filters_at_once) * CHANNEL_LANES * sizeof(float)
    )
    cdef Py_ssize_t rows = s.N * ((s.OH + 3) // 4), across = (s.OW + 3) // 4
    cdef Py_ssize_t share = rows * across // n_threads
    job.shares = 1
    if share < TOO_FEW_TILES and blocks_of(job.F) > 1:
        job.shares = min(blocks_of(job.F), n_threads)
        share = rows * across
    elif share <= FEWEST_TILES:         # one for each thread
        share = (rows + n_threads - 1) // n_threads * across
    elif n_threads > 1:                 # smaller ones even out, but register tiles should be full
        share = max(share // CHUNKS_PER_THREAD, FEWEST_TILES)
    cut_into_chunks(s, min(share, max(FEWEST_TILES, CHUNK_BYTES // tile_bytes)))
    job.V_part = part_numbers(s, blocks_of(job.C))
    job.M_part = part_numbers(s, filters_at_once)
    job.U_part = _part_of_packed(job.F, job.C)

    cdef Py_ssize_t worker_numbers = (
        (pixel_numbers(s) + 36 * (job.V_part + job.M_part) + 15) // 16 * 16
    )
    cdef Py_ssize_t bias_numbers = blocks_of(job.F) * CHANNEL_LANES
    cdef float *scratch = <float *> allocate((n_threads * worker_numbers + bias_numbers) * sizeof(float))
    if scratch is NULL:
        raise MemoryError("conv2d: no memory for its working buffers")
    cdef float *bias_of_lanes = scratch + n_threads * worker_numbers
    job.bias = bias_of_lanes
    memset(bias_of_lanes, 0, bias_numbers * sizeof(float))
    if bias is not None:
        memcpy(bias_of_lanes, &bias[0], job.F * sizeof(float))
    cdef Py_ssize_t n_items = n_chunks(s) * job.shares
    with nogil:
        parallel_for(
            <task> &_items, &job, n_items, min(n_items // (CHUNKS_PER_THREAD * n_threads), CHUNKS_AT_ONCE),
            scratch, worker_numbers * sizeof(float), n_threads,
        )
        release(scratch)


# ---- the weight, transformed ----

cdef struct PackJob:
    const float *weight                 # (F, C, 3, 3), (C, F, 3, 3) if turned
    float *U                            # (36, blocks of filters, C, lane)
    Py_ssize_t C, F, U_part
    bint turned


cdef inline Py_ssize_t _part_of_packed(Py_ssize_t F, Py_ssize_t C) noexcept nogil:
    return (blocks_of(F) * C + 1) * CHANNEL_LANES


# U = G g G^T: items are channels of blocks of filters.
cdef void _transform_filters(
    const PackJob *job, Py_ssize_t begin, Py_ssize_t end, float *scratch
) noexcept nogil:
    cdef Py_ssize_t item, c, f, lane, k
    cdef float[9 * 16] g                # (9, lane)
    cdef const float *weight
    for item in range(begin, end):
        f, c = item // job.C * CHANNEL_LANES, item % job.C
        memset(g, 0, sizeof(g))
        for lane in range(min(CHANNEL_LANES, job.F - f)):
            if job.turned:
                weight = job.weight + 9 * (c * job.F + f + lane)
                for k in range(9):
                    g[k * CHANNEL_LANES + lane] = weight[8 - k]
            else:
                weight = job.weight + 9 * ((f + lane) * job.C + c)
                for k in range(9):
                    g[k * CHANNEL_LANES + lane] = weight[k]
        winograd_filter(g, job.U + item * CHANNEL_LANES, job.U_part)


def packed_size(Py_ssize_t F, Py_ssize_t C):
    """The length of what ``pack_winograd`` fills."""
    return 36 * _part_of_packed(F, C)


def pack_winograd(
    const float[:, :, :, ::1] weight,   # IN   (F, C, 3, 3); (C, F, 3, 3) if turned
    float[::1] packed,                  # OUT  (packed_size(F, C),)
    bint turned, int n_threads,
):
    """Fill ``packed`` with the weight as ``winograd`` takes it; channels are shared among threads.

    ``turned`` rotates and transposes the filters: with dy for x and 2 - padding for the padding,
    ``winograd`` then gives the gradient with respect to the input.
    """
    cdef PackJob job
    job.weight, job.U, job.turned = &weight[0, 0, 0, 0], &packed[0], turned
    job.F, job.C = weight.shape[1 if turned else 0], weight.shape[0 if turned else 1]
    job.U_part = _part_of_packed(job.F, job.C)
    with nogil:
        parallel_for(
            <task> &_transform_filters, &job, blocks_of(job.F) * job.C, 64, NULL, 0, n_threads
        )
