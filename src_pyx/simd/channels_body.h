/* Included by channels.h, once for float and once for double. */

#define LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))

/* `to` = n pixels of up to LANES planes; after every `width` of them `gap` vectors are passed over.
   Lanes without a plane are zero. What lies `ahead` numbers further on is fetched into the second-level cache:
   short pieces of many planes are too much for the hardware to foresee. */
static void TYPED(planes_to_channels)(const REAL *x, ptrdiff_t plane, ptrdiff_t n_channels, ptrdiff_t n,
                               ptrdiff_t width, ptrdiff_t gap, ptrdiff_t ahead, REAL *to)
{
    ptrdiff_t column = 0;
    for (ptrdiff_t p = 0; p < n; p += LANES) {
        VECTOR v[LANES];
        ptrdiff_t count = n - p < LANES ? n - p : LANES;
        if (count == LANES && n_channels >= LANES) {
            UNROLLED for (int l = 0; l < LANES; l++) {
                v[l] = *(const UNALIGNED *)(x + l * plane + p);
                __builtin_prefetch(x + l * plane + p + ahead, 0, 2);
            }
        } else {
            memset(v, 0, sizeof(v));
            for (ptrdiff_t l = 0; l < n_channels && l < LANES; l++)
                memcpy(&v[l], x + l * plane + p, count * sizeof(REAL));
        }
        TYPED(transpose)(v);
        UNROLLED for (int j = 0; j < LANES; j++) {
            if (j == count)
                break;
            *(UNALIGNED *)to = v[j];
            to += LANES;
            if (++column == width) {
                column = 0;
                to += gap * LANES;
            }
        }
    }
}

/* The way back; `as_is`, whatever the bits mean, or with a number added for each lane and then ReLU. */
ALWAYS_INLINE void TYPED(lanes_to_planes)(const REAL *from, ptrdiff_t width, ptrdiff_t gap, int as_is,
                                          VECTOR shift, int relu, ptrdiff_t n_channels, ptrdiff_t n,
                                          ptrdiff_t plane, ptrdiff_t ahead, REAL *y)
{
    const VECTOR zero = {0};
    ptrdiff_t column = 0;
    for (ptrdiff_t p = 0; p < n; p += LANES) {
        VECTOR v[LANES];
        ptrdiff_t count = n - p < LANES ? n - p : LANES;
        UNROLLED for (int j = 0; j < LANES; j++) {
            if (j < count) {
                v[j] = *(const UNALIGNED *)from;
                if (!as_is)
                    v[j] += shift;
                if (!as_is && relu)
                    v[j] = (VECTOR)((TYPED(mask))v[j] & ~(v[j] <= zero));
                from += LANES;
                if (++column == width) {
                    column = 0;
                    from += gap * LANES;
                }
            } else {
                v[j] = zero;
            }
        }
        TYPED(transpose)(v);
        if (count == LANES && n_channels >= LANES) {
            UNROLLED for (int l = 0; l < LANES; l++) {
                *(UNALIGNED *)(y + l * plane + p) = v[l];
                __builtin_prefetch(y + l * plane + p + ahead, 1, 2);
            }
        } else {
            for (ptrdiff_t l = 0; l < n_channels && l < LANES; l++)
                memcpy(y + l * plane + p, &v[l], count * sizeof(REAL));
        }
    }
}

/* With `bias` added, one number for each lane, if it is not NULL; then, with `relu`, what is not above zero
   becomes zero. */
static void TYPED(channels_to_planes)(const REAL *from, ptrdiff_t width, ptrdiff_t gap, const REAL *bias,
                                      int relu, ptrdiff_t n_channels, ptrdiff_t n, ptrdiff_t plane,
                                      ptrdiff_t ahead, REAL *y)
{
    VECTOR shift = -(VECTOR){0}; /* adding minus zero changes nothing */
    if (bias != NULL)
        shift = *(const UNALIGNED *)bias;
    TYPED(lanes_to_planes)(from, width, gap, 0, shift, relu, n_channels, n, plane, ahead, y);
}

/* Of pixels that are no REAL numbers, but as large. */
static void TYPED(words_to_planes)(const void *from, ptrdiff_t width, ptrdiff_t gap, ptrdiff_t n_channels,
                                   ptrdiff_t n, ptrdiff_t plane, ptrdiff_t ahead, void *y)
{
    TYPED(lanes_to_planes)(from, width, gap, 1, (VECTOR){0}, 0, n_channels, n, plane, ahead, y);
}

#undef LANES
