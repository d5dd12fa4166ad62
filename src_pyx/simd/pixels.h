/* The register tile of a strided convolution, with filters side by side.

       y[q][f] = sum over k of x[pixel q + offset[k]] * w[k][f]

                        w[k]: 2 vectors of filters     one step k: load 2 vectors of w, broadcast one
                        +--------+--------+            number for each of TILE_PIXELS pixels q,
       x[q + offset[k]] |   w0   |   w1   |            2*TILE_PIXELS multiply-adds into the vectors of y
           +---+        +--------+--------+            that stay in registers until the last k.
           | q |        | y00    | y01    |
           | . |        | y10    | y11    |            channels.h turns pixels with their filters side
           | . |        | ...    | ...    |            by side back into planes.
           +---+        +--------+--------+

   Each pixel of a tile has an address of its own, so neither a stride nor the end of a row is in the way:
   the image is read as it lies, and no pixel is computed to be thrown away. */

#ifndef CNN_CORE_PIXELS_H
#define CNN_CORE_PIXELS_H

#include "channels.h"

#if defined(__AVX512F__) || defined(__aarch64__) /* 32 vector registers */
#define TILE_PIXELS 8
#else
#define TILE_PIXELS 6
#endif

#define BODY "pixels_body.h"
#include "both_types.h"

#endif
