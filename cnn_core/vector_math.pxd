"""exp, tanh, log and log1p over ``real`` that vectorise; see include/cnn_core/vector_math.h.

Declarations only. For kernels of other packages, too: what is compiled into one does not change under it.
"""

from cnn_core.kernel_api cimport real

cdef extern from "cnn_core/vector_math.h" nogil:
    float exp_f32(float x) noexcept
    double exp_f64(double x) noexcept
    float tanh_f32(float x) noexcept
    double tanh_f64(double x) noexcept
    float log1p_unit_f32(float x) noexcept
    double log1p_unit_f64(double x) noexcept
    float log_from_one_f32(float x) noexcept
    double log_from_one_f64(double x) noexcept


cdef inline real exp(real x) noexcept nogil:
    if real is float:
        return exp_f32(x)
    else:
        return exp_f64(x)


cdef inline real tanh(real x) noexcept nogil:
    if real is float:
        return tanh_f32(x)
    else:
        return tanh_f64(x)


cdef inline real log1p_unit(real x) noexcept nogil:
    """log(1 + x) for 0 <= x <= 1."""
    if real is float:
        return log1p_unit_f32(x)
    else:
        return log1p_unit_f64(x)


cdef inline real log_from_one(real x) noexcept nogil:
    """log(x) for x >= 1."""
    if real is float:
        return log_from_one_f32(x)
    else:
        return log_from_one_f64(x)
