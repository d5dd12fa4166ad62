/* 2x2 windows of REAL, ROWS rows at a time; avg_pool.h includes this once for each. */

#include "segments_body.h"

/* The rows first <= oy < last, at least ROWS, of one plane of y. */
ALWAYS_INLINE void NAME(average_plane)(const averaging *job, const REAL *x, REAL *y, ptrdiff_t first,
                                       ptrdiff_t last)
{
    const ptrdiff_t w = job->w, ow = job->ow;
    for (ptrdiff_t begin = first; begin < last; begin += ROWS) {
        const ptrdiff_t oy = smaller(begin, last - ROWS);
        for (ptrdiff_t left = 0; left < ow; left += SEGMENT) {
            const ptrdiff_t ox = smaller(left, ow - SEGMENT);
            const REAL *from = x + 2 * (oy * w + ox);
            VECTOR even[2], odd[2];
            NAME(load_pairs)(from, 2 * w, &even[0], &odd[0]);
            NAME(load_pairs)(from + w, 2 * w, &even[1], &odd[1]);
            NAME(store)(y + oy * ow + ox, ow, ((even[0] + odd[0]) + (even[1] + odd[1])) * (REAL)job->scale);
        }
    }
}

/* The same rows of dy, of which each is shared by four pixels of dx. */
ALWAYS_INLINE void NAME(share_plane)(const averaging *job, const REAL *dy, REAL *dx, ptrdiff_t first,
                                     ptrdiff_t last)
{
    const ptrdiff_t w = job->w, ow = job->ow;
    for (ptrdiff_t begin = first; begin < last; begin += ROWS) {
        const ptrdiff_t oy = smaller(begin, last - ROWS);
        for (ptrdiff_t left = 0; left < ow; left += SEGMENT) {
            const ptrdiff_t ox = smaller(left, ow - SEGMENT);
            const VECTOR share = NAME(load)(dy + oy * ow + ox, ow) * (REAL)job->scale;
            NAME(store_pairs)(dx + 2 * (oy * w + ox), 2 * w, share, share);
            NAME(store_pairs)(dx + 2 * (oy * w + ox) + w, 2 * w, share, share);
        }
    }
    for (ptrdiff_t y = 2 * first; w > 2 * ow && y < 2 * last; y++) /* no window has the last column */
        dx[y * w + w - 1] = 0;
    if (last == job->oh && job->h > 2 * last)
        memset(dx + 2 * last * w, 0, w * sizeof(REAL));
}

ALWAYS_INLINE void NAME(rows)(const averaging *job, ptrdiff_t first, ptrdiff_t last, int forward)
{
    const ptrdiff_t oh = job->oh, in_plane = job->h * job->w, out_plane = oh * job->ow;
    const REAL *source = (const REAL *)job->source;
    REAL *target = (REAL *)job->target;
    first *= job->rows_per_item, last *= job->rows_per_item;
    for (ptrdiff_t plane = first / oh, begin = first % oh; first < last; plane++, begin = 0) {
        const ptrdiff_t end = smaller(oh, begin + last - first);
        if (forward)
            NAME(average_plane)(job, source + plane * in_plane, target + plane * out_plane, begin, end);
        else
            NAME(share_plane)(job, source + plane * out_plane, target + plane * in_plane, begin, end);
        first += end - begin;
    }
}

static void NAME(average_rows)(const averaging *job, ptrdiff_t first, ptrdiff_t last)
{
    NAME(rows)(job, first, last, 1);
}

static void NAME(share_rows)(const averaging *job, ptrdiff_t first, ptrdiff_t last)
{
    NAME(rows)(job, first, last, 0);
}

#include "segments_end.h"
