/* Average pooling by 2x2 windows side by side, a vector of them at a time. */

#ifndef CNN_CORE_AVG_POOL_H
#define CNN_CORE_AVG_POOL_H

#include "segments.h"

typedef struct {
    const void *source; /* x, or dy in the backward pass */
    void *target;       /* y, or dx */
    ptrdiff_t h, w, oh, ow, rows_per_item;
    double scale; /* one over the divisor */
} averaging;

#define REAL float
#define REAL_NAME f32
#define INTEGER int32_t
#define LEAST LEAST_F32
#define MOST MOST_F32
#define BODY "avg_pool_body.h"
#include "for_each_rows.h"
#undef BODY
#undef REAL
#undef REAL_NAME
#undef INTEGER
#undef MOST

#define REAL double
#define REAL_NAME f64
#define INTEGER int64_t
#undef LEAST
#define LEAST LEAST_F64
#define MOST MOST_F64
#define BODY "avg_pool_body.h"
#include "for_each_rows.h"
#undef BODY
#undef REAL
#undef REAL_NAME
#undef INTEGER
#undef LEAST
#undef MOST

/* The rows of windows that make an item of the tasks: one, or a plane of narrow rows; 0 if they are too few
   for vectors. */
static ptrdiff_t rows_per_item(ptrdiff_t oh, ptrdiff_t ow, ptrdiff_t least)
{
    const ptrdiff_t rows = rows_at_a_time(ow, least);
    return ow < least || oh < rows ? 0 : rows == 1 ? 1 : oh;
}

static ptrdiff_t rows_per_item_f32(ptrdiff_t oh, ptrdiff_t ow) { return rows_per_item(oh, ow, LEAST_F32); }
static ptrdiff_t rows_per_item_f64(ptrdiff_t oh, ptrdiff_t ow) { return rows_per_item(oh, ow, LEAST_F64); }

static void average_2x2_f32(const averaging *job, ptrdiff_t first, ptrdiff_t last, float *scratch)
{
    BY_ROWS(average_rows_f32, job->ow, LEAST_F32, job, first, last);
}

static void average_2x2_f64(const averaging *job, ptrdiff_t first, ptrdiff_t last, double *scratch)
{
    BY_ROWS(average_rows_f64, job->ow, LEAST_F64, job, first, last);
}

static void share_2x2_f32(const averaging *job, ptrdiff_t first, ptrdiff_t last, float *scratch)
{
    BY_ROWS(share_rows_f32, job->ow, LEAST_F32, job, first, last);
}

static void share_2x2_f64(const averaging *job, ptrdiff_t first, ptrdiff_t last, double *scratch)
{
    BY_ROWS(share_rows_f64, job->ow, LEAST_F64, job, first, last);
}

#endif
