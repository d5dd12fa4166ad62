/* Included by finish.h, once for float and once for double. */

#define VECTOR TYPED(vector)
#define UNALIGNED TYPED(unaligned)
#define PICK(mask, a, b) ((VECTOR)(((mask) & (MASK)(a)) | (~(mask) & (MASK)(b))))

/* The larger one; NaN wins. */
ALWAYS_INLINE VECTOR TYPED(larger_of)(VECTOR a, VECTOR b)
{
    const MASK b_wins = (b > a) | (b != b);
    return PICK(b_wins, b, a);
}

ALWAYS_INLINE VECTOR TYPED(relu_of)(VECTOR x)
{
    const VECTOR zero = {0};
    return PICK(x <= zero, zero, x);
}

/* y[j] = ReLU of x[j]. */
static void TYPED(relu_row)(const REAL *x, ptrdiff_t n, REAL *y)
{
    for (ptrdiff_t j = 0; j < n; j++)
        y[j] = x[j] <= 0 ? 0 : x[j];
}

/* y[j] = the largest of columns 2j and 2j + 1 of two rows, then ReLU if asked for. The last vector steps
   back over what is done; of rows that are shorter than one, what is read beyond them is not used. */
static void TYPED(pool_rows)(const REAL *upper, const REAL *lower, ptrdiff_t n, int relu, REAL *y)
{
    for (ptrdiff_t begin = 0; begin < n; begin += LANES) {
        const ptrdiff_t j = begin + LANES <= n || n < LANES ? begin : n - LANES;
        const UNALIGNED *above = (const UNALIGNED *)(upper + 2 * j), *below = (const UNALIGNED *)(lower + 2 * j);
        const VECTOR left = TYPED(larger_of)(above[0], below[0]), right = TYPED(larger_of)(above[1], below[1]);
        VECTOR best = TYPED(larger_of)(SHUFFLE(left, right, JOIN(EVEN_, LANES)),
                                       SHUFFLE(left, right, JOIN(ODD_, LANES)));
        if (relu)
            best = TYPED(relu_of)(best);
        if (n >= LANES)
            *(UNALIGNED *)(y + j) = best;
        else
            copy_row(y, &best, n * sizeof(REAL));
    }
}

#undef VECTOR
#undef UNALIGNED
#undef PICK
