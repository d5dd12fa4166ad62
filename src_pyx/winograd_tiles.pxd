"""Tiles of Winograd's algorithm: how an image is cut, and its transforms. Declarations and inline helpers.

Tiles are 4x4 pixels of the output. They are numbered through the whole batch, row of tiles after row
of tiles, and taken by chunks of whole rows. What belongs to a chunk is (36, blocks of LANES channels,
tiles, lane); the 36 parts lie a little further apart than they are long, as at a power of two they
would all fall into the same few lines of the first-level cache.
"""

from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from filters cimport (
    CHANNEL_LANES,
    channels_to_planes,
    gated_to_planes,
    planes_to_channels,
    pooled_to_channels,
    words_to_planes,
)

cdef extern from "winograd.h" nogil:
    enum: PRODUCT_ROWS
    Py_ssize_t padded_rows(Py_ssize_t n_tiles) noexcept
    void winograd_input(
        const float *pixels, Py_ssize_t width, Py_ssize_t n_tiles, float *v, Py_ssize_t v_stride
    ) noexcept
    void winograd_output(const float *m, Py_ssize_t m_stride, Py_ssize_t n_tiles, float *pixels) noexcept
    void winograd_pool(
        float *pixels, Py_ssize_t n_tiles, const float *bias, bint relu, Py_ssize_t here, Py_ssize_t width,
        int32_t *winners,
    ) noexcept
    void winograd_gradient(const float *pixels, Py_ssize_t n_tiles, float *v, Py_ssize_t v_stride) noexcept
    void winograd_filter(const float *g, float *u, Py_ssize_t u_stride) noexcept
    void winograd_filter_gradient(const float *m, Py_ssize_t m_stride, float *g) noexcept
    void winograd_product(
        const float *v, Py_ssize_t v_block, const float *u, Py_ssize_t u_block, Py_ssize_t n_tiles,
        Py_ssize_t n_channels, Py_ssize_t n_filter_blocks, float *m, Py_ssize_t m_block,
    ) noexcept
    void winograd_weight_product(
        const float *d, Py_ssize_t d_block, const float *v, Py_ssize_t v_block, Py_ssize_t n_tiles,
        Py_ssize_t n_filter_blocks, Py_ssize_t n_channel_blocks, bint add, float *m,
    ) noexcept

# A batch of images seen as tiles of the output.
cdef struct Tiles:
    Py_ssize_t N, H, W, OH, OW, ph, pw
    Py_ssize_t down, across             # tiles of an image
    Py_ssize_t chunk_rows               # rows of tiles in a chunk
    Py_ssize_t n_tiles                  # of a chunk, rounded up to whole register tiles


cdef inline Py_ssize_t blocks_of(Py_ssize_t n_channels) noexcept nogil:
    return (n_channels + CHANNEL_LANES - 1) // CHANNEL_LANES


# Numbers from one of the 36 parts to the next, `n_blocks` blocks of channels of a chunk.
cdef inline Py_ssize_t part_numbers(const Tiles *s, Py_ssize_t n_blocks) noexcept nogil:
    return (n_blocks * s.n_tiles + 1) * CHANNEL_LANES


# Numbers that hold the pixels of a row of tiles and its surroundings.
cdef inline Py_ssize_t pixel_numbers(const Tiles *s) noexcept nogil:
    return 6 * (4 * s.across + 2) * CHANNEL_LANES


# Chunks of about `n_tiles` tiles, of which the last register tile is full if rows of tiles allow it.
cdef inline void cut_into_chunks(Tiles *s, Py_ssize_t n_tiles) noexcept nogil:
    cdef Py_ssize_t even = 1
    s.down, s.across = (s.OH + 3) // 4, (s.OW + 3) // 4
    s.chunk_rows = max(1, min(n_tiles // s.across, s.N * s.down))
    while even * s.across % PRODUCT_ROWS:
        even += 1
    if s.chunk_rows > even:
        s.chunk_rows -= s.chunk_rows % even
    s.n_tiles = padded_rows(s.chunk_rows * s.across)


cdef inline Py_ssize_t n_chunks(const Tiles *s) noexcept nogil:
    return (s.N * s.down - 1) // s.chunk_rows + 1


cdef inline Py_ssize_t rows_of_chunk(const Tiles *s, Py_ssize_t chunk) noexcept nogil:
    return min(s.chunk_rows, s.N * s.down - chunk * s.chunk_rows)


# Images (N, C, H, W); with `indices`, gradients after 2x2 max pooling, (N, C, H // 2, W // 2), that stand for
# those before it.
cdef struct Images:
    const float *x
    const int32_t *indices              # or NULL
    Py_ssize_t N, C, H, W


# Rows h ... h + n_rows of the block of channels of image n from c on: (n_rows, width, lane), zero outside the
# image. What is right and left of the image is not touched. The same rows of the next image will be wanted
# next.
cdef inline void _load_rows(
    const Images *images, Py_ssize_t n, Py_ssize_t c, Py_ssize_t h, Py_ssize_t n_rows, Py_ssize_t width,
    float *pixels,
) noexcept nogil:
    cdef Py_ssize_t C = images.C, H = images.H, W = images.W, plane, i
    cdef Py_ssize_t first = min(max(0, -h), n_rows), last = max(first, min(n_rows, H - h))
    for i in range(n_rows):
        if i < first or i >= last:
            memset(pixels + i * width * CHANNEL_LANES, 0, W * CHANNEL_LANES * sizeof(float))
    if last <= first:
        return
    pixels += first * width * CHANNEL_LANES
    if images.indices:
        plane = (H // 2) * (W // 2)
        i = (n * C + c) * plane
        pooled_to_channels(
            images.x + i, images.indices + i, images.N * C * plane - i, H, W, C - c, h + first, last - first,
            width, C * plane, pixels,
        )
    else:
        planes_to_channels(
            images.x + ((n * C + c) * H + h + first) * W, H * W, C - c, (last - first) * W, W, width - W,
            C * H * W, pixels,
        )


# V = B^T d B of a chunk, for up to LANES channels of x from channel c on.
cdef inline void transform_input(
    const Tiles *s, const Images *x, Py_ssize_t c, Py_ssize_t chunk, float *pixels, float *v,
    Py_ssize_t v_stride,
) noexcept nogil:
    cdef Py_ssize_t width = 4 * s.across + 2, row_numbers = width * CHANNEL_LANES
    cdef Py_ssize_t first = chunk * s.chunk_rows, r, n, i
    cdef float *inside = pixels + s.pw * CHANNEL_LANES
    memset(pixels, 0, pixel_numbers(s) * sizeof(float))
    for r in range(rows_of_chunk(s, chunk)):
        n, i = (first + r) // s.down, (first + r) % s.down
        if r == 0 or i == 0:
            _load_rows(x, n, c, 4 * i - s.ph, 6, width, inside)
        else:                           # the last two rows are the next tiles' first
            memcpy(pixels, pixels + 4 * row_numbers, 2 * row_numbers * sizeof(float))
            _load_rows(x, n, c, 4 * i - s.ph + 2, 4, width, inside + 2 * row_numbers)
        winograd_input(pixels, width, s.across, v + r * s.across * CHANNEL_LANES, v_stride)


# D = A dY A^T of a chunk, for up to LANES filters of dy from filter f on.
cdef inline void transform_gradient(
    const Tiles *s, const Images *dy, Py_ssize_t f, Py_ssize_t chunk, float *pixels, float *v,
    Py_ssize_t v_stride,
) noexcept nogil:
    cdef Py_ssize_t first = chunk * s.chunk_rows, r, n, i
    memset(pixels, 0, pixel_numbers(s) * sizeof(float))
    for r in range(rows_of_chunk(s, chunk)):
        n, i = (first + r) // s.down, (first + r) % s.down
        _load_rows(dy, n, f, 4 * i, 4, 4 * s.across, pixels)
        winograd_gradient(pixels, s.across, v + r * s.across * CHANNEL_LANES, v_stride)


# y = A^T M A + bias of a chunk, for up to LANES filters from filter f on, then ReLU and the maxima of 2x2
# windows if asked for: (N, F, OH, OW), or half of OH and OW. With `gate`, like y, none of these, but zero
# where the gate is not above zero.
cdef inline void transform_output(
    const Tiles *s, const float *m, Py_ssize_t m_stride, const float *bias, bint relu, bint pool,
    const float *gate, Py_ssize_t F, Py_ssize_t f, Py_ssize_t chunk, float *pixels, float *y,
    int32_t *indices,
) noexcept nogil:
    cdef Py_ssize_t first = chunk * s.chunk_rows, r, n, i, to, n_pixels
    cdef Py_ssize_t shrink = 2 if pool else 1
    cdef Py_ssize_t tile = 4 // shrink, OH = s.OH // shrink, OW = s.OW // shrink
    cdef int32_t *winners = <int32_t *> (pixels + 16 * s.across * CHANNEL_LANES)  # behind the pixels
    for r in range(rows_of_chunk(s, chunk)):
        n, i = (first + r) // s.down, (first + r) % s.down
        winograd_output(m + r * s.across * CHANNEL_LANES, m_stride, s.across, pixels)
        if pool:
            winograd_pool(pixels, s.across, bias, relu, 4 * i * s.OW, s.OW, winners)
        to = ((n * F + f) * OH + tile * i) * OW
        n_pixels = min(tile, OH - tile * i) * OW
        if gate:
            gated_to_planes(
                pixels, OW, tile * s.across - OW, gate + to, F - f, n_pixels, OH * OW, F * OH * OW, y + to
            )
            continue
        channels_to_planes(
            pixels, OW, tile * s.across - OW, <const float *> NULL if pool else bias, relu and not pool,
            F - f, n_pixels, OH * OW, F * OH * OW, y + to,
        )
        if indices:
            words_to_planes(
                winners, OW, tile * s.across - OW, F - f, n_pixels, OH * OW, F * OH * OW, indices + to
            )
