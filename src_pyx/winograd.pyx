"""3x3 convolution at stride 1 by Winograd's F(4x4, 3x3): a quarter of the multiplications, float32.

The output is cut into tiles of 4x4 pixels. In the transformed domain (simd/winograd.h) a tile is 36
numbers per channel, and a convolution 36 products of matrices, filters x channels times channels x
tiles:

    forward     M[xi] = U[xi] V[xi]          U of the weight, V of the input, M turns into the output
    input       the same on dy, with the filters rotated and transposed
    weight      M[xi] = D[xi] V[xi]^T        D of the output's gradient, M turns into the weight's

Tiles are numbered through the whole batch, row of tiles after row of tiles, so that vectors are
full even where an image is two tiles wide. The price is rounding: some ten times that of the direct
sum, which is still in the sixth digit.

Contract as in conv2d.pyx, and: 3x3, stride 1, no dilation, one group. Every element of the outputs
is written.
"""

from libc.string cimport memcpy, memset

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, release, task
from tiles cimport dot_product, outer_product, packed_index

import_kernel_api()

cdef extern from "winograd.h" nogil:
    enum: WINOGRAD_LANES
    void winograd_input_rows(const float **d, float **v, Py_ssize_t n) noexcept
    void winograd_input_columns(
        const float *here, const float *beyond, float *v, Py_ssize_t v_stride, Py_ssize_t n_tiles
    ) noexcept
    void winograd_output(const float *m, Py_ssize_t m_stride, float **y, Py_ssize_t n_tiles) noexcept
    void winograd_gradient_rows(const float **d, float **v, Py_ssize_t n) noexcept
    void winograd_gradient_columns(
        const float *here, float *v, Py_ssize_t v_stride, Py_ssize_t n_tiles
    ) noexcept
    void winograd_filter(const float *g, bint turned, float *u) noexcept
    void winograd_filter_gradient(const float *m, Py_ssize_t stride, float *g) noexcept

cdef enum:
    CHUNK_BYTES = 512 * 1024            # of V and M together: in the second-level cache
    FEWEST_TILES = 48                   # in a chunk, however many channels there are
    WEIGHT_TILES = 512                  # in a chunk of the weight gradient: its sums run over tiles

cdef struct Job:
    const float *x                      # (N, C, H, W): input, or the gradient that comes back
    const float *dy                     # (N, F, OH, OW), of the weight gradient
    float *y                            # (N, F, OH, OW)
    const float *bias                   # (F,) or NULL
    float *filters                      # (36, F, C): U packed, or M of the weight gradient
    const float *weight                 # (F, C, 3, 3), (C, F, 3, 3) if turned
    float *dweight
    bint turned
    const Py_ssize_t *offset            # (C,): c * n_tiles
    Py_ssize_t N, C, H, W, F, OH, OW, ph, pw
    Py_ssize_t down, across             # tiles of an image
    Py_ssize_t chunk_rows, n_tiles      # rows of tiles in a chunk; tiles, rounded up to whole vectors
    Py_ssize_t first_row                # of tiles, of the weight gradient's chunk
    float *V                            # (36, C, n_tiles), of the weight gradient
    float *D                            # (36, F, n_tiles)


# Numbers that the transform of one channel's chunk needs: six rows twice, one padded row six times, zeros.
cdef inline Py_ssize_t _row_numbers(const Job *job) noexcept nogil:
    return 2 * 6 * 4 * job.n_tiles + 6 * (4 * job.across + 4) + job.W + job.OW


# V[xi, c] = B^T d B of the tiles in rows first ... first + n_rows, channel c; `v` is at V[0, c].
cdef void _transform_input(
    const Job *job, Py_ssize_t c, Py_ssize_t first, Py_ssize_t n_rows, float *rows, float *v,
) noexcept nogil:
    cdef Py_ssize_t width = 4 * job.across, chunk = 4 * job.n_tiles
    cdef float *here = rows                             # (6, n_tiles, 4): columns 0 ... 3 of each tile
    cdef float *beyond = rows + 6 * chunk               # (6, n_tiles, 4): columns 4 ... 7
    cdef float *padded = rows + 12 * chunk              # (6, width + 4)
    cdef float *zeros = padded + 6 * (width + 4)        # (W,)
    cdef Py_ssize_t r, n, top, h, i, used = n_rows * width
    cdef const float *d[6]
    cdef float *to[6]
    memset(padded, 0, (6 * (width + 4) + job.W) * sizeof(float))
    for i in range(6):
        to[i] = padded + i * (width + 4) + job.pw
        memset(here + i * chunk + used, 0, (chunk - used) * sizeof(float))
        memset(beyond + i * chunk + used, 0, (chunk - used) * sizeof(float))
    for r in range(n_rows):
        n = (first + r) // job.down
        top = (first + r) % job.down * 4 - job.ph
        for i in range(6):
            h = top + i
            d[i] = job.x + ((n * job.C + c) * job.H + h) * job.W if 0 <= h < job.H else zeros
        winograd_input_rows(d, to, job.W)
        for i in range(6):
            memcpy(here + i * chunk + r * width, padded + i * (width + 4), width * sizeof(float))
            memcpy(beyond + i * chunk + r * width, padded + i * (width + 4) + 4, width * sizeof(float))
    for i in range(6):
        winograd_input_columns(
            here + i * chunk, beyond + i * chunk, v + i * 6 * job.C * job.n_tiles, job.C * job.n_tiles,
            n_rows * job.across,
        )


# y's pixels of the tiles in rows first ... first + n_rows, filter f; `m` is at M[0, f].
cdef void _transform_output(
    const Job *job, Py_ssize_t f, Py_ssize_t first, Py_ssize_t n_rows, float *rows, const float *m,
) noexcept nogil:
    cdef Py_ssize_t r, n, a, j, row
    cdef float bias = job.bias[f] if job.bias else 0
    cdef float *pixels[4]
    cdef float *y
    cdef const float *source
    for a in range(4):
        pixels[a] = rows + a * 4 * job.n_tiles
    winograd_output(m, job.F * job.n_tiles, pixels, n_rows * job.across)
    for r in range(n_rows):
        n = (first + r) // job.down
        row = (first + r) % job.down * 4
        for a in range(min(4, job.OH - row)):
            y = job.y + ((n * job.F + f) * job.OH + row + a) * job.OW
            source = pixels[a] + r * 4 * job.across
            for j in range(job.OW):
                y[j] = source[j] + bias


cdef void _chunks(const Job *job, Py_ssize_t begin, Py_ssize_t end, float *scratch) noexcept nogil:
    cdef Py_ssize_t item, first, n_rows, n_tiles, c, f, xi
    cdef Py_ssize_t V_size = job.C * job.n_tiles, M_size = job.F * job.n_tiles
    cdef float *V = scratch
    cdef float *M = V + 36 * V_size
    cdef float *rows = M + 36 * M_size
    for item in range(begin, end):
        first = item * job.chunk_rows
        n_rows = min(job.chunk_rows, job.N * job.down - first)
        n_tiles = _whole_vectors(n_rows * job.across)
        for c in range(job.C):
            _transform_input(job, c, first, n_rows, rows, V + c * job.n_tiles)
        for xi in range(36):
            outer_product(
                <const float *> job.filters + xi * job.F * job.C, <const float *> V + xi * V_size, job.offset,
                job.C, <const float *> NULL, M + xi * M_size, job.n_tiles, job.F, n_tiles,
            )
        for f in range(job.F):
            _transform_output(job, f, first, n_rows, rows, M + f * job.n_tiles)


cdef inline Py_ssize_t _whole_vectors(Py_ssize_t n) noexcept nogil:
    return (n + WINOGRAD_LANES - 1) // WINOGRAD_LANES * WINOGRAD_LANES


# U = G g G^T, packed for outer_product: filters first ... last.
cdef void _pack_filters(const Job *job, Py_ssize_t first, Py_ssize_t last, float *scratch) noexcept nogil:
    cdef Py_ssize_t f, c, xi, at
    cdef float[36] u
    for f in range(first, last):
        for c in range(job.C):
            at = c * job.F + f if job.turned else f * job.C + c
            winograd_filter(job.weight + 9 * at, job.turned, u)
            at = packed_index(f, c, job.F, job.C)
            for xi in range(36):
                job.filters[xi * job.F * job.C + at] = u[xi]


cdef void _set_chunk(Job *job, Py_ssize_t n_tiles) noexcept nogil:
    job.down, job.across = (job.OH + 3) // 4, (job.OW + 3) // 4
    job.chunk_rows = max(1, min(n_tiles // job.across, job.N * job.down))
    job.n_tiles = _whole_vectors(job.chunk_rows * job.across)


def winograd(
    const float[:, :, :, ::1] x,        # IN   (N, C, H, W)
    const float[:, :, :, ::1] weight,   # IN   (F, C, 3, 3); (C, F, 3, 3) if turned
    const float[::1] bias,              # IN   (F,), or None
    float[:, :, :, ::1] y,              # OUT  (N, F, OH, OW)
    Py_ssize_t ph, Py_ssize_t pw, bint turned, int n_threads,
):
    """Fill ``y``; chunks of tiles are shared among threads.

    ``turned`` rotates and transposes the filters: with dy for x and 2 - padding for the padding,
    ``y`` is then the gradient with respect to the input.
    """
    cdef Job job
    job.x, job.y, job.weight, job.turned = &x[0, 0, 0, 0], &y[0, 0, 0, 0], &weight[0, 0, 0, 0], turned
    job.bias = &bias[0] if bias is not None else NULL
    job.N, job.C, job.H, job.W = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    job.F, job.OH, job.OW, job.ph, job.pw = y.shape[1], y.shape[2], y.shape[3], ph, pw
    _set_chunk(&job, max(FEWEST_TILES, CHUNK_BYTES // (36 * sizeof(float) * (job.C + job.F))))

    cdef Py_ssize_t c, worker_numbers = _whole_vectors(
        36 * (job.C + job.F) * job.n_tiles + _row_numbers(&job)
    )
    cdef float *memory = <float *> allocate(
        (n_threads * worker_numbers + 36 * job.F * job.C) * sizeof(float) + job.C * sizeof(Py_ssize_t)
    )
    if memory is NULL:
        raise MemoryError("conv2d: no memory for its working buffers")
    cdef Py_ssize_t *offset = <Py_ssize_t *> memory
    cdef float *scratch = <float *> (offset + job.C)
    job.offset, job.filters = offset, scratch + n_threads * worker_numbers
    with nogil:
        for c in range(job.C):
            offset[c] = c * job.n_tiles
        parallel_for(<task> &_pack_filters, &job, job.F, 6, NULL, 0, n_threads)
        parallel_for(
            <task> &_chunks, &job, (job.N * job.down - 1) // job.chunk_rows + 1, 1,
            scratch, worker_numbers * sizeof(float), n_threads,
        )
        release(memory)


# ---- with respect to the weight ----

# D[xi, f] = A dY A^T of the tiles in rows first ... first + n_rows, filter f; `v` is at D[0, f].
cdef void _transform_gradient(
    const Job *job, Py_ssize_t f, Py_ssize_t first, Py_ssize_t n_rows, float *rows, float *v,
) noexcept nogil:
    cdef Py_ssize_t width = 4 * job.across, chunk = 4 * job.n_tiles
    cdef float *zeros = rows + 12 * chunk + 6 * (width + 4)     # (OW,)
    cdef Py_ssize_t r, n, row, i, j
    cdef const float *d[4]
    cdef float *to[6]
    memset(zeros, 0, job.OW * sizeof(float))
    for i in range(6):
        memset(rows + i * chunk + n_rows * width, 0, (chunk - n_rows * width) * sizeof(float))
    for r in range(n_rows):
        n = (first + r) // job.down
        row = (first + r) % job.down * 4
        for i in range(4):
            d[i] = job.dy + ((n * job.F + f) * job.OH + row + i) * job.OW if row + i < job.OH else zeros
        for i in range(6):
            to[i] = rows + i * chunk + r * width
        winograd_gradient_rows(d, to, job.OW)
        for i in range(6):
            for j in range(job.OW, width):
                to[i][j] = 0
    for i in range(6):
        winograd_gradient_columns(
            rows + i * chunk, v + i * 6 * job.F * job.n_tiles, job.F * job.n_tiles, n_rows * job.across
        )


# V of channels, D of filters: items 0 ... C are channels, C ... C + F filters.
cdef void _transform_chunk(const Job *job, Py_ssize_t begin, Py_ssize_t end, float *scratch) noexcept nogil:
    cdef Py_ssize_t item, n_rows = min(job.chunk_rows, job.N * job.down - job.first_row)
    for item in range(begin, end):
        if item < job.C:
            _transform_input(job, item, job.first_row, n_rows, scratch, job.V + item * job.n_tiles)
        else:
            _transform_gradient(
                job, item - job.C, job.first_row, n_rows, scratch, job.D + (item - job.C) * job.n_tiles
            )


cdef void _multiply_chunk(const Job *job, Py_ssize_t begin, Py_ssize_t end, float *scratch) noexcept nogil:
    cdef Py_ssize_t xi, n_rows = min(job.chunk_rows, job.N * job.down - job.first_row)
    for xi in range(begin, end):
        dot_product(
            <const float *> job.D + xi * job.F * job.n_tiles, job.n_tiles,
            <const float *> job.V + xi * job.C * job.n_tiles, job.offset, _whole_vectors(n_rows * job.across),
            1, 0, 0, job.filters + xi * job.F * job.C, job.C, job.F, job.C,
        )


cdef void _transform_back(const Job *job, Py_ssize_t first, Py_ssize_t last, float *scratch) noexcept nogil:
    cdef Py_ssize_t item
    for item in range(first, last):
        winograd_filter_gradient(job.filters + item, job.F * job.C, job.dweight + 9 * item)


def winograd_backward_weight(
    const float[:, :, :, ::1] dy,       # IN   (N, F, OH, OW)
    const float[:, :, :, ::1] x,        # IN   (N, C, H, W)
    float[:, :, :, ::1] dweight,        # OUT  (F, C, 3, 3)
    Py_ssize_t ph, Py_ssize_t pw, int n_threads,
):
    """Fill ``dweight``. Of each chunk of tiles, channels are shared among threads, then the 36 products."""
    cdef Job job
    job.x, job.dy, job.dweight = &x[0, 0, 0, 0], &dy[0, 0, 0, 0], &dweight[0, 0, 0, 0]
    job.N, job.C, job.H, job.W = x.shape[0], x.shape[1], x.shape[2], x.shape[3]
    job.F, job.OH, job.OW, job.ph, job.pw = dy.shape[1], dy.shape[2], dy.shape[3], ph, pw
    _set_chunk(&job, WEIGHT_TILES)

    cdef Py_ssize_t c, n_weights = 36 * job.F * job.C
    cdef Py_ssize_t worker_numbers = _whole_vectors(_row_numbers(&job))
    cdef Py_ssize_t V_size = 36 * job.C * job.n_tiles, D_size = 36 * job.F * job.n_tiles
    cdef float *memory = <float *> allocate(
        (n_threads * worker_numbers + V_size + D_size + n_weights) * sizeof(float)
        + job.C * sizeof(Py_ssize_t)
    )
    if memory is NULL:
        raise MemoryError("conv2d_backward: no memory for its working buffers")
    cdef Py_ssize_t *offset = <Py_ssize_t *> memory
    cdef float *scratch = <float *> (offset + job.C)
    job.V = scratch + n_threads * worker_numbers
    job.D = job.V + V_size
    job.offset, job.filters = offset, job.D + D_size
    with nogil:
        for c in range(job.C):
            offset[c] = c * job.n_tiles
        memset(job.filters, 0, n_weights * sizeof(float))
        job.first_row = 0
        while job.first_row < job.N * job.down:
            parallel_for(
                <task> &_transform_chunk, &job, job.C + job.F, 1,
                scratch, worker_numbers * sizeof(float), n_threads,
            )
            parallel_for(<task> &_multiply_chunk, &job, 36, 1, NULL, 0, n_threads)
            job.first_row += job.chunk_rows
        parallel_for(<task> &_transform_back, &job, job.F * job.C, 256, NULL, 0, n_threads)
        release(memory)
