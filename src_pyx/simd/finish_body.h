/* Included by finish.h, once for float and once for double. */

/* y[j] = ReLU of x[j]. */
static void TYPED(relu_row)(const REAL *x, ptrdiff_t n, REAL *y)
{
    for (ptrdiff_t j = 0; j < n; j++)
        y[j] = x[j] <= 0 ? 0 : x[j];
}

/* Windows too few for vectors. */
static void TYPED(pool_few)(const rows_to_pool *rows, const REAL *x, REAL *y, int32_t *indices)
{
    const ptrdiff_t pitch = rows->pitch, w = rows->w, ow = w / 2;
    for (ptrdiff_t i = 0; i < rows->n_rows * ow; i++) {
        const ptrdiff_t row = 2 * (i / ow), column = 2 * (i % ow);
        const REAL *window = x + row * pitch + column;
        ptrdiff_t down = 0, right = 0;
        for (ptrdiff_t k = 1; k < 4; k++) {
            const REAL tap = window[k / 2 * pitch + k % 2];
            if (tap > window[down * pitch + right] || tap != tap) {
                down = k / 2;
                right = k % 2;
            }
        }
        const REAL best = window[down * pitch + right];
        const int nobody = rows->relu && best <= 0;
        y[i] = nobody ? 0 : best;
        if (indices != NULL)
            indices[i] = nobody ? -1 : (int32_t)(rows->first + (row + down) * w + column + right);
    }
}

/* The largest of each 2x2 window of the rows, then ReLU if asked for; unless `indices` is NULL, also where in the
   plane it was, or minus one where ReLU gives zero. NaN wins, of equals the first. */
static void TYPED(pool_rows)(const rows_to_pool *rows, const REAL *x, REAL *y, int32_t *indices)
{
    const ptrdiff_t ow = rows->w / 2;
    if (ow < LEAST || rows->n_rows < rows_at_a_time(ow, LEAST))
        TYPED(pool_few)(rows, x, y, indices);
    else
        BY_ROWS(TYPED(pool_rows), ow, LEAST, rows, x, y, indices);
}
