/* Sums and the largest of many numbers, a vector at a time, and what batch normalization does besides.

   Up to STRETCH vectors are added in REAL, whose error is about that of a single addition; from there on sums
   are in double, one for each lane. The order of additions follows from the length alone. */

#ifndef CNN_CORE_VECTOR_SUMS_H
#define CNN_CORE_VECTOR_SUMS_H

#include <math.h>
#include <string.h>

#include "segments.h"

#define STRETCH 16
#define MOST_LANES (2 * MOST_F64)

typedef double unaligned_doubles __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

/* lanes[i] += v[i]. A loop makes a vector of doubles at a time where __builtin_convertvector made halves. */
ALWAYS_INLINE void add_to_lanes_f32(double *lanes, vector_f32 v)
{
    float numbers[MOST_LANES];
    double wide[MOST_LANES];
    memcpy(numbers, &v, sizeof v);
    for (int i = 0; i < MOST_LANES; i++)
        wide[i] = numbers[i];
    for (int i = 0; i < 2; i++)
        ((unaligned_doubles *)lanes)[i] += ((const unaligned_doubles *)wide)[i];
}

ALWAYS_INLINE void add_to_lanes_f64(double *lanes, vector_f64 v) { *(unaligned_doubles *)lanes += v; }

/* The total of n lanes, two vectors of them or one, added in pairs. */
ALWAYS_INLINE double add_lanes(const double *lanes, ptrdiff_t n)
{
    vector_f64 v = ((const unaligned_doubles *)lanes)[0];
    if (n * sizeof(double) > VECTOR_BYTES)
        v += ((const unaligned_doubles *)lanes)[1];
    UNROLLED for (int apart = 1; apart < MOST_F64; apart *= 2)
        v = SHUFFLE(v, v, JOIN(EVEN_, MOST_F64)) + SHUFFLE(v, v, JOIN(ODD_, MOST_F64));
    return v[0];
}

/* The numbers of a channel: y = (x - centre) * slope + shift, dx = (x - centre) * slope + dy * scale + shift. */
typedef struct { float centre, slope, scale, shift; } affine_numbers_f32;
typedef struct { double centre, slope, scale, shift; } affine_numbers_f64;

/* ReLU of (x - centre) * slope + shift lets a gradient pass where that is above zero. */
typedef struct { float slope, shift; } relu_gate_f32;
typedef struct { double slope, shift; } relu_gate_f64;

/* The same for each of some channels, arrays of REAL; there are gates if a ReLU followed going forward. */
typedef struct { const void *centre, *slope, *scale, *shift, *gate_slope, *gate_shift; } channel_numbers;

#define REAL float
#define REAL_NAME f32
#define MOST MOST_F32
#define INTEGER int32_t
#include "vector_sums_body.h"
#undef REAL
#undef REAL_NAME
#undef MOST
#undef INTEGER
#define REAL double
#define REAL_NAME f64
#define MOST MOST_F64
#define INTEGER int64_t
#include "vector_sums_body.h"
#undef REAL
#undef REAL_NAME
#undef MOST
#undef INTEGER

#endif
