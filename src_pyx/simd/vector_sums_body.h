/* For REAL; vector_sums.h includes this once for each type. */

#define VECTOR TYPED(vector)
#define LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))
#define LOAD(p) ((VECTOR) * (const TYPED(unaligned) *)(p))
#define STORE(p, v) (*(TYPED(unaligned) *)(p) = (v))
#define OF_CHANNEL(number) (((const REAL *)channels->number)[j])

/* The last `rest` < LANES of n numbers, and `fill`: the end of the last vector of x, if it has one, which
   overlaps what came before. */
ALWAYS_INLINE VECTOR TYPED(load_rest)(const REAL *x, ptrdiff_t n, ptrdiff_t rest, REAL fill)
{
    VECTOR v = (VECTOR){0} + fill;
    if (n >= LANES) {
        const TYPED(mask) lane = {JOIN(IOTA_, MOST)}, wanted = lane >= (INTEGER)(LANES - rest);
        return (VECTOR)((wanted & (TYPED(mask))LOAD(x + n - LANES)) | (~wanted & (TYPED(mask))v));
    }
    memcpy(&v, x + n - rest, rest * sizeof(REAL));
    return v;
}

/* The sums of x[begin] ... x[end - 1], of n numbers in all, in each lane. */
ALWAYS_INLINE VECTOR TYPED(sum_stretch)(const REAL *x, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t n)
{
    VECTOR sums[4] = {{0}, {0}, {0}, {0}};
    ptrdiff_t i = begin;
    for (; i + 4 * LANES <= end; i += 4 * LANES)
        UNROLLED for (int k = 0; k < 4; k++)
            sums[k] += LOAD(x + i + k * LANES);
    for (; i + LANES <= end; i += LANES)
        sums[0] += LOAD(x + i);
    if (i < end)
        sums[1] += TYPED(load_rest)(x, n, end - i, 0);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* The sum of x[0] ... x[n - 1]. */
static double TYPED(sum)(const REAL *x, ptrdiff_t n)
{
    double lanes[MOST_LANES] = {0};
    ptrdiff_t i = 0;
    for (; n - i > STRETCH * LANES; i += STRETCH * LANES)
        TYPED(add_to_lanes)(lanes, TYPED(sum_stretch)(x, i, i + STRETCH * LANES, n));
    TYPED(add_to_lanes)(lanes, TYPED(sum_stretch)(x, i, n, n));
    return add_lanes(lanes, LANES);
}

/* Adds n vectors to lanes of sums. */
static void TYPED(add_vectors)(const REAL *x, ptrdiff_t n, double *lanes)
{
    for (ptrdiff_t i = 0; i < n; i += STRETCH)
        TYPED(add_to_lanes)(lanes, TYPED(sum_stretch)(x, i * LANES, (n - i > STRETCH ? i + STRETCH : n) * LANES, 0));
}

/* Lane p: the sum of all lanes of v[p]. Neighbours are added, then their sums, ...: v is used up. */
ALWAYS_INLINE VECTOR TYPED(sums_of_lanes)(VECTOR *v)
{
    for (int n = LANES / 2; n > 0; n /= 2)
        UNROLLED for (int p = 0; p < n; p++)
            v[p] = SHUFFLE(v[2 * p], v[2 * p + 1], JOIN(EVEN_, MOST)) + SHUFFLE(v[2 * p], v[2 * p + 1], JOIN(ODD_, MOST));
    return v[0];
}

/* means[p] = the mean of x[p * n] ... x[p * n + n - 1]. Of up to STRETCH vectors as many means as there are lanes
   are made at once, in REAL. */
static void TYPED(means)(const REAL *x, ptrdiff_t n, ptrdiff_t n_means, REAL *means)
{
    ptrdiff_t p = 0;
    for (; n <= STRETCH * LANES && p < n_means; p += LANES) {
        VECTOR sums[LANES] = {{0}};
        const ptrdiff_t here = smaller(LANES, n_means - p);
        for (ptrdiff_t k = 0; k < here; k++)
            sums[k] = TYPED(sum_stretch)(x + (p + k) * n, 0, n, n);
        const VECTOR mean = TYPED(sums_of_lanes)(sums) / (REAL)n;
        memcpy(means + p, &mean, here * sizeof(REAL));
    }
    for (; p < n_means; p++)
        means[p] = (REAL)(TYPED(sum)(x + p * n, n) / n);
}

/* dy where ReLU let y = d * slope + shift pass, else zero; without a gate, dy itself. */
ALWAYS_INLINE VECTOR TYPED(gated)(VECTOR dy, VECTOR d, const TYPED(relu_gate) *gate)
{
    if (gate == NULL)
        return dy;
    const TYPED(mask) shut = d * gate->slope + gate->shift <= (VECTOR){0};
    return (VECTOR)((TYPED(mask))dy & ~shut);
}

/* With d = x - centre, adds d and d * d, or (dy not NULL) gated dy and dy * d, to a vector of sums each: the
   numbers begin <= i < end, of n in all, up to STRETCH vectors. */
ALWAYS_INLINE void TYPED(add_stretch)(const REAL *x, const REAL *dy, REAL centre, const TYPED(relu_gate) *gate,
                                     ptrdiff_t begin, ptrdiff_t end, ptrdiff_t n, VECTOR *first, VECTOR *second)
{
    const VECTOR c = (VECTOR){0} + centre;
    VECTOR sums[2] = {{0}, {0}}, products[2] = {{0}, {0}};
    ptrdiff_t i = begin;
    for (; i + 2 * LANES <= end; i += 2 * LANES)
        UNROLLED for (int k = 0; k < 2; k++) {
            const VECTOR d = LOAD(x + i + k * LANES) - c;
            const VECTOR g = dy ? TYPED(gated)(LOAD(dy + i + k * LANES), d, gate) : d;
            sums[k] += g;
            products[k] += g * d;
        }
    if (i + LANES <= end) {
        const VECTOR d = LOAD(x + i) - c, g = dy ? TYPED(gated)(LOAD(dy + i), d, gate) : d;
        sums[0] += g;
        products[0] += g * d;
        i += LANES;
    }
    if (i < end) {
        const VECTOR d = TYPED(load_rest)(x, n, end - i, centre) - c;
        const VECTOR g = dy ? TYPED(gated)(TYPED(load_rest)(dy, n, end - i, 0), d, gate) : d;
        sums[1] += g;
        products[1] += g * d;
    }
    *first += sums[0] + sums[1];
    *second += products[0] + products[1];
}

/* The sums of n numbers, to lanes of doubles. */
ALWAYS_INLINE void TYPED(add_products)(const REAL *x, const REAL *dy, REAL centre, const TYPED(relu_gate) *gate,
                                      ptrdiff_t n, double *first, double *second)
{
    for (ptrdiff_t i = 0; i < n; i += STRETCH * LANES) {
        VECTOR sums = {0}, products = {0};
        TYPED(add_stretch)(x, dy, centre, gate, i, smaller(i + STRETCH * LANES, n), n, &sums, &products);
        TYPED(add_to_lanes)(first, sums);
        TYPED(add_to_lanes)(second, products);
    }
}

/* A piece of n numbers of each channel, `apart` numbers from one to the next. Where those are up to two stretches,
   pieces are summed in REAL, two vectors for each channel, which `empty_sums` takes to the lanes; longer ones go
   there at once. */
ALWAYS_INLINE void TYPED(add_pieces)(const REAL *x, const REAL *dy, const channel_numbers *channels,
                                    int gated, ptrdiff_t n_channels, ptrdiff_t apart, ptrdiff_t n, REAL *sums,
                                    double *lanes)
{
    for (ptrdiff_t j = 0; j < n_channels; j++, x += apart, dy += dy ? apart : 0) {
        const REAL centre = OF_CHANNEL(centre);
        TYPED(relu_gate) gate = {0};
        if (gated)
            gate = (TYPED(relu_gate)){OF_CHANNEL(gate_slope), OF_CHANNEL(gate_shift)};
        if (apart <= 2 * STRETCH * LANES) {
            VECTOR first = LOAD(sums + 2 * j * LANES), second = LOAD(sums + (2 * j + 1) * LANES);
            TYPED(add_stretch)(x, dy, centre, gated ? &gate : NULL, 0, n, n, &first, &second);
            STORE(sums + 2 * j * LANES, first);
            STORE(sums + (2 * j + 1) * LANES, second);
        } else {
            TYPED(add_products)(x, dy, centre, gated ? &gate : NULL, n, lanes + 2 * j * MOST_LANES,
                               lanes + (2 * j + 1) * MOST_LANES);
        }
    }
}

static void TYPED(add_moments)(const REAL *x, const channel_numbers *channels, ptrdiff_t n_channels,
                              ptrdiff_t apart, ptrdiff_t n, REAL *sums, double *lanes)
{
    TYPED(add_pieces)(x, NULL, channels, 0, n_channels, apart, n, sums, lanes);
}

static void TYPED(add_gradients)(const REAL *x, const REAL *dy, const channel_numbers *channels,
                                ptrdiff_t n_channels, ptrdiff_t apart, ptrdiff_t n, REAL *sums, double *lanes)
{
    if (channels->gate_slope)
        TYPED(add_pieces)(x, dy, channels, 1, n_channels, apart, n, sums, lanes);
    else
        TYPED(add_pieces)(x, dy, channels, 0, n_channels, apart, n, sums, lanes);
}

/* Adds the sums of pieces to the lanes, and begins again at zero. */
static void TYPED(empty_sums)(REAL *sums, ptrdiff_t n_channels, double *lanes)
{
    for (ptrdiff_t k = 0; k < 2 * n_channels; k++) {
        TYPED(add_to_lanes)(lanes + k * MOST_LANES, LOAD(sums + k * LANES));
        STORE(sums + k * LANES, (VECTOR){0});
    }
}

/* One vector of y, or with dy of dx. */
ALWAYS_INLINE VECTOR TYPED(affine_vector)(VECTOR x, VECTOR dy, int with_dy, TYPED(affine_numbers) a, int relu,
                                          const TYPED(relu_gate) *gate)
{
    const VECTOR d = x - a.centre, zero = {0};
    if (with_dy)
        return d * a.slope + (TYPED(gated)(dy, d, gate) * a.scale + a.shift);
    const VECTOR y = d * a.slope + a.shift;
    return relu ? (VECTOR)((TYPED(mask))y & ~(y <= zero)) : y;
}

/* The sum of x[i] * y[i]. */
static double TYPED(dot)(const REAL *x, const REAL *y, ptrdiff_t n)
{
    double sums[MOST_LANES] = {0}, products[MOST_LANES] = {0};
    TYPED(add_products)(x, y, 0, NULL, n, sums, products);
    return add_lanes(products, LANES);
}

/* Lanes of a where they are larger, of b elsewhere. */
ALWAYS_INLINE VECTOR TYPED(larger_lanes)(VECTOR a, VECTOR b)
{
    const TYPED(mask) wins = a > b;
    return (VECTOR)((wins & (TYPED(mask))a) | (~wins & (TYPED(mask))b));
}

/* The largest of n >= 2 * LANES numbers; NaN is passed over. The last vectors may overlap those before. */
static REAL TYPED(largest)(const REAL *x, ptrdiff_t n)
{
    VECTOR best[2] = {(VECTOR){0} - (REAL)INFINITY, (VECTOR){0} - (REAL)INFINITY};
    for (ptrdiff_t i = 0;; i = smaller(i + 2 * LANES, n - 2 * LANES)) {
        UNROLLED for (int k = 0; k < 2; k++)
            best[k] = TYPED(larger_lanes)(LOAD(x + i + k * LANES), best[k]);
        if (i == n - 2 * LANES)
            break;
    }
    VECTOR v = TYPED(larger_lanes)(best[0], best[1]);
    UNROLLED for (int apart = 1; apart < LANES; apart *= 2)
        v = TYPED(larger_lanes)(SHUFFLE(v, v, JOIN(EVEN_, MOST)), SHUFFLE(v, v, JOIN(ODD_, MOST)));
    return v[0];
}

/* n numbers from place `begin` of arrays that begin at a cache line, or that are small. */
ALWAYS_INLINE void TYPED(affine)(const REAL *restrict x, const REAL *restrict dy, REAL *restrict out,
                                 TYPED(affine_numbers) a, int relu, const TYPED(relu_gate) *gate, ptrdiff_t begin,
                                 ptrdiff_t n)
{
    x += begin, out += begin, dy += dy ? begin : 0;
    if (n < LANES) {
        const VECTOR y = TYPED(affine_vector)(TYPED(load_rest)(x, n, n, 0), TYPED(load_rest)(dy ? dy : x, n, n, 0),
                                              dy != NULL, a, relu, gate);
        memcpy(out, &y, n * sizeof(REAL));
        return;
    }
    /* Vectors may overlap: the first and the second, so that stores do not cross cache lines, and the last two. One
       place computes them all, as compilers contract not every place alike, and what follows from shapes alone says
       which they are, not addresses: bits stay the same. */
    ptrdiff_t step = LANES - begin % LANES;
    for (ptrdiff_t i = 0;; i = smaller(i + step, n - LANES), step = LANES) {
        STORE(out + i, TYPED(affine_vector)(LOAD(x + i), LOAD((dy ? dy : x) + i), dy != NULL, a, relu, gate));
        if (i == n - LANES)
            break;
    }
}

/* A piece of n numbers of each channel, from place `begin` on, `apart` numbers from one to the next. */
ALWAYS_INLINE void TYPED(affine_pieces)(const REAL *x, const REAL *dy, REAL *out,
                                        const channel_numbers *channels, int relu, int gated,
                                        ptrdiff_t n_channels, ptrdiff_t begin, ptrdiff_t apart, ptrdiff_t n)
{
    for (ptrdiff_t j = 0; j < n_channels; j++, begin += apart) {
        const TYPED(affine_numbers) a = {OF_CHANNEL(centre), OF_CHANNEL(slope), dy ? OF_CHANNEL(scale) : 0,
                                         OF_CHANNEL(shift)};
        TYPED(relu_gate) gate = {0};
        if (gated)
            gate = (TYPED(relu_gate)){OF_CHANNEL(gate_slope), OF_CHANNEL(gate_shift)};
        TYPED(affine)(x, dy, out, a, relu, gated ? &gate : NULL, begin, n);
    }
}

/* out = (x - centre) * slope + shift, then ReLU if asked for */
static void TYPED(affine_of_x)(const REAL *x, REAL *out, const channel_numbers *channels, int relu,
                               ptrdiff_t n_channels, ptrdiff_t begin, ptrdiff_t apart, ptrdiff_t n)
{
    if (relu)
        TYPED(affine_pieces)(x, NULL, out, channels, 1, 0, n_channels, begin, apart, n);
    else
        TYPED(affine_pieces)(x, NULL, out, channels, 0, 0, n_channels, begin, apart, n);
}

/* out = (x - centre) * slope + dy * scale + shift, with dy gated if there are gates */
static void TYPED(affine_of_both)(const REAL *x, const REAL *dy, REAL *out, const channel_numbers *channels,
                                  ptrdiff_t n_channels, ptrdiff_t begin, ptrdiff_t apart, ptrdiff_t n)
{
    if (channels->gate_slope)
        TYPED(affine_pieces)(x, dy, out, channels, 0, 1, n_channels, begin, apart, n);
    else
        TYPED(affine_pieces)(x, dy, out, channels, 0, 0, n_channels, begin, apart, n);
}

#undef VECTOR
#undef LANES
#undef LOAD
#undef STORE
#undef OF_CHANNEL
