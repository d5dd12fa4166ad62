/* Included by tiles.h, once for float and once for double. */

#define LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))

/* ---- outer: sums over k, columns q side by side ---- */

ALWAYS_INLINE void TYPED(outer_tile)(const int rows, const int vectors, const REAL *restrict a,
                                     const REAL *x, const ptrdiff_t *offset, ptrdiff_t n_k,
                                     const REAL *bias, REAL *y, ptrdiff_t y_stride)
{
    VECTOR sum[OUTER_ROWS][2];
    UNROLLED for (int m = 0; m < rows; m++)
        UNROLLED for (int v = 0; v < vectors; v++)
            sum[m][v] = (VECTOR){0} + (bias ? bias[m] : 0);
    for (ptrdiff_t k = 0; k < n_k; k++, a += rows) {
        const UNALIGNED *row = (const UNALIGNED *)(x + offset[k]);
        VECTOR x0 = row[0], x1 = vectors > 1 ? row[1] : row[0];
        UNROLLED for (int m = 0; m < rows; m++) {
            sum[m][0] += a[m] * x0;
            if (vectors > 1)
                sum[m][1] += a[m] * x1;
        }
    }
    UNROLLED for (int m = 0; m < rows; m++)
        UNROLLED for (int v = 0; v < vectors; v++)
            ((UNALIGNED *)(y + m * y_stride))[v] = sum[m][v];
}

/* Fewer columns than a vector has lanes: some steps at a time, they are copied to where a whole vector
   can be read. Adds to y unless `begins`. */
#define NARROW_STEPS 64

ALWAYS_INLINE void TYPED(narrow_tile)(const int rows, const REAL *a, const VECTOR *columns, ptrdiff_t steps,
                                      int begins, const REAL *bias, REAL *y, ptrdiff_t y_stride,
                                      ptrdiff_t n_q)
{
    VECTOR sum[OUTER_ROWS];
    UNROLLED for (int m = 0; m < rows; m++) {
        sum[m] = (VECTOR){0} + (bias ? bias[m] : 0);
        if (!begins)
            copy_row(&sum[m], y + m * y_stride, n_q * sizeof(REAL));
    }
    for (ptrdiff_t k = 0; k < steps; k++, a += rows)
        UNROLLED for (int m = 0; m < rows; m++)
            sum[m] += a[m] * columns[k];
    UNROLLED for (int m = 0; m < rows; m++)
        copy_row(y + m * y_stride, &sum[m], n_q * sizeof(REAL));
}

#define NARROW_CASE(ROWS)                                                                         \
    case ROWS:                                                                                    \
        TYPED(narrow_tile)(ROWS, a + m * n_k + k * ROWS, columns, steps, k == 0,                   \
                           bias ? bias + m : NULL, y + m * y_stride, y_stride, n_q);               \
        break;

static void TYPED(outer_narrow)(const REAL *a, const REAL *x, const ptrdiff_t *offset, ptrdiff_t n_k,
                                const REAL *bias, REAL *y, ptrdiff_t y_stride, ptrdiff_t n_m,
                                ptrdiff_t n_q)
{
    VECTOR columns[NARROW_STEPS];
    memset(columns, 0, sizeof columns);
    for (ptrdiff_t k = 0; k == 0 || k < n_k; k += NARROW_STEPS) {
        const ptrdiff_t steps = n_k - k < NARROW_STEPS ? n_k - k : NARROW_STEPS;
        for (ptrdiff_t i = 0; i < steps; i++)
            copy_row(&columns[i], x + offset[k + i], n_q * sizeof(REAL));
        for (ptrdiff_t m = 0; m < n_m; m += OUTER_ROWS)
            switch (n_m - m < OUTER_ROWS ? (int)(n_m - m) : OUTER_ROWS) {
                NARROW_CASE(1)
                NARROW_CASE(2)
                NARROW_CASE(3)
                NARROW_CASE(4)
                NARROW_CASE(5)
                NARROW_CASE(6)
            }
    }
}
#undef NARROW_CASE

#define OUTER_CASE(ROWS)                                                                          \
    case ROWS:                                                                                    \
        if (vectors == 2)                                                                         \
            TYPED(outer_tile)(ROWS, 2, a, x, offset, n_k, bias, y, y_stride);                     \
        else                                                                                      \
            TYPED(outer_tile)(ROWS, 1, a, x, offset, n_k, bias, y, y_stride);                     \
        break;

static void TYPED(outer_panel)(int rows, int vectors, const REAL *a, const REAL *x,
                               const ptrdiff_t *offset, ptrdiff_t n_k, const REAL *bias, REAL *y,
                               ptrdiff_t y_stride)
{
    switch (rows) {
        OUTER_CASE(1)
        OUTER_CASE(2)
        OUTER_CASE(3)
        OUTER_CASE(4)
        OUTER_CASE(5)
        OUTER_CASE(6)
    }
}
#undef OUTER_CASE

/* y (n_m, n_q) in rows y_stride apart.  `a` is packed in panels of OUTER_ROWS rows of y, the last
   one narrower: panel p starts at a + p * OUTER_ROWS * n_k and holds its rows for k = 0, then for
   k = 1, ...  Reads x[offset[k] + q] for 0 <= q < n_q only: the last tile steps back over columns
   that are already done. */
static void TYPED(outer_product)(const REAL *a, const REAL *x, const ptrdiff_t *offset,
                                 ptrdiff_t n_k, const REAL *bias, REAL *y, ptrdiff_t y_stride,
                                 ptrdiff_t n_m, ptrdiff_t n_q)
{
    ptrdiff_t q = 0;
    if (n_q < LANES) {
        TYPED(outer_narrow)(a, x, offset, n_k, bias, y, y_stride, n_m, n_q);
        return;
    }
    while (q < n_q) {
        int vectors = n_q - q > LANES && n_q >= 2 * LANES ? 2 : 1;
        if (n_q - q < vectors * LANES)
            q = n_q - vectors * LANES;
        for (ptrdiff_t m = 0; m < n_m; m += OUTER_ROWS) {
            int rows = n_m - m < OUTER_ROWS ? (int)(n_m - m) : OUTER_ROWS;
            const REAL *panel = a + m * n_k, *panel_bias = bias ? bias + m : NULL;
            REAL *to = y + m * y_stride + q;
            TYPED(outer_panel)(rows, vectors, panel, x + q, offset, n_k, panel_bias, to, y_stride);
        }
        q += vectors * LANES;
    }
}

/* ---- dot: sums over q, a table of rows times a table of taps ---- */

ALWAYS_INLINE void TYPED(dot_tile)(const int rows, const int taps, const REAL *a, ptrdiff_t a_stride,
                                   const REAL *x, const ptrdiff_t *offset, ptrdiff_t n_q,
                                   ptrdiff_t n_images, ptrdiff_t a_image, ptrdiff_t x_image,
                                   const REAL *ahead, REAL *y, ptrdiff_t y_stride)
{
    VECTOR sum[DOT_ROWS][DOT_TAPS];
    REAL tail[DOT_ROWS][DOT_TAPS];
    UNROLLED for (int m = 0; m < rows; m++)
        UNROLLED for (int k = 0; k < taps; k++) {
            sum[m][k] = (VECTOR){0};
            tail[m][k] = 0;
        }
    for (ptrdiff_t image = 0; image < n_images; image++, a += a_image, x += x_image) {
        ptrdiff_t q = 0;
        for (; q + LANES <= n_q; q += LANES) {
            VECTOR column[DOT_ROWS];
            UNROLLED for (int m = 0; m < rows; m++)
                column[m] = *(const UNALIGNED *)(a + m * a_stride + q);
            if (rows == DOT_ROWS && VECTOR_BYTES == 64) /* a cache line */
                __builtin_prefetch(ahead + q, 0, 2);
            UNROLLED for (int k = 0; k < taps; k++) {
                VECTOR row = *(const UNALIGNED *)(x + offset[k] + q);
                UNROLLED for (int m = 0; m < rows; m++)
                    sum[m][k] += column[m] * row;
            }
        }
        for (; q < n_q; q++)
            for (int m = 0; m < rows; m++)
                for (int k = 0; k < taps; k++)
                    tail[m][k] += a[m * a_stride + q] * x[offset[k] + q];
    }
    UNROLLED for (int m = 0; m < rows; m++)
        UNROLLED for (int k = 0; k < taps; k++) {
            y[m * y_stride + k] += TYPED(sum_lanes)(sum[m][k]) + tail[m][k];
        }
}

#define DOT_TILE(ROWS, TAPS)                                                                      \
    TYPED(dot_tile)(ROWS, TAPS, a + m * a_stride, a_stride, x, offset + k, n_q, n_images, a_image, \
                    x_image, ahead, y + m * y_stride + k, y_stride)
#define DOT_CASE(TAPS)                                                                            \
    case TAPS:                                                                                    \
        if (rows == DOT_ROWS)                                                                     \
            DOT_TILE(DOT_ROWS, TAPS);                                                             \
        else if (rows == 2)                                                                       \
            DOT_TILE(2, TAPS);                                                                    \
        else                                                                                      \
            DOT_TILE(1, TAPS);                                                                    \
        break;

/* y (n_m, n_k) in rows y_stride apart: added to.  Row m of a starts at a + m * a_stride.  Sums
   over q of n_images images, which lie a_image and x_image apart.  While some taps are used, each full
   tile fetches a row of the next ones into the second-level cache. */
static void TYPED(dot_product)(const REAL *a, ptrdiff_t a_stride, const REAL *x,
                               const ptrdiff_t *offset, ptrdiff_t n_q, ptrdiff_t n_images,
                               ptrdiff_t a_image, ptrdiff_t x_image, REAL *y, ptrdiff_t y_stride,
                               ptrdiff_t n_m, ptrdiff_t n_k)
{
    const ptrdiff_t n_tiles = (n_k + DOT_TAPS - 1) / DOT_TAPS;
    for (ptrdiff_t tile = 0; tile < n_tiles; tile++) {
        ptrdiff_t k = tile * n_k / n_tiles;
        ptrdiff_t taps = (tile + 1) * n_k / n_tiles - k; /* much the same for each */
        const ptrdiff_t end = (tile + 2) * n_k / n_tiles;
        for (ptrdiff_t m = 0, next = k + taps; m < n_m; next++) {
            const REAL *ahead = x + offset[next < end && next < n_k ? next : k];
            const ptrdiff_t left = n_m - m; /* one row alone keeps too few sums running */
            ptrdiff_t rows = left >= DOT_ROWS && left != DOT_ROWS + 1 ? DOT_ROWS : left >= 2 ? 2 : 1;
            switch (taps) {
                DOT_CASE(1)
                DOT_CASE(2)
                DOT_CASE(3)
                DOT_CASE(4)
#if DOT_TAPS > 4
                DOT_CASE(5)
#endif
            }
            m += rows;
        }
    }
}
#undef DOT_CASE
#undef DOT_TILE

#undef LANES
