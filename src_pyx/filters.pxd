"""Filters side by side: simd/channels.h, pixels.h and taps.h for the fused type ``real``."""

from libc.stdint cimport int32_t

from cnn_core.kernel_api cimport real

cdef extern from "taps.h" nogil:
    enum: CHANNEL_LANES
    void planes_to_channels_f32(
        const float *x, Py_ssize_t plane, Py_ssize_t n_channels, Py_ssize_t n, Py_ssize_t width,
        Py_ssize_t gap, Py_ssize_t ahead, float *to,
    ) noexcept
    void planes_to_channels_f64(
        const double *x, Py_ssize_t plane, Py_ssize_t n_channels, Py_ssize_t n, Py_ssize_t width,
        Py_ssize_t gap, Py_ssize_t ahead, double *to,
    ) noexcept
    void pooled_to_channels_f32(
        const float *x, const int32_t *indices, Py_ssize_t n_numbers, Py_ssize_t h, Py_ssize_t w,
        Py_ssize_t n_channels, Py_ssize_t first, Py_ssize_t n_rows, Py_ssize_t pitch, Py_ssize_t ahead,
        float *to,
    ) noexcept
    void pooled_to_channels_f64(
        const double *x, const int32_t *indices, Py_ssize_t n_numbers, Py_ssize_t h, Py_ssize_t w,
        Py_ssize_t n_channels, Py_ssize_t first, Py_ssize_t n_rows, Py_ssize_t pitch, Py_ssize_t ahead,
        double *to,
    ) noexcept
    void channels_to_planes_f32(
        const float *source, Py_ssize_t width, Py_ssize_t gap, const float *bias, bint relu,
        Py_ssize_t n_channels, Py_ssize_t n, Py_ssize_t plane, Py_ssize_t ahead, float *y,
    ) noexcept
    void channels_to_planes_f64(
        const double *source, Py_ssize_t width, Py_ssize_t gap, const double *bias, bint relu,
        Py_ssize_t n_channels, Py_ssize_t n, Py_ssize_t plane, Py_ssize_t ahead, double *y,
    ) noexcept
    void gated_to_planes_f32(
        const float *source, Py_ssize_t width, Py_ssize_t gap, const float *gate, Py_ssize_t n_channels,
        Py_ssize_t n, Py_ssize_t plane, Py_ssize_t ahead, float *y,
    ) noexcept
    void gated_to_planes_f64(
        const double *source, Py_ssize_t width, Py_ssize_t gap, const double *gate, Py_ssize_t n_channels,
        Py_ssize_t n, Py_ssize_t plane, Py_ssize_t ahead, double *y,
    ) noexcept
    void words_to_planes "words_to_planes_f32"(
        const void *source, Py_ssize_t width, Py_ssize_t gap, Py_ssize_t n_channels, Py_ssize_t n,
        Py_ssize_t plane, Py_ssize_t ahead, void *y,
    ) noexcept
    void taps_product_f32(
        const float *x, Py_ssize_t x_row, Py_ssize_t x_step, const Py_ssize_t *offset, Py_ssize_t n_k,
        const float *dy, Py_ssize_t dy_block, Py_ssize_t n_rows, Py_ssize_t n_pixels,
        Py_ssize_t n_blocks, float *dw,
    ) noexcept
    void taps_product_f64(
        const double *x, Py_ssize_t x_row, Py_ssize_t x_step, const Py_ssize_t *offset, Py_ssize_t n_k,
        const double *dy, Py_ssize_t dy_block, Py_ssize_t n_rows, Py_ssize_t n_pixels,
        Py_ssize_t n_blocks, double *dw,
    ) noexcept

cdef extern from "pixels.h" nogil:
    void pixels_product_f32(
        const float *x, Py_ssize_t x_row, Py_ssize_t x_step, const Py_ssize_t *offset, const float *w,
        Py_ssize_t n_k, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t n_blocks,
        float *y, Py_ssize_t y_block, Py_ssize_t y_row, Py_ssize_t y_step,
    ) noexcept
    void pixels_product_f64(
        const double *x, Py_ssize_t x_row, Py_ssize_t x_step, const Py_ssize_t *offset, const double *w,
        Py_ssize_t n_k, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t n_blocks,
        double *y, Py_ssize_t y_block, Py_ssize_t y_row, Py_ssize_t y_step,
    ) noexcept


# Channels or filters in a vector.
cdef inline Py_ssize_t lanes_of(size_t number_bytes) noexcept nogil:
    return CHANNEL_LANES * sizeof(float) // number_bytes


cdef inline Py_ssize_t blocks_for(Py_ssize_t n_filters, size_t number_bytes) noexcept nogil:
    return (n_filters + lanes_of(number_bytes) - 1) // lanes_of(number_bytes)


# Whether vectors of filters are full enough: with fewer, pixels lie side by side instead.
cdef inline bint fills_lanes(Py_ssize_t n_filters, size_t number_bytes) noexcept nogil:
    return 5 * n_filters >= 3 * blocks_for(n_filters, number_bytes) * lanes_of(number_bytes)


cdef inline void planes_to_channels(
    const real *x, Py_ssize_t plane, Py_ssize_t n_channels, Py_ssize_t n, Py_ssize_t width, Py_ssize_t gap,
    Py_ssize_t ahead, real *to,
) noexcept nogil:
    if real is float:
        planes_to_channels_f32(x, plane, n_channels, n, width, gap, ahead, to)
    else:
        planes_to_channels_f64(x, plane, n_channels, n, width, gap, ahead, to)


cdef inline void pooled_to_channels(
    const real *x, const int32_t *indices, Py_ssize_t n_numbers, Py_ssize_t h, Py_ssize_t w,
    Py_ssize_t n_channels, Py_ssize_t first, Py_ssize_t n_rows, Py_ssize_t pitch, Py_ssize_t ahead, real *to,
) noexcept nogil:
    if real is float:
        pooled_to_channels_f32(x, indices, n_numbers, h, w, n_channels, first, n_rows, pitch, ahead, to)
    else:
        pooled_to_channels_f64(x, indices, n_numbers, h, w, n_channels, first, n_rows, pitch, ahead, to)


cdef inline void channels_to_planes(
    const real *source, Py_ssize_t width, Py_ssize_t gap, const real *bias, bint relu,
    Py_ssize_t n_channels, Py_ssize_t n, Py_ssize_t plane, Py_ssize_t ahead, real *y,
) noexcept nogil:
    if real is float:
        channels_to_planes_f32(source, width, gap, bias, relu, n_channels, n, plane, ahead, y)
    else:
        channels_to_planes_f64(source, width, gap, bias, relu, n_channels, n, plane, ahead, y)


cdef inline void gated_to_planes(
    const real *source, Py_ssize_t width, Py_ssize_t gap, const real *gate, Py_ssize_t n_channels,
    Py_ssize_t n, Py_ssize_t plane, Py_ssize_t ahead, real *y,
) noexcept nogil:
    if real is float:
        gated_to_planes_f32(source, width, gap, gate, n_channels, n, plane, ahead, y)
    else:
        gated_to_planes_f64(source, width, gap, gate, n_channels, n, plane, ahead, y)


cdef inline void taps_product(
    const real *x, Py_ssize_t x_row, Py_ssize_t x_step, const Py_ssize_t *offset, Py_ssize_t n_k,
    const real *dy,
    Py_ssize_t dy_block, Py_ssize_t n_rows, Py_ssize_t n_pixels, Py_ssize_t n_blocks, real *dw,
) noexcept nogil:
    if real is float:
        taps_product_f32(x, x_row, x_step, offset, n_k, dy, dy_block, n_rows, n_pixels, n_blocks, dw)
    else:
        taps_product_f64(x, x_row, x_step, offset, n_k, dy, dy_block, n_rows, n_pixels, n_blocks, dw)


cdef inline void pixels_product(
    const real *x, Py_ssize_t x_row, Py_ssize_t x_step, const Py_ssize_t *offset, const real *w,
    Py_ssize_t n_k, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t n_blocks,
    real *y, Py_ssize_t y_block, Py_ssize_t y_row, Py_ssize_t y_step,
) noexcept nogil:
    if real is float:
        pixels_product_f32(
            x, x_row, x_step, offset, w, n_k, n_rows, n_columns, n_blocks, y, y_block, y_row, y_step
        )
    else:
        pixels_product_f64(
            x, x_row, x_step, offset, w, n_k, n_rows, n_columns, n_blocks, y, y_block, y_row, y_step
        )
