"""Samples of an array (outer, classes, inner): rows, or sixteen side by side. Inline helpers only.

A tile is a block (classes, LANES): the classes of LANES consecutive samples, a sample being one pair
(outer, inner). Lanes beyond the last sample hold zeros and are never written back.
"""

from cnn_core.kernel_api cimport real

cdef enum:
    LANES = 16

cdef struct Samples:
    Py_ssize_t count      # outer * inner
    Py_ssize_t classes
    Py_ssize_t inner


cdef inline bint are_rows(const Samples *s) noexcept nogil:
    """Whether the classes of a sample are contiguous, and enough for vectors of their own."""
    return s.inner == 1 and s.classes >= 2 * LANES


cdef inline Py_ssize_t n_items(const Samples *s) noexcept nogil:
    """How many rows there are, or tiles."""
    return s.count if are_rows(s) else (s.count - 1) // LANES + 1


cdef inline Py_ssize_t grain(const Samples *s) noexcept nogil:
    """So many of them are worth a thread."""
    return 1 + (8192 if are_rows(s) else 8192 // LANES) // s.classes


cdef inline Py_ssize_t sample_offset(const Samples *s, Py_ssize_t sample) noexcept nogil:
    """Where in the array the first class of a sample is."""
    return (sample // s.inner) * s.classes * s.inner + sample % s.inner


cdef inline Py_ssize_t samples_of(const Samples *s, Py_ssize_t tile) noexcept nogil:
    return min(s.count - tile * LANES, <Py_ssize_t> LANES)


cdef inline bint are_neighbours(const Samples *s, Py_ssize_t tile) noexcept nogil:
    """Whether the samples of a tile are LANES neighbours of one outer."""
    return samples_of(s, tile) == LANES and tile * LANES % s.inner + LANES <= s.inner


cdef inline void gather_one_by_one(const Samples *s, Py_ssize_t tile, const real *x, real *z) noexcept nogil:
    """Copy a tile of ``x`` to ``z`` (classes, LANES)."""
    cdef Py_ssize_t n = samples_of(s, tile), c, j
    cdef const real *sample
    for j in range(n):
        sample = x + sample_offset(s, tile * LANES + j)
        for c in range(s.classes):
            z[c * LANES + j] = sample[c * s.inner]
    for j in range(n, LANES):
        for c in range(s.classes):
            z[c * LANES + j] = 0


cdef inline void gather(const Samples *s, Py_ssize_t tile, const real *x, real *z) noexcept nogil:
    """The same, quick for neighbours."""
    cdef Py_ssize_t c, j
    cdef const real *sample
    if not are_neighbours(s, tile):
        gather_one_by_one(s, tile, x, z)
        return
    sample = x + sample_offset(s, tile * LANES)
    for c in range(s.classes):
        for j in range(LANES):
            z[c * LANES + j] = sample[c * s.inner + j]


cdef inline void scatter_one_by_one(const Samples *s, Py_ssize_t tile, const real *z, real *y) noexcept nogil:
    """Copy ``z`` (classes, LANES) to a tile of ``y``."""
    cdef Py_ssize_t c, j
    cdef real *sample
    for j in range(samples_of(s, tile)):
        sample = y + sample_offset(s, tile * LANES + j)
        for c in range(s.classes):
            sample[c * s.inner] = z[c * LANES + j]


cdef inline void scatter(const Samples *s, Py_ssize_t tile, const real *z, real *y) noexcept nogil:
    """The same, quick for neighbours."""
    cdef Py_ssize_t c, j
    cdef real *sample
    if not are_neighbours(s, tile):
        scatter_one_by_one(s, tile, z, y)
        return
    sample = y + sample_offset(s, tile * LANES)
    for c in range(s.classes):
        for j in range(LANES):
            sample[c * s.inner + j] = z[c * LANES + j]


cdef inline void lane_maxima(const real *z, Py_ssize_t classes, real *m) noexcept nogil:
    """The largest class of each lane; NaN is passed over (it comes back through the exponential)."""
    cdef Py_ssize_t c, j
    for j in range(LANES):
        m[j] = z[j]
    for c in range(1, classes):
        for j in range(LANES):
            m[j] = z[c * LANES + j] if z[c * LANES + j] > m[j] else m[j]
