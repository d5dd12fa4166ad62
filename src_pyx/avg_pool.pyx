"""Average pooling over NCHW: sliding windows, and adaptive ones (global pooling is one window).

Contract, guaranteed by cnn_core.functional and not checked again here:

* arrays are C-contiguous and not empty; outputs do not overlap inputs;
* every sliding window holds at least one input.

Every element of the outputs is written.  Sums are held in double, but for those of few numbers: 2x2 windows
side by side, which avg_pool.h does a vector at a time; windows of small planes, which pool_planes.h lays side
by side; and windows of up to FEW_TAPS inputs at a stride of one or two, of which the rows are added first and
then, in the sums, the columns.  The divisor of a sliding
window is ``divisor`` if that is not 0; else the window's inputs and, with ``count_padding``, its padding (but
not what lies beyond the padding).
"""

from libc.string cimport memset

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task
from pool_planes cimport PLANE_LANES, avg_pool_planes, avg_unpool_planes, planes_bytes, pooling_planes
from vector_sums cimport means_of, sum_of
from windows cimport end_tap, end_window, first_tap, first_window

import_kernel_api()

cdef enum:
    COLUMNS = 64  # windows of a row that are summed together
    FEW_TAPS = 16  # the error of so many additions is about that of one
    MOST_INPUTS = 2 * COLUMNS + FEW_TAPS  # that so many windows at a stride of two reach over
    ELEMENTS_PER_RANGE = 1 << 15  # inputs; some 10 microseconds of work

cdef extern from "avg_pool.h" nogil:
    ctypedef struct averaging:
        const void *source
        void *target
        Py_ssize_t h, w, oh, ow, rows_per_item
        double scale

    Py_ssize_t rows_per_item_f32(Py_ssize_t oh, Py_ssize_t ow) noexcept
    Py_ssize_t rows_per_item_f64(Py_ssize_t oh, Py_ssize_t ow) noexcept
    void average_2x2_f32(const averaging *, Py_ssize_t, Py_ssize_t, float *) noexcept
    void average_2x2_f64(const averaging *, Py_ssize_t, Py_ssize_t, double *) noexcept
    void share_2x2_f32(const averaging *, Py_ssize_t, Py_ssize_t, float *) noexcept
    void share_2x2_f64(const averaging *, Py_ssize_t, Py_ssize_t, double *) noexcept

ctypedef fused sum_type:
    float
    double

cdef struct Job:
    const void *source  # x, or dy in the backward pass
    void *target        # y, or dx
    Py_ssize_t h, w, oh, ow, kh, kw, sh, sw, ph, pw
    bint count_padding
    double divisor


cdef inline double _counted(
    Py_ssize_t start, Py_ssize_t size, Py_ssize_t kernel, Py_ssize_t padding, bint count_padding
) noexcept nogil:
    """How many taps of the window at ``start`` count in its divisor, along one axis."""
    if count_padding:
        return min(start + kernel, size + padding) - start
    return min(start + kernel, size) - max(start, 0)


cdef inline double _divisor(const Job *job, Py_ssize_t oy, Py_ssize_t ox) noexcept nogil:
    if job.divisor != 0:
        return job.divisor
    return (_counted(oy * job.sh - job.ph, job.h, job.kh, job.ph, job.count_padding)
            * _counted(ox * job.sw - job.pw, job.w, job.kw, job.pw, job.count_padding))


cdef inline void _visit_tap(
    real *restrict x, double *restrict values, Py_ssize_t n, Py_ssize_t stride, bint gather
) noexcept nogil:
    """Add one tap of n windows side by side to their values, or their values to that tap."""
    cdef Py_ssize_t i
    if gather:
        for i in range(n):
            values[i] += x[i * stride]
    else:
        for i in range(n):
            x[i * stride] += <real> values[i]


cdef inline void _visit_taps(
    const Job *job, real *plane, double *values, Py_ssize_t oy, Py_ssize_t left, Py_ssize_t right, bint gather
) noexcept nogil:
    """Visit all taps of the windows left <= ox < right of row oy; values[0] belongs to window ``left``."""
    cdef Py_ssize_t top = oy * job.sh - job.ph, ky, kx, tap, first, n
    # Outside of these, a tap is padding for every window.
    cdef Py_ssize_t kx_first = first_tap((right - 1) * job.sw - job.pw, 1)
    cdef Py_ssize_t kx_end = end_tap(left * job.sw - job.pw, job.w, job.kw, 1)
    cdef real *here
    cdef double *value
    for ky in range(first_tap(top, 1), end_tap(top, job.h, job.kh, 1)):
        for kx in range(kx_first, kx_end):
            tap = kx - job.pw
            first = max(left, first_window(tap, job.sw))
            n = end_window(tap, job.w, right, job.sw) - first
            here = plane + (top + ky) * job.w + tap + first * job.sw
            value = values + first - left
            if job.sw == 1:  # the compiler vectorises strides that it knows
                _visit_tap(here, value, n, 1, gather)
            elif job.sw == 2:
                _visit_tap(here, value, n, 2, gather)
            else:
                _visit_tap(here, value, n, job.sw, gather)


cdef inline void _divide(
    const Job *job, const sum_type *sums, Py_ssize_t oy, Py_ssize_t left, Py_ssize_t right, real *y
) noexcept nogil:
    """y[ox] = the mean of window ox of row oy, for left <= ox < right; sums[0] belongs to window ``left``."""
    # Windows first <= ox < end do not go beyond a side of the image: one divisor for all.
    cdef Py_ssize_t first = min(max(first_window(-job.pw, job.sw), left), right)
    cdef Py_ssize_t end = min(max(end_window(job.kw - 1 - job.pw, job.w, right, job.sw), first), right), ox
    cdef sum_type divisor = <sum_type> _divisor(job, oy, first)
    for ox in range(left, first):
        y[ox] = <real> (sums[ox - left] / <sum_type> _divisor(job, oy, ox))
    for ox in range(first, end):
        y[ox] = <real> (sums[ox - left] / divisor)
    for ox in range(end, right):
        y[ox] = <real> (sums[ox - left] / <sum_type> _divisor(job, oy, ox))


cdef inline void _add_taps(
    const real *restrict x, Py_ssize_t n_taps, Py_ssize_t apart, Py_ssize_t n, Py_ssize_t stride,
    real *restrict sums,
) noexcept nogil:
    """sums[i] = x[i * stride] and those that follow, n_taps in all."""
    cdef Py_ssize_t i, tap
    cdef real total
    for i in range(n):
        total = x[i * stride]
        for tap in range(1, n_taps):
            total = total + x[i * stride + tap * apart]
        sums[i] = total


cdef inline void _few_taps(
    const Job *job, const real *plane, Py_ssize_t oy, Py_ssize_t left, Py_ssize_t right, real *sums
) noexcept nogil:
    """The sums of windows left <= ox < right of row oy: rows first, then columns; numbers of taps and strides
    that the compiler knows make vectors."""
    cdef real[MOST_INPUTS] inputs
    cdef Py_ssize_t top = oy * job.sh - job.ph, start = left * job.sw - job.pw, n = right - left
    cdef Py_ssize_t size = (n - 1) * job.sw + job.kw, first = max(0, -start), end = min(size, job.w - start)
    cdef Py_ssize_t first_row = first_tap(top, 1), n_rows = end_tap(top, job.h, job.kh, 1) - first_row
    cdef const real *x = plane + (top + first_row) * job.w + start + first
    memset(inputs, 0, first * sizeof(real))
    if n_rows == 3:
        _add_taps(x, 3, job.w, end - first, 1, <real *> inputs + first)
    elif n_rows == 2:
        _add_taps(x, 2, job.w, end - first, 1, <real *> inputs + first)
    else:
        _add_taps(x, n_rows, job.w, end - first, 1, <real *> inputs + first)
    memset(<real *> inputs + end, 0, (size - end) * sizeof(real))
    if job.kw == 3 and job.sw == 2:
        _add_taps(<const real *> inputs, 3, 1, n, 2, sums)
    elif job.kw == 3 and job.sw == 1:
        _add_taps(<const real *> inputs, 3, 1, n, 1, sums)
    elif job.sw == 2:
        _add_taps(<const real *> inputs, job.kw, 1, n, 2, sums)
    else:
        _add_taps(<const real *> inputs, job.kw, 1, n, 1, sums)


cdef void _rows(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    """Rows of windows, COLUMNS of them at a time: their sums, divided."""
    cdef Py_ssize_t row, left, right
    cdef bint few = max(job.kh, job.kw) <= FEW_TAPS and job.kh * job.kw <= FEW_TAPS and job.sw <= 2
    cdef real *plane
    cdef real *y
    cdef double[COLUMNS] sums
    cdef real[COLUMNS] sums_of_few
    for row in range(first, last):
        plane = <real *> job.source + row / job.oh * (job.h * job.w)
        y = <real *> job.target + row * job.ow
        left = 0
        while left < job.ow:
            right = min(left + COLUMNS, job.ow)
            if few:
                _few_taps(job, <const real *> plane, row % job.oh, left, right, <real *> sums_of_few)
                _divide(job, <const real *> sums_of_few, row % job.oh, left, right, y)
            else:
                memset(sums, 0, sizeof(sums))
                _visit_taps(job, plane, <double *> sums, row % job.oh, left, right, True)
                _divide(job, <const double *> sums, row % job.oh, left, right, y)
            left = right


cdef void _planes(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    """Each input's gradient: the sum of its windows' shares."""
    cdef Py_ssize_t plane, oy, left, right, ox
    cdef const real *dy
    cdef real *dx
    cdef double shares[COLUMNS]
    for plane in range(first, last):
        dx = <real *> job.target + plane * job.h * job.w
        memset(dx, 0, job.h * job.w * sizeof(real))
        for oy in range(job.oh):
            dy = <const real *> job.source + (plane * job.oh + oy) * job.ow
            left = 0
            while left < job.ow:
                right = min(left + COLUMNS, job.ow)
                for ox in range(left, right):
                    shares[ox - left] = dy[ox] / _divisor(job, oy, ox)
                _visit_taps(job, dx, shares, oy, left, right, False)
                left = right


cdef bint _by_2x2(const Job *job, Py_ssize_t n_planes, bint forward, real *out, int n_threads) noexcept nogil:
    """Do the job if its windows are 2x2, side by side and enough for vectors; otherwise return False."""
    cdef averaging by_2x2 = averaging(
        job.source, job.target, job.h, job.w, job.oh, job.ow, 0, 1 / (job.divisor if job.divisor != 0 else 4)
    )
    cdef task run
    if not (job.kh == job.kw == job.sh == job.sw == 2 and job.ph == job.pw == 0):
        return False
    if job.oh != job.h / 2 or job.ow != job.w / 2:
        return False
    if real is float:
        by_2x2.rows_per_item = rows_per_item_f32(job.oh, job.ow)
        run = <task> &average_2x2_f32 if forward else <task> &share_2x2_f32
    else:
        by_2x2.rows_per_item = rows_per_item_f64(job.oh, job.ow)
        run = <task> &average_2x2_f64 if forward else <task> &share_2x2_f64
    if by_2x2.rows_per_item == 0:
        return False
    if job.h == 2 * job.oh:  # the planes are one high plane
        by_2x2.h *= n_planes
        by_2x2.oh *= n_planes
    parallel_for(run, &by_2x2, n_planes * job.oh / by_2x2.rows_per_item,
                 1 + ELEMENTS_PER_RANGE / (2 * by_2x2.rows_per_item * job.w), NULL, 0, n_threads)
    return True


cdef bint _by_planes(
    const Job *job, Py_ssize_t n_planes, bint forward, real *out, int n_threads
) noexcept nogil:
    """Do the job if planes are small but many, and windows of few taps; otherwise return False."""
    cdef pooling_planes planes = pooling_planes(
        job.source, job.target, NULL, n_planes, job.h, job.w, job.oh, job.ow, job.kh, job.kw, job.sh, job.sw,
        job.ph, job.pw, 1, 1, False, job.count_padding, job.divisor,
    )
    cdef Py_ssize_t each = planes_bytes(n_planes, job.h * job.w, job.oh * job.ow, 1)
    cdef task run = <task> &avg_pool_planes if forward else <task> &avg_unpool_planes
    cdef void *scratch = NULL
    if sizeof(real) == sizeof(float) and each > 0 and job.kh <= FEW_TAPS and job.kw <= FEW_TAPS:
        scratch = allocate(each * n_threads)
    if scratch is NULL:
        return False
    parallel_for(run, &planes, (n_planes + PLANE_LANES - 1) / PLANE_LANES,
                 1 + ELEMENTS_PER_RANGE / (PLANE_LANES * job.h * job.w), scratch, each, n_threads)
    release(scratch)
    return True


def avg_pool2d(
    const real[:, :, :, ::1] x,    # IN   (N, C, H, W)
    real[:, :, :, ::1] y,          # OUT  (N, C, OH, OW)
    Py_ssize_t kh, Py_ssize_t kw,
    Py_ssize_t sh, Py_ssize_t sw,
    Py_ssize_t ph, Py_ssize_t pw,
    bint count_padding,
    double divisor,
    int n_threads,
):
    """Fill ``y``; rows of windows are shared among threads."""
    cdef Job job = Job(&x[0, 0, 0, 0], &y[0, 0, 0, 0], x.shape[2], x.shape[3], y.shape[2], y.shape[3],
                       kh, kw, sh, sw, ph, pw, count_padding, divisor)
    cdef Py_ssize_t n_rows = y.shape[0] * y.shape[1] * y.shape[2]
    cdef Py_ssize_t grain = 1 + ELEMENTS_PER_RANGE * job.oh / (job.h * job.w)
    with nogil:
        if not (
            _by_2x2(&job, x.shape[0] * x.shape[1], True, &y[0, 0, 0, 0], n_threads)
            or _by_planes(&job, x.shape[0] * x.shape[1], True, &y[0, 0, 0, 0], n_threads)
        ):
            parallel_for(<task> &_rows[real], &job, n_rows, grain, NULL, 0, n_threads)


def avg_pool2d_backward(
    const real[:, :, :, ::1] dy,   # IN   (N, C, OH, OW)
    real[:, :, :, ::1] dx,         # OUT  (N, C, H, W)
    Py_ssize_t kh, Py_ssize_t kw,
    Py_ssize_t sh, Py_ssize_t sw,
    Py_ssize_t ph, Py_ssize_t pw,
    bint count_padding,
    double divisor,
    int n_threads,
):
    """Fill ``dx``; planes (N * C) are shared among threads."""
    cdef Job job = Job(&dy[0, 0, 0, 0], &dx[0, 0, 0, 0], dx.shape[2], dx.shape[3], dy.shape[2], dy.shape[3],
                       kh, kw, sh, sw, ph, pw, count_padding, divisor)
    with nogil:
        if not (
            _by_2x2(&job, dx.shape[0] * dx.shape[1], False, &dx[0, 0, 0, 0], n_threads)
            or _by_planes(&job, dx.shape[0] * dx.shape[1], False, &dx[0, 0, 0, 0], n_threads)
        ):
            parallel_for(<task> &_planes[real], &job, dx.shape[0] * dx.shape[1],
                         1 + ELEMENTS_PER_RANGE / (job.h * job.w), NULL, 0, n_threads)


# Adaptive window o of n reads the inputs from o * size / n, rounded down, to (o + 1) * size / n, rounded up.

cdef inline Py_ssize_t _from(Py_ssize_t o, Py_ssize_t size, Py_ssize_t n) noexcept nogil:
    return o * size / n


cdef inline Py_ssize_t _to(Py_ssize_t o, Py_ssize_t size, Py_ssize_t n) noexcept nogil:
    return ((o + 1) * size + n - 1) / n


cdef inline void _adaptive_row(
    const Job *job, const real *x, Py_ssize_t n_rows, real *y, double *columns
) noexcept nogil:
    """One row of windows over the rows of x: as many windows at a time as COLUMNS columns have room for."""
    cdef Py_ssize_t ox = 0, end, left, right, width, iy, i
    cdef double total
    while ox < job.ow:
        left, end = _from(ox, job.w, job.ow), ox + 1
        while end < job.ow and _to(end, job.w, job.ow) <= left + COLUMNS:
            end += 1
        width = _to(end - 1, job.w, job.ow) - left
        if width > COLUMNS:
            total = 0
            for iy in range(n_rows):
                total += sum_of(x + iy * job.w + left, width)
            y[ox] = <real> (total / (n_rows * width))
        else:
            memset(columns, 0, width * sizeof(double))
            for iy in range(n_rows):
                for i in range(width):
                    columns[i] += x[iy * job.w + left + i]
            for ox in range(ox, end):
                total = 0
                right = _to(ox, job.w, job.ow)
                for i in range(_from(ox, job.w, job.ow), right):
                    total += columns[i - left]
                y[ox] = <real> (total / (n_rows * (right - _from(ox, job.w, job.ow))))
        ox = end


cdef void _adaptive_planes(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t plane, oy, top
    cdef const real *x
    cdef real *y
    cdef double columns[COLUMNS]
    if job.oh == 1 and job.ow == 1:
        x = <const real *> job.source + first * job.h * job.w
        means_of(x, job.h * job.w, last - first, <real *> job.target + first)
        return
    for plane in range(first, last):
        x = <const real *> job.source + plane * job.h * job.w
        y = <real *> job.target + plane * job.oh * job.ow
        for oy in range(job.oh):
            top = _from(oy, job.h, job.oh)
            _adaptive_row(job, x + top * job.w, _to(oy, job.h, job.oh) - top, y + oy * job.ow, columns)


cdef void _adaptive_planes_backward(
    const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch
) noexcept nogil:
    cdef Py_ssize_t plane, oy, ox, iy, ix, top, bottom, left, right
    cdef const real *dy
    cdef real *dx
    cdef real share
    for plane in range(first, last):
        dy = <const real *> job.source + plane * job.oh * job.ow
        dx = <real *> job.target + plane * job.h * job.w
        if job.oh == 1 and job.ow == 1:
            share = dy[0] / (job.h * job.w)
            for ix in range(job.h * job.w):
                dx[ix] = share
            continue
        memset(dx, 0, job.h * job.w * sizeof(real))
        for oy in range(job.oh):
            top, bottom = _from(oy, job.h, job.oh), _to(oy, job.h, job.oh)
            for ox in range(job.ow):
                left, right = _from(ox, job.w, job.ow), _to(ox, job.w, job.ow)
                share = dy[oy * job.ow + ox] / ((bottom - top) * (right - left))
                for iy in range(top, bottom):
                    for ix in range(iy * job.w + left, iy * job.w + right):
                        dx[ix] += share


def adaptive_avg_pool2d(
    const real[:, :, :, ::1] x,    # IN   (N, C, H, W)
    real[:, :, :, ::1] y,          # OUT  (N, C, OH, OW)
    int n_threads,
):
    """Fill ``y``; planes (N * C) are shared among threads."""
    cdef Job job = Job(&x[0, 0, 0, 0], &y[0, 0, 0, 0], x.shape[2], x.shape[3], y.shape[2], y.shape[3],
                       0, 0, 0, 0, 0, 0, False, 0)
    with nogil:
        parallel_for(<task> &_adaptive_planes[real], &job, x.shape[0] * x.shape[1],
                     1 + ELEMENTS_PER_RANGE / (job.h * job.w), NULL, 0, n_threads)


def adaptive_avg_pool2d_backward(
    const real[:, :, :, ::1] dy,   # IN   (N, C, OH, OW)
    real[:, :, :, ::1] dx,         # OUT  (N, C, H, W)
    int n_threads,
):
    """Fill ``dx``; planes (N * C) are shared among threads."""
    cdef Job job = Job(&dy[0, 0, 0, 0], &dx[0, 0, 0, 0], dx.shape[2], dx.shape[3], dy.shape[2], dy.shape[3],
                       0, 0, 0, 0, 0, 0, False, 0)
    with nogil:
        parallel_for(<task> &_adaptive_planes_backward[real], &job, dx.shape[0] * dx.shape[1],
                     1 + ELEMENTS_PER_RANGE / (job.h * job.w), NULL, 0, n_threads)
