/* Winograd's convolution F(4x4, 3x3): Lavin and Gray, arXiv:1509.09308.

   A 4x4 tile Y of the output needs a 6x6 tile d of the input; neighbouring tiles share two rows or
   columns. With a 3x3 filter g,

       Y  = A^T [ (G g G^T) * (B^T d B) ] A            36 multiplications instead of 144
       dg = G^T [ (A dY A^T) * (B^T d B) ] G           and so backwards

   Pixels are vectors whose lanes are channels (channels.h), so a transform is plain arithmetic,
   first down the columns of a tile, then along its rows. The 36 numbers of a tile are each part of
   a matrix of their own, V[xi]; the products between the transforms, sums over channels forward and
   over tiles backward, are products of these matrices:

       forward   M[xi] (tiles, filters) = V[xi] (tiles, channels) U[xi] (channels, filters)

                          U: 2 vectors of filters          one step c: load 2 vectors of U, broadcast
                             +--------+--------+           ROWS numbers of V, 2*ROWS multiply-adds into
          V: ROWS tiles      |   u0   |   u1   |           the part of M that stays in registers.
             +---+           +--------+--------+
             | c |   M:      | m00    | m01    |
             | . |           | m10    | m11    |           A matrix lies in blocks (block of LANES
             | . |           | ...    | ...    |           columns, row, lane): rows are LANES numbers
             +---+           +--------+--------+           apart, which makes every address a constant.

       weight    M[xi] (filters, channels) += D[xi]^T (filters, tiles) V[xi] (tiles, channels)

          the same tile, with filters in the place of tiles, and tiles in that of channels. */

#ifndef CNN_CORE_WINOGRAD_H
#define CNN_CORE_WINOGRAD_H

#include "channels.h"

#if defined(__AVX512F__) || defined(__aarch64__)
#define PRODUCT_ROWS 12 /* of the 32 registers, 24 hold sums */
#else
#define PRODUCT_ROWS 6 /* 12 of 16 */
#endif
#define FEWEST_ROWS 4 /* what remains is cut into tiles of an even number of rows, but no fewer */
#define WEIGHT_ROWS (CHANNEL_LANES < 8 ? 4 : VECTOR_BYTES == 64 ? 8 : 4) /* a part of the lanes */

#define AT(pointer, index) (((unaligned_f32 *)(pointer))[index])
#define LOAD(pointer, index) ((vector_f32)((const unaligned_f32 *)(pointer))[index])

/* ---- the transforms, one direction each, of numbers or of vectors ---- */

/* B^T d: six to six. */
#define WINOGRAD_INPUT(d0, d1, d2, d3, d4, d5, v0, v1, v2, v3, v4, v5)                            \
    do {                                                                                          \
        vector_f32 even = (d4)-4 * (d2), odd = (d3)-4 * (d1);                                     \
        vector_f32 even_ = (d4) - (d2), odd_ = 2 * ((d3) - (d1));                                 \
        (v0) = 4 * (d0)-5 * (d2) + (d4);                                                          \
        (v5) = 4 * (d1)-5 * (d3) + (d5);                                                          \
        (v1) = even + odd;                                                                        \
        (v2) = even - odd;                                                                        \
        (v3) = even_ + odd_;                                                                      \
        (v4) = even_ - odd_;                                                                      \
    } while (0)

/* A^T m: six to four. */
#define WINOGRAD_OUTPUT(m0, m1, m2, m3, m4, m5, y0, y1, y2, y3)                                   \
    do {                                                                                          \
        vector_f32 sum12 = (m1) + (m2), difference12 = (m1) - (m2);                               \
        vector_f32 sum34 = (m3) + (m4), difference34 = (m3) - (m4);                               \
        (y0) = (m0) + sum12 + sum34;                                                              \
        (y1) = difference12 + 2 * difference34;                                                   \
        (y2) = sum12 + 4 * sum34;                                                                 \
        (y3) = difference12 + 8 * difference34 + (m5);                                            \
    } while (0)

/* A d: four to six, the transpose of the one before. */
#define WINOGRAD_GRADIENT(d0, d1, d2, d3, v0, v1, v2, v3, v4, v5)                                 \
    do {                                                                                          \
        vector_f32 even = (d0) + (d2), odd = (d1) + (d3);                                         \
        vector_f32 even_ = (d0) + 4 * (d2), odd_ = 2 * (d1) + 8 * (d3);                           \
        (v0) = (d0);                                                                              \
        (v1) = even + odd;                                                                        \
        (v2) = even - odd;                                                                        \
        (v3) = even_ + odd_;                                                                      \
        (v4) = even_ - odd_;                                                                      \
        (v5) = (d3);                                                                              \
    } while (0)

/* G g: three to six. */
#define WINOGRAD_FILTER(g0, g1, g2, u0, u1, u2, u3, u4, u5)                                       \
    do {                                                                                          \
        vector_f32 outer = (g0) + (g2), outer_ = (g0) + 4 * (g2);                                 \
        (u0) = (g0) * (1.f / 4);                                                                  \
        (u1) = (outer + (g1)) * (-1.f / 6);                                                       \
        (u2) = (outer - (g1)) * (-1.f / 6);                                                       \
        (u3) = (outer_ + 2 * (g1)) * (1.f / 24);                                                  \
        (u4) = (outer_ - 2 * (g1)) * (1.f / 24);                                                  \
        (u5) = (g2);                                                                              \
    } while (0)

/* G^T m: six to three. */
#define WINOGRAD_FILTER_GRADIENT(m0, m1, m2, m3, m4, m5, g0, g1, g2)                              \
    do {                                                                                          \
        vector_f32 sum12 = ((m1) + (m2)) * (-1.f / 6), sum34 = ((m3) + (m4)) * (1.f / 24);        \
        (g0) = (m0) * (1.f / 4) + sum12 + sum34;                                                  \
        (g1) = ((m2) - (m1)) * (1.f / 6) + ((m3) - (m4)) * (1.f / 12);                            \
        (g2) = (m5) + sum12 + 4 * sum34;                                                          \
    } while (0)

/* B^T d of column j of a row of tiles, down all six rows. */
#define WINOGRAD_COLUMN(d, width, j, w, to)                                                       \
    WINOGRAD_INPUT(LOAD(d, j), LOAD(d, (width) + (j)), LOAD(d, 2 * (width) + (j)),                \
                   LOAD(d, 3 * (width) + (j)), LOAD(d, 4 * (width) + (j)),                        \
                   LOAD(d, 5 * (width) + (j)), w[0][to], w[1][to], w[2][to], w[3][to], w[4][to], w[5][to])

/* V of a row of tiles: pixels (6, width), v[xi] is v + xi * v_stride. The last two columns of a tile are the first
   of the next. */
static void winograd_input(const float *pixels, ptrdiff_t width, ptrdiff_t n_tiles, float *v,
                           ptrdiff_t v_stride)
{
    vector_f32 w[6][6];
    WINOGRAD_COLUMN(pixels, width, 0, w, 4);
    WINOGRAD_COLUMN(pixels, width, 1, w, 5);
    for (ptrdiff_t t = 0; t < n_tiles; t++) {
        const float *d = pixels + 4 * t * CHANNEL_LANES;
        UNROLLED for (int i = 0; i < 6; i++) {
            w[i][0] = w[i][4];
            w[i][1] = w[i][5];
        }
        UNROLLED for (int j = 2; j < 6; j++)
            WINOGRAD_COLUMN(d, width, j, w, j);
        UNROLLED for (int i = 0; i < 6; i++) {
            float *to = v + 6 * i * v_stride;
            WINOGRAD_INPUT(w[i][0], w[i][1], w[i][2], w[i][3], w[i][4], w[i][5], AT(to, t),
                           AT(to + v_stride, t), AT(to + 2 * v_stride, t), AT(to + 3 * v_stride, t),
                           AT(to + 4 * v_stride, t), AT(to + 5 * v_stride, t));
        }
    }
}

/* Y of a row of tiles: pixels (4, 4 * n_tiles). */
static void winograd_output(const float *m, ptrdiff_t m_stride, ptrdiff_t n_tiles, float *pixels)
{
    const ptrdiff_t width = 4 * n_tiles;
    for (ptrdiff_t t = 0; t < n_tiles; t++) {
        vector_f32 w[4][6];
        UNROLLED for (int j = 0; j < 6; j++) {
            const float *from = m + j * m_stride;
            WINOGRAD_OUTPUT(LOAD(from, t), LOAD(from + 6 * m_stride, t), LOAD(from + 12 * m_stride, t),
                            LOAD(from + 18 * m_stride, t), LOAD(from + 24 * m_stride, t),
                            LOAD(from + 30 * m_stride, t), w[0][j], w[1][j], w[2][j], w[3][j]);
        }
        UNROLLED for (int i = 0; i < 4; i++) {
            float *y = pixels + (i * width + 4 * t) * CHANNEL_LANES;
            WINOGRAD_OUTPUT(w[i][0], w[i][1], w[i][2], w[i][3], w[i][4], w[i][5], AT(y, 0), AT(y, 1),
                            AT(y, 2), AT(y, 3));
        }
    }
}

/* The maxima of 2x2 windows after `bias` is added, in place: pixels (4, 4 * n_tiles) to (2, 2 * n_tiles). The
   first of equals wins, NaN over all. `winners`, shaped as the result, becomes where they were: `here` is the
   index of the first pixel in its plane, `width` pixels wide. With `relu`, what is not above zero becomes zero
   and has no winner: minus one. */
static void winograd_pool(float *pixels, ptrdiff_t n_tiles, const float *bias, int relu, ptrdiff_t here,
                          ptrdiff_t width, int32_t *winners)
{
    const vector_f32 shift = LOAD(bias, 0);
    const mask_f32 asked = (mask_f32){0} - relu;
    for (ptrdiff_t i = 0; i < 2; i++)
        for (ptrdiff_t j = 0; j < 2 * n_tiles; j++) {
            const float *from = pixels + (2 * i * 4 * n_tiles + 2 * j) * CHANNEL_LANES;
            const vector_f32 window[4] = {LOAD(from, 0) + shift, LOAD(from, 1) + shift,
                                          LOAD(from, 4 * n_tiles) + shift, LOAD(from, 4 * n_tiles + 1) + shift};
            const int32_t place = (int32_t)(here + 2 * i * width + 2 * j);
            const int32_t places[4] = {place, place + 1, (int32_t)(place + width), (int32_t)(place + width + 1)};
            vector_f32 best = window[0];
            mask_f32 winner = (mask_f32){0} + places[0];
            UNROLLED for (int k = 1; k < 4; k++) {
                mask_f32 wins = (window[k] > best) | (window[k] != window[k]);
                best = (vector_f32)(((mask_f32)window[k] & wins) | ((mask_f32)best & ~wins));
                winner = (places[k] & wins) | (winner & ~wins);
            }
            const mask_f32 none = asked & (best <= 0);
            winner |= none;
            AT(pixels, i * 2 * n_tiles + j) = (vector_f32)((mask_f32)best & ~none);
            memcpy(winners + (i * 2 * n_tiles + j) * CHANNEL_LANES, &winner, sizeof winner);
        }
}

/* D of a row of tiles: pixels (4, 4 * n_tiles). */
static void winograd_gradient(const float *pixels, ptrdiff_t n_tiles, float *v, ptrdiff_t v_stride)
{
    const ptrdiff_t width = 4 * n_tiles;
    for (ptrdiff_t t = 0; t < n_tiles; t++) {
        const float *d = pixels + 4 * t * CHANNEL_LANES;
        vector_f32 w[6][4];
        UNROLLED for (int j = 0; j < 4; j++)
            WINOGRAD_GRADIENT(LOAD(d, j), LOAD(d, width + j), LOAD(d, 2 * width + j),
                              LOAD(d, 3 * width + j), w[0][j], w[1][j], w[2][j], w[3][j], w[4][j],
                              w[5][j]);
        UNROLLED for (int i = 0; i < 6; i++) {
            float *to = v + 6 * i * v_stride;
            WINOGRAD_GRADIENT(w[i][0], w[i][1], w[i][2], w[i][3], AT(to, t), AT(to + v_stride, t),
                              AT(to + 2 * v_stride, t), AT(to + 3 * v_stride, t),
                              AT(to + 4 * v_stride, t), AT(to + 5 * v_stride, t));
        }
    }
}

/* U of LANES filters of one channel: g (9, LANES). */
static void winograd_filter(const float *g, float *u, ptrdiff_t u_stride)
{
    vector_f32 w[6][3];
    UNROLLED for (int j = 0; j < 3; j++)
        WINOGRAD_FILTER(LOAD(g, j), LOAD(g, 3 + j), LOAD(g, 6 + j), w[0][j], w[1][j], w[2][j], w[3][j],
                        w[4][j], w[5][j]);
    UNROLLED for (int i = 0; i < 6; i++) {
        float *to = u + 6 * i * u_stride;
        WINOGRAD_FILTER(w[i][0], w[i][1], w[i][2], AT(to, 0), AT(to + u_stride, 0),
                        AT(to + 2 * u_stride, 0), AT(to + 3 * u_stride, 0), AT(to + 4 * u_stride, 0),
                        AT(to + 5 * u_stride, 0));
    }
}

/* The gradient of one filter's LANES channels: g (9, LANES). */
static void winograd_filter_gradient(const float *m, ptrdiff_t m_stride, float *g)
{
    vector_f32 w[3][6];
    UNROLLED for (int j = 0; j < 6; j++) {
        const float *from = m + j * m_stride;
        WINOGRAD_FILTER_GRADIENT(LOAD(from, 0), LOAD(from + 6 * m_stride, 0),
                                 LOAD(from + 12 * m_stride, 0), LOAD(from + 18 * m_stride, 0),
                                 LOAD(from + 24 * m_stride, 0), LOAD(from + 30 * m_stride, 0), w[0][j],
                                 w[1][j], w[2][j]);
    }
    UNROLLED for (int i = 0; i < 3; i++)
        WINOGRAD_FILTER_GRADIENT(w[i][0], w[i][1], w[i][2], w[i][3], w[i][4], w[i][5], AT(g, 3 * i),
                                 AT(g, 3 * i + 1), AT(g, 3 * i + 2));
}

/* ---- the products ---- */

ALWAYS_INLINE void product_tile(const int rows, const int vectors, const float *v, ptrdiff_t v_block,
                                const float *u, ptrdiff_t u_block, ptrdiff_t n_channels, float *m,
                                ptrdiff_t m_block)
{
    vector_f32 sum[PRODUCT_ROWS][2];
    UNROLLED for (int row = 0; row < rows; row++)
        UNROLLED for (int i = 0; i < vectors; i++)
            sum[row][i] = (vector_f32){0};
    for (; n_channels > 0; n_channels -= CHANNEL_LANES, v += v_block) {
        ptrdiff_t steps = n_channels < CHANNEL_LANES ? n_channels : CHANNEL_LANES;
        for (ptrdiff_t c = 0; c < steps; c++, u += CHANNEL_LANES) {
            vector_f32 u0 = LOAD(u, 0), u1 = vectors > 1 ? LOAD(u + u_block, 0) : u0;
            UNROLLED for (int row = 0; row < rows; row++) {
                sum[row][0] += v[row * CHANNEL_LANES + c] * u0;
                if (vectors > 1)
                    sum[row][1] += v[row * CHANNEL_LANES + c] * u1;
            }
        }
    }
    UNROLLED for (int row = 0; row < rows; row++)
        UNROLLED for (int i = 0; i < vectors; i++)
            AT(m + i * m_block, row) = sum[row][i];
}

/* Rows for n_tiles of them, which register tiles fill. */
static inline ptrdiff_t padded_rows(ptrdiff_t n_tiles)
{
    return n_tiles <= FEWEST_ROWS ? FEWEST_ROWS : n_tiles + n_tiles % 2;
}

/* How many of the rows that are left go into the next register tile: those after it have FEWEST_ROWS, too. */
static inline int rows_of_tile(ptrdiff_t left)
{
    if (left >= PRODUCT_ROWS && left != PRODUCT_ROWS + 2)
        return PRODUCT_ROWS;
    if (left % 4)
        return PRODUCT_ROWS > 8 && left == 14 ? 8 : 6;
    return PRODUCT_ROWS > 8 ? (int)left : 4;
}

#define PRODUCT_CASE(ROWS)                                                                        \
    case ROWS:                                                                                    \
        if (f + 1 < n_filter_blocks)                                                              \
            product_tile(ROWS, 2, from, v_block, u, u_block, n_channels, to, m_block);            \
        else                                                                                      \
            product_tile(ROWS, 1, from, v_block, u, u_block, n_channels, to, m_block);            \
        break;

/* M = V U. V in blocks of LANES channels, U (block of LANES filters, channel, lane), M in blocks of
   LANES filters; the distances between blocks are given. n_tiles is one of padded_rows. */
static void winograd_product(const float *v, ptrdiff_t v_block, const float *u, ptrdiff_t u_block,
                             ptrdiff_t n_tiles, ptrdiff_t n_channels, ptrdiff_t n_filter_blocks, float *m,
                             ptrdiff_t m_block)
{
    for (ptrdiff_t f = 0; f < n_filter_blocks; f += 2, u += 2 * u_block, m += 2 * m_block)
        for (ptrdiff_t t = 0; t < n_tiles;) {
            const float *from = v + t * CHANNEL_LANES;
            float *to = m + t * CHANNEL_LANES;
            const int rows = rows_of_tile(n_tiles - t);
            switch (rows) {
                PRODUCT_CASE(4)
                PRODUCT_CASE(6)
#if PRODUCT_ROWS > 8
                PRODUCT_CASE(8)
                PRODUCT_CASE(PRODUCT_ROWS)
#endif
            }
            t += rows;
        }
}
#undef PRODUCT_CASE

ALWAYS_INLINE void weight_tile(const int vectors, const float *d, const float *v, ptrdiff_t v_block,
                               ptrdiff_t n_tiles, int add, float *m, ptrdiff_t m_row)
{
    vector_f32 sum[WEIGHT_ROWS][2];
    UNROLLED for (int row = 0; row < WEIGHT_ROWS; row++)
        UNROLLED for (int i = 0; i < vectors; i++)
            sum[row][i] = add ? LOAD(m + row * m_row, i) : (vector_f32){0};
    for (ptrdiff_t t = 0; t < n_tiles; t++, d += CHANNEL_LANES, v += CHANNEL_LANES) {
        vector_f32 v0 = LOAD(v, 0), v1 = vectors > 1 ? LOAD(v + v_block, 0) : v0;
        UNROLLED for (int row = 0; row < WEIGHT_ROWS; row++) {
            sum[row][0] += d[row] * v0;
            if (vectors > 1)
                sum[row][1] += d[row] * v1;
        }
    }
    UNROLLED for (int row = 0; row < WEIGHT_ROWS; row++)
        UNROLLED for (int i = 0; i < vectors; i++)
            AT(m + row * m_row, i) = sum[row][i];
}

/* M = D^T V, M (filters, channels) in whole blocks of both; with `add`, M += D^T V. */
static void winograd_weight_product(const float *d, ptrdiff_t d_block, const float *v, ptrdiff_t v_block,
                                    ptrdiff_t n_tiles, ptrdiff_t n_filter_blocks,
                                    ptrdiff_t n_channel_blocks, int add, float *m)
{
    const ptrdiff_t m_row = n_channel_blocks * CHANNEL_LANES;
    for (ptrdiff_t f = 0; f < n_filter_blocks; f++)
        for (ptrdiff_t row = 0; row < CHANNEL_LANES; row += WEIGHT_ROWS)
            for (ptrdiff_t c = 0; c < n_channel_blocks; c += 2) {
                const float *left = d + f * d_block + row, *right = v + c * v_block;
                float *to = m + (f * CHANNEL_LANES + row) * m_row + c * CHANNEL_LANES;
                if (c + 1 < n_channel_blocks)
                    weight_tile(2, left, right, v_block, n_tiles, add, to, m_row);
                else
                    weight_tile(1, left, right, v_block, n_tiles, add, to, m_row);
            }
}

#endif
