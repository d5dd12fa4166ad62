/* Pooling of small planes: a vector holds the same pixel of as many planes as it has lanes (channels.h). All lanes
   then have the same windows, and planes of any width, such as the last ones of a network, fill the vectors. For
   float; double is not in a hurry. */

#ifndef CNN_CORE_POOL_PLANES_H
#define CNN_CORE_POOL_PLANES_H

#include <math.h>

#include "channels.h"

#define PLANE_LANES CHANNEL_LANES

typedef struct {
    const void *source; /* x, or dy of the backward pass */
    void *target;       /* y, or dx */
    int32_t *indices;   /* of maxima; NULL if nobody asks for them */
    ptrdiff_t n_planes, h, w, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw;
    int relu;           /* follows the maxima: where it gives zero, the index becomes minus one */
    int count_padding;  /* in an average's divisor, if that is zero */
    double divisor;
} pooling_planes;

/* What a range of planes needs besides, at most: of the second-level cache. */
#define MOST_PLANE_BYTES ((ptrdiff_t)1 << 19)

/* Bytes of scratch for planes of so many pixels and windows, with `arrays` of the windows; 0 if there are too few of
   them to fill vectors, or they are too large. */
static ptrdiff_t planes_bytes(ptrdiff_t n_planes, ptrdiff_t pixels, ptrdiff_t windows, ptrdiff_t arrays)
{
    const ptrdiff_t most = MOST_PLANE_BYTES / VECTOR_BYTES;
    if (n_planes < PLANE_LANES || pixels > most || windows > most || pixels + arrays * windows > most)
        return 0;
    return (pixels + arrays * windows) * VECTOR_BYTES;
}

/* The taps first <= k < end of a window at `start` that are inside the image, along one axis. */
ALWAYS_INLINE void taps_inside(ptrdiff_t start, ptrdiff_t size, ptrdiff_t kernel, ptrdiff_t dilation,
                               ptrdiff_t *first, ptrdiff_t *end)
{
    *first = start < 0 ? (-start - 1) / dilation + 1 : 0;
    *end = (size - start - 1) / dilation + 1; /* a window starts inside the image or before it */
    *end = *end < kernel ? *end : kernel;
}

/* The largest tap of a window at pixel (top, left), and where it is; the first of equals, but always a NaN. */
ALWAYS_INLINE void maxima(const pooling_planes *job, const vector_f32 *x, ptrdiff_t top, ptrdiff_t left, int indexed,
                          vector_f32 *y, mask_f32 *where)
{
    const ptrdiff_t w = job->w;
    ptrdiff_t first, end, first_column, end_column;
    taps_inside(top, job->h, job->kh, job->dh, &first, &end);
    taps_inside(left, w, job->kw, job->dw, &first_column, &end_column);
    vector_f32 best = (vector_f32){0} - INFINITY;
    mask_f32 winner = (mask_f32){0} + (int)((top + first * job->dh) * w + left + first_column * job->dw);
    for (ptrdiff_t ky = first; ky < end; ky++) {
        const ptrdiff_t row = (top + ky * job->dh) * w + left;
        for (ptrdiff_t kx = first_column; kx < end_column; kx++) {
            const ptrdiff_t here = row + kx * job->dw;
            const vector_f32 value = x[here];
            const mask_f32 wins = (value > best) | (value != value);
            best = (vector_f32)((wins & (mask_f32)value) | (~wins & (mask_f32)best));
            if (indexed)
                winner = (wins & ((mask_f32){0} + (int)here)) | (~wins & winner);
        }
    }
    if (job->relu) {
        const mask_f32 nobody = best <= 0;
        best = (vector_f32)((mask_f32)best & ~nobody);
        winner |= nobody;
    }
    *y = best;
    if (indexed)
        *where = winner;
}

ALWAYS_INLINE void maxima_of_planes(const pooling_planes *job, const vector_f32 *x, vector_f32 *y, mask_f32 *where,
                                    int indexed)
{
    for (ptrdiff_t oy = 0; oy < job->oh; oy++)
        for (ptrdiff_t ox = 0; ox < job->ow; ox++, y++, where += indexed)
            maxima(job, x, oy * job->sh - job->ph, ox * job->sw - job->pw, indexed, y, where);
}

/* Max pooling; item: PLANE_LANES planes. */
static void max_pool_planes(const pooling_planes *job, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const ptrdiff_t pixels = job->h * job->w, windows = job->oh * job->ow;
    vector_f32 *x = (vector_f32 *)scratch, *y = x + pixels;
    mask_f32 *where = (mask_f32 *)(y + windows);
    for (ptrdiff_t plane = first * PLANE_LANES; plane < last * PLANE_LANES; plane += PLANE_LANES) {
        const ptrdiff_t n = job->n_planes - plane < PLANE_LANES ? job->n_planes - plane : PLANE_LANES;
        planes_to_channels_f32((const float *)job->source + plane * pixels, pixels, n, pixels, pixels, 0,
                               PLANE_LANES * pixels, (float *)x);
        if (job->indices)
            maxima_of_planes(job, x, y, where, 1);
        else
            maxima_of_planes(job, x, y, where, 0);
        words_to_planes_f32(y, windows, 0, n, windows, windows, 0, (float *)job->target + plane * windows);
        if (job->indices)
            words_to_planes_f32(where, windows, 0, n, windows, windows, 0, job->indices + plane * windows);
    }
}

/* How many taps of the window at `start` count, along one axis: those inside, or those up to the end of padding. */
ALWAYS_INLINE ptrdiff_t taps_counted(ptrdiff_t start, ptrdiff_t size, ptrdiff_t kernel, ptrdiff_t padding,
                                     int count_padding)
{
    const ptrdiff_t begin = start < 0 && !count_padding ? 0 : start, edge = size + (count_padding ? padding : 0);
    return (start + kernel < edge ? start + kernel : edge) - begin;
}

/* Average pooling: y is made of x, or x, which is cleared before, grows by the shares of y. */
ALWAYS_INLINE void averages_of_planes(const pooling_planes *job, vector_f32 *x, vector_f32 *y, int forward)
{
    for (ptrdiff_t oy = 0; oy < job->oh; oy++) {
        const ptrdiff_t top = oy * job->sh - job->ph;
        ptrdiff_t first, end, first_column, end_column;
        taps_inside(top, job->h, job->kh, 1, &first, &end);
        const ptrdiff_t high = taps_counted(top, job->h, job->kh, job->ph, job->count_padding);
        for (ptrdiff_t ox = 0; ox < job->ow; ox++, y++) {
            const ptrdiff_t left = ox * job->sw - job->pw;
            taps_inside(left, job->w, job->kw, 1, &first_column, &end_column);
            const ptrdiff_t wide = taps_counted(left, job->w, job->kw, job->pw, job->count_padding);
            const float divisor = (float)(job->divisor != 0 ? job->divisor : (double)(high * wide));
            vector_f32 *corner = x + top * job->w + left, total = {0};
            const vector_f32 share = forward ? total : *y / divisor;
            for (ptrdiff_t ky = first; ky < end; ky++) {
                vector_f32 sum = {0};
                for (ptrdiff_t kx = first_column; kx < end_column; kx++)
                    if (forward)
                        sum += corner[ky * job->w + kx];
                    else
                        corner[ky * job->w + kx] += share;
                total += sum;
            }
            if (forward)
                *y = total / divisor;
        }
    }
}

ALWAYS_INLINE void average_ranges(const pooling_planes *job, ptrdiff_t first, ptrdiff_t last, void *scratch, int forward)
{
    const ptrdiff_t pixels = job->h * job->w, windows = job->oh * job->ow;
    const ptrdiff_t from = forward ? pixels : windows, to = forward ? windows : pixels;
    vector_f32 *x = (vector_f32 *)scratch, *y = x + pixels;
    for (ptrdiff_t plane = first * PLANE_LANES; plane < last * PLANE_LANES; plane += PLANE_LANES) {
        const ptrdiff_t n = job->n_planes - plane < PLANE_LANES ? job->n_planes - plane : PLANE_LANES;
        planes_to_channels_f32((const float *)job->source + plane * from, from, n, from, from, 0, PLANE_LANES * from,
                               (float *)(forward ? x : y));
        if (!forward)
            memset(x, 0, pixels * sizeof *x);
        averages_of_planes(job, x, y, forward);
        words_to_planes_f32(forward ? y : x, to, 0, n, to, to, 0, (float *)job->target + plane * to);
    }
}

/* Average pooling and its way back; items: PLANE_LANES planes. */
static void avg_pool_planes(const pooling_planes *job, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    average_ranges(job, first, last, scratch, 1);
}

static void avg_unpool_planes(const pooling_planes *job, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    average_ranges(job, first, last, scratch, 0);
}

#endif
