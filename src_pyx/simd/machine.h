/* What the machine can do at best: multiply-adds that never leave the registers, and copies.

   The chains of multiply-adds are independent of each other and many enough to hide the latency
   of one: 12 of the 16 registers of SSE2 and AVX2, 24 of the 32 of AVX-512 and NEON. */

#ifndef CNN_CORE_MACHINE_H
#define CNN_CORE_MACHINE_H

#include <string.h>

#include "vectors.h"

#if defined(__AVX512F__) || defined(__aarch64__)
#define CHAIN_ROWS 4
#else
#define CHAIN_ROWS 2
#endif
#define CHAINS_IN_ROW 6

/* Of each row of numbers: full registers at every ISA level and in both precisions. */
#define CHAIN_NUMBERS 384

/* y = a * y + b, n_steps times, for CHAIN_NUMBERS numbers at y. */
#define DEFINE_CHAINS(NAME, REAL, VECTOR, UNALIGNED)                                              \
    static void NAME(REAL a, REAL b, REAL *y, ptrdiff_t n_steps)                                  \
    {                                                                                             \
        const VECTOR factor = (VECTOR){0} + a, term = (VECTOR){0} + b;                            \
        UNALIGNED *at = (UNALIGNED *)y, *end = (UNALIGNED *)(y + CHAIN_NUMBERS);                  \
        for (; at < end; at += CHAIN_ROWS * CHAINS_IN_ROW) {                                      \
            VECTOR v[CHAIN_ROWS][CHAINS_IN_ROW];                                                  \
            UNROLLED for (int i = 0; i < CHAIN_ROWS; i++)                                         \
                UNROLLED for (int j = 0; j < CHAINS_IN_ROW; j++)                                  \
                    v[i][j] = at[i * CHAINS_IN_ROW + j];                                          \
            for (ptrdiff_t step = 0; step < n_steps; step++)                                      \
                UNROLLED for (int i = 0; i < CHAIN_ROWS; i++)                                     \
                    UNROLLED for (int j = 0; j < CHAINS_IN_ROW; j++)                              \
                        v[i][j] = v[i][j] * factor + term;                                        \
            UNROLLED for (int i = 0; i < CHAIN_ROWS; i++)                                         \
                UNROLLED for (int j = 0; j < CHAINS_IN_ROW; j++)                                  \
                    at[i * CHAINS_IN_ROW + j] = v[i][j];                                          \
        }                                                                                         \
    }

DEFINE_CHAINS(multiply_add_chains_f32, float, vector_f32, unaligned_f32)
DEFINE_CHAINS(multiply_add_chains_f64, double, vector_f64, unaligned_f64)
#undef DEFINE_CHAINS

/* Copies the same bytes n_repeats times; the barrier keeps the compiler from copying once. */
static void copy_repeatedly(const void *from, void *to, size_t n_bytes, ptrdiff_t n_repeats)
{
    for (ptrdiff_t repeat = 0; repeat < n_repeats; repeat++) {
        memcpy(to, from, n_bytes);
        __asm__ volatile("" ::: "memory");
    }
}

#endif
