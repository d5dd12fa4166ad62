"""The column matrix of a convolution, and its adjoint; the loops are in im2col.h.

    im2col:  col[(n, i, j), (c, kh, kw)] = x[n, c, i*sh + kh*dh - ph, j*sw + kw*dw - pw]   (0 in the padding)
    col2im:  the same pairs, but x is the sum of the col elements that im2col would copy from it.

These two define convolution; conv2d itself never makes the matrix (see convolution.pxd).

Contract, guaranteed by cnn_core.functional and not checked again here: arrays are C-contiguous and
not empty, the output does not overlap the input, OH and OW follow from the other sizes. Every
element of the output is written.
"""

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task

import_kernel_api()

cdef enum:
    ELEMENTS_PER_RANGE = 1 << 15  # of the matrix; some 10 microseconds of work

cdef extern from "im2col.h" nogil:
    ctypedef struct unfolding:
        const void *source
        void *target
        Py_ssize_t N, C, H, W, KH, KW, sh, sw, ph, pw, dh, dw, OH, OW, group, n_groups, width

    Py_ssize_t plan_unfolding(unfolding *, Py_ssize_t itemsize, Py_ssize_t least_groups) noexcept
    void im2col_f32(const unfolding *, Py_ssize_t, Py_ssize_t, float *) noexcept
    void im2col_f64(const unfolding *, Py_ssize_t, Py_ssize_t, double *) noexcept
    void col2im_f32(const unfolding *, Py_ssize_t, Py_ssize_t, float *) noexcept
    void col2im_f64(const unfolding *, Py_ssize_t, Py_ssize_t, double *) noexcept


cdef void _run(task run, unfolding *job, Py_ssize_t n_items, Py_ssize_t grain, size_t scratch_bytes,
               int n_threads) noexcept nogil:
    cdef size_t each = scratch_bytes + 63 & ~<size_t> 63  # threads do not share cache lines
    cdef void *scratch = allocate(each * n_threads) if each > 0 else NULL
    if scratch is NULL:
        job.group = 0
    parallel_for(run, job, n_items, grain, scratch, each, n_threads)
    release(scratch)


def im2col(
    const real[:, :, :, ::1] x,         # IN   (N, C, H, W)
    real[:, ::1] col,                   # OUT  (N*OH*OW, C*KH*KW)
    Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t sh, Py_ssize_t sw, Py_ssize_t ph, Py_ssize_t pw,
    Py_ssize_t dh, Py_ssize_t dw, Py_ssize_t OH, Py_ssize_t OW, int n_threads,
):
    """Fill ``col``; rows of windows are shared among threads."""
    cdef unfolding job = unfolding(
        &x[0, 0, 0, 0], &col[0, 0], x.shape[0], x.shape[1], x.shape[2], x.shape[3],
        KH, KW, sh, sw, ph, pw, dh, dw, OH, OW, 0, 1, 0,
    )
    cdef task rows = <task> &im2col_f32 if real is float else <task> &im2col_f64
    with nogil:
        _run(rows, &job, job.N * OH, 1 + ELEMENTS_PER_RANGE / (OW * col.shape[1]),
             plan_unfolding(&job, sizeof(real), 1), n_threads)


def col2im(
    const real[:, ::1] col,             # IN   (N*OH*OW, C*KH*KW)
    real[:, :, :, ::1] x,               # OUT  (N, C, H, W)
    Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t sh, Py_ssize_t sw, Py_ssize_t ph, Py_ssize_t pw,
    Py_ssize_t dh, Py_ssize_t dw, Py_ssize_t OH, Py_ssize_t OW, int n_threads,
):
    """Fill ``x``; images, of small batches groups of their channels, are shared among threads."""
    cdef unfolding job = unfolding(
        &col[0, 0], &x[0, 0, 0, 0], x.shape[0], x.shape[1], x.shape[2], x.shape[3],
        KH, KW, sh, sw, ph, pw, dh, dw, OH, OW, 0, 1, 0,
    )
    cdef task groups = <task> &col2im_f32 if real is float else <task> &col2im_f64
    cdef Py_ssize_t enough = (2 * n_threads - 1) / job.N + 1 if n_threads > 1 else 1
    cdef Py_ssize_t scratch_bytes = plan_unfolding(&job, sizeof(real), enough)
    with nogil:
        _run(groups, &job, job.N * job.n_groups, 1, scratch_bytes, n_threads)
