/* The loops of im2col and col2im.

   A window's row of the matrix is pieces of KW neighbouring pixels. Pieces of up to 32 bytes are moved as one
   vector each; what that holds beyond the piece is overwritten by the next one, or masked out. The rows of
   the image that a row of windows looks at are first copied side by side, with their padding: then all
   windows are alike, and rows that lie a power of two apart do not push each other out of the cache. */

#ifndef CNN_CORE_IM2COL_H
#define CNN_CORE_IM2COL_H

#include <stdint.h>
#include <string.h>

#include "segments.h"

typedef struct {
    const void *source;
    void *target;
    ptrdiff_t N, C, H, W, KH, KW, sh, sw, ph, pw, dh, dw, OH, OW;
    ptrdiff_t group, n_groups; /* of channels whose rows are copied together; group 0: nothing is copied */
    ptrdiff_t width;           /* of a copied row */
} unfolding;

#define CACHED_BYTES 65536  /* of copied rows: beyond the first-level cache, but then windows are whole */
#define SHORT_ROW 1024      /* bytes of a window's row of the matrix, so that col2im takes several at a time */
#define FETCHED_BYTES 16384 /* of the matrix, which are fetched into the second-level cache in advance */

/* The taps first <= k < end of a window at `start` that are inside the image, along one axis. */
ALWAYS_INLINE void inner_taps(ptrdiff_t start, ptrdiff_t size, ptrdiff_t kernel, ptrdiff_t dilation,
                              ptrdiff_t *first, ptrdiff_t *end)
{
    *first = start < 0 ? (-start + dilation - 1) / dilation : 0;
    *end = smaller(kernel, start < size ? (size - start + dilation - 1) / dilation : 0);
    *first = smaller(*first, *end);
}

/* Chooses how the job is done; returns how many bytes of scratch it takes. */
static ptrdiff_t plan_unfolding(unfolding *s, ptrdiff_t itemsize, ptrdiff_t least_groups)
{
    const ptrdiff_t piece = (s->KW * itemsize <= 16 ? 16 : 32) / itemsize;
    s->group = 0;
    s->n_groups = smaller(s->C, least_groups);
    if (s->dw > 1 || s->KW > piece || s->sw > CACHED_BYTES || s->OW > CACHED_BYTES || s->KH > CACHED_BYTES)
        return 0;
    s->width = (s->OW - 1) * s->sw + piece;
    const ptrdiff_t channels = CACHED_BYTES / (s->width * s->KH * itemsize);
    if (channels == 0 && s->width * s->KH * itemsize > 6 * CACHED_BYTES)
        return 0;
    s->n_groups = larger(s->n_groups, (s->C + larger(channels, 1) - 1) / larger(channels, 1));
    s->group = (s->C + s->n_groups - 1) / s->n_groups;
    s->n_groups = (s->C + s->group - 1) / s->group;
    return s->group * s->KH * s->width * itemsize;
}

#define REAL float
#define REAL_NAME f32
#include "im2col_body.h"
#undef REAL
#undef REAL_NAME
#define REAL double
#define REAL_NAME f64
#include "im2col_body.h"
#undef REAL
#undef REAL_NAME

#endif
