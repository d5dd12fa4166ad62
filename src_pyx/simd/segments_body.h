/* For REAL (REAL_NAME, INTEGER) and ROWS segments of SEGMENT windows; see segments.h. */

typedef REAL NAME(vector) __attribute__((vector_size(WINDOWS * sizeof(REAL))));
typedef INTEGER NAME(integers) __attribute__((vector_size(WINDOWS * sizeof(REAL))));
typedef REAL NAME(segment)
    __attribute__((vector_size(SEGMENT * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
typedef int32_t NAME(segment_of_int32) __attribute__((vector_size(SEGMENT * 4), aligned(4), may_alias));
typedef REAL NAME(row) __attribute__((vector_size(WINDOWS * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
typedef int32_t NAME(row_of_int32) __attribute__((vector_size(WINDOWS * 4), aligned(4), may_alias));
typedef int32_t NAME(int32s) __attribute__((vector_size(WINDOWS * 4)));

#define VECTOR NAME(vector)
#define INTEGERS NAME(integers)
#define SELECT(mask, a, b) ((VECTOR)(((mask) & (INTEGERS)(a)) | (~(mask) & (INTEGERS)(b))))

#if ROWS == 1
#define GATHER_SEGMENTS(segment, from, stride) (*(const segment *)(from))
#define SCATTER_SEGMENTS(segment, to, stride, v) (*(segment *)(to) = (v))
#elif ROWS == 2
#define GATHER_SEGMENTS(segment, from, stride)                                                    \
    SHUFFLE(*(const segment *)(from), *(const segment *)((from) + (stride)), JOIN(IOTA_, WINDOWS))
#define SCATTER_SEGMENTS(segment, to, stride, v)                                                  \
    do {                                                                                          \
        *(segment *)(to) = SHUFFLE(v, v, JOIN(JOIN(PART_, SEGMENT), _0));                         \
        *(segment *)((to) + (stride)) = SHUFFLE(v, v, JOIN(JOIN(PART_, SEGMENT), _1));            \
    } while (0)
#else
#if SEGMENT == 2
#define HALF 4
#else
#define HALF 8
#endif
#define GATHER_SEGMENTS(segment, from, stride)                                                    \
    SHUFFLE(SHUFFLE(*(const segment *)(from), *(const segment *)((from) + (stride)),              \
                    JOIN(IOTA_, HALF)),                                                           \
            SHUFFLE(*(const segment *)((from) + 2 * (stride)),                                    \
                    *(const segment *)((from) + 3 * (stride)), JOIN(IOTA_, HALF)),                \
            JOIN(IOTA_, WINDOWS))
#define SCATTER_SEGMENTS(segment, to, stride, v)                                                  \
    do {                                                                                          \
        *(segment *)(to) = SHUFFLE(v, v, JOIN(JOIN(PART_, SEGMENT), _0));                         \
        *(segment *)((to) + (stride)) = SHUFFLE(v, v, JOIN(JOIN(PART_, SEGMENT), _1));            \
        *(segment *)((to) + 2 * (stride)) = SHUFFLE(v, v, JOIN(JOIN(PART_, SEGMENT), _2));        \
        *(segment *)((to) + 3 * (stride)) = SHUFFLE(v, v, JOIN(JOIN(PART_, SEGMENT), _3));        \
    } while (0)
#endif

/* ROWS segments that lie `stride` apart. */
ALWAYS_INLINE VECTOR NAME(load)(const REAL *from, ptrdiff_t stride)
{
    return GATHER_SEGMENTS(NAME(segment), from, stride);
}

ALWAYS_INLINE INTEGERS NAME(load_int32)(const int32_t *from, ptrdiff_t stride)
{
    return __builtin_convertvector(GATHER_SEGMENTS(NAME(segment_of_int32), from, stride), INTEGERS);
}

/* Segments that lie side by side, rows of one each, are stored at once. */
ALWAYS_INLINE void NAME(store)(REAL *to, ptrdiff_t stride, VECTOR v)
{
    if (ROWS > 1 && stride == SEGMENT)
        *(NAME(row) *)to = v;
    else
        SCATTER_SEGMENTS(NAME(segment), to, stride, v);
}

ALWAYS_INLINE void NAME(store_int32)(int32_t *to, ptrdiff_t stride, INTEGERS v)
{
    NAME(int32s) narrow = __builtin_convertvector(v, NAME(int32s));
    if (ROWS > 1 && stride == SEGMENT)
        *(NAME(row_of_int32) *)to = narrow;
    else
        SCATTER_SEGMENTS(NAME(segment_of_int32), to, stride, narrow);
}

/* The two halves, in memory's order, of ROWS segments twice as long. */
#if ROWS == 1
#define PAIRS(part) ((part) * WINDOWS)
typedef NAME(segment) NAME(pairs);
#elif ROWS == 2
#define PAIRS(part) ((part) * stride)
typedef REAL NAME(pairs)
    __attribute__((vector_size(WINDOWS * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
#else
#define PAIRS(part) (2 * (part) * stride)
typedef REAL NAME(pairs)
    __attribute__((vector_size(2 * SEGMENT * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
#endif

ALWAYS_INLINE VECTOR NAME(half_of_pairs)(const REAL *from, ptrdiff_t stride, int part)
{
#if ROWS == 4
    return SHUFFLE(*(const NAME(pairs) *)(from + PAIRS(part)),
                   *(const NAME(pairs) *)(from + PAIRS(part) + stride), JOIN(IOTA_, WINDOWS));
#else
    return *(const NAME(pairs) *)(from + PAIRS(part));
#endif
}

/* even[j] = from[2 j], odd[j] = from[2 j + 1] in each segment. */
ALWAYS_INLINE void NAME(load_pairs)(const REAL *from, ptrdiff_t stride, VECTOR *even, VECTOR *odd)
{
    const VECTOR a = NAME(half_of_pairs)(from, stride, 0), b = NAME(half_of_pairs)(from, stride, 1);
    *even = SHUFFLE(a, b, JOIN(EVEN_, WINDOWS));
    *odd = SHUFFLE(a, b, JOIN(ODD_, WINDOWS));
}

ALWAYS_INLINE void NAME(store_pairs)(REAL *to, ptrdiff_t stride, VECTOR even, VECTOR odd)
{
    const VECTOR a = SHUFFLE(even, odd, JOIN(LOW_, WINDOWS)), b = SHUFFLE(even, odd, JOIN(HIGH_, WINDOWS));
#if ROWS == 4
    *(NAME(pairs) *)to = SHUFFLE(a, a, JOIN(JOIN(PART_, HALF), _0));
    *(NAME(pairs) *)(to + stride) = SHUFFLE(a, a, JOIN(JOIN(PART_, HALF), _1));
    *(NAME(pairs) *)(to + 2 * stride) = SHUFFLE(b, b, JOIN(JOIN(PART_, HALF), _0));
    *(NAME(pairs) *)(to + 3 * stride) = SHUFFLE(b, b, JOIN(JOIN(PART_, HALF), _1));
#else
    *(NAME(pairs) *)(to + PAIRS(0)) = a;
    *(NAME(pairs) *)(to + PAIRS(1)) = b;
#endif
}

/* Each lane's segment times by_segment plus its place in it times by_window. */
ALWAYS_INLINE INTEGERS NAME(places)(ptrdiff_t by_segment, ptrdiff_t by_window)
{
    const INTEGERS iota = {JOIN(IOTA_, WINDOWS)};
    return (iota / SEGMENT) * (INTEGER)by_segment + (iota % SEGMENT) * (INTEGER)by_window;
}

/* Whether a lane is not zero. */
ALWAYS_INLINE int NAME(any)(INTEGERS v)
{
    uint64_t parts[sizeof(v) / 8], all = 0;
    memcpy(parts, &v, sizeof v);
    UNROLLED for (unsigned i = 0; i < sizeof(v) / 8; i++)
        all |= parts[i];
    return all != 0;
}
