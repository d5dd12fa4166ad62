"""The register tiles of simd/tiles.h for the fused type ``real``."""

from cnn_core.kernel_api cimport real

cdef extern from "tiles.h" nogil:
    enum: OUTER_ROWS
    enum: DOT_BYTES

    void outer_product_f32(
        const float *a, const float *x, const Py_ssize_t *offset, Py_ssize_t n_k, const float *bias,
        float *y, Py_ssize_t y_stride, Py_ssize_t n_m, Py_ssize_t n_q,
    ) noexcept
    void outer_product_f64(
        const double *a, const double *x, const Py_ssize_t *offset, Py_ssize_t n_k, const double *bias,
        double *y, Py_ssize_t y_stride, Py_ssize_t n_m, Py_ssize_t n_q,
    ) noexcept
    void dot_product_f32(
        const float *a, Py_ssize_t a_stride, const float *x, const Py_ssize_t *offset, Py_ssize_t n_q,
        Py_ssize_t n_images, Py_ssize_t a_image, Py_ssize_t x_image,
        float *y, Py_ssize_t y_stride, Py_ssize_t n_m, Py_ssize_t n_k,
    ) noexcept
    void dot_product_f64(
        const double *a, Py_ssize_t a_stride, const double *x, const Py_ssize_t *offset, Py_ssize_t n_q,
        Py_ssize_t n_images, Py_ssize_t a_image, Py_ssize_t x_image,
        double *y, Py_ssize_t y_stride, Py_ssize_t n_m, Py_ssize_t n_k,
    ) noexcept


# y[m, q] = bias[m] + sum over k of a[k, m] * x[offset[k] + q]; `a` packed in panels of OUTER_ROWS
cdef inline void outer_product(
    const real *a, const real *x, const Py_ssize_t *offset, Py_ssize_t n_k, const real *bias,
    real *y, Py_ssize_t y_stride, Py_ssize_t n_m, Py_ssize_t n_q,
) noexcept nogil:
    if real is float:
        outer_product_f32(a, x, offset, n_k, bias, y, y_stride, n_m, n_q)
    else:
        outer_product_f64(a, x, offset, n_k, bias, y, y_stride, n_m, n_q)


# y[m, k] += sum over images and q of a[image, m, q] * x[image, offset[k] + q]
cdef inline void dot_product(
    const real *a, Py_ssize_t a_stride, const real *x, const Py_ssize_t *offset, Py_ssize_t n_q,
    Py_ssize_t n_images, Py_ssize_t a_image, Py_ssize_t x_image,
    real *y, Py_ssize_t y_stride, Py_ssize_t n_m, Py_ssize_t n_k,
) noexcept nogil:
    if real is float:
        dot_product_f32(a, a_stride, x, offset, n_q, n_images, a_image, x_image, y, y_stride, n_m, n_k)
    else:
        dot_product_f64(a, a_stride, x, offset, n_q, n_images, a_image, x_image, y, y_stride, n_m, n_k)


# Where row m, step k of a matrix with n_k steps lies once it is packed for outer_product.
cdef inline Py_ssize_t packed_index(
    Py_ssize_t m, Py_ssize_t k, Py_ssize_t n_m, Py_ssize_t n_k,
) noexcept nogil:
    cdef Py_ssize_t first = m - m % OUTER_ROWS
    return first * n_k + k * min(OUTER_ROWS, n_m - first) + m % OUTER_ROWS
