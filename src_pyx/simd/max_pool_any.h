/* Max pooling of any geometry, LANES windows of one row at a time; max_pool.h includes this for each type and
   number of lanes. Rows of windows are cut into vectors, of which the last may overlap the one before it. */

typedef REAL NAME(vector) __attribute__((vector_size(LANES * sizeof(REAL))));
typedef REAL NAME(unaligned)
    __attribute__((vector_size(LANES * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
typedef INTEGER NAME(lanes) __attribute__((vector_size(LANES * sizeof(REAL))));
typedef int32_t NAME(indices) __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#define VECTOR NAME(vector)
#define UNALIGNED NAME(unaligned)
#define INTEGERS NAME(lanes)
#define INDICES NAME(indices)
#define LOAD(p) (*(const UNALIGNED *)(p))
#define STORE(p, v) (*(UNALIGNED *)(p) = (v))
#define STORE_INDICES(p, v) (*(INDICES *)(p) = __builtin_convertvector(v, INDICES))
#define SELECT(mask, a, b) (((mask) & (INTEGERS)(a)) | (~(mask) & (INTEGERS)(b)))

/* The lanes first <= i < end of the tap at x[column], x[column + sw], ...; others are anything. Reads no more
   than the `size` elements of x. */
ALWAYS_INLINE VECTOR NAME(tap_at_edge)(const REAL *x, ptrdiff_t size, ptrdiff_t column, ptrdiff_t sw,
                                       ptrdiff_t first, ptrdiff_t end)
{
    VECTOR v = {0};
    if (sw == 1 && column >= 0 && column + LANES <= size)
        return LOAD(x + column);
    if (sw == 2 && column >= 0 && column + 2 * LANES <= size)
        return SHUFFLE(LOAD(x + column), LOAD(x + column + LANES), JOIN(EVEN_, LANES));
    for (ptrdiff_t i = first; i < end; i++)
        v[i] = x[column + i * sw];
    return v;
}

/* LANES windows of which all taps are inside the image, or (at_edge) the first n and any taps. */
ALWAYS_INLINE void NAME(pool_windows)(const max_pooling *job, ptrdiff_t plane, ptrdiff_t oy, ptrdiff_t ox,
                                      ptrdiff_t n, ptrdiff_t sw, int at_edge, int indexed)
{
    const ptrdiff_t kh = job->kh, kw = job->kw, dh = job->dh, dw = job->dw;
    const INTEGERS iota = {JOIN(IOTA_, LANES)}, none = {0};
    const REAL *x = (const REAL *)job->x + plane * job->h * job->w;
    const ptrdiff_t size = (job->n_planes - plane) * job->h * job->w;
    const ptrdiff_t top = oy * job->sh - job->ph, left = ox * sw - job->pw;
    const ptrdiff_t ky_first = ceil_ratio(-top, dh), ky_end = smaller(kh, ceil_ratio(job->h - top, dh));
    const ptrdiff_t kx_first = at_edge ? ceil_ratio(-(left + (n - 1) * sw), dw) : 0;
    const ptrdiff_t kx_end = at_edge ? smaller(kw, ceil_ratio(job->w - left, dw)) : kw;
    VECTOR best = (VECTOR){0} - (REAL)INFINITY;
    /* Where the winner would be if the window were lane 0's; from lane to lane it is sw further on. */
    INTEGERS winner = none + (INTEGER)((top + ky_first * dh) * job->w + left), seen = none;
    for (ptrdiff_t ky = ky_first; ky < ky_end; ky++) {
        const ptrdiff_t row = (top + ky * dh) * job->w;
        for (ptrdiff_t kx = kx_first; kx < kx_end; kx++) {
            const ptrdiff_t column = left + kx * dw, here = row + column;
            VECTOR value;
            INTEGERS wins;
            if (at_edge) {
                const ptrdiff_t first = ceil_ratio(-column, sw);
                const ptrdiff_t end = smaller(n, ceil_ratio(job->w - column, sw));
                const INTEGERS inside = (iota >= (INTEGER)smaller(first, LANES)) & (iota < (INTEGER)end);
                value = NAME(tap_at_edge)(x, size, here, sw, first, end);
                wins = inside & ((value > best) | (value != value) | ~seen); /* the first tap always wins */
                seen |= inside;
            } else {
                if (sw == 1)
                    value = LOAD(x + here);
                else if (sw == 2 && kx == 0) /* the next tap, if there is one, is inside too */
                    value = SHUFFLE(LOAD(x + here), LOAD(x + here + LANES), JOIN(EVEN_, LANES));
                else if (sw == 2)
                    value = SHUFFLE(LOAD(x + here - 1), LOAD(x + here + LANES - 1), JOIN(ODD_, LANES));
                else
                    value = NAME(tap_at_edge)(x, size, here, sw, 0, LANES);
                wins = (value > best) | (value != value);
            }
            best = (VECTOR)SELECT(wins, value, best);
            winner = SELECT(wins, none + (INTEGER)here, winner);
        }
    }
    REAL *y = (REAL *)job->y + (plane * job->oh + oy) * job->ow + ox;
    int32_t *indices = job->indices + (plane * job->oh + oy) * job->ow + ox;
    winner += iota * (INTEGER)sw;
    if (job->relu) {
        const INTEGERS nobody = best <= 0;
        best = (VECTOR)((INTEGERS)best & ~nobody);
        winner |= nobody;
    }
    if (n == LANES) {
        STORE(y, best);
        if (indexed)
            STORE_INDICES(indices, winner);
    } else {
        for (ptrdiff_t i = 0; i < n; i++) {
            y[i] = best[i];
            if (indexed)
                indices[i] = (int32_t)winner[i];
        }
    }
}

/* The rows first <= oy < last of one plane. */
static void NAME(max_pool_any)(const max_pooling *job, ptrdiff_t plane, ptrdiff_t first, ptrdiff_t last)
{
    /* What the last lane reads beyond the start of lane 0's window: a lone tap of stride 2 is loaded with
       the pixel after it. */
    const ptrdiff_t reach = (LANES - 1) * job->sw + (job->kw - 1) * job->dw + (job->sw == 2 && job->kw == 1);
    const int indexed = job->indices != NULL;
    for (ptrdiff_t oy = first; oy < last; oy++)
        for (ptrdiff_t begin = 0; begin < job->ow; begin += LANES) {
            const ptrdiff_t ox = job->ow < LANES ? 0 : smaller(begin, job->ow - LANES);
            const ptrdiff_t n = smaller(job->ow - ox, LANES), left = ox * job->sw - job->pw;
            if (n < LANES || left < 0 || left + reach >= job->w)
                NAME(pool_windows)(job, plane, oy, ox, n, job->sw, 1, indexed);
            else if (job->sw == 1)
                NAME(pool_windows)(job, plane, oy, ox, LANES, 1, 0, indexed);
            else
                NAME(pool_windows)(job, plane, oy, ox, LANES, job->sw, 0, indexed);
        }
}

#undef VECTOR
#undef UNALIGNED
#undef INTEGERS
#undef INDICES
#undef LOAD
#undef STORE
#undef STORE_INDICES
#undef SELECT
