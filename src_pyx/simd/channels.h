/* Pixels with their channels side by side: from planes (NCHW) to vectors and back.

   A block is LANES channels of one image. In memory each channel is a plane; here each pixel is
   one vector, lane l of which is channel l:

       plane 0:  a b c d ...           a   b   c   d
       plane 1:  e f g h ...    <->    e   f   g   h   ...
       plane 2:  i j k l ...           i   j   k   l
       plane 3:  m n o p ...           m   n   o   p

   so what is done to a pixel is done to LANES channels at once, whatever the width of the image.
   LANES pixels at a time are a square, which is transposed in registers. */

#ifndef CNN_CORE_CHANNELS_H
#define CNN_CORE_CHANNELS_H

#include <stdint.h>
#include <string.h>

#include "vectors.h"

#define CHANNEL_LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(float))) /* of float */

#if VECTOR_BYTES == 64
#define LOW_NUMBERS 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define HIGH_NUMBERS 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define LOW_PAIRS 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH_PAIRS 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define EVEN_FOURS 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define ODD_FOURS 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#elif VECTOR_BYTES == 32
#define LOW_NUMBERS 0, 8, 1, 9, 4, 12, 5, 13
#define HIGH_NUMBERS 2, 10, 3, 11, 6, 14, 7, 15
#define LOW_PAIRS 0, 1, 8, 9, 4, 5, 12, 13
#define HIGH_PAIRS 2, 3, 10, 11, 6, 7, 14, 15
#define EVEN_FOURS 0, 1, 2, 3, 8, 9, 10, 11
#define ODD_FOURS 4, 5, 6, 7, 12, 13, 14, 15
#else
#define LOW_NUMBERS 0, 4, 1, 5
#define HIGH_NUMBERS 2, 6, 3, 7
#define LOW_PAIRS 0, 1, 4, 5
#define HIGH_PAIRS 2, 3, 6, 7
#endif

#define SHUFFLED(a, b, lanes) __builtin_shufflevector(a, b, lanes)

/* v[i][j] <-> v[j][i]: squares of 4 inside the vectors first, then whole fours between them. */
ALWAYS_INLINE void transpose_f32(vector_f32 v[CHANNEL_LANES])
{
    vector_f32 w[CHANNEL_LANES];
    UNROLLED for (int i = 0; i < CHANNEL_LANES; i += 4) {
        vector_f32 low01 = SHUFFLED(v[i], v[i + 1], LOW_NUMBERS);
        vector_f32 high01 = SHUFFLED(v[i], v[i + 1], HIGH_NUMBERS);
        vector_f32 low23 = SHUFFLED(v[i + 2], v[i + 3], LOW_NUMBERS);
        vector_f32 high23 = SHUFFLED(v[i + 2], v[i + 3], HIGH_NUMBERS);
        w[i] = SHUFFLED(low01, low23, LOW_PAIRS);
        w[i + 1] = SHUFFLED(low01, low23, HIGH_PAIRS);
        w[i + 2] = SHUFFLED(high01, high23, LOW_PAIRS);
        w[i + 3] = SHUFFLED(high01, high23, HIGH_PAIRS);
    }
#if VECTOR_BYTES == 64
    UNROLLED for (int k = 0; k < 4; k++) {
        vector_f32 even01 = SHUFFLED(w[k], w[4 + k], EVEN_FOURS);
        vector_f32 odd01 = SHUFFLED(w[k], w[4 + k], ODD_FOURS);
        vector_f32 even23 = SHUFFLED(w[8 + k], w[12 + k], EVEN_FOURS);
        vector_f32 odd23 = SHUFFLED(w[8 + k], w[12 + k], ODD_FOURS);
        v[k] = SHUFFLED(even01, even23, EVEN_FOURS);
        v[4 + k] = SHUFFLED(odd01, odd23, EVEN_FOURS);
        v[8 + k] = SHUFFLED(even01, even23, ODD_FOURS);
        v[12 + k] = SHUFFLED(odd01, odd23, ODD_FOURS);
    }
#elif VECTOR_BYTES == 32
    UNROLLED for (int k = 0; k < 4; k++) {
        v[k] = SHUFFLED(w[k], w[4 + k], EVEN_FOURS);
        v[4 + k] = SHUFFLED(w[k], w[4 + k], ODD_FOURS);
    }
#else
    UNROLLED for (int k = 0; k < 4; k++)
        v[k] = w[k];
#endif
}

/* double is for checking, not for speed: through memory. */
static void transpose_f64(vector_f64 v[CHANNEL_LANES / 2])
{
    double from[CHANNEL_LANES / 2][CHANNEL_LANES / 2], to[CHANNEL_LANES / 2][CHANNEL_LANES / 2];
    memcpy(from, v, sizeof(from));
    for (int i = 0; i < CHANNEL_LANES / 2; i++)
        for (int j = 0; j < CHANNEL_LANES / 2; j++)
            to[j][i] = from[i][j];
    memcpy(v, to, sizeof(to));
}

#define BODY "channels_body.h"
#include "both_types.h"

#endif
