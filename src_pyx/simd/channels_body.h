/* Included by channels.h, once for float and once for double. */

#define LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))

/* memcpy of less than a vector, whose length is a constant where images' sides are powers of two. */
ALWAYS_INLINE void TYPED(copy_some)(void *to, const void *from, ptrdiff_t count)
{
    if (2 * count == LANES)
        memcpy(to, from, VECTOR_BYTES / 2);
    else if (4 * count == LANES)
        memcpy(to, from, VECTOR_BYTES / 4);
    else
        memcpy(to, from, count * sizeof(REAL));
}

/* `to` = n pixels of up to LANES planes; after every `width` of them `gap` vectors are passed over. Lanes
   without a plane are zero. The last square overlaps the one before it, if there is one. What lies `ahead`
   numbers further on is fetched into the second-level cache: short pieces of many planes are too much for the
   hardware to foresee. */
static void TYPED(planes_to_channels)(const REAL *x, ptrdiff_t plane, ptrdiff_t n_channels, ptrdiff_t n,
                               ptrdiff_t width, ptrdiff_t gap, ptrdiff_t ahead, REAL *to)
{
    REAL *const begin = to;
    ptrdiff_t column = 0;
    for (ptrdiff_t p = 0; p < n; p += LANES) {
        VECTOR v[LANES];
        if (p + LANES > n && n >= LANES) {
            p = n - LANES;
            column = p % width;
            to = begin + (p / width * (width + gap) + column) * LANES;
        }
        const ptrdiff_t count = n - p < LANES ? n - p : LANES;
        if (count == LANES && n_channels >= LANES) {
            UNROLLED for (int l = 0; l < LANES; l++) {
                v[l] = *(const UNALIGNED *)(x + l * plane + p);
                __builtin_prefetch(x + l * plane + p + ahead, 0, 2);
            }
        } else {
            memset(v, 0, sizeof(v));
            for (ptrdiff_t l = 0; l < n_channels && l < LANES; l++)
                if (count == LANES)
                    v[l] = *(const UNALIGNED *)(x + l * plane + p);
                else
                    TYPED(copy_some)(&v[l], x + l * plane + p, count);
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

/* What planes_to_channels would give for the gradient before 2x2 max pooling, from the one after it: each pixel of
   x, planes of (h / 2, w / 2), is the one of its window that its index says, if any, and the others are zero. `to`
   = rows first ... first + n_rows, `pitch` vectors apart. The array ends `n_numbers` after x. */
static void TYPED(pooled_to_channels)(const REAL *x, const int32_t *indices, ptrdiff_t n_numbers, ptrdiff_t h,
                                      ptrdiff_t w, ptrdiff_t n_channels, ptrdiff_t first, ptrdiff_t n_rows,
                                      ptrdiff_t pitch, ptrdiff_t ahead, REAL *to)
{
    typedef int32_t words __attribute__((vector_size(VECTOR_BYTES / sizeof(REAL) * 4), aligned(4), may_alias));
    const ptrdiff_t oh = h / 2, ow = w / 2, plane = oh * ow, last = first + n_rows;
    const ptrdiff_t n_planes = n_channels < LANES ? n_channels : LANES;
    const ptrdiff_t begin = first / 2 * ow, end = ((last + 1) / 2 < oh ? (last + 1) / 2 : oh) * ow;
    const VECTOR zero = {0};
    for (ptrdiff_t row = first; row < last; row++) /* an odd last row or column is in no window */
        for (ptrdiff_t column = row < 2 * oh ? 2 * ow : 0; column < w; column++)
            *(UNALIGNED *)(to + ((row - first) * pitch + column) * LANES) = zero;
    for (ptrdiff_t p = begin; p < end; p += LANES) {
        VECTOR v[LANES], places[LANES];
        if (p + LANES > end && end - begin >= LANES)
            p = end - LANES; /* the last square overlaps the one before it */
        memset(v, 0, sizeof(v));
        memset(places, 0, sizeof(places));
        for (ptrdiff_t l = 0; l < n_planes; l++) {
            const ptrdiff_t from = l * plane + p;
            words some = {0};
            if (from + LANES <= n_numbers) {
                v[l] = *(const UNALIGNED *)(x + from);
                some = *(const words *)(indices + from);
                __builtin_prefetch(x + from + ahead, 0, 2);
                __builtin_prefetch(indices + from + ahead, 0, 2);
            } else {
                memcpy(&v[l], x + from, (n_numbers - from) * sizeof(REAL));
                memcpy(&some, indices + from, (n_numbers - from) * sizeof(int32_t));
            }
            places[l] = (VECTOR)__builtin_convertvector(some, TYPED(mask));
        }
        TYPED(transpose)(v);
        TYPED(transpose)(places);
        ptrdiff_t row = p / ow * 2, column = p % ow * 2;
        for (ptrdiff_t j = 0; j < LANES && p + j < end; j++) {
            for (ptrdiff_t k = 0; k < 2; k++) {
                if (row + k < first || row + k >= last)
                    continue;
                const TYPED(mask) place = (TYPED(mask))places[j] - (int32_t)((row + k) * w + column);
                UNALIGNED *pixels = (UNALIGNED *)(to + ((row + k - first) * pitch + column) * LANES);
                /* minus zero becomes zero, as where it is added to one */
                pixels[0] = (VECTOR)((TYPED(mask))v[j] & (place == 0)) + 0;
                pixels[1] = (VECTOR)((TYPED(mask))v[j] & (place == 1)) + 0;
            }
            column += 2;
            if (column == 2 * ow) {
                column = 0;
                row += 2;
            }
        }
    }
}

/* y = v, or zero where `gate`, if it is not NULL, is not above zero. */
ALWAYS_INLINE void TYPED(store_gated)(REAL *y, VECTOR v, const REAL *gate, ptrdiff_t count)
{
    VECTOR opens = {0};
    if (gate != NULL) {
        if (count == LANES)
            opens = *(const UNALIGNED *)gate;
        else
            TYPED(copy_some)(&opens, gate, count);
        v = (VECTOR)((TYPED(mask))v & ~(opens <= 0));
    }
    if (count == LANES)
        *(UNALIGNED *)y = v;
    else
        TYPED(copy_some)(y, &v, count);
}

/* The way back; `as_is`, whatever the bits mean, or with a number added for each lane and then ReLU. Last of all,
   what `gate`, like y, lets pass. */
ALWAYS_INLINE void TYPED(lanes_to_planes)(const REAL *from, ptrdiff_t width, ptrdiff_t gap, int as_is,
                                          VECTOR shift, int relu, const REAL *gate, ptrdiff_t n_channels,
                                          ptrdiff_t n, ptrdiff_t plane, ptrdiff_t ahead, REAL *y)
{
    const REAL *const begin = from;
    const VECTOR zero = {0};
    ptrdiff_t column = 0;
    for (ptrdiff_t p = 0; p < n; p += LANES) {
        VECTOR v[LANES];
        if (p + LANES > n && n >= LANES) {
            p = n - LANES;
            column = p % width;
            from = begin + (p / width * (width + gap) + column) * LANES;
        }
        const ptrdiff_t count = n - p < LANES ? n - p : LANES;
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
                TYPED(store_gated)(y + l * plane + p, v[l], gate ? gate + l * plane + p : NULL, LANES);
                __builtin_prefetch(y + l * plane + p + ahead, 1, 2);
                if (gate)
                    __builtin_prefetch(gate + l * plane + p + ahead, 0, 2);
            }
        } else {
            for (ptrdiff_t l = 0; l < n_channels && l < LANES; l++)
                TYPED(store_gated)(y + l * plane + p, v[l], gate ? gate + l * plane + p : NULL, count);
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
    TYPED(lanes_to_planes)(from, width, gap, 0, shift, relu, NULL, n_channels, n, plane, ahead, y);
}

/* Where `gate`, like y, is not above zero, y becomes zero. */
static void TYPED(gated_to_planes)(const REAL *from, ptrdiff_t width, ptrdiff_t gap, const REAL *gate,
                                   ptrdiff_t n_channels, ptrdiff_t n, ptrdiff_t plane, ptrdiff_t ahead, REAL *y)
{
    TYPED(lanes_to_planes)(from, width, gap, 1, (VECTOR){0}, 0, gate, n_channels, n, plane, ahead, y);
}

/* Of pixels that are no REAL numbers, but as large. */
static void TYPED(words_to_planes)(const void *from, ptrdiff_t width, ptrdiff_t gap, ptrdiff_t n_channels,
                                   ptrdiff_t n, ptrdiff_t plane, ptrdiff_t ahead, void *y)
{
    TYPED(lanes_to_planes)(from, width, gap, 1, (VECTOR){0}, 0, NULL, n_channels, n, plane, ahead, y);
}

#undef LANES
