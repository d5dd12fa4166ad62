"""Sums of many numbers, in double, the largest, and batch normalization's loops; see vector_sums.h."""

from cnn_core.kernel_api cimport real

cdef extern from "vector_sums.h" nogil:
    const Py_ssize_t MOST_LANES
    double add_lanes(const double *lanes, Py_ssize_t n) noexcept
    double sum_f32(const float *x, Py_ssize_t n) noexcept
    double sum_f64(const double *x, Py_ssize_t n) noexcept
    void means_f32(const float *x, Py_ssize_t n, Py_ssize_t n_means, float *means) noexcept
    void means_f64(const double *x, Py_ssize_t n, Py_ssize_t n_means, double *means) noexcept
    double dot_f32(const float *x, const float *y, Py_ssize_t n) noexcept
    double dot_f64(const double *x, const double *y, Py_ssize_t n) noexcept
    void add_vectors_f32(const float *x, Py_ssize_t n, double *lanes) noexcept
    void add_vectors_f64(const double *x, Py_ssize_t n, double *lanes) noexcept
    float largest_f32(const float *x, Py_ssize_t n) noexcept
    double largest_f64(const double *x, Py_ssize_t n) noexcept
    ctypedef struct channel_numbers:
        const void *centre
        const void *slope
        const void *scale
        const void *shift
        const void *gate_slope
        const void *gate_shift

    void add_moments_f32(
        const float *x, const channel_numbers *channels, Py_ssize_t n_channels, Py_ssize_t apart,
        Py_ssize_t n, float *sums, double *lanes,
    ) noexcept
    void add_moments_f64(
        const double *x, const channel_numbers *channels, Py_ssize_t n_channels, Py_ssize_t apart,
        Py_ssize_t n, double *sums, double *lanes,
    ) noexcept
    void add_gradients_f32(
        const float *x, const float *dy, const channel_numbers *channels, Py_ssize_t n_channels,
        Py_ssize_t apart, Py_ssize_t n, float *sums, double *lanes,
    ) noexcept
    void add_gradients_f64(
        const double *x, const double *dy, const channel_numbers *channels, Py_ssize_t n_channels,
        Py_ssize_t apart, Py_ssize_t n, double *sums, double *lanes,
    ) noexcept
    void empty_sums_f32(float *sums, Py_ssize_t n_channels, double *lanes) noexcept
    void empty_sums_f64(double *sums, Py_ssize_t n_channels, double *lanes) noexcept
    void affine_of_x_f32(
        const float *x, float *out, const channel_numbers *channels, bint relu, Py_ssize_t n_channels,
        Py_ssize_t begin, Py_ssize_t apart, Py_ssize_t n,
    ) noexcept
    void affine_of_x_f64(
        const double *x, double *out, const channel_numbers *channels, bint relu, Py_ssize_t n_channels,
        Py_ssize_t begin, Py_ssize_t apart, Py_ssize_t n,
    ) noexcept
    void affine_of_both_f32(
        const float *x, const float *dy, float *out, const channel_numbers *channels,
        Py_ssize_t n_channels, Py_ssize_t begin, Py_ssize_t apart, Py_ssize_t n,
    ) noexcept
    void affine_of_both_f64(
        const double *x, const double *dy, double *out, const channel_numbers *channels,
        Py_ssize_t n_channels, Py_ssize_t begin, Py_ssize_t apart, Py_ssize_t n,
    ) noexcept


cdef inline double sum_of(const real *x, Py_ssize_t n) noexcept nogil:
    """x[0] + ... + x[n - 1]"""
    if real is float:
        return sum_f32(x, n)
    else:
        return sum_f64(x, n)


cdef inline void means_of(const real *x, Py_ssize_t n, Py_ssize_t n_means, real *means) noexcept nogil:
    """The means of n neighbours each."""
    if real is float:
        means_f32(x, n, n_means, means)
    else:
        means_f64(x, n, n_means, means)


cdef inline double dot_of(const real *x, const real *y, Py_ssize_t n) noexcept nogil:
    """x[0] * y[0] + ... + x[n - 1] * y[n - 1]"""
    if real is float:
        return dot_f32(x, y, n)
    else:
        return dot_f64(x, y, n)


cdef inline void add_vectors(const real *x, Py_ssize_t n, double *lanes) noexcept nogil:
    """lanes[i] += x[i] + x[LANES + i] + ..., n vectors"""
    if real is float:
        add_vectors_f32(x, n, lanes)
    else:
        add_vectors_f64(x, n, lanes)


cdef inline real largest_of(const real *x, Py_ssize_t n) noexcept nogil:
    """The largest of 32 numbers or more, NaN passed over."""
    if real is float:
        return largest_f32(x, n)
    else:
        return largest_f64(x, n)
