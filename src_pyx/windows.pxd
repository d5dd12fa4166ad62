"""Where the windows of average pooling lie along one axis: the same for rows and for columns."""

cdef struct span:
    Py_ssize_t first, end  # the pixels of a window, first <= i < end; or the windows that hold a pixel
    double counted         # how many of a window's pixels count in its divisor


cdef inline void sliding_windows(
    span *windows, Py_ssize_t n, Py_ssize_t size, Py_ssize_t kernel, Py_ssize_t stride, Py_ssize_t padding,
    bint count_padding,
) noexcept nogil:
    """Windows of ``kernel`` pixels: those inside the image count, or those up to the end of padding."""
    cdef Py_ssize_t o, start
    for o in range(n):
        start = o * stride - padding
        windows[o].first = max(start, 0)
        windows[o].end = min(start + kernel, size)
        windows[o].counted = windows[o].end - windows[o].first
        if count_padding:
            windows[o].counted = min(start + kernel, size + padding) - start


cdef inline void adaptive_windows(span *windows, Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """Window o from o * size / n, rounded down, to (o + 1) * size / n, rounded up."""
    cdef Py_ssize_t o
    for o in range(n):
        windows[o].first = o * size / n
        windows[o].end = ((o + 1) * size + n - 1) / n
        windows[o].counted = windows[o].end - windows[o].first


cdef inline void windows_of_pixels(
    span *pixels, Py_ssize_t size, const span *windows, Py_ssize_t n
) noexcept nogil:
    """Which windows hold each pixel: first >= end if none does."""
    cdef Py_ssize_t i, first = 0, end = 0
    for i in range(size):
        while first < n and windows[first].end <= i:
            first += 1
        while end < n and windows[end].first <= i:
            end += 1
        pixels[i].first, pixels[i].end = first, end


cdef inline Py_ssize_t longest(const span *windows, Py_ssize_t n) noexcept nogil:
    """The pixels of the window that holds most."""
    cdef Py_ssize_t o, most = 0
    for o in range(n):
        most = max(most, windows[o].end - windows[o].first)
    return most
