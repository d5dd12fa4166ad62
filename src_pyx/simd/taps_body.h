/* Included by taps.h, once for float and once for double. */

#define LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))

ALWAYS_INLINE void TYPED(tap_tile)(const int rows, const int vectors, const REAL *x, ptrdiff_t x_row,
                                   ptrdiff_t x_step, const ptrdiff_t *offset, const REAL *dy,
                                   ptrdiff_t dy_block, ptrdiff_t n_rows, ptrdiff_t n_pixels, REAL *dw, ptrdiff_t dw_row)
{
    VECTOR sum[TAP_ROWS][2];
    UNROLLED for (int k = 0; k < rows; k++)
        UNROLLED for (int i = 0; i < vectors; i++)
            sum[k][i] = ((const UNALIGNED *)(dw + k * dw_row))[i];
    for (ptrdiff_t i = 0; i < n_rows; i++, x += x_row) {
        const REAL *tap[TAP_ROWS];
        UNROLLED for (int k = 0; k < rows; k++)
            tap[k] = x + offset[k];
        for (ptrdiff_t q = 0; q < n_pixels * x_step; q += x_step, dy += LANES) {
            VECTOR dy0 = *(const UNALIGNED *)dy, dy1 = dy0;
            if (vectors > 1)
                dy1 = *(const UNALIGNED *)(dy + dy_block);
            UNROLLED for (int k = 0; k < rows; k++) {
                sum[k][0] += tap[k][q] * dy0;
                if (vectors > 1)
                    sum[k][1] += tap[k][q] * dy1;
            }
        }
    }
    UNROLLED for (int k = 0; k < rows; k++)
        UNROLLED for (int i = 0; i < vectors; i++)
            ((UNALIGNED *)(dw + k * dw_row))[i] = sum[k][i];
}

#define TAP_CASE(ROWS)                                                                            \
    case ROWS:                                                                                    \
        if (vectors == 2)                                                                         \
            TYPED(tap_tile)(ROWS, 2, x, x_row, x_step, offset, dy, dy_block, n_rows, n_pixels, dw, dw_row); \
        else                                                                                      \
            TYPED(tap_tile)(ROWS, 1, x, x_row, x_step, offset, dy, dy_block, n_rows, n_pixels, dw, dw_row); \
        break;

/* dw (k, filters in whole blocks) += the sums over n_rows rows of n_pixels pixels: rows of x lie x_row
   apart, pixels x_step; dy is (block of filters, row, pixel, lane), blocks dy_block apart. */
static void TYPED(taps_product)(const REAL *x, ptrdiff_t x_row, ptrdiff_t x_step, const ptrdiff_t *offset,
                                ptrdiff_t n_k, const REAL *dy, ptrdiff_t dy_block, ptrdiff_t n_rows, ptrdiff_t n_pixels,
                                ptrdiff_t n_blocks, REAL *dw)
{
    const ptrdiff_t dw_row = n_blocks * LANES, n_tiles = (n_k + TAP_ROWS - 1) / TAP_ROWS;
    for (ptrdiff_t b = 0; b < n_blocks; b += 2, dy += 2 * dy_block, dw += 2 * LANES) {
        const int vectors = b + 1 < n_blocks ? 2 : 1;
        const ptrdiff_t *first_offset = offset;
        REAL *first_dw = dw;
        for (ptrdiff_t tile = 0; tile < n_tiles; tile++) {
            ptrdiff_t rows = (tile + 1) * n_k / n_tiles - tile * n_k / n_tiles;
            switch (rows) {
                TAP_CASE(1)
                TAP_CASE(2)
                TAP_CASE(3)
                TAP_CASE(4)
                TAP_CASE(5)
                TAP_CASE(6)
            }
            offset += rows;
            dw += rows * dw_row;
        }
        offset = first_offset;
        dw = first_dw;
    }
}
#undef TAP_CASE

#undef LANES
