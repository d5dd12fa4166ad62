/* For REAL; im2col.h includes this once for each type. */

typedef REAL TYPED(piece_16) __attribute__((vector_size(16), aligned(sizeof(REAL)), may_alias));
typedef REAL TYPED(piece_32) __attribute__((vector_size(32), aligned(sizeof(REAL)), may_alias));
typedef int64_t TYPED(bits_16) __attribute__((vector_size(16)));
typedef int64_t TYPED(bits_32) __attribute__((vector_size(32)));

/* A window's row of the matrix, or some channels of it; x is where tap (0, 0) of the first would be. */
ALWAYS_INLINE void TYPED(unfold_window)(const unfolding *s, const REAL *x, REAL *col, ptrdiff_t top,
                                        ptrdiff_t left)
{
    ptrdiff_t ky_first, ky_end, kx_first, kx_end;
    inner_taps(top, s->H, s->KH, s->dh, &ky_first, &ky_end);
    inner_taps(left, s->W, s->KW, s->dw, &kx_first, &kx_end);
    for (ptrdiff_t c = 0; c < s->C; c++, x += s->H * s->W)
        for (ptrdiff_t ky = 0; ky < s->KH; ky++, col += s->KW) {
            const int inside = ky_first <= ky && ky < ky_end;
            for (ptrdiff_t kx = 0; kx < s->KW; kx++)
                col[kx] = inside && kx_first <= kx && kx < kx_end ? x[ky * s->dh * s->W + kx * s->dw] : 0;
        }
}

/* A row, often of few pixels: not worth a call of memcpy. */
ALWAYS_INLINE void TYPED(copy_row)(const REAL *from, REAL *to, ptrdiff_t n)
{
    const ptrdiff_t step = 16 / sizeof(REAL);
    if (n >= step) {
        for (ptrdiff_t i = 0; i < n - step; i += step)
            *(TYPED(piece_16) *)(to + i) = *(const TYPED(piece_16) *)(from + i);
        *(TYPED(piece_16) *)(to + n - step) = *(const TYPED(piece_16) *)(from + n - step);
    } else {
        for (ptrdiff_t i = 0; i < n; i++)
            to[i] = from[i];
    }
}

/* Rows top, top + dh, ... of some channels, with what padding the windows see. */
ALWAYS_INLINE void TYPED(copy_rows)(const unfolding *s, const REAL *x, REAL *rows, ptrdiff_t channels,
                                    ptrdiff_t top)
{
    const ptrdiff_t begin = smaller(s->pw, s->width), end = smaller(begin + s->W, s->width);
    for (ptrdiff_t c = 0; c < channels; c++, x += s->H * s->W)
        for (ptrdiff_t ky = 0; ky < s->KH; ky++, rows += s->width) {
            const ptrdiff_t y = top + ky * s->dh;
            const int inside = 0 <= y && y < s->H;
            for (ptrdiff_t i = 0; i < begin; i++)
                rows[i] = 0;
            if (inside)
                TYPED(copy_row)(x + y * s->W, rows + begin, end - begin);
            for (ptrdiff_t i = inside ? end : begin; i < s->width; i++)
                rows[i] = 0;
        }
}

#define UNFOLD_PIECES(piece)                                                                      \
    for (ptrdiff_t p = 0; p < n; p++)                                                             \
    *(piece *)(col + p * kw) = *(const piece *)(rows + p * width)

/* n pieces of a window's row. Writes up to a whole vector beyond the last. */
ALWAYS_INLINE void TYPED(unfold_pieces)(const REAL *rows, ptrdiff_t width, REAL *col, ptrdiff_t kw,
                                        ptrdiff_t n)
{
    if (kw * sizeof(REAL) <= 16)
        UNFOLD_PIECES(TYPED(piece_16));
    else
        UNFOLD_PIECES(TYPED(piece_32));
}

/* Rows of windows: item = (n, i) fills the matrix's rows (n, i, 0 ... OW). */
static void TYPED(im2col)(const unfolding *s, ptrdiff_t first, ptrdiff_t last, REAL *rows)
{
    const ptrdiff_t window = s->KH * s->KW, columns = s->C * window, plane = s->H * s->W;
    const ptrdiff_t ahead = columns * larger(1, FETCHED_BYTES / (columns * (ptrdiff_t)sizeof(REAL)));
    const ptrdiff_t n_piece = (s->KW * sizeof(REAL) <= 16 ? 16 : 32) / sizeof(REAL);
    for (ptrdiff_t item = first; item < last; item++) {
        const ptrdiff_t top = item % s->OH * s->sh - s->ph;
        const REAL *x = (const REAL *)s->source + item / s->OH * s->C * plane;
        REAL *col = (REAL *)s->target + item * s->OW * columns;
        if (s->group == 0) {
            for (ptrdiff_t j = 0; j < s->OW; j++) {
                const ptrdiff_t left = j * s->sw - s->pw;
                TYPED(unfold_window)(s, x + top * s->W + left, col + j * columns, top, left);
            }
            continue;
        }
        for (ptrdiff_t channel = 0; channel < s->C; channel += s->group) {
            const ptrdiff_t channels = smaller(s->group, s->C - channel), n = channels * s->KH;
            TYPED(copy_rows)(s, x + channel * plane, rows, channels, top);
            /* A vector may spill over what is written later: of one group the windows that follow, of several
               the rest of this window. From window `crowded` on that is less than a vector. */
            const int one_group = s->group >= s->C;
            const ptrdiff_t rest = columns - (channel + channels) * window;
            const ptrdiff_t crowded = one_group        ? s->OW - (n_piece + columns - 1) / columns
                                      : rest < n_piece ? 0
                                                       : s->OW;
            for (ptrdiff_t j = 0; j < s->OW; j++) {
                REAL *here = col + j * columns + channel * window;
                ptrdiff_t alone = 0; /* pieces that are moved number by number */
                if (j >= crowded) {
                    const ptrdiff_t room = n * s->KW + (one_group ? (s->OW - 1 - j) * columns : rest);
                    alone = room < n_piece ? n : n - smaller(n, (room - n_piece) / s->KW + 1);
                }
                for (ptrdiff_t i = 0; i < n * s->KW; i += 64 / (ptrdiff_t)sizeof(REAL))
                    __builtin_prefetch(here + ahead + i, 1, 2);
                TYPED(unfold_pieces)(rows + j * s->sw, s->width, here, s->KW, n - alone);
                for (ptrdiff_t p = n - alone; p < n; p++)
                    for (ptrdiff_t kx = 0; kx < s->KW; kx++)
                        here[p * s->KW + kx] = rows[p * s->width + j * s->sw + kx];
            }
        }
    }
}

/* Adds a window's row, of some channels, to the pixels. */
ALWAYS_INLINE void TYPED(fold_window)(const unfolding *s, const REAL *col, REAL *x, ptrdiff_t channels,
                                      ptrdiff_t top, ptrdiff_t left)
{
    ptrdiff_t ky_first, ky_end, kx_first, kx_end;
    inner_taps(top, s->H, s->KH, s->dh, &ky_first, &ky_end);
    inner_taps(left, s->W, s->KW, s->dw, &kx_first, &kx_end);
    for (ptrdiff_t c = 0; c < channels; c++, x += s->H * s->W)
        for (ptrdiff_t ky = 0; ky < s->KH; ky++, col += s->KW)
            if (ky_first <= ky && ky < ky_end)
                for (ptrdiff_t kx = kx_first; kx < kx_end; kx++)
                    x[ky * s->dh * s->W + kx * s->dw] += col[kx];
}

#define FOLD_PIECES(piece, bits, together)                                                        \
    do {                                                                                          \
        bits keep[together];                                                                      \
        UNROLLED for (int k = 0; k < (together); k++)                                             \
            memcpy(&keep[k], masks + 32 * k, sizeof keep[k]);                                     \
        for (ptrdiff_t p = 0; p < n; p++) {                                                       \
            const REAL *from = col + p * kw;                                                      \
            piece sum = (piece)((bits) * (const piece *)from & keep[0]);                          \
            UNROLLED for (int k = 1; k < (together); k++)                                         \
                sum += (piece)((bits) * (const piece *)(from + k * next) & keep[k]);              \
            *(piece *)(rows + p * width) += sum;                                                  \
        }                                                                                         \
    } while (0)

/* Adds n pieces of one window's row, or of two or four neighbours', to the rows. A neighbour's piece is read from
   so far before it that it falls on its pixels; its mask has ones in its KW numbers. */
ALWAYS_INLINE void TYPED(fold_pieces)(const unfolding *s, const REAL *col, ptrdiff_t together, REAL *rows,
                                      ptrdiff_t n, const unsigned char *masks)
{
    /* not read from s again after each store, which for all the compiler knows might change it */
    const ptrdiff_t kw = s->KW, width = s->width, next = s->C * s->KH * kw - s->sw;
    if (kw * sizeof(REAL) <= 16 && together == 1)
        FOLD_PIECES(TYPED(piece_16), TYPED(bits_16), 1);
    else if (kw * sizeof(REAL) <= 16)
        FOLD_PIECES(TYPED(piece_16), TYPED(bits_16), 2);
    else if (together == 1)
        FOLD_PIECES(TYPED(piece_32), TYPED(bits_32), 1);
    else if (together == 2)
        FOLD_PIECES(TYPED(piece_32), TYPED(bits_32), 2);
    else
        FOLD_PIECES(TYPED(piece_32), TYPED(bits_32), 4);
}

/* The same sums, to the bit, without reading more than the pieces. */
static void TYPED(fold_numbers)(const unfolding *s, const REAL *col, ptrdiff_t together, REAL *rows, ptrdiff_t n)
{
    for (ptrdiff_t p = 0; p < n; p++) {
        REAL sums[32 / sizeof(REAL)] = {0};
        for (ptrdiff_t k = 0; k < together; k++)
            for (ptrdiff_t kx = 0; kx < s->KW; kx++)
                sums[k * s->sw + kx] += col[k * s->C * s->KH * s->KW + p * s->KW + kx];
        for (ptrdiff_t i = 0; i < (together - 1) * s->sw + s->KW; i++)
            rows[p * s->width + i] += sums[i];
    }
}

/* Adds the rows that copy_rows would have made to the image. */
ALWAYS_INLINE void TYPED(add_rows)(const unfolding *s, const REAL *rows, REAL *x, ptrdiff_t channels,
                                   ptrdiff_t top)
{
    const ptrdiff_t begin = smaller(s->pw, s->width), n = smaller(s->W, s->width - begin);
    for (ptrdiff_t c = 0; c < channels; c++, x += s->H * s->W)
        for (ptrdiff_t ky = 0; ky < s->KH; ky++, rows += s->width) {
            const ptrdiff_t y = top + ky * s->dh;
            const REAL *restrict from = rows + begin;
            REAL *restrict to = x + y * s->W;
            if (0 <= y && y < s->H)
                for (ptrdiff_t i = 0; i < n; i++)
                    to[i] += from[i];
        }
}

/* Groups of channels: item = (n, group) sums all that falls on their pixels, row of windows after row. */
static void TYPED(col2im)(const unfolding *s, ptrdiff_t first, ptrdiff_t last, REAL *rows)
{
    const ptrdiff_t window = s->KH * s->KW, columns = s->C * window, plane = s->H * s->W;
    const ptrdiff_t ahead = columns * larger(1, FETCHED_BYTES / (columns * (ptrdiff_t)sizeof(REAL)));
    const ptrdiff_t n_piece = (s->KW * sizeof(REAL) <= 16 ? 16 : 32) / sizeof(REAL);
    /* Neighbours whose pieces fit into a vector are added together, if their rows are short: memory is slower to
       deliver several long ones at a time than one after the other. */
    const int together_pays = columns >= s->sw && columns * sizeof(REAL) <= SHORT_ROW;
    const ptrdiff_t fit = together_pays ? (n_piece - s->KW) / s->sw + 1 : 1;
    const ptrdiff_t most = fit >= 4 && n_piece * sizeof(REAL) == 32 ? 4 : fit >= 2 ? 2 : 1;
    const ptrdiff_t size = s->group > 0 ? s->group : (s->C + s->n_groups - 1) / s->n_groups;
    const REAL *end = (const REAL *)s->source + s->N * s->OH * s->OW * columns;
    unsigned char masks[4 * 32] = {0};
    for (ptrdiff_t k = 0; k < most && s->group > 0; k++)
        memset(masks + 32 * k + k * s->sw * sizeof(REAL), 0xff, s->KW * sizeof(REAL));
    for (ptrdiff_t item = first; item < last; item++) {
        const ptrdiff_t n = item / s->n_groups, channel = item % s->n_groups * size;
        const ptrdiff_t channels = smaller(size, s->C - channel), n_rows = channels * s->KH;
        const REAL *col = (const REAL *)s->source + n * s->OH * s->OW * columns + channel * window;
        REAL *x = (REAL *)s->target + (n * s->C + channel) * plane;
        if (channels <= 0)
            continue;
        memset(x, 0, channels * plane * sizeof(REAL));
        for (ptrdiff_t i = 0; i < s->OH; i++) {
            const ptrdiff_t top = i * s->sh - s->ph;
            if (s->group > 0)
                memset(rows, 0, n_rows * s->width * sizeof(REAL));
            ptrdiff_t together = 1;
            for (ptrdiff_t j = 0; j < s->OW; j += together) {
                const ptrdiff_t left = j * s->sw - s->pw;
                const REAL *from = col + (i * s->OW + j) * columns;
                together = s->group > 0 && s->OW - j >= most ? most : 1;
                for (ptrdiff_t k = 0; k < together; k++)
                    fetch_row(from + k * columns + ahead, n_rows * s->KW * sizeof(REAL));
                if (s->group == 0)
                    TYPED(fold_window)(s, from, x + top * s->W + left, channels, top, left);
                else if (end - from >= (together - 1) * columns + n_rows * s->KW + n_piece)
                    TYPED(fold_pieces)(s, from, together, rows + j * s->sw, n_rows, masks);
                else /* nothing is read beyond the matrix */
                    TYPED(fold_numbers)(s, from, together, rows + j * s->sw, n_rows);
            }
            if (s->group > 0)
                TYPED(add_rows)(s, rows, x, channels, top);
        }
    }
}

#undef UNFOLD_PIECES
#undef FOLD_PIECES
