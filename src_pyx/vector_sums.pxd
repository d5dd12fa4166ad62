"""Sums of many numbers, in double, the largest, and batch normalization's loops; see vector_sums.h."""

from cnn_core.kernel_api cimport real

cdef extern from "vector_sums.h" nogil:
    const Py_ssize_t MOST_LANES
    double add_lanes(const double *lanes, Py_ssize_t n) noexcept
    double sum_f32(const float *x, Py_ssize_t n) noexcept
    double sum_f64(const double *x, Py_ssize_t n) noexcept
    double dot_f32(const float *x, const float *y, Py_ssize_t n) noexcept
    double dot_f64(const double *x, const double *y, Py_ssize_t n) noexcept
    void add_vectors_f32(const float *x, Py_ssize_t n, double *lanes) noexcept
    void add_vectors_f64(const double *x, Py_ssize_t n, double *lanes) noexcept
    float largest_f32(const float *x, Py_ssize_t n) noexcept
    double largest_f64(const double *x, Py_ssize_t n) noexcept
    void add_moments_f32(const float *x, float centre, Py_ssize_t n, double *first, double *second) noexcept
    void add_moments_f64(const double *x, double centre, Py_ssize_t n, double *first, double *second) noexcept
    ctypedef struct affine_numbers_f32:
        float centre, slope, scale, shift
    ctypedef struct affine_numbers_f64:
        double centre, slope, scale, shift
    ctypedef struct relu_gate_f32:
        float slope, shift
    ctypedef struct relu_gate_f64:
        double slope, shift

    void add_gradients_f32(
        const float *x, const float *dy, float centre, const relu_gate_f32 *gate, Py_ssize_t n,
        double *first, double *second,
    ) noexcept
    void add_gradients_f64(
        const double *x, const double *dy, double centre, const relu_gate_f64 *gate, Py_ssize_t n,
        double *first, double *second,
    ) noexcept
    void affine_of_x_f32(
        const float *x, float *out, affine_numbers_f32 a, bint relu, Py_ssize_t n
    ) noexcept
    void affine_of_x_f64(
        const double *x, double *out, affine_numbers_f64 a, bint relu, Py_ssize_t n
    ) noexcept
    void affine_of_both_f32(
        const float *x, const float *dy, float *out, affine_numbers_f32 a, const relu_gate_f32 *gate,
        Py_ssize_t n,
    ) noexcept
    void affine_of_both_f64(
        const double *x, const double *dy, double *out, affine_numbers_f64 a, const relu_gate_f64 *gate,
        Py_ssize_t n,
    ) noexcept


cdef inline double sum_of(const real *x, Py_ssize_t n) noexcept nogil:
    """x[0] + ... + x[n - 1]"""
    if real is float:
        return sum_f32(x, n)
    else:
        return sum_f64(x, n)


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


cdef inline void add_moments(
    const real *x, real centre, Py_ssize_t n, double *first, double *second
) noexcept nogil:
    """Add d and d * d, for d = x - centre, to lanes of sums."""
    if real is float:
        add_moments_f32(x, centre, n, first, second)
    else:
        add_moments_f64(x, centre, n, first, second)


cdef inline void add_gradients(
    const real *x, const real *dy, real centre, bint gated, real gate_slope, real gate_shift, Py_ssize_t n,
    double *first, double *second,
) noexcept nogil:
    """Add dy and dy * d, for d = x - centre, to lanes of sums; gated, dy counts where ReLU let y pass."""
    cdef relu_gate_f32 gate_f32
    cdef relu_gate_f64 gate_f64
    if real is float:
        gate_f32 = relu_gate_f32(gate_slope, gate_shift)
        add_gradients_f32(x, dy, centre, &gate_f32 if gated else NULL, n, first, second)
    else:
        gate_f64 = relu_gate_f64(gate_slope, gate_shift)
        add_gradients_f64(x, dy, centre, &gate_f64 if gated else NULL, n, first, second)


cdef inline void affine_of_x(
    const real *x, real *out, real centre, real slope, real shift, bint relu, Py_ssize_t n
) noexcept nogil:
    """out = (x - centre) * slope + shift, then ReLU if asked for"""
    if real is float:
        affine_of_x_f32(x, out, affine_numbers_f32(centre, slope, 0, shift), relu, n)
    else:
        affine_of_x_f64(x, out, affine_numbers_f64(centre, slope, 0, shift), relu, n)


cdef inline void affine_of_both(
    const real *x, const real *dy, real *out, real centre, real slope, real scale, real shift,
    bint gated, real gate_slope, real gate_shift, Py_ssize_t n,
) noexcept nogil:
    """out = (x - centre) * slope + dy * scale + shift; gated, dy counts where ReLU let y pass"""
    cdef relu_gate_f32 gate_f32
    cdef relu_gate_f64 gate_f64
    if real is float:
        gate_f32 = relu_gate_f32(gate_slope, gate_shift)
        affine_of_both_f32(
            x, dy, out, affine_numbers_f32(centre, slope, scale, shift), &gate_f32 if gated else NULL, n
        )
    else:
        gate_f64 = relu_gate_f64(gate_slope, gate_shift)
        affine_of_both_f64(
            x, dy, out, affine_numbers_f64(centre, slope, scale, shift), &gate_f64 if gated else NULL, n
        )
