/* Vectors of the ISA level that this file is compiled for, as GCC and Clang spell them
   for every CPU: no intrinsics, so SSE2, AVX2, AVX-512 and NEON share one source. */

#ifndef CNN_CORE_VECTORS_H
#define CNN_CORE_VECTORS_H

#include <stddef.h>
#include <string.h>

#if !defined(__clang__) && (!defined(__GNUC__) || __GNUC__ < 12)
#error "cnn_core needs GCC 12 or later, or Clang: others lack vector types or __builtin_shufflevector"
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

typedef float vector_f32 __attribute__((vector_size(VECTOR_BYTES)));
typedef double vector_f64 __attribute__((vector_size(VECTOR_BYTES)));

/* What comparing two of them gives: all bits of a lane are set, or none. */
typedef int mask_f32 __attribute__((vector_size(VECTOR_BYTES)));
typedef long long mask_f64 __attribute__((vector_size(VECTOR_BYTES)));

/* The same in memory, at any address. */
typedef float unaligned_f32 __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef double unaligned_f64 __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

/* Headers here call one of those that, once it is clear which, and MinGW calls something of its own so. */
#undef UNALIGNED

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")

/* memcpy for a row of an image: some hundred bytes, for which a call costs more than the copy. The last
   piece steps back over what is done. */
ALWAYS_INLINE void copy_row(void *to, const void *from, size_t n_bytes)
{
#define COPY_BY(BYTES)                                                                            \
    if (n_bytes >= (BYTES)) {                                                                     \
        for (size_t i = 0; i + (BYTES) < n_bytes; i += (BYTES))                                   \
            memcpy((char *)to + i, (const char *)from + i, (BYTES));                              \
        memcpy((char *)to + n_bytes - (BYTES), (const char *)from + n_bytes - (BYTES), (BYTES));  \
        return;                                                                                   \
    }
    COPY_BY(VECTOR_BYTES)
    COPY_BY(16)
    COPY_BY(4)
#undef COPY_BY
}

/* memset to zero for the few numbers at the ends of a row, likewise. */
ALWAYS_INLINE void clear_row(void *to, size_t n_bytes)
{
#define CLEAR_BY(BYTES)                                                                           \
    if (n_bytes >= (BYTES)) {                                                                     \
        for (size_t i = 0; i + (BYTES) < n_bytes; i += (BYTES))                                   \
            memset((char *)to + i, 0, (BYTES));                                                   \
        memset((char *)to + n_bytes - (BYTES), 0, (BYTES));                                       \
        return;                                                                                   \
    }
    CLEAR_BY(VECTOR_BYTES)
    CLEAR_BY(16)
    CLEAR_BY(4)
#undef CLEAR_BY
}

/* Fetches a row into the second-level cache, for the next image while this one is computed. */
ALWAYS_INLINE void fetch_row(const void *from, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i += 64)
        __builtin_prefetch((const char *)from + i, 0, 2);
}

/* The sum of a vector's lanes: the halves, then their halves, ... */
#if VECTOR_BYTES == 64
ALWAYS_INLINE float sum_lanes_f32(vector_f32 v)
{
    v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    return v[0] + v[1];
}
ALWAYS_INLINE double sum_lanes_f64(vector_f64 v)
{
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
    return v[0] + v[1];
}
#elif VECTOR_BYTES == 32
ALWAYS_INLINE float sum_lanes_f32(vector_f32 v)
{
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
    return v[0] + v[1];
}
ALWAYS_INLINE double sum_lanes_f64(vector_f64 v)
{
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1);
    return v[0] + v[1];
}
#else
ALWAYS_INLINE float sum_lanes_f32(vector_f32 v)
{
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1);
    return v[0] + v[1];
}
ALWAYS_INLINE double sum_lanes_f64(vector_f64 v) { return v[0] + v[1]; }
#endif

#endif
