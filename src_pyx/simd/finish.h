/* What follows a convolution while its rows are still in the cache: ReLU, and the maxima of 2x2 windows. */

#ifndef CNN_CORE_FINISH_H
#define CNN_CORE_FINISH_H

#include "segments.h"

#define REAL float
#define REAL_NAME f32
#define MASK mask_f32
#define LANES MOST_F32
#include "finish_body.h"
#undef REAL
#undef REAL_NAME
#undef MASK
#undef LANES

#define REAL double
#define REAL_NAME f64
#define MASK mask_f64
#define LANES MOST_F64
#include "finish_body.h"
#undef REAL
#undef REAL_NAME
#undef MASK
#undef LANES

#endif
