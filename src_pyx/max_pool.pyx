"""Max pooling over NCHW that remembers which input won.

Contract, guaranteed by cnn_core.functional and not checked again here:

* arrays are C-contiguous and not empty; outputs do not overlap inputs;
* every window holds at least one input, and H * W fits in int32;
* indices given to the backward pass lie in 0 <= i < H * W.

Every element of the outputs is written.  The first maximum of a window wins, NaN wins over all numbers (the
last NaN, as in torch), padding never wins.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t
from libc.string cimport memset

from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task
from windows cimport end_tap, end_window, first_tap, first_window

import_kernel_api()

cdef enum:
    ELEMENTS_PER_RANGE = 1 << 15  # inputs; some 10 microseconds of work

cdef struct Forward:
    const void *x
    void *y
    int32_t *indices  # NULL if nobody asks for them
    Py_ssize_t h, w, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw


cdef inline void _fold(
    const real *restrict x, real *restrict y, int32_t *restrict index, int n,
    int stride, int32_t here, bint indexed
) noexcept nogil:
    """Let one tap of n windows side by side compete with the best of the taps before it."""
    cdef int i
    cdef real value
    cdef bint wins
    for i in range(n):
        value = x[i * stride]
        if indexed:
            wins = (value > y[i]) | (value != value) | (index[i] < 0)  # the first tap always wins
            index[i] = here + i * stride if wins else index[i]
        else:
            wins = (value > y[i]) | (value != value)
        y[i] = value if wins else y[i]


cdef inline void _row(
    const Forward *job, const real *x, real *y, int32_t *index, Py_ssize_t oy, bint indexed
) noexcept nogil:
    """One row of windows: a running maximum over the taps, all windows at a time."""
    cdef Py_ssize_t top = oy * job.sh - job.ph, ky, kx, tap, first, n, here, ox
    # Outside of these, a tap is padding for every window.
    cdef Py_ssize_t kx_first = first_tap((job.ow - 1) * job.sw - job.pw, job.dw)
    cdef Py_ssize_t kx_end = end_tap(-job.pw, job.w, job.kw, job.dw)
    for ox in range(job.ow):
        y[ox] = -INFINITY
        if indexed:
            index[ox] = -1
    for ky in range(first_tap(top, job.dh), end_tap(top, job.h, job.kh, job.dh)):
        for kx in range(kx_first, kx_end):
            tap = kx * job.dw - job.pw
            first = first_window(tap, job.sw)
            n = end_window(tap, job.w, job.ow, job.sw) - first
            here = (top + ky * job.dh) * job.w + tap + first * job.sw
            if job.sw == 1:  # the compiler vectorises strides that it knows
                _fold(x + here, y + first, index + first, n, 1, here, indexed)
            elif job.sw == 2:
                _fold(x + here, y + first, index + first, n, 2, here, indexed)
            else:
                _fold(x + here, y + first, index + first, n, job.sw, here, indexed)


cdef void _rows(const Forward *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t row
    cdef const real *x
    cdef real *y
    for row in range(first, last):
        x = <const real *> job.x + row / job.oh * (job.h * job.w)
        y = <real *> job.y + row * job.ow
        if job.indices is not NULL:
            _row(job, x, y, job.indices + row * job.ow, row % job.oh, True)
        else:
            _row(job, x, y, <int32_t *> NULL, row % job.oh, False)


def max_pool2d(
    const real[:, :, :, ::1] x,        # IN   (N, C, H, W)
    real[:, :, :, ::1] y,              # OUT  (N, C, OH, OW)
    int32_t[:, :, :, ::1] indices,     # OUT  same shape as y: h * W + w of each winner; or None
    Py_ssize_t kh, Py_ssize_t kw,
    Py_ssize_t sh, Py_ssize_t sw,
    Py_ssize_t ph, Py_ssize_t pw,
    Py_ssize_t dh, Py_ssize_t dw,
    int n_threads,
):
    """Fill ``y``, and ``indices`` unless it is None; rows of windows are shared among threads."""
    cdef Forward job = Forward(
        &x[0, 0, 0, 0], &y[0, 0, 0, 0], NULL,
        x.shape[2], x.shape[3], y.shape[2], y.shape[3], kh, kw, sh, sw, ph, pw, dh, dw,
    )
    if indices is not None:
        job.indices = &indices[0, 0, 0, 0]
    cdef Py_ssize_t n_rows = y.shape[0] * y.shape[1] * y.shape[2]
    cdef Py_ssize_t grain = 1 + ELEMENTS_PER_RANGE * job.oh / (job.h * job.w)
    with nogil:
        parallel_for(<task> &_rows[real], &job, n_rows, grain, NULL, 0, n_threads)


cdef struct Backward:
    const void *dy
    const int32_t *indices
    void *dx
    Py_ssize_t in_plane, out_plane


cdef void _planes(const Backward *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    """Send each dy to the input that won; inputs that win in several windows sum theirs."""
    cdef Py_ssize_t plane, i
    cdef const real *dy
    cdef real *dx
    cdef const int32_t *indices
    for plane in range(first, last):
        dy = <const real *> job.dy + plane * job.out_plane
        dx = <real *> job.dx + plane * job.in_plane
        indices = job.indices + plane * job.out_plane
        memset(dx, 0, job.in_plane * sizeof(real))
        for i in range(job.out_plane):
            dx[indices[i]] += dy[i]


def max_pool2d_backward(
    const real[:, :, :, ::1] dy,            # IN   (N, C, OH, OW)
    const int32_t[:, :, :, ::1] indices,    # IN   same shape as dy
    real[:, :, :, ::1] dx,                  # OUT  (N, C, H, W)
    int n_threads,
):
    """Fill ``dx``; planes (N * C) are shared among threads."""
    cdef Backward job = Backward(
        &dy[0, 0, 0, 0], &indices[0, 0, 0, 0], &dx[0, 0, 0, 0],
        dx.shape[2] * dx.shape[3], dy.shape[2] * dy.shape[3],
    )
    with nogil:
        parallel_for(<task> &_planes[real], &job, dx.shape[0] * dx.shape[1],
                     1 + ELEMENTS_PER_RANGE / job.in_plane, NULL, 0, n_threads)
