/* The maxima of 2x2 windows at stride two, for segments_body.h's vectors: of max pooling, and of what a convolution
   leaves in the cache. */

/* Where b wins over a that comes before it: the larger value, NaN always, an equal value never. */
#define BEATS(b, a) (((b) > (a)) | ((b) != (b)))

/* SEGMENT windows each of ROWS rows, whose first pixel is x[0]; rows of pixels are `pitch` numbers apart. With
   `indexed`, also where the maxima are in a plane `w` pixels wide: x[0] is its pixel `here`, and `place` those of
   the other windows less that. With `relu` (in all lanes or none), a maximum that is not above zero becomes zero,
   and nobody is where it was: minus one. */
ALWAYS_INLINE void NAME(pool_2x2)(const REAL *x, ptrdiff_t pitch, ptrdiff_t w, ptrdiff_t here, REAL *y,
                                  int32_t *indices, ptrdiff_t ow, INTEGERS place, INTEGERS relu, int indexed)
{
    VECTOR taps[4];
    NAME(load_pairs)(x, 2 * pitch, &taps[0], &taps[1]);
    NAME(load_pairs)(x + pitch, 2 * pitch, &taps[2], &taps[3]);
    const INTEGERS above = BEATS(taps[1], taps[0]), below = BEATS(taps[3], taps[2]);
    const VECTOR upper = SELECT(above, taps[1], taps[0]), lower = SELECT(below, taps[3], taps[2]);
    const INTEGERS down = BEATS(lower, upper);
    const VECTOR best = SELECT(down, lower, upper);
    const INTEGERS none = relu & (best <= 0); /* a mask is minus one where it holds */
    NAME(store)(y, ow, (VECTOR)((INTEGERS)best & ~none));
    if (indexed)
        NAME(store_int32)(indices, ow,
                          (place + (INTEGER)here - (INTEGERS)SELECT(down, below - (INTEGER)w, above)) | none);
}
