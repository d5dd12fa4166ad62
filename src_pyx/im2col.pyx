"""The column matrix of a convolution, and its adjoint.

    im2col:  col[(n, i, j), (c, kh, kw)] = x[n, c, i*sh + kh*dh - ph, j*sw + kw*dw - pw]   (0 in the padding)
    col2im:  the same pairs, but x is the sum of the col elements that im2col would copy from it.

These two define convolution; conv2d itself never makes the matrix (see convolution.pxd).

Contract, guaranteed by cnn_core.functional and not checked again here: arrays are C-contiguous and
not empty, the output does not overlap the input, OH and OW follow from the other sizes. Every
element of the output is written.
"""

from libc.string cimport memset

from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task

import_kernel_api()

cdef struct Job:
    const void *source
    void *target
    Py_ssize_t N, C, H, W, KH, KW, sh, sw, ph, pw, dh, dw, OH, OW


# Rows of windows: item = (n, i) fills col's rows (n, i, 0 ... OW).
cdef void _im2col_rows(const Job *s, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t item, n, i, j, c, kh, kw, h, w
    cdef Py_ssize_t columns = s.C * s.KH * s.KW
    cdef const real *row
    cdef real *col
    for item in range(first, last):
        n, i = item // s.OH, item % s.OH
        for c in range(s.C):
            for kh in range(s.KH):
                col = <real *> s.target + item * s.OW * columns + (c * s.KH + kh) * s.KW
                h = i * s.sh + kh * s.dh - s.ph
                if h < 0 or h >= s.H:
                    for j in range(s.OW):
                        for kw in range(s.KW):
                            col[j * columns + kw] = 0
                    continue
                row = <const real *> s.source + ((n * s.C + c) * s.H + h) * s.W
                for j in range(s.OW):
                    w = j * s.sw - s.pw
                    if w >= 0 and w + (s.KW - 1) * s.dw < s.W:
                        for kw in range(s.KW):
                            col[kw] = row[w + kw * s.dw]
                    else:
                        for kw in range(s.KW):
                            col[kw] = row[w + kw * s.dw] if 0 <= w + kw * s.dw < s.W else 0
                    col += columns


# Planes: item = (n, c) gathers all that falls on its pixels, always in the order of the windows.
cdef void _col2im_planes(const Job *s, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t item, n, c, i, j, kh, kw, h, w
    cdef Py_ssize_t columns = s.C * s.KH * s.KW
    cdef const real *col
    cdef real *plane
    cdef real *row
    for item in range(first, last):
        n, c = item // s.C, item % s.C
        plane = <real *> s.target + item * s.H * s.W
        memset(plane, 0, s.H * s.W * sizeof(real))
        for i in range(s.OH):
            for kh in range(s.KH):
                h = i * s.sh + kh * s.dh - s.ph
                if h < 0 or h >= s.H:
                    continue
                row = plane + h * s.W
                col = <const real *> s.source + (n * s.OH + i) * s.OW * columns + (c * s.KH + kh) * s.KW
                for j in range(s.OW):
                    w = j * s.sw - s.pw
                    for kw in range(s.KW):
                        if 0 <= w + kw * s.dw < s.W:
                            row[w + kw * s.dw] += col[kw]
                    col += columns


def im2col(
    const real[:, :, :, ::1] x,         # IN   (N, C, H, W)
    real[:, ::1] col,                   # OUT  (N*OH*OW, C*KH*KW)
    Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t sh, Py_ssize_t sw, Py_ssize_t ph, Py_ssize_t pw,
    Py_ssize_t dh, Py_ssize_t dw, Py_ssize_t OH, Py_ssize_t OW, int n_threads,
):
    """Fill ``col``; rows of windows are shared among threads."""
    cdef Job job = Job(
        &x[0, 0, 0, 0], &col[0, 0], x.shape[0], x.shape[1], x.shape[2], x.shape[3],
        KH, KW, sh, sw, ph, pw, dh, dw, OH, OW,
    )
    with nogil:
        parallel_for(<task> &_im2col_rows[real], &job, job.N * OH, 1, NULL, 0, n_threads)


def col2im(
    const real[:, ::1] col,             # IN   (N*OH*OW, C*KH*KW)
    real[:, :, :, ::1] x,               # OUT  (N, C, H, W)
    Py_ssize_t KH, Py_ssize_t KW, Py_ssize_t sh, Py_ssize_t sw, Py_ssize_t ph, Py_ssize_t pw,
    Py_ssize_t dh, Py_ssize_t dw, Py_ssize_t OH, Py_ssize_t OW, int n_threads,
):
    """Fill ``x``; planes (N * C) are shared among threads."""
    cdef Job job = Job(
        &col[0, 0], &x[0, 0, 0, 0], x.shape[0], x.shape[1], x.shape[2], x.shape[3],
        KH, KW, sh, sw, ph, pw, dh, dw, OH, OW,
    )
    with nogil:
        parallel_for(<task> &_col2im_planes[real], &job, job.N * job.C, 1, NULL, 0, n_threads)
