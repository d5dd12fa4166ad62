"""Max pooling over NCHW that remembers which input won; the loops are in max_pool.h.

Contract, guaranteed by cnn_core.functional and not checked again here:

* arrays are C-contiguous and not empty; outputs do not overlap inputs;
* every window holds at least one input, and H * W fits in int32.

Every element of the outputs is written.  The first maximum of a window wins, NaN wins over all numbers (the
last NaN, as in torch), padding never wins.
"""

from libc.stdint cimport int32_t

from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task
from pool_planes cimport ELEMENTS_PER_RANGE, max_pool_planes, pooling_planes, run_planes

cdef extern from "max_pool.h" nogil:
    ctypedef struct max_pooling:
        const void *x
        void *y
        int32_t *indices
        Py_ssize_t n_planes, h, w, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw
        int relu

    ctypedef struct max_unpooling:
        const void *dy
        const int32_t *indices
        void *dx
        Py_ssize_t h, w, oh, ow
        int relu, wrong

    void max_pool_f32(const max_pooling *, Py_ssize_t, Py_ssize_t, float *) noexcept
    void max_pool_f64(const max_pooling *, Py_ssize_t, Py_ssize_t, double *) noexcept
    void max_unpool_f32(max_unpooling *, Py_ssize_t, Py_ssize_t, float *) noexcept
    void max_unpool_f64(max_unpooling *, Py_ssize_t, Py_ssize_t, double *) noexcept

    int is_by_two(const max_pooling *) noexcept

import_kernel_api()


cdef bint _by_planes(const max_pooling *job, int n_threads) noexcept nogil:
    """Do the job if planes of float32 are small but many; otherwise return False."""
    cdef pooling_planes planes = pooling_planes(
        job.x, job.y, job.indices, job.n_planes, job.h, job.w, job.oh, job.ow, job.kh, job.kw, job.sh, job.sw,
        job.ph, job.pw, job.dh, job.dw, job.relu, False, 0,
    )
    return run_planes(<task> &max_pool_planes, &planes, 2, n_threads)


def max_pool2d(
    const real[:, :, :, ::1] x,        # IN   (N, C, H, W)
    real[:, :, :, ::1] y,              # OUT  (N, C, OH, OW)
    int32_t[:, :, :, ::1] indices,     # OUT  same shape as y: h * W + w of each winner; or None
    Py_ssize_t kh, Py_ssize_t kw,
    Py_ssize_t sh, Py_ssize_t sw,
    Py_ssize_t ph, Py_ssize_t pw,
    Py_ssize_t dh, Py_ssize_t dw,
    bint relu,
    int n_threads,
):
    """Fill ``y``, and ``indices`` unless it is None; rows of windows are shared among threads.

    With ``relu``, ``y`` has gone through ReLU, and where that gives zero, the index is minus one.
    """
    cdef max_pooling job = max_pooling(
        &x[0, 0, 0, 0], &y[0, 0, 0, 0], NULL, x.shape[0] * x.shape[1],
        x.shape[2], x.shape[3], y.shape[2], y.shape[3], kh, kw,
        # a stride beyond the padded image has one window, and might overflow where lanes have others
        min(sh, x.shape[2] + 2 * ph), min(sw, x.shape[3] + 2 * pw), ph, pw, dh, dw, relu,
    )
    if indices is not None:
        job.indices = &indices[0, 0, 0, 0]
    cdef task rows = <task> &max_pool_f32 if real is float else <task> &max_pool_f64
    cdef Py_ssize_t grain = 1 + ELEMENTS_PER_RANGE * job.oh / (job.h * job.w)
    if grain > job.oh:
        grain -= grain % job.oh  # whole planes
    else:
        grain += 3 - (grain + 3) % 4      # as many rows as are done at a time
    # Windows of stride two in rows that are wide enough fill vectors better.
    cdef bint by_planes = real is float and not (is_by_two(&job) and job.ow >= (4 if kh == 2 else 16))
    with nogil:
        if not (by_planes and _by_planes(&job, n_threads)):
            parallel_for(rows, &job, job.n_planes * job.oh, grain, NULL, 0, n_threads)


def max_pool2d_backward(
    const real[:, :, :, ::1] dy,            # IN   (N, C, OH, OW)
    const int32_t[:, :, :, ::1] indices,    # IN   same shape as dy
    real[:, :, :, ::1] dx,                  # OUT  (N, C, H, W)
    bint relu,
    int n_threads,
):
    """Fill ``dx``; planes (N * C) are shared among threads.

    Returns whether all indices were in 0 <= i < H * W, or minus one with ``relu``; if not, ``dx`` holds
    nothing of use.
    """
    cdef max_unpooling job = max_unpooling(
        &dy[0, 0, 0, 0], &indices[0, 0, 0, 0], &dx[0, 0, 0, 0],
        dx.shape[2], dx.shape[3], dy.shape[2], dy.shape[3], relu, 0,
    )
    cdef task planes = <task> &max_unpool_f32 if real is float else <task> &max_unpool_f64
    with nogil:
        parallel_for(planes, &job, dx.shape[0] * dx.shape[1],
                     1 + ELEMENTS_PER_RANGE / (job.h * job.w), NULL, 0, n_threads)
    return job.wrong == 0
