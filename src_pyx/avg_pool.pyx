"""Average pooling over NCHW: sliding windows, and adaptive ones (global pooling is one window).

Contract, guaranteed by cnn_core.functional and not checked again here:

* arrays are C-contiguous and not empty; outputs do not overlap inputs;
* every sliding window holds at least one input.

Every element of the outputs is written.  The divisor of a sliding window is ``divisor`` if that is not 0;
else the window's inputs and, with ``count_padding``, its padding (but not what lies beyond the padding).

Four ways lead there, of which `_pool` takes the first that suits the windows: whole images, 2x2 side by side
(avg_pool.h), small planes side by side in vectors (pool_planes.h), and rows (avg_pool_rows.pxd).
"""

from avg_pool_rows cimport FEW_TAPS, average_by_rows
from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task
from pool_planes cimport (
    ELEMENTS_PER_RANGE, avg_pool_planes, avg_unpool_planes, pooling_planes, run_planes,
)
from vector_sums cimport means_of

import_kernel_api()

cdef enum:
    WIDE = 32  # pixels of a row that fill vectors as well as planes do

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


cdef void _global_means(
    const pooling_planes *job, Py_ssize_t first, Py_ssize_t last, real *scratch
) noexcept nogil:
    cdef Py_ssize_t pixels = job.h * job.w
    means_of(<const real *> job.source + first * pixels, pixels, last - first, <real *> job.target + first)


cdef void _global_shares(
    const pooling_planes *job, Py_ssize_t first, Py_ssize_t last, real *scratch
) noexcept nogil:
    cdef Py_ssize_t pixels = job.h * job.w, plane, i
    cdef real *dx
    cdef real share
    for plane in range(first, last):
        dx = <real *> job.target + plane * pixels
        share = (<const real *> job.source)[plane] / pixels
        for i in range(pixels):
            dx[i] = share


cdef bint _by_images(const pooling_planes *planes, bint forward, real *out, int n_threads) noexcept nogil:
    """Do the job if each image is one window; otherwise return False."""
    if planes.kh != planes.h or planes.kw != planes.w or not planes.ph == planes.pw == planes.divisor == 0:
        return False
    parallel_for(<task> &_global_means[real] if forward else <task> &_global_shares[real], planes,
                 planes.n_planes, 1 + ELEMENTS_PER_RANGE / (planes.h * planes.w), NULL, 0, n_threads)
    return True


cdef bint _by_2x2(const pooling_planes *planes, bint forward, real *out, int n_threads) noexcept nogil:
    """Do the job if its windows are 2x2, side by side and enough for vectors; otherwise return False."""
    cdef averaging by_2x2 = averaging(
        planes.source, planes.target, planes.h, planes.w, planes.oh, planes.ow, 0,
        1 / (planes.divisor if planes.divisor != 0 else 4),
    )
    cdef task run
    if not (planes.kh == planes.kw == planes.sh == planes.sw == 2 and planes.ph == planes.pw == 0):
        return False
    if planes.oh != planes.h / 2 or planes.ow != planes.w / 2:
        return False
    if real is float:
        by_2x2.rows_per_item = rows_per_item_f32(planes.oh, planes.ow)
        run = <task> &average_2x2_f32 if forward else <task> &share_2x2_f32
    else:
        by_2x2.rows_per_item = rows_per_item_f64(planes.oh, planes.ow)
        run = <task> &average_2x2_f64 if forward else <task> &share_2x2_f64
    if by_2x2.rows_per_item == 0:
        return False
    if planes.h == 2 * planes.oh:  # the planes are one high plane
        by_2x2.h *= planes.n_planes
        by_2x2.oh *= planes.n_planes
    parallel_for(run, &by_2x2, planes.n_planes * planes.oh / by_2x2.rows_per_item,
                 1 + ELEMENTS_PER_RANGE / (2 * by_2x2.rows_per_item * planes.w), NULL, 0, n_threads)
    return True


cdef bint _by_planes(const pooling_planes *planes, bint forward, real *out, int n_threads) noexcept nogil:
    """Do the job if planes of float32 are small but many, and windows of few taps; otherwise return False."""
    if real is double:
        return False
    else:
        if planes.w >= WIDE and (
            (planes.sw == 1 and planes.kw >= 3) or (planes.sw == 2 and planes.kw == 3) or planes.sw >= 6
        ):
            return False  # rows are faster
        if max(planes.kh, planes.kw) > FEW_TAPS or min(planes.kh, planes.kw) == 0:
            return False
        return run_planes(<task> &avg_pool_planes if forward else <task> &avg_unpool_planes, planes, 1,
                          n_threads)


cdef _pool(const pooling_planes *planes, bint forward, real *out, int n_threads):
    cdef bint done
    with nogil:
        done = (
            _by_images(planes, forward, out, n_threads) or _by_2x2(planes, forward, out, n_threads)
            or _by_planes(planes, forward, out, n_threads) or average_by_rows(planes, forward, out, n_threads)
        )
    if not done:
        raise MemoryError("average pooling: no memory for its working buffers")


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
    cdef pooling_planes planes = pooling_planes(
        &x[0, 0, 0, 0], &y[0, 0, 0, 0], NULL, x.shape[0] * x.shape[1], x.shape[2], x.shape[3],
        y.shape[2], y.shape[3], kh, kw, sh, sw, ph, pw, 1, 1, False, count_padding, divisor,
    )
    _pool(&planes, True, &y[0, 0, 0, 0], n_threads)


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
    """Fill ``dx``; its rows are shared among threads."""
    cdef pooling_planes planes = pooling_planes(
        &dy[0, 0, 0, 0], &dx[0, 0, 0, 0], NULL, dx.shape[0] * dx.shape[1], dx.shape[2], dx.shape[3],
        dy.shape[2], dy.shape[3], kh, kw, sh, sw, ph, pw, 1, 1, False, count_padding, divisor,
    )
    _pool(&planes, False, &dx[0, 0, 0, 0], n_threads)


cdef pooling_planes _adaptive(
    const void *source, void *target, Py_ssize_t n_planes,
    Py_ssize_t h, Py_ssize_t w, Py_ssize_t oh, Py_ssize_t ow,
):
    """Sliding windows side by side where the sizes allow it; otherwise kernel 0 stands for adaptive ones."""
    cdef Py_ssize_t kh = h / oh if h % oh == 0 else 0, kw = w / ow if w % ow == 0 else 0
    return pooling_planes(
        source, target, NULL, n_planes, h, w, oh, ow, kh, kw, kh, kw, 0, 0, 1, 1, False, False, 0
    )


def adaptive_avg_pool2d(
    const real[:, :, :, ::1] x,    # IN   (N, C, H, W)
    real[:, :, :, ::1] y,          # OUT  (N, C, OH, OW)
    int n_threads,
):
    """Fill ``y``; rows of windows are shared among threads."""
    cdef pooling_planes planes = _adaptive(
        &x[0, 0, 0, 0], &y[0, 0, 0, 0], x.shape[0] * x.shape[1], x.shape[2], x.shape[3],
        y.shape[2], y.shape[3]
    )
    _pool(&planes, True, &y[0, 0, 0, 0], n_threads)


def adaptive_avg_pool2d_backward(
    const real[:, :, :, ::1] dy,   # IN   (N, C, OH, OW)
    real[:, :, :, ::1] dx,         # OUT  (N, C, H, W)
    int n_threads,
):
    """Fill ``dx``; its rows are shared among threads."""
    cdef pooling_planes planes = _adaptive(
        &dy[0, 0, 0, 0], &dx[0, 0, 0, 0], dx.shape[0] * dx.shape[1], dx.shape[2], dx.shape[3],
        dy.shape[2], dy.shape[3]
    )
    _pool(&planes, False, &dx[0, 0, 0, 0], n_threads)
