/* Vectors of the ISA level that this file is compiled for, as GCC and Clang spell them
   for every CPU: no intrinsics, so SSE2, AVX2, AVX-512 and NEON share one source. */

#ifndef CNN_CORE_VECTORS_H
#define CNN_CORE_VECTORS_H

#include <stddef.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

typedef float vector_f32 __attribute__((vector_size(VECTOR_BYTES)));
typedef double vector_f64 __attribute__((vector_size(VECTOR_BYTES)));

/* The same in memory, at any address. */
typedef float unaligned_f32 __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef double unaligned_f64 __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")

#endif
