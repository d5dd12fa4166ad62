/* Max pooling of REAL without conditions; max_pool.h includes this once for each type. */

#define ROWS narrow /* for the names that follow */
#define LANES LEAST
#include "max_pool_any.h"
#undef LANES
#undef ROWS
#define ROWS wide
#define LANES MOST
#include "max_pool_any.h"
#undef LANES
#undef ROWS

/* The rows first <= oy < last of one plane. */
static void TYPED(max_pool_some)(const max_pooling *job, ptrdiff_t plane, ptrdiff_t first, ptrdiff_t last)
{
    if (job->ow >= MOST)
        JOIN(TYPED(max_pool_any), xwide)(job, plane, first, last);
    else
        JOIN(TYPED(max_pool_any), xnarrow)(job, plane, first, last);
}

/* The planes first <= plane < last of dx, from any indices; one with an index beyond it is left out. */
static void TYPED(max_unpool_some)(max_unpooling *job, ptrdiff_t first, ptrdiff_t last)
{
    const ptrdiff_t in_plane = job->h * job->w, out_plane = job->oh * job->ow;
    for (ptrdiff_t plane = first; plane < last; plane++) {
        const REAL *dy = (const REAL *)job->dy + plane * out_plane;
        const int32_t *indices = job->indices + plane * out_plane;
        REAL *dx = (REAL *)job->dx + plane * in_plane;
        uint32_t largest = 0; /* as unsigned numbers, negative ones are the largest */
        for (ptrdiff_t i = 0; i < out_plane; i++)
            if (!(job->relu && indices[i] == -1))
                largest = (uint32_t)indices[i] > largest ? (uint32_t)indices[i] : largest;
        if (largest >= in_plane) {
            __atomic_store_n(&job->wrong, 1, __ATOMIC_RELAXED);
            continue;
        }
        memset(dx, 0, in_plane * sizeof(REAL));
        for (ptrdiff_t i = 0; i < out_plane; i++)
            if (indices[i] >= 0)
                dx[indices[i]] += dy[i];
    }
}
