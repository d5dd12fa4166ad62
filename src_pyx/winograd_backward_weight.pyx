"""The gradients of weight and bias of a 3x3 convolution at stride 1 by Winograd's F(4x4, 3x3), float32.

    dg = G^T [ sum over tiles of (A dY A^T) * (B^T d B) ] G

The 36 sums are matrices M (filters, channels). They are cut into blocks that stay in the second-level
cache, and each block's tiles into shards, which are added up in their order: both by shapes alone.
A block's shard takes its tiles by chunks: transforms of the output's gradient and of the input, then
M += D^T V (simd/winograd.h). One of the 36 numbers of D is the plain sum of a tile of dY, that at the
interpolation point 1 in both directions: added up, they are the gradient of the bias.

Contract as in winograd.pyx. Every element of the outputs is written.
"""

from libc.stdint cimport int32_t
from libc.string cimport memset

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, release, task
from vector_sums cimport add_vectors
from winograd_tiles cimport (
    CHANNEL_LANES,
    Images,
    Tiles,
    blocks_of,
    cut_into_chunks,
    n_chunks,
    part_numbers,
    pixel_numbers,
    transform_gradient,
    transform_input,
    winograd_filter_gradient,
    winograd_weight_product,
)

import_kernel_api()

cdef enum:
    BLOCK = 64                          # channels and filters of a block of M
    CHUNK_BYTES = 640 * 1024            # of V and D together
    FEWEST_ITEMS = 8                    # for threads to share
    SUM_OF_TILE = 7                     # among the 36 of D: row 1, column 1
    ROUND_TILES = 1 << 13               # of a shard: between rounds, Ctrl-C may end the call

cdef struct Job:
    Tiles tiles
    Images x, dy
    float *dweight                      # (F, C, 3, 3)
    float *M                            # (shards, blocks of filters, of channels, 36, filters, channels)
    float *dbias                        # (F,), or NULL
    double *sums                        # for it: (shards, blocks of filters, BLOCK)
    Py_ssize_t C, F
    Py_ssize_t c_blocks, f_blocks, n_shards
    Py_ssize_t round, n_rounds          # each takes a part of each shard's tiles
    Py_ssize_t V_part, D_part, M_part   # from one of the 36 to the next


# Where the part of a shard that a round takes begins, in chunks.
cdef inline Py_ssize_t _begin(const Job *job, Py_ssize_t shard, Py_ssize_t round) noexcept nogil:
    return (shard * job.n_rounds + round) * n_chunks(&job.tiles) // (job.n_shards * job.n_rounds)


# Items are (shard, block of filters, block of channels).
cdef void _items(const Job *job, Py_ssize_t begin, Py_ssize_t end, float *scratch) noexcept nogil:
    cdef const Tiles *s = &job.tiles
    cdef Py_ssize_t block = s.n_tiles * CHANNEL_LANES
    cdef Py_ssize_t item, shard, f, c, f_lanes, c_lanes, chunk, first, b, xi, n_tiles
    cdef float *pixels = scratch
    cdef float *V = pixels + pixel_numbers(s)
    cdef float *D = V + 36 * job.V_part
    cdef float *M
    cdef double *sums
    for item in range(begin, end):
        shard = item // (job.f_blocks * job.c_blocks)
        f = item // job.c_blocks % job.f_blocks * BLOCK
        c = item % job.c_blocks * BLOCK
        f_lanes = blocks_of(min(BLOCK, job.F - f))
        c_lanes = blocks_of(min(BLOCK, job.C - c))
        M = job.M + item * 36 * job.M_part
        sums = job.sums + item // job.c_blocks * BLOCK
        first = shard * n_chunks(s) // job.n_shards
        if job.round == 0 and c == 0:
            memset(sums, 0, BLOCK * sizeof(double))
        for chunk in range(_begin(job, shard, job.round), _begin(job, shard, job.round + 1)):
            n_tiles = min(s.chunk_rows, s.N * s.down - chunk * s.chunk_rows) * s.across
            for b in range(c_lanes):
                transform_input(
                    s, &job.x, c + b * CHANNEL_LANES, chunk, pixels, V + b * block, job.V_part
                )
            for b in range(f_lanes):
                transform_gradient(
                    s, &job.dy, f + b * CHANNEL_LANES, chunk, pixels, D + b * block, job.D_part
                )
                if c == 0 and job.dbias is not NULL:
                    add_vectors(
                        <const float *> D + b * block + SUM_OF_TILE * job.D_part, n_tiles,
                        sums + b * CHANNEL_LANES,
                    )
            for xi in range(36):
                winograd_weight_product(
                    D + xi * job.D_part, block, V + xi * job.V_part, block, n_tiles, f_lanes, c_lanes,
                    chunk > first, M + xi * job.M_part,
                )


# dweight of filters begin ... end, the shards' sum, transformed, and their dbias.
cdef void _filters(const Job *job, Py_ssize_t begin, Py_ssize_t end, float *scratch) noexcept nogil:
    cdef Py_ssize_t f, c, block, shard, b, lane, k, i, shard_numbers, row_numbers, n_channels
    cdef const float *M
    cdef float *dweight
    cdef double total
    cdef float[9 * 16] g                # (9, lane)
    shard_numbers = job.f_blocks * job.c_blocks * 36 * job.M_part
    for f in range(begin, end):
        if job.dbias is not NULL:
            total = 0
            for shard in range(job.n_shards):
                total += job.sums[shard * job.f_blocks * BLOCK + f]
            job.dbias[f] = <float> total
        for block in range(job.c_blocks):
            n_channels = min(BLOCK, job.C - block * BLOCK)
            row_numbers = blocks_of(n_channels) * CHANNEL_LANES
            M = job.M + (f // BLOCK * job.c_blocks + block) * 36 * job.M_part + f % BLOCK * row_numbers
            for i in range(36):         # into the first shard's place
                for shard in range(1, job.n_shards):
                    for k in range(row_numbers):
                        (<float *> M)[i * job.M_part + k] += M[shard * shard_numbers + i * job.M_part + k]
            for b in range(blocks_of(n_channels)):
                winograd_filter_gradient(M + b * CHANNEL_LANES, job.M_part, g)
                c = block * BLOCK + b * CHANNEL_LANES
                dweight = job.dweight + 9 * (f * job.C + c)
                for lane in range(min(CHANNEL_LANES, job.C - c)):
                    for k in range(9):
                        dweight[9 * lane + k] = g[k * CHANNEL_LANES + lane]


def winograd_backward_weight(
    const float[:, :, :, ::1] dy,       # IN   (N, F, OH, OW); (N, F, OH // 2, OW // 2) with indices
    const int32_t[:, :, :, ::1] indices,    # IN   of max_pool2d or minus one: dy is its gradient; or None
    const float[:, :, :, ::1] x,        # IN   (N, C, H, W)
    float[:, :, :, ::1] dweight,        # OUT  (F, C, 3, 3)
    float[::1] dbias,                   # OUT  (F,), or None
    Py_ssize_t ph, Py_ssize_t pw, int n_threads,
):
    """Fill the gradients; blocks of them, and shards of the tiles, are shared among threads."""
    cdef Job job
    cdef Tiles *s = &job.tiles
    s.N, job.C, s.H, s.W = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    job.F, s.OH, s.OW, s.ph, s.pw = dy.shape[1], s.H + 2 * ph - 2, s.W + 2 * pw - 2, ph, pw
    job.dweight = &dweight[0, 0, 0, 0]
    job.dbias = &dbias[0] if dbias is not None else NULL
    job.x = Images(&x[0, 0, 0, 0], NULL, s.N, job.C, s.H, s.W)
    job.dy = Images(&dy[0, 0, 0, 0], NULL, s.N, job.F, s.OH, s.OW)
    if indices is not None:
        job.dy.indices = &indices[0, 0, 0, 0]
    job.c_blocks, job.f_blocks = (job.C - 1) // BLOCK + 1, (job.F - 1) // BLOCK + 1

    cdef Py_ssize_t c_lanes = blocks_of(min(BLOCK, job.C)), f_lanes = blocks_of(min(BLOCK, job.F))
    cdef Py_ssize_t n_tiles = s.N * ((s.OH + 3) // 4) * ((s.OW + 3) // 4)
    cdef Py_ssize_t tile_bytes = 36 * (c_lanes + f_lanes) * CHANNEL_LANES * sizeof(float)
    cdef Py_ssize_t wanted = (FEWEST_ITEMS - 1) // (job.c_blocks * job.f_blocks) + 1    # shards
    cut_into_chunks(s, min(n_tiles // wanted, CHUNK_BYTES // tile_bytes))
    job.n_shards = min(wanted, n_chunks(s))
    job.n_rounds = 1 + n_tiles // job.n_shards // ROUND_TILES
    job.V_part, job.D_part = part_numbers(s, c_lanes), part_numbers(s, f_lanes)
    job.M_part = (f_lanes * CHANNEL_LANES * c_lanes + 1) * CHANNEL_LANES

    cdef Py_ssize_t n_items = job.n_shards * job.f_blocks * job.c_blocks
    cdef Py_ssize_t worker_numbers = (
        (pixel_numbers(s) + 36 * (job.V_part + job.D_part) + 15) // 16 * 16
    )
    cdef Py_ssize_t n_sums = job.n_shards * job.f_blocks * BLOCK
    cdef float *scratch = <float *> allocate(
        n_sums * sizeof(double) + (n_threads * worker_numbers + n_items * 36 * job.M_part) * sizeof(float)
    )
    if scratch is NULL:
        raise MemoryError("conv2d_backward: no memory for its working buffers")
    job.sums = <double *> scratch
    cdef float *workers = <float *> (job.sums + n_sums)
    job.M = workers + n_threads * worker_numbers
    with nogil:
        for job.round in range(job.n_rounds):
            parallel_for(
                <task> &_items, &job, n_items, 1, workers, worker_numbers * sizeof(float), n_threads
            )
        parallel_for(<task> &_filters, &job, job.F, 4, NULL, 0, n_threads)
        release(scratch)
