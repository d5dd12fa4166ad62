"""How a convolution sees its image: planes in which every tap is a plain shift.

An output pixel (i, j) and a tap (kh, kw) meet at row i*sh + kh*dh and column j*sw + kw*dw of the
padded image. Split the padded rows by their remainder modulo sh, the columns modulo sw:

    stride 1 (one plane)          stride 2 (four planes)
    a b c d                       a c | b d        tap (0, 0) reads plane (0, 0) at a
    e f g h                       i k | j l        tap (0, 1) reads plane (0, 1) at b
    i j k l                       ----+----        tap (0, 2) reads plane (0, 0) at c: one to the right
    m n o p                       e g | f h        tap (1, 0) reads plane (1, 0) at e
                                  m o | n p

Within a plane, going to the next output pixel is going to the next number: pixel (i, j) is number
i*width + j, the same for every tap up to an offset. So the column matrix of im2col is rows of
these planes, and a convolution multiplies by it without making it. The price is a few columns at
the end of each row (width - OW) that are computed and thrown away.
"""

from cnn_core.kernel_api cimport real

cdef extern from "vectors.h" nogil:
    void copy_row(void *to, const void *source, size_t n_bytes) noexcept
    void clear_row(void *to, size_t n_bytes) noexcept
    void fetch_row(const void *source, size_t n_bytes) noexcept

cdef struct Shape:
    Py_ssize_t N, C, H, W             # input
    Py_ssize_t F, OH, OW              # output
    Py_ssize_t KH, KW, sh, sw, ph, pw, dh, dw, groups


# Planes, and rows and columns of one beyond the output's own, that the taps reach into.
cdef inline Py_ssize_t planes_along(Py_ssize_t K, Py_ssize_t stride, Py_ssize_t dilation) noexcept nogil:
    return min(stride, (K - 1) * dilation + 1)


cdef inline Py_ssize_t reach(Py_ssize_t K, Py_ssize_t stride, Py_ssize_t dilation) noexcept nogil:
    return (K - 1) * dilation // stride


# The planes of rows first ... first + n_rows of one image's output: (C, planes, planes, rows, width).
cdef inline void copy_planes(
    const Shape *s, const real *x, Py_ssize_t first, Py_ssize_t n_rows, Py_ssize_t width, real *planes,
) noexcept nogil:
    cdef Py_ssize_t rows = n_rows + reach(s.KH, s.sh, s.dh)
    cdef Py_ssize_t c, a, b, i, j, top, end_row, left, end, gap
    cdef const real *source
    for c in range(s.C):
        for a in range(planes_along(s.KH, s.sh, s.dh)):
            _inside(rows, s.H, s.sh, s.ph - a - first * s.sh, &top, &end_row)
            for b in range(planes_along(s.KW, s.sw, s.dw)):
                _inside(width, s.W, s.sw, s.pw - b, &left, &end)
                # what is outside the image: rows above, what is left of the first row, between
                # two rows, right of the last one, rows below
                clear_row(planes, (top * width + (left if top < end_row else 0)) * sizeof(real))
                planes += top * width
                for i in range(top, end_row):
                    source = x + (c * s.H + (first + i) * s.sh + a - s.ph) * s.W + b - s.pw
                    if s.sw == 1:
                        copy_row(planes + left, source + left, (end - left) * sizeof(real))
                        fetch_row(source + left + s.C * s.H * s.W, (end - left) * sizeof(real))
                    elif s.sw == 2:     # a stride that the compiler knows
                        for j in range(left, end):
                            planes[j] = source[2 * j]
                    else:
                        for j in range(left, end):
                            planes[j] = source[j * s.sw]
                    gap = width - end + (left if i + 1 < end_row else 0)
                    clear_row(planes + end, gap * sizeof(real))
                    planes += width
                clear_row(planes, (rows - end_row) * width * sizeof(real))
                planes += (rows - end_row) * width


# Of numbers 0 ... count, those that lie inside an image of `size`: number j is pixel j * stride - padding.
# first ... end, which are the same where none does.
cdef inline void _inside(
    Py_ssize_t count, Py_ssize_t size, Py_ssize_t stride, Py_ssize_t padding,
    Py_ssize_t *first, Py_ssize_t *end,
) noexcept nogil:
    first[0] = min(count, (padding + stride - 1) // stride if padding > 0 else 0)
    end[0] = max(first[0], min(count, (size + padding + stride - 1) // stride if size + padding > 0 else 0))


# offset[k] of tap k = (c, kh, kw) within one group's planes, each `plane` numbers long.
cdef inline void tap_offsets(
    const Shape *s, Py_ssize_t width, Py_ssize_t plane, Py_ssize_t *offset,
) noexcept nogil:
    cdef Py_ssize_t planes_h = planes_along(s.KH, s.sh, s.dh), planes_w = planes_along(s.KW, s.sw, s.dw)
    cdef Py_ssize_t c, kh, kw, k = 0, a, b
    for c in range(s.C // s.groups):
        for kh in range(s.KH):
            for kw in range(s.KW):
                a = kh * s.dh % s.sh
                b = kw * s.dw % s.sw
                offset[k] = (
                    ((c * planes_h + a) * planes_w + b) * plane
                    + (kh * s.dh // s.sh) * width + kw * s.dw // s.sw
                )
                k += 1
