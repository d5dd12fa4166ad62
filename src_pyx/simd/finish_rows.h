/* 2x2 max pooling of a convolution's rows, ROWS rows of windows at a time, of at least as many; finish.h includes
   this once for each. The last rows and the last windows overlap those before them. */

#include "segments_body.h"
#include "pool_2x2.h"

static void NAME(pool_rows)(const rows_to_pool *rows, const REAL *x, REAL *y, int32_t *indices)
{
    const ptrdiff_t pitch = rows->pitch, w = rows->w, ow = w / 2;
    const INTEGERS place = NAME(places)(2 * w, 2), relu = (INTEGERS){0} - (INTEGER)rows->relu;
    for (ptrdiff_t begin = 0; begin < rows->n_rows; begin += ROWS) {
        const ptrdiff_t row = smaller(begin, rows->n_rows - ROWS);
        for (ptrdiff_t left = 0; left < ow; left += SEGMENT) {
            const ptrdiff_t ox = smaller(left, ow - SEGMENT), to = row * ow + ox;
            NAME(pool_2x2)(x + 2 * (row * pitch + ox), pitch, w, rows->first + 2 * (row * w + ox), y + to,
                           indices ? indices + to : NULL, ow, place, relu, indices != NULL);
        }
    }
}

#undef BEATS
#include "segments_end.h"
