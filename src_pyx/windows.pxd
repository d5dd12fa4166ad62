"""Where pooling windows lie along one axis.

Window ``o`` starts at ``o * stride - padding``; its tap ``k`` reads ``start + k * dilation``.  Taps that fall
on padding are never visited: these functions give the ranges of those that are inside the input.
"""

cdef inline Py_ssize_t ceil_ratio(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """a / b rounded up, 0 if a is negative."""
    return (a + b - 1) / b if a > 0 else 0


cdef inline Py_ssize_t first_tap(Py_ssize_t start, Py_ssize_t dilation) noexcept nogil:
    """The first tap of the window at ``start`` that is not before the input."""
    return ceil_ratio(-start, dilation)


cdef inline Py_ssize_t end_tap(
    Py_ssize_t start, Py_ssize_t size, Py_ssize_t kernel, Py_ssize_t dilation
) noexcept nogil:
    """One past the last tap of the window at ``start`` that is not beyond the input."""
    return min(kernel, ceil_ratio(size - start, dilation))


cdef inline Py_ssize_t first_window(Py_ssize_t tap, Py_ssize_t stride) noexcept nogil:
    """The first window whose tap is not before the input; ``tap`` is where window 0 has it."""
    return ceil_ratio(-tap, stride)


cdef inline Py_ssize_t end_window(
    Py_ssize_t tap, Py_ssize_t size, Py_ssize_t n_windows, Py_ssize_t stride
) noexcept nogil:
    """One past the last window whose tap is not beyond the input."""
    return min(n_windows, ceil_ratio(size - tap, stride))
