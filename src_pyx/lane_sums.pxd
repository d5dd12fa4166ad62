"""Sums of many numbers: in double, and in LANES interleaved partial sums that the compiler keeps in vectors.

The order of additions is fixed by the length alone.
"""

from cnn_core.kernel_api cimport real

cdef enum:
    LANES = 32  # no fewer: gcc unrolls shorter loops before it looks for vectors


cdef inline double add_lanes(const double *lanes) noexcept nogil:
    """The lanes' total, added in pairs."""
    cdef double total[LANES]
    cdef Py_ssize_t i, width = LANES / 2
    for i in range(LANES):
        total[i] = lanes[i]
    while width > 0:
        for i in range(width):
            total[i] += total[i + width]
        width /= 2
    return total[0]


cdef inline double lane_sum(const real *x, Py_ssize_t n) noexcept nogil:
    """The sum of x[0] ... x[n - 1]."""
    cdef double lanes[LANES]
    cdef Py_ssize_t i = 0, j
    for j in range(LANES):
        lanes[j] = 0
    while i + LANES <= n:
        for j in range(LANES):
            lanes[j] += x[i + j]
        i += LANES
    for j in range(n - i):
        lanes[j] += x[i + j]
    return add_lanes(lanes)
