/* Included by pixels.h, once for float and once for double. */

#define LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))

ALWAYS_INLINE void TYPED(pixel_tile)(const int pixels, const int vectors, const REAL *const *pixel,
                                     const ptrdiff_t *offset, const REAL *w, ptrdiff_t w_block, ptrdiff_t n_k,
                                     REAL *const *y, ptrdiff_t y_block)
{
    VECTOR sum[TILE_PIXELS][2];
    const REAL *x[TILE_PIXELS];
    UNROLLED for (int q = 0; q < pixels; q++) {
        x[q] = pixel[q];
        sum[q][0] = sum[q][1] = (VECTOR){0};
    }
    for (ptrdiff_t k = 0; k < n_k; k++, w += LANES) {
        const ptrdiff_t tap = offset[k];
        VECTOR w0 = *(const UNALIGNED *)w, w1 = w0;
        if (vectors > 1)
            w1 = *(const UNALIGNED *)(w + w_block);
        UNROLLED for (int q = 0; q < pixels; q++) {
            sum[q][0] += x[q][tap] * w0;
            if (vectors > 1)
                sum[q][1] += x[q][tap] * w1;
        }
    }
    UNROLLED for (int q = 0; q < pixels; q++)
        UNROLLED for (int i = 0; i < vectors; i++)
            *(UNALIGNED *)(y[q] + i * y_block) = sum[q][i];
}

#define PIXEL_CASE(PIXELS)                                                                        \
    case PIXELS:                                                                                  \
        if (vectors == 2)                                                                         \
            TYPED(pixel_tile)(PIXELS, 2, pixel, offset, w, w_block, n_k, to, y_block);            \
        else                                                                                      \
            TYPED(pixel_tile)(PIXELS, 1, pixel, offset, w, w_block, n_k, to, y_block);            \
        break;

/* y = the sums of all taps, for n_rows rows of n_columns pixels: rows of x lie x_row apart, pixels x_step;
   w is (block of filters, k, lane), y (block of filters, pixel, lane), rows y_row apart, pixels y_step. */
static void TYPED(pixels_product)(const REAL *x, ptrdiff_t x_row, ptrdiff_t x_step, const ptrdiff_t *offset,
                                  const REAL *w, ptrdiff_t n_k, ptrdiff_t n_rows, ptrdiff_t n_columns,
                                  ptrdiff_t n_blocks, REAL *y, ptrdiff_t y_block, ptrdiff_t y_row,
                                  ptrdiff_t y_step)
{
    const ptrdiff_t n = n_rows * n_columns, n_tiles = (n + TILE_PIXELS - 1) / TILE_PIXELS, w_block = n_k * LANES;
    for (ptrdiff_t b = 0; b < n_blocks; b += 2, w += 2 * w_block, y += 2 * y_block) {
        const int vectors = b + 1 < n_blocks ? 2 : 1;
        ptrdiff_t row = 0, column = 0;
        for (ptrdiff_t tile = 0; tile < n_tiles; tile++) {
            const REAL *pixel[TILE_PIXELS];
            REAL *to[TILE_PIXELS];
            const int pixels = (int)((tile + 1) * n / n_tiles - tile * n / n_tiles); /* much the same for each */
            for (int q = 0; q < pixels; q++) {
                pixel[q] = x + row * x_row + column * x_step;
                to[q] = y + row * y_row + column * y_step;
                if (++column == n_columns) {
                    column = 0;
                    row++;
                }
            }
            switch (pixels) {
                PIXEL_CASE(1)
                PIXEL_CASE(2)
                PIXEL_CASE(3)
                PIXEL_CASE(4)
                PIXEL_CASE(5)
                PIXEL_CASE(6)
#if TILE_PIXELS > 6
                PIXEL_CASE(7)
                PIXEL_CASE(8)
#endif
            }
        }
    }
}
#undef PIXEL_CASE

#undef LANES
