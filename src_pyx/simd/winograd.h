/* The transforms of Winograd's convolution F(4x4, 3x3): Lavin and Gray, arXiv:1509.09308.

   A 4x4 tile Y of the output needs a 6x6 tile d of the input, of which the next tile shares two
   columns. With a 3x3 filter g,

       Y  = A^T [ (G g G^T) * (B^T d B) ] A            36 multiplications instead of 144
       dg = G^T [ (A dY A^T) * (B^T d B) ] G           and so backwards

   Each transform is one along rows, done on whole rows of the image, then one along columns, done
   on vectors whose lane t is tile t: `split_by_four` takes every fourth pixel. */

#ifndef CNN_CORE_WINOGRAD_H
#define CNN_CORE_WINOGRAD_H

#include "vectors.h"

#define WINOGRAD_LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(float)))

#if VECTOR_BYTES == 64
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD_LANES 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define LOW_PAIRS 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_PAIRS 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VECTOR_BYTES == 32
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14
#define ODD_LANES 1, 3, 5, 7, 9, 11, 13, 15
#define LOW_PAIRS 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_PAIRS 4, 12, 5, 13, 6, 14, 7, 15
#else
#define EVEN_LANES 0, 2, 4, 6
#define ODD_LANES 1, 3, 5, 7
#define LOW_PAIRS 0, 4, 1, 5
#define HIGH_PAIRS 2, 6, 3, 7
#endif

#define EVEN(a, b) __builtin_shufflevector(a, b, EVEN_LANES)
#define ODD(a, b) __builtin_shufflevector(a, b, ODD_LANES)
#define LOW(a, b) __builtin_shufflevector(a, b, LOW_PAIRS)
#define HIGH(a, b) __builtin_shufflevector(a, b, HIGH_PAIRS)

/* d[p][lane] = from[4 * lane + p] */
ALWAYS_INLINE void split_by_four(const float *from, vector_f32 d[4])
{
    const unaligned_f32 *v = (const unaligned_f32 *)from;
    vector_f32 even_low = EVEN(v[0], v[1]), even_high = EVEN(v[2], v[3]);
    vector_f32 odd_low = ODD(v[0], v[1]), odd_high = ODD(v[2], v[3]);
    d[0] = EVEN(even_low, even_high);
    d[2] = ODD(even_low, even_high);
    d[1] = EVEN(odd_low, odd_high);
    d[3] = ODD(odd_low, odd_high);
}

/* to[4 * lane + p] = d[p][lane] */
ALWAYS_INLINE void join_by_four(const vector_f32 d[4], float *to)
{
    unaligned_f32 *v = (unaligned_f32 *)to;
    vector_f32 even_low = LOW(d[0], d[2]), even_high = HIGH(d[0], d[2]);
    vector_f32 odd_low = LOW(d[1], d[3]), odd_high = HIGH(d[1], d[3]);
    v[0] = LOW(even_low, odd_low);
    v[1] = HIGH(even_low, odd_low);
    v[2] = LOW(even_high, odd_high);
    v[3] = HIGH(even_high, odd_high);
}

/* B^T d along one direction, six numbers to six; for single numbers and for vectors. */
#define WINOGRAD_INPUT(d0, d1, d2, d3, d4, d5, v)                                                 \
    do {                                                                                          \
        (v)[0] = 4 * (d0)-5 * (d2) + (d4);                                                        \
        (v)[1] = ((d4)-4 * (d2)) + ((d3)-4 * (d1));                                               \
        (v)[2] = ((d4)-4 * (d2)) - ((d3)-4 * (d1));                                               \
        (v)[3] = ((d4) - (d2)) + 2 * ((d3) - (d1));                                               \
        (v)[4] = ((d4) - (d2)) - 2 * ((d3) - (d1));                                               \
        (v)[5] = 4 * (d1)-5 * (d3) + (d5);                                                        \
    } while (0)

/* The rows of B^T d: six rows of n numbers. */
static void winograd_input_rows(const float *const d[6], float *const v[6], ptrdiff_t n)
{
    const float *restrict d0 = d[0], *restrict d1 = d[1], *restrict d2 = d[2], *restrict d3 = d[3],
                *restrict d4 = d[4], *restrict d5 = d[5];
    float *restrict v0 = v[0], *restrict v1 = v[1], *restrict v2 = v[2], *restrict v3 = v[3],
          *restrict v4 = v[4], *restrict v5 = v[5];
    for (ptrdiff_t i = 0; i < n; i++) {
        float w[6];
        WINOGRAD_INPUT(d0[i], d1[i], d2[i], d3[i], d4[i], d5[i], w);
        v0[i] = w[0], v1[i] = w[1], v2[i] = w[2], v3[i] = w[3], v4[i] = w[4], v5[i] = w[5];
    }
}

/* The columns: tiles t of one row of B^T d, `here` at their first column, `beyond` four columns on. */
static void winograd_input_columns(const float *here, const float *beyond, float *v, ptrdiff_t v_stride,
                                   ptrdiff_t n_tiles)
{
    for (ptrdiff_t t = 0; t < n_tiles; t += WINOGRAD_LANES) {
        vector_f32 d[4], e[4], w[6];
        split_by_four(here + 4 * t, d);
        split_by_four(beyond + 4 * t, e);
        WINOGRAD_INPUT(d[0], d[1], d[2], d[3], e[0], e[1], w);
        for (int j = 0; j < 6; j++)
            *(unaligned_f32 *)(v + j * v_stride + t) = w[j];
    }
}

/* A^T m along one direction, six numbers to four. */
#define WINOGRAD_OUTPUT(m0, m1, m2, m3, m4, m5, y)                                                \
    do {                                                                                          \
        (y)[0] = (m0) + ((m1) + (m2)) + ((m3) + (m4));                                            \
        (y)[1] = ((m1) - (m2)) + 2 * ((m3) - (m4));                                               \
        (y)[2] = ((m1) + (m2)) + 4 * ((m3) + (m4));                                               \
        (y)[3] = ((m1) - (m2)) + 8 * ((m3) - (m4)) + (m5);                                        \
    } while (0)

/* Y of n_tiles tiles: row a of tile t goes to y[a][4 * t ... 4 * t + 3]. */
static void winograd_output(const float *m, ptrdiff_t m_stride, float *const y[4], ptrdiff_t n_tiles)
{
    for (ptrdiff_t t = 0; t < n_tiles; t += WINOGRAD_LANES) {
        vector_f32 columns[4][6], out[4][4];
        UNROLLED for (int i = 0; i < 6; i++) {
            vector_f32 row[6], r[4];
            UNROLLED for (int j = 0; j < 6; j++)
                row[j] = *(const unaligned_f32 *)(m + (i * 6 + j) * m_stride + t);
            WINOGRAD_OUTPUT(row[0], row[1], row[2], row[3], row[4], row[5], r);
            UNROLLED for (int b = 0; b < 4; b++)
                columns[b][i] = r[b];
        }
        UNROLLED for (int b = 0; b < 4; b++) {
            vector_f32 r[4];
            WINOGRAD_OUTPUT(columns[b][0], columns[b][1], columns[b][2], columns[b][3], columns[b][4],
                            columns[b][5], r);
            UNROLLED for (int a = 0; a < 4; a++)
                out[a][b] = r[a];
        }
        UNROLLED for (int a = 0; a < 4; a++)
            join_by_four(out[a], y[a] + 4 * t);
    }
}

/* A d along one direction, four numbers to six: the transpose of WINOGRAD_OUTPUT. */
#define WINOGRAD_GRADIENT(d0, d1, d2, d3, v)                                                      \
    do {                                                                                          \
        (v)[0] = (d0);                                                                            \
        (v)[1] = ((d0) + (d2)) + ((d1) + (d3));                                                   \
        (v)[2] = ((d0) + (d2)) - ((d1) + (d3));                                                   \
        (v)[3] = ((d0) + 4 * (d2)) + (2 * (d1) + 8 * (d3));                                       \
        (v)[4] = ((d0) + 4 * (d2)) - (2 * (d1) + 8 * (d3));                                       \
        (v)[5] = (d3);                                                                            \
    } while (0)

/* The rows of A dY: four rows of n numbers to six. */
static void winograd_gradient_rows(const float *const d[4], float *const v[6], ptrdiff_t n)
{
    const float *restrict d0 = d[0], *restrict d1 = d[1], *restrict d2 = d[2], *restrict d3 = d[3];
    float *restrict v0 = v[0], *restrict v1 = v[1], *restrict v2 = v[2], *restrict v3 = v[3],
          *restrict v4 = v[4], *restrict v5 = v[5];
    for (ptrdiff_t i = 0; i < n; i++) {
        float w[6];
        WINOGRAD_GRADIENT(d0[i], d1[i], d2[i], d3[i], w);
        v0[i] = w[0], v1[i] = w[1], v2[i] = w[2], v3[i] = w[3], v4[i] = w[4], v5[i] = w[5];
    }
}

/* The columns, as winograd_input_columns. */
static void winograd_gradient_columns(const float *here, float *v, ptrdiff_t v_stride, ptrdiff_t n_tiles)
{
    for (ptrdiff_t t = 0; t < n_tiles; t += WINOGRAD_LANES) {
        vector_f32 d[4], w[6];
        split_by_four(here + 4 * t, d);
        WINOGRAD_GRADIENT(d[0], d[1], d[2], d[3], w);
        for (int j = 0; j < 6; j++)
            *(unaligned_f32 *)(v + j * v_stride + t) = w[j];
    }
}

static const float winograd_G[6][3] = {
    {1.f / 4, 0, 0},
    {-1.f / 6, -1.f / 6, -1.f / 6},
    {-1.f / 6, 1.f / 6, -1.f / 6},
    {1.f / 24, 1.f / 12, 1.f / 6},
    {1.f / 24, -1.f / 12, 1.f / 6},
    {0, 0, 1},
};

/* u = G g G^T; `turned` takes the filter rotated by half a turn. */
static void winograd_filter(const float *g, int turned, float u[36])
{
    float rows[6][3];
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 3; j++) {
            rows[i][j] = 0;
            for (int k = 0; k < 3; k++)
                rows[i][j] += winograd_G[i][k] * g[turned ? 8 - (3 * k + j) : 3 * k + j];
        }
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) {
            u[6 * i + j] = 0;
            for (int k = 0; k < 3; k++)
                u[6 * i + j] += rows[i][k] * winograd_G[j][k];
        }
}

/* g = G^T m G, the elements of m lying `stride` apart. */
static void winograd_filter_gradient(const float *m, ptrdiff_t stride, float g[9])
{
    float rows[3][6];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 6; j++) {
            rows[i][j] = 0;
            for (int k = 0; k < 6; k++)
                rows[i][j] += winograd_G[k][i] * m[(6 * k + j) * stride];
        }
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            g[3 * i + j] = 0;
            for (int k = 0; k < 6; k++)
                g[3 * i + j] += rows[i][k] * winograd_G[k][j];
        }
}

#endif
