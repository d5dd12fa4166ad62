/* Max pooling of planes (H, W), a vector of windows at a time: those of stride two by max_pool_by_two.h, all
   others by max_pool_any.h. Both give the same bits. */

#ifndef CNN_CORE_MAX_POOL_H
#define CNN_CORE_MAX_POOL_H

#include <math.h>
#include <string.h>

#include "segments.h"

typedef struct {
    const void *x;
    void *y;
    int32_t *indices; /* NULL if nobody asks for them */
    ptrdiff_t n_planes, h, w, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw;
    int relu; /* follows; where it gives zero, the index becomes minus one */
} max_pooling;

typedef struct {
    const void *dy;
    const int32_t *indices;
    void *dx;
    ptrdiff_t h, w, oh, ow;
    int relu;  /* followed: indices may be minus one */
    int wrong; /* atomic: set to 1 if another index is not in its plane */
} max_unpooling;

/* a / b rounded up, 0 if a is negative. */
ALWAYS_INLINE ptrdiff_t ceil_ratio(ptrdiff_t a, ptrdiff_t b) { return a > 0 ? (a + b - 1) / b : 0; }

/* Windows of 2x2, or of 3x3 with a padding of one, that start at every second pixel and end in the image (but
   for the padding). */
ALWAYS_INLINE int is_by_two(const max_pooling *job)
{
    const ptrdiff_t k = job->kh, p = k - 2;
    return (k == 2 || k == 3) && job->kw == k && job->sh == 2 && job->sw == 2 && job->ph == p && job->pw == p
           && job->dh == 1 && job->dw == 1 && job->oh == (job->h + p) / 2 && job->ow == (job->w + p) / 2;
}

#define REAL float
#define REAL_NAME f32
#define INTEGER int32_t
#define LEAST LEAST_F32
#define MOST MOST_F32
#include "max_pool_some.h"
#define BODY "max_pool_by_two.h"
#include "for_each_rows.h"
#undef BODY
#include "max_pool_tasks.h"
#undef REAL
#undef REAL_NAME
#undef INTEGER
#undef LEAST
#undef MOST

#define REAL double
#define REAL_NAME f64
#define INTEGER int64_t
#define LEAST LEAST_F64
#define MOST MOST_F64
#include "max_pool_some.h"
#define BODY "max_pool_by_two.h"
#include "for_each_rows.h"
#undef BODY
#include "max_pool_tasks.h"
#undef REAL
#undef REAL_NAME
#undef INTEGER
#undef LEAST
#undef MOST

#endif
