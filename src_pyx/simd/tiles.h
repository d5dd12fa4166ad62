/* The two register tiles that all matrix-like kernels are made of.

   Neither wants its operands in a matrix.  Rows are found through a table of offsets, so a
   convolution is "row k of the column matrix starts at offset[k] of the padded image" and the
   column matrix itself never exists.

   outer:  y[m][q] = bias[m] + sum over k of a[k][m] * x[offset[k] + q]

              x[offset[k] ...]           one step k: load 2 vectors of x, broadcast
              +--------+--------+        6 numbers of a, 12 multiply-adds into the 12
       a[k]   |   v0   |   v1   |        vectors of y that stay in registers until
      +---+   +--------+--------+        the last k.
      | . |   | y00    | y01    |
      | . |   | y10    | y11    |        6 x 2 of y, 2 of x and a broadcast: 15 of the
      | . |   | y20    | y21    |        16 registers of SSE2 and AVX2.
      | . |   | y30    | y31    |
      | . |   | y40    | y41    |
      | . |   | y50    | y51    |
      +---+   +--------+--------+

   dot:    y[m][k] += sum over q of a[m][q] * x[offset[k] + q]

      a tile of 3 x 4 (5 x 5 with 32 registers) vectors of partial sums; a step loads 3 vectors
      of a and 4 of x and does 12 multiply-adds; the lanes of each are added at the very end. */

#ifndef CNN_CORE_TILES_H
#define CNN_CORE_TILES_H

#include "vectors.h"

#define OUTER_ROWS 6 /* of y in a tile; a panel of packed weights has this many */

#if defined(__AVX512F__) || defined(__aarch64__)
#define DOT_ROWS 5
#define DOT_TAPS 5
#define DOT_BYTES 9216 /* of a row that are best summed at once: lanes are added half as often ... */
#else
#define DOT_ROWS 3
#define DOT_TAPS 4
#define DOT_BYTES 4096 /* ... but more loads for each multiply-add want the first-level cache */
#endif

#define BODY "tiles_body.h"
#include "both_types.h"

#endif
