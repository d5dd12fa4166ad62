/* Vectors of neighbouring windows, from one row or from several: what pooling by two has in common.

   A vector of WINDOWS lanes holds ROWS segments of SEGMENT windows each, from as many rows of windows, so
   that narrow images fill wide vectors too. In a direction of stride two a segment has 2 * SEGMENT
   neighbours in memory; `load_pairs` reads those of all segments and parts the even ones from the odd ones,
   `store_pairs` does the reverse.

   segments_body.h and what is built on it are included once for each type and number of rows, by
   for_each_rows.h. */

#ifndef CNN_CORE_SEGMENTS_H
#define CNN_CORE_SEGMENTS_H

#include <stdint.h>
#include <string.h>

#include "vectors.h"

/* Lists of lanes for __builtin_shufflevector, for two vectors of 2, 4, 8 or 16 lanes: EVEN and ODD part pairs
   that lie side by side in memory, LOW and HIGH lay pairs side by side again. */

#define EVEN_2 0, 2
#define ODD_2 1, 3
#define LOW_2 0, 2
#define HIGH_2 1, 3

#define EVEN_4 0, 2, 4, 6
#define ODD_4 1, 3, 5, 7
#define LOW_4 0, 4, 1, 5
#define HIGH_4 2, 6, 3, 7

#define EVEN_8 0, 2, 4, 6, 8, 10, 12, 14
#define ODD_8 1, 3, 5, 7, 9, 11, 13, 15
#define LOW_8 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_8 4, 12, 5, 13, 6, 14, 7, 15

#define EVEN_16 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD_16 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define LOW_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31

#define IOTA_2 0, 1
#define IOTA_4 0, 1, 2, 3
#define IOTA_8 0, 1, 2, 3, 4, 5, 6, 7
#define IOTA_16 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15

#define PART_2_1 2, 3
#define PART_2_2 4, 5
#define PART_2_3 6, 7
#define PART_2_0 IOTA_2
#define PART_4_1 4, 5, 6, 7
#define PART_4_2 8, 9, 10, 11
#define PART_4_3 12, 13, 14, 15
#define PART_4_0 IOTA_4
#define PART_8_1 8, 9, 10, 11, 12, 13, 14, 15
#define PART_8_0 IOTA_8

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define SHUFFLE_(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#define SHUFFLE(a, b, order) SHUFFLE_(a, b, order)

/* How many windows make 16 bytes, and a vector. */
#define LEAST_F32 4
#define LEAST_F64 2
#if VECTOR_BYTES == 64
#define MOST_F32 16
#define MOST_F64 8
#elif VECTOR_BYTES == 32
#define MOST_F32 8
#define MOST_F64 4
#else
#define MOST_F32 4
#define MOST_F64 2
#endif
#define WINDOWS MOST

#define TYPED(f) JOIN(f##_, REAL_NAME)
#define NAME(f) JOIN(TYPED(f), JOIN(x, ROWS))

ALWAYS_INLINE ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
ALWAYS_INLINE ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

/* f for rows of `ow` windows: with the fewest rows at a time whose segments the windows fill. `least` windows
   make 16 bytes. */
#if VECTOR_BYTES == 64
#define BY_ROWS(f, ow, least, ...)                                                                \
    do {                                                                                          \
        if ((ow) >= 4 * (least))                                                                  \
            JOIN(f, x1)(__VA_ARGS__);                                                             \
        else if ((ow) >= 2 * (least))                                                             \
            JOIN(f, x2)(__VA_ARGS__);                                                             \
        else                                                                                      \
            JOIN(f, x4)(__VA_ARGS__);                                                             \
    } while (0)
#elif VECTOR_BYTES == 32
#define BY_ROWS(f, ow, least, ...)                                                                \
    do {                                                                                          \
        if ((ow) >= 2 * (least))                                                                  \
            JOIN(f, x1)(__VA_ARGS__);                                                             \
        else                                                                                      \
            JOIN(f, x2)(__VA_ARGS__);                                                             \
    } while (0)
#else
#define BY_ROWS(f, ow, least, ...) JOIN(f, x1)(__VA_ARGS__)
#endif

/* How many rows that is. */
ALWAYS_INLINE ptrdiff_t rows_at_a_time(ptrdiff_t ow, ptrdiff_t least)
{
    const ptrdiff_t most = VECTOR_BYTES / 16;
    return ow >= most * least ? 1 : 2 * ow >= most * least ? 2 : most;
}

#endif
