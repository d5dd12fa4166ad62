"""Pooling of small planes, side by side in the lanes of vectors; see pool_planes.h."""

from libc.stdint cimport int32_t

from cnn_core.kernel_api cimport allocate, parallel_for, release, task

cdef enum:
    ELEMENTS_PER_RANGE = 1 << 16  # inputs; some 10 microseconds of work

cdef extern from "pool_planes.h" nogil:
    enum: PLANE_LANES
    ctypedef struct pooling_planes:
        const void *source
        void *target
        int32_t *indices
        Py_ssize_t n_planes, h, w, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw
        int relu, count_padding
        double divisor

    Py_ssize_t planes_bytes(
        Py_ssize_t n_planes, Py_ssize_t pixels, Py_ssize_t windows, Py_ssize_t arrays
    ) noexcept
    void max_pool_planes(const pooling_planes *, Py_ssize_t, Py_ssize_t, void *) noexcept
    void avg_pool_planes(const pooling_planes *, Py_ssize_t, Py_ssize_t, void *) noexcept
    void avg_unpool_planes(const pooling_planes *, Py_ssize_t, Py_ssize_t, void *) noexcept


cdef inline bint run_planes(
    task run, const pooling_planes *planes, Py_ssize_t arrays, int n_threads
) noexcept nogil:
    """Run the task, with ``arrays`` of the windows, if planes are small but many; otherwise return False."""
    cdef Py_ssize_t pixels = planes.h * planes.w
    cdef Py_ssize_t each = planes_bytes(planes.n_planes, pixels, planes.oh * planes.ow, arrays)
    cdef void *scratch = allocate(each * n_threads) if each > 0 else NULL
    if scratch is NULL:
        return False
    parallel_for(run, planes, (planes.n_planes + PLANE_LANES - 1) / PLANE_LANES,
                 1 + ELEMENTS_PER_RANGE / (PLANE_LANES * pixels), scratch, each, n_threads)
    release(scratch)
    return True
