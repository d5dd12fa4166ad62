"""Pooling of small planes, side by side in the lanes of vectors; see pool_planes.h."""

from libc.stdint cimport int32_t

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
