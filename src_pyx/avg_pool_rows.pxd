"""Average pooling by rows: for images that are wide enough to fill vectors, and for windows of any kind.

A window is rows times columns, and so are its sum and its divisor.  Forward, the rows of inputs that a row
of windows reads are added first, which is vectors all along, then the columns.  Backward, the rows of windows
that hold a row of pixels are divided and added, then what falls on each column; a row of pixels in the same
windows as the one above is a copy of it.  Sums are held in double, but for those of windows of up to FEW_TAPS
rows and columns.
"""

from libc.string cimport memset

from cnn_core.kernel_api cimport allocate, parallel_for, real, release, task
from pool_planes cimport ELEMENTS_PER_RANGE, pooling_planes
from vector_sums cimport sum_of
from windows cimport adaptive_windows, longest, sliding_windows, span, windows_of_pixels

cdef enum:
    FEW_TAPS = 16  # the error of so many additions is about that of one
    SUMS_AT_A_TIME = 512   # numbers of rows
    SUMS_TOGETHER = 64     # windows of a row

cdef extern from "vectors.h" nogil:
    void copy_row(void *to, const void *source, size_t n_bytes) noexcept

ctypedef fused sum_type:
    float
    double

cdef struct Job:
    const void *source   # x, or dy in the backward pass
    void *target         # y, or dx
    Py_ssize_t h, w, oh, ow
    const span *rows     # of windows
    const span *columns
    const span *holders  # the rows of windows that hold each row of pixels
    bint few             # windows of up to FEW_TAPS rows and columns
    bint one_row         # of inputs, which is its own sum, and windows that look for no zeros beside it
    # Of columns of up to FEW_TAPS at a stride of one or two (else 0), those with one divisor (most, or all).
    # Backward, pixel q * sw + i is in n_holders[i] windows, from window q + first_holder[i] on.
    Py_ssize_t kw, sw, pw, first_alike, end_alike
    Py_ssize_t[2] n_holders
    Py_ssize_t[2] first_holder


cdef inline Py_ssize_t rows_at_a_time(Py_ssize_t w) noexcept nogil:
    return 1 + SUMS_AT_A_TIME / w


cdef inline Py_ssize_t scratch_numbers(Py_ssize_t w) noexcept nogil:
    return rows_at_a_time(w) * (w + 2 * FEW_TAPS)


cdef inline void _add_rows(
    const real *restrict x, Py_ssize_t n_rows, Py_ssize_t w, sum_type *restrict sums
) noexcept nogil:
    """sums[i] = x[i] + x[i + w] + ..., three rows at a time after the first one to three."""
    cdef Py_ssize_t i, row = (n_rows - 1) % 3 + 1
    if row == 1:
        for i in range(w):
            sums[i] = x[i]
    elif row == 2:
        for i in range(w):
            sums[i] = <sum_type> x[i] + <sum_type> x[i + w]
    else:
        for i in range(w):
            sums[i] = <sum_type> x[i] + <sum_type> x[i + w] + <sum_type> x[i + 2 * w]
    for row in range(row, n_rows, 3):
        for i in range(row * w, row * w + w):
            sums[i - row * w] += <sum_type> x[i] + <sum_type> x[i + w] + <sum_type> x[i + 2 * w]


cdef inline void _add_threes(
    const sum_type *restrict x, Py_ssize_t stride, Py_ssize_t n, sum_type divisor, real *restrict y
) noexcept nogil:
    """y[i] = the sum of three numbers from x[i * stride] on, divided."""
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = <real> ((x[i * stride] + x[i * stride + 1] + x[i * stride + 2]) / divisor)


cdef inline void _add_neighbours(
    const sum_type *restrict x, Py_ssize_t n_taps, Py_ssize_t stride, Py_ssize_t n, sum_type divisor,
    real *restrict y, Py_ssize_t y_stride,
) noexcept nogil:
    """y[i * y_stride] = the sum of n_taps numbers from x[i * stride] on, divided: tap by tap, for vectors."""
    cdef Py_ssize_t begin = 0, i, tap, here
    cdef sum_type[SUMS_TOGETHER] sums
    while begin < n:
        here = min(n - begin, SUMS_TOGETHER)
        memset(sums, 0, here * sizeof(sum_type))
        for tap in range(n_taps):
            for i in range(here):
                sums[i] += x[(begin + i) * stride + tap]
        for i in range(here):
            y[(begin + i) * y_stride] = <real> (sums[i] / divisor)
        begin += here


cdef inline void _add_columns(
    const Job *job, const sum_type *sums, Py_ssize_t first, Py_ssize_t end, double counted, real *y
) noexcept nogil:
    """y[ox] = the mean of window first <= ox < end of a row, of whose rows the sums are."""
    cdef Py_ssize_t ox, i
    cdef span window
    cdef sum_type total
    for ox in range(first, end):
        window = job.columns[ox]
        total = 0
        if window.end - window.first > FEW_TAPS:
            total = <sum_type> sum_of(sums + window.first, window.end - window.first)
        else:
            for i in range(window.first, window.end):
                total = total + sums[i]
        y[ox] = <real> (total / <sum_type> (counted * window.counted))


cdef inline void _row_of_means(const Job *job, const sum_type *sums, double counted, real *y) noexcept nogil:
    """One row of windows, of whose rows the sums are; numbers that the compiler knows make vectors."""
    cdef Py_ssize_t first = job.first_alike, n = job.end_alike - first
    cdef const sum_type *start = sums + first * job.sw - job.pw
    cdef sum_type divisor
    if sizeof(sum_type) > sizeof(real):  # windows of many rows: they are few
        n = 0
    _add_columns(job, sums, 0, first, counted, y)
    if n > 0:
        divisor = <sum_type> (counted * job.columns[first].counted)
        if job.kw == 3 and job.sw == 2:
            _add_threes(start, 2, n, divisor, y + first)
        elif job.kw == 3:
            _add_threes(start, 1, n, divisor, y + first)
        elif job.sw == 2:
            _add_neighbours(start, job.kw, 2, n, divisor, y + first, 1)
        else:
            _add_neighbours(start, job.kw, 1, n, divisor, y + first, 1)
    _add_columns(job, sums, first + n, job.ow, counted, y)


cdef inline void _rows_of_means(
    const Job *job, Py_ssize_t first, Py_ssize_t last, const real *x, sum_type *sums, real *y
) noexcept nogil:
    """Some rows of windows: all their sums, each row between FEW_TAPS zeros, then all their means, as a sum
    is slow to read where it was written just before, by other vectors."""
    cdef Py_ssize_t row, pitch = job.w + 2 * FEW_TAPS
    cdef span rows
    cdef const sum_type *of_rows
    for row in range(first, first if job.one_row else last):
        rows = job.rows[row % job.oh]
        _add_rows(x + (row / job.oh * job.h + rows.first) * job.w, rows.end - rows.first, job.w,
                  sums + (row - first) * pitch + FEW_TAPS)
    for row in range(first, last):
        of_rows = sums + (row - first) * pitch + FEW_TAPS
        if sizeof(sum_type) == sizeof(real) and job.one_row:
            of_rows = <const sum_type *> (x + row / job.oh * job.w)
        _row_of_means(job, of_rows, job.rows[row % job.oh].counted, y + row * job.ow)


cdef inline void _means(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    """The rows of windows of all planes."""
    cdef const real *x = <const real *> job.source
    cdef real *y = <real *> job.target
    cdef Py_ssize_t end
    if not job.one_row:
        memset(scratch, 0, scratch_numbers(job.w) * sizeof(double))
    while first < last:
        end = min(first + rows_at_a_time(job.w), last)
        if job.few:
            _rows_of_means(job, first, end, x, <real *> scratch, y)
        else:
            _rows_of_means(job, first, end, x, <double *> scratch, y)
        first = end


cdef inline void _share(
    const real *restrict dy, const real *restrict scales, real scale, Py_ssize_t n, real *restrict shares,
    bint add,
) noexcept nogil:
    """shares[i] = dy[i] * scale * scales[i], added or not."""
    cdef Py_ssize_t i
    for i in range(n):
        shares[i] = (shares[i] if add else 0) + dy[i] * (scale * scales[i])


cdef inline void _spread_pairs(
    const real *restrict one, const real *restrict two, Py_ssize_t n, real *restrict dx, bint two_first
) noexcept nogil:
    """Pairs of pixels, one in the window of one[i], one in those of two[i] and two[i + 1]."""
    cdef Py_ssize_t i
    for i in range(n):
        dx[2 * i + two_first] = one[i]
        dx[2 * i + 1 - two_first] = two[i] + two[i + 1]


cdef inline void _spread(const Job *job, const real *shares, real *dx) noexcept nogil:
    """A row of dx from the shares of a row of windows, which have FEW_TAPS zeros before and after them."""
    cdef Py_ssize_t n_even = job.n_holders[0], n_odd = job.n_holders[1]
    cdef const real *even = shares + job.first_holder[0]
    cdef const real *odd = shares + job.first_holder[1]
    cdef Py_ssize_t i, ox
    if job.sw == 0:
        memset(dx, 0, job.w * sizeof(real))
        for ox in range(job.ow):
            for i in range(job.columns[ox].first, job.columns[ox].end):
                dx[i] += shares[ox]
    elif job.sw == 1 and n_even == 3:
        _add_threes(even, 1, job.w, <real> 1, dx)
    elif job.sw == 2 and n_even == 1 and n_odd == 2:
        _spread_pairs(even, odd, job.w / 2, dx, False)
        if job.w % 2 != 0:
            dx[job.w - 1] = even[job.w / 2]
    elif job.sw == 2 and n_even == 2 and n_odd == 1:
        _spread_pairs(odd, even, job.w / 2, dx, True)
        if job.w % 2 != 0:
            dx[job.w - 1] = even[job.w / 2] + even[job.w / 2 + 1]
    else:
        for i in range(job.sw):
            _add_neighbours(shares + job.first_holder[i], job.n_holders[i], 1,
                            (job.w - i + job.sw - 1) / job.sw, <real> 1, dx + i, job.sw)


cdef inline void _gradients(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    """The rows of pixels of all planes: the sums of their windows' shares, by rows first, then by columns."""
    cdef Py_ssize_t row, y, oy, ox
    cdef span holders
    cdef real scale
    cdef const real *dy
    cdef real *dx
    cdef real *shares = scratch + FEW_TAPS
    cdef real *scales = shares + job.ow + FEW_TAPS
    memset(scratch, 0, (job.ow + 2 * FEW_TAPS) * sizeof(real))
    for ox in range(job.ow):
        scales[ox] = <real> (1 / job.columns[ox].counted)
    for row in range(first, last):
        y = row % job.h
        dx = <real *> job.target + row * job.w
        holders = job.holders[y]
        if (row > first and y > 0 and holders.first == job.holders[y - 1].first
                and holders.end == job.holders[y - 1].end):
            copy_row(dx, dx - job.w, job.w * sizeof(real))  # the same windows hold the row above
            continue
        if holders.first >= holders.end:
            memset(shares, 0, job.ow * sizeof(real))
        for oy in range(holders.first, holders.end):
            dy = <const real *> job.source + (row / job.h * job.oh + oy) * job.ow
            scale = <real> (1 / job.rows[oy].counted)
            if oy == holders.first:
                _share(dy, scales, scale, job.ow, shares, False)
            else:
                _share(dy, scales, scale, job.ow, shares, True)
        _spread(job, shares, dx)


cdef inline void _lay_out(const pooling_planes *planes, span *rows, span *columns, Job *job) noexcept nogil:
    """Fill the tables of windows, adaptive ones where the kernel is 0, and what follows from them."""
    cdef Py_ssize_t o, i
    if planes.kh == 0:
        adaptive_windows(rows, job.oh, job.h)
    else:
        sliding_windows(rows, job.oh, job.h, planes.kh, planes.sh, planes.ph, planes.count_padding)
    if planes.kw == 0:
        adaptive_windows(columns, job.ow, job.w)
    else:
        sliding_windows(columns, job.ow, job.w, planes.kw, planes.sw, planes.pw, planes.count_padding)
    if planes.divisor != 0:
        for o in range(job.oh):
            rows[o].counted = planes.divisor
        for o in range(job.ow):
            columns[o].counted = 1
    job.few = max(longest(rows, job.oh), longest(columns, job.ow)) <= FEW_TAPS
    job.kw, job.sw, job.pw = planes.kw, planes.sw, planes.pw
    job.first_alike = job.end_alike = 0
    job.one_row = False
    if job.kw == 0 or job.kw > FEW_TAPS or job.sw > 2:
        job.sw = job.pw = 0
        job.one_row = job.h == 1
        job.few = job.few or job.one_row
        return
    for o in range(job.ow):
        if columns[o].counted == (job.kw if planes.divisor == 0 else 1):
            job.first_alike = o if job.end_alike == 0 else job.first_alike
            job.end_alike = o + 1
    for i in range(job.sw):
        job.n_holders[i] = (job.kw - 1 - (i + job.pw) % job.sw + job.sw) / job.sw
        job.first_holder[i] = (i + job.pw) / job.sw - job.n_holders[i] + 1


cdef inline bint average_by_rows(
    const pooling_planes *planes, bint forward, real *out, int n_threads
) noexcept nogil:
    """Do the job, whatever the windows; False if memory is short."""
    cdef Py_ssize_t h = planes.h, w = planes.w, oh = planes.oh, ow = planes.ow
    # Forward the sums of rows, in double if need be; backward the shares of a row and their scales.
    cdef Py_ssize_t numbers = scratch_numbers(w) if forward else 2 * (ow + FEW_TAPS)
    cdef Py_ssize_t each = (numbers * sizeof(double) + 63) / 64 * 64
    cdef char *memory = <char *> allocate(each * n_threads + (oh + ow + h) * sizeof(span))
    if memory is NULL:
        return False
    cdef span *rows = <span *> (memory + each * n_threads)
    cdef span *columns = rows + oh
    cdef span *holders = columns + ow
    cdef Job job
    job.source, job.target, job.h, job.w, job.oh, job.ow = planes.source, planes.target, h, w, oh, ow
    job.rows, job.columns, job.holders = rows, columns, holders
    _lay_out(planes, rows, columns, &job)
    if forward:
        parallel_for(<task> &_means[real], &job, planes.n_planes * oh, 1 + ELEMENTS_PER_RANGE * oh / (h * w),
                     memory, each, n_threads)
    else:
        windows_of_pixels(holders, h, rows, oh)
        parallel_for(<task> &_gradients[real], &job, planes.n_planes * h, 1 + ELEMENTS_PER_RANGE / w,
                     memory, each, n_threads)
    release(memory)
    return True
