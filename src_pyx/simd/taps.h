/* The register tile of a convolution's weight gradient, with filters side by side.

       w[k][f] += sum over q of x[offset[k] + q * step] * dy[q][f]

                     dy[q]: 2 vectors of filters      one step q: load 2 vectors of dy, broadcast one
                        +--------+--------+           number for each of TAP_ROWS taps k,
       x[offset[k] + q] |  dy0   |  dy1   |           2*TAP_ROWS multiply-adds into the part of w
           +---+        +--------+--------+           that stays in registers for all pixels.
           | k |        | w00    | w01    |
           | . |        | w10    | w11    |           Pixels with their filters side by side come
           | . |        | ...    | ...    |           from channels.h.
           +---+        +--------+--------+

   No sum over the lanes of a vector is needed, no pixel is computed to be thrown away, and at a stride
   the image needs no splitting: numbers of x are read one by one anyway. */

#ifndef CNN_CORE_TAPS_H
#define CNN_CORE_TAPS_H

#include "channels.h"

#define TAP_ROWS 6 /* each has a pointer of its own, and there are 16 of these registers */

#define BODY "taps_body.h"
#include "both_types.h"

#endif
