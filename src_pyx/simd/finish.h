/* What follows a convolution while its rows are still in the cache: ReLU, or 2x2 max pooling and then ReLU. */

#ifndef CNN_CORE_FINISH_H
#define CNN_CORE_FINISH_H

#include "segments.h"

/* Rows of a plane `w` pixels wide, as a convolution leaves them: `pitch` numbers apart. */
typedef struct {
    ptrdiff_t pitch, w;
    ptrdiff_t n_rows; /* of windows */
    ptrdiff_t first;  /* the index of the first pixel in its plane */
    int relu;
} rows_to_pool;

#define REAL float
#define REAL_NAME f32
#define INTEGER int32_t
#define LEAST LEAST_F32
#define MOST MOST_F32
#define BODY "finish_rows.h"
#include "for_each_rows.h"
#undef BODY
#include "finish_body.h"
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
#define BODY "finish_rows.h"
#include "for_each_rows.h"
#undef BODY
#include "finish_body.h"
#undef REAL
#undef REAL_NAME
#undef INTEGER
#undef LEAST
#undef MOST

#endif
