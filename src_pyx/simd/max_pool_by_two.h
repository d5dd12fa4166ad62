/* Max pooling of stride two, ROWS rows of windows at a time; max_pool.h includes this once for each.

   Forward: windows of 2x2 without padding, or of 3x3 with a padding of one. Backward: 2x2. */

#include "segments_body.h"

#include "pool_2x2.h"

#define COMPETE(value, allowed, here)                                                             \
    do {                                                                                          \
        const INTEGERS wins = (allowed)&BEATS(value, best);                                       \
        best = SELECT(wins, value, best);                                                         \
        winner = (INTEGERS)SELECT(wins, (INTEGERS){0} + (INTEGER)(here), winner);                 \
    } while (0)

/* The same of 3x3 windows; at_edge, some may begin or end in the padding. */
ALWAYS_INLINE void NAME(pool_3x3)(const REAL *x, ptrdiff_t h, ptrdiff_t w, ptrdiff_t top, ptrdiff_t left,
                                  REAL *y, int32_t *indices, ptrdiff_t ow, INTEGERS row_of,
                                  INTEGERS column_of, INTEGERS place, INTEGERS relu, int at_edge,
                                  int indexed)
{
    const INTEGERS all = (INTEGERS){0} - 1;
    INTEGERS rows[3] = {all, all, all}, columns[3] = {all, all, all};
    VECTOR best = (VECTOR){0} - (REAL)INFINITY;
    INTEGERS winner = (INTEGERS){0} + (INTEGER)(top * w + left);
    if (at_edge) {
        rows[0] = row_of >= (INTEGER)-top;
        rows[2] = row_of < (INTEGER)(h - top - 2);
        columns[0] = column_of >= (INTEGER)-left;
        columns[2] = column_of < (INTEGER)(w - left - 2);
        /* the first inside, if all are minus infinity */
        winner += (~columns[0] & 1) + (~rows[0] & (INTEGER)w);
    }
    UNROLLED for (int ky = 0; ky < 3; ky++) {
        const ptrdiff_t here = (top + ky) * w + left;
        VECTOR taps[4];
        NAME(load_pairs)(x + ky * w, 2 * w, &taps[0], &taps[1]);
        NAME(load_pairs)(x + ky * w + 1, 2 * w, &taps[3], &taps[2]);
        COMPETE(taps[0], rows[ky] & columns[0], here);
        COMPETE(taps[1], rows[ky], here + 1);
        COMPETE(taps[2], rows[ky] & columns[2], here + 2);
    }
    const INTEGERS none = relu & (best <= 0);
    NAME(store)(y, ow, (VECTOR)((INTEGERS)best & ~none));
    if (indexed)
        NAME(store_int32)(indices, ow, (winner + place) | none);
}

/* The rows first <= oy < last of one plane, at least ROWS of them. */
ALWAYS_INLINE void NAME(pool_plane)(const max_pooling *job, ptrdiff_t plane, ptrdiff_t first, ptrdiff_t last,
                                    int kernel, int indexed)
{
    const INTEGERS row_of = NAME(places)(2, 0), column_of = NAME(places)(0, 2);
    const INTEGERS place = NAME(places)(2 * job->w, 2), relu = (INTEGERS){0} - (INTEGER)job->relu;
    const ptrdiff_t h = job->h, w = job->w, oh = job->oh, ow = job->ow;
    const REAL *x = (const REAL *)job->x + plane * h * w;
    REAL *y = (REAL *)job->y + plane * oh * ow;
    int32_t *indices = indexed ? job->indices + plane * oh * ow : NULL;
    for (ptrdiff_t begin = first; begin < last; begin += ROWS) {
        const ptrdiff_t oy = smaller(begin, last - ROWS);
        for (ptrdiff_t left = 0; left < ow; left += SEGMENT) {
            const ptrdiff_t ox = smaller(left, ow - SEGMENT), to = oy * ow + ox, from = 2 * (oy * w + ox);
            const int at_edge = oy == 0 || ox == 0 || oy + ROWS > h / 2 || ox + SEGMENT > w / 2;
            if (kernel == 2)
                NAME(pool_2x2)(x + from, w, w, from, y + to, indices + to, ow, place, relu, indexed);
            else if (at_edge)
                NAME(pool_3x3)(x + from - w - 1, h, w, 2 * oy - 1, 2 * ox - 1, y + to, indices + to, ow,
                               row_of, column_of, place, relu, 1, indexed);
            else
                NAME(pool_3x3)(x + from - w - 1, h, w, 2 * oy - 1, 2 * ox - 1, y + to, indices + to, ow,
                               row_of, column_of, place, relu, 0, indexed);
        }
    }
}

/* The rows first <= row < last of windows of all planes; less than ROWS of a plane are max_pool_some's. */
ALWAYS_INLINE void NAME(pool_rows)(const max_pooling *job, ptrdiff_t first, ptrdiff_t last, int kernel,
                                   int indexed)
{
    /* 3x3 windows are loaded with pixels of the row above the plane and, if a side is odd, below it. Where
       that is another plane no harm is done. */
    const int above = kernel == 3, below = above && (job->h % 2 != 0 || job->w % 2 != 0);
    ptrdiff_t plane = first / job->oh, begin = first % job->oh;
    for (; first < last; plane++, begin = 0) {
        const ptrdiff_t end = smaller(job->oh, begin + last - first);
        const ptrdiff_t from = larger(begin, above && plane == 0);
        const ptrdiff_t to = smaller(end, job->oh - (below && plane == job->n_planes - 1));
        const int fits = to - from >= ROWS;
        if (fits)
            NAME(pool_plane)(job, plane, from, to, kernel, indexed);
        if (!fits || begin < from)
            TYPED(max_pool_some)(job, plane, begin, fits ? from : end);
        if (fits && to < end)
            TYPED(max_pool_some)(job, plane, to, end);
        first += end - begin;
    }
}

static void NAME(max_pool_by_two)(const max_pooling *job, ptrdiff_t first, ptrdiff_t last)
{
    if (job->kh == 2 && job->indices != NULL)
        NAME(pool_rows)(job, first, last, 2, 1);
    else if (job->kh == 2)
        NAME(pool_rows)(job, first, last, 2, 0);
    else if (job->indices != NULL)
        NAME(pool_rows)(job, first, last, 3, 1);
    else
        NAME(pool_rows)(job, first, last, 3, 0);
}

/* v or plus zero: the same as adding v to a zero, also for minus zero */
#define IF(mask, v) ((VECTOR)((mask) & (INTEGERS)(v)) + (REAL)0)

/* Backward, the 2x2 pixels of SEGMENT windows of ROWS rows. Returns where an index is not in its window. */
ALWAYS_INLINE INTEGERS NAME(unpool_2x2)(const REAL *dy, const int32_t *indices, ptrdiff_t ow, REAL *dx,
                                        ptrdiff_t w, ptrdiff_t base, const INTEGERS place[4], INTEGERS relu)
{
    const VECTOR g = NAME(load)(dy, ow);
    const INTEGERS of_plane = NAME(load_int32)(indices, ow), index = of_plane - (INTEGER)base;
    const INTEGERS at[4] = {index == place[0], index == place[1], index == place[2], index == place[3]};
    NAME(store_pairs)(dx, 2 * w, IF(at[0], g), IF(at[1], g));
    NAME(store_pairs)(dx + w, 2 * w, IF(at[2], g), IF(at[3], g));
    return ~(at[0] | at[1] | at[2] | at[3] | (relu & (of_plane == -1)));
}

/* Fills one plane of dx, each pixel once; returns 0 if it was in vain, as some index is not in its window. */
ALWAYS_INLINE int NAME(unpool_plane)(const max_unpooling *job, ptrdiff_t plane)
{
    const ptrdiff_t w = job->w, oh = job->oh, ow = job->ow;
    const REAL *dy = (const REAL *)job->dy + plane * oh * ow;
    const int32_t *indices = job->indices + plane * oh * ow;
    REAL *dx = (REAL *)job->dx + plane * job->h * w;
    const INTEGERS first = NAME(places)(2 * w, 2);
    const INTEGERS place[4] = {first, first + 1, first + (INTEGER)w, first + (INTEGER)(w + 1)};
    const INTEGERS relu = (INTEGERS){0} - (INTEGER)job->relu;
    INTEGERS outside = {0};
    for (ptrdiff_t begin = 0; begin < oh; begin += ROWS) {
        const ptrdiff_t oy = smaller(begin, oh - ROWS);
        for (ptrdiff_t left = 0; left < ow; left += SEGMENT) {
            const ptrdiff_t ox = smaller(left, ow - SEGMENT), from = oy * ow + ox, base = 2 * (oy * w + ox);
            outside |= NAME(unpool_2x2)(dy + from, indices + from, ow, dx + base, w, base, place, relu);
        }
        /* the indices of other windows show in the first rows, as a rule */
        if ((begin == 0 || begin + ROWS >= oh) && NAME(any)(outside))
            return 0;
    }
    for (ptrdiff_t row = 0; w > 2 * ow && row < 2 * oh; row++)
        dx[row * w + w - 1] = 0;
    if (job->h > 2 * oh)
        memset(dx + 2 * oh * w, 0, w * sizeof(REAL));
    return 1;
}

/* The planes first <= plane < last of dx. */
static void NAME(max_unpool_by_two)(max_unpooling *job, ptrdiff_t first, ptrdiff_t last)
{
    const max_unpooling own = *job; /* for all the compiler knows, a store to dx may change what is not */
    for (ptrdiff_t plane = first; plane < last; plane++)
        if (!NAME(unpool_plane)(&own, plane)) { /* other windows: so they will be in the planes to come */
            TYPED(max_unpool_some)(job, plane, last);
            return;
        }
}

#undef BEATS
#undef IF
#undef COMPETE
#include "segments_end.h"
