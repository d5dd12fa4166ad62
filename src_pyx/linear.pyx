"""Fully connected layers: y[n, o] = bias[o] + sum over i of x[n, i] * weight[o, i].

All three products run on the tiles of simd/tiles.h, on the arrays as they lie:

    y       sums over i, along which both x and weight are contiguous      dot tile
    dx      = dy weight sums over o: rows of weight, scaled by dy          outer tile
    dweight = dy^T x sums over n: rows of x, scaled by dy                  outer tile

The outer products take some columns of the rows at a time, copied so that they lie together: rows of
a large matrix are pages apart, more of them than a core keeps addresses of.

Blocks depend on the shapes alone, and each output number is summed by one thread.

Contract, guaranteed by cnn_core.functional and not checked again here: shapes fit together, arrays
are C-contiguous and not empty, outputs do not overlap inputs. Every element of the outputs is
written.
"""

from libc.string cimport memcpy

from cnn_core.kernel_api cimport allocate, import_kernel_api, parallel_for, real, release, task
from tiles cimport DOT_BYTES, OUTER_ROWS, dot_product, outer_product

import_kernel_api()

cdef enum:
    ROWS = 25                           # of x that a task takes, or more
    OUTPUTS = 96                        # of y's columns
    FEWEST_BLOCKS = 8                   # of y
    SMALL_BLOCK = 12                    # outputs, but no fewer
    COLUMNS = 64                        # of dx and dweight: two vectors, or a multiple
    OUTER_BLOCK = 240                   # rows of dx and dweight, a multiple of the tiles' heights


cdef struct Job:
    const void *a                       # x of the dot product; packed dy of the outer products
    const void *b                       # weight or x, by rows
    const void *bias
    void *y
    const Py_ssize_t *offset            # of b's rows
    Py_ssize_t n_rows, n_columns        # of y
    Py_ssize_t n_sum                    # numbers under each sum
    Py_ssize_t column_blocks
    bint relu


cdef inline Py_ssize_t _blocks(Py_ssize_t size, Py_ssize_t block) noexcept nogil:
    return max(1, size // block)


cdef void _dot_blocks(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t item, row, n_rows, column, n_columns, i, j, row_blocks = _blocks(job.n_rows, ROWS)
    cdef Py_ssize_t start, end, parts = (job.n_sum * sizeof(real) + DOT_BYTES - 1) // DOT_BYTES
    cdef const real *x
    cdef real *y
    for item in range(first, last):
        row = item // job.column_blocks * job.n_rows // row_blocks
        n_rows = (item // job.column_blocks + 1) * job.n_rows // row_blocks - row
        column = item % job.column_blocks * job.n_columns // job.column_blocks
        n_columns = (item % job.column_blocks + 1) * job.n_columns // job.column_blocks - column
        x = <const real *> job.a + row * job.n_sum
        y = <real *> job.y + row * job.n_columns + column
        for i in range(n_rows):
            for j in range(n_columns):
                y[i * job.n_columns + j] = (<const real *> job.bias)[column + j] if job.bias else 0
        for i in range(parts):          # so few inputs that x's rows stay in the second-level cache
            start = job.n_sum * i // parts // 16 * 16
            end = job.n_sum if i == parts - 1 else job.n_sum * (i + 1) // parts // 16 * 16
            dot_product(
                x + start, job.n_sum, <const real *> job.b + start, job.offset + column,
                end - start, 1, 0, 0, y, job.n_columns, n_rows, n_columns,
            )
        if job.relu:
            for i in range(n_rows):
                for j in range(n_columns):
                    if y[i * job.n_columns + j] <= 0:
                        y[i * job.n_columns + j] = 0


cdef void _outer_blocks(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t item, row, n_rows, column, n_columns, k
    for item in range(first, last):
        row = item // job.column_blocks * OUTER_BLOCK       # whole panels of the packed matrix
        n_rows = min(<Py_ssize_t> OUTER_BLOCK, job.n_rows - row)
        column = item % job.column_blocks * COLUMNS         # whole vectors of them
        n_columns = min(<Py_ssize_t> COLUMNS, job.n_columns - column)
        for k in range(job.n_sum):
            memcpy(
                scratch + k * COLUMNS, <const real *> job.b + k * job.n_columns + column,
                n_columns * sizeof(real),
            )
        outer_product(
            <const real *> job.a + row * job.n_sum, <const real *> scratch, job.offset, job.n_sum,
            <const real *> NULL, <real *> job.y + row * job.n_columns + column, job.n_columns, n_rows,
            n_columns,
        )


def linear(
    const real[:, ::1] x,               # IN   (N, I)
    const real[:, ::1] weight,          # IN   (O, I)
    const real[::1] bias,               # IN   (O,), or None
    real[:, ::1] y,                     # OUT  (N, O)
    bint relu, int n_threads,
):
    """Fill ``y``, with zero for what is not above it if ``relu``; blocks of it are shared among threads."""
    cdef Job job
    cdef Py_ssize_t o, n_outputs = weight.shape[0]
    cdef Py_ssize_t *offset = <Py_ssize_t *> allocate(n_outputs * sizeof(Py_ssize_t))
    if offset is NULL:
        raise MemoryError("linear: no memory for its working buffers")
    for o in range(n_outputs):
        offset[o] = o * weight.shape[1]
    job.a, job.b, job.y, job.offset = &x[0, 0], &weight[0, 0], &y[0, 0], offset
    job.bias = &bias[0] if bias is not None else NULL
    job.n_rows, job.n_columns, job.n_sum = x.shape[0], n_outputs, x.shape[1]
    job.relu = relu
    # a small batch is cut by its outputs, so that threads have something to share
    job.column_blocks = max(
        _blocks(job.n_columns, OUTPUTS),
        min(FEWEST_BLOCKS // _blocks(job.n_rows, ROWS), job.n_columns // SMALL_BLOCK),
    )
    with nogil:
        parallel_for(
            <task> &_dot_blocks[real], &job, _blocks(job.n_rows, ROWS) * job.column_blocks, 1,
            NULL, 0, n_threads,
        )
        release(offset)


# The matrix in panels of OUTER_ROWS rows, one after the other, as outer_product reads it.
cdef void _pack(
    const real *matrix, Py_ssize_t row_stride, Py_ssize_t step_stride, real *packed,
    Py_ssize_t n_rows, Py_ssize_t n_sum,
) noexcept nogil:
    cdef Py_ssize_t panel, first, k, m, width
    for panel in range((n_rows + OUTER_ROWS - 1) // OUTER_ROWS):
        first = panel * OUTER_ROWS
        width = min(<Py_ssize_t> OUTER_ROWS, n_rows - first)
        for k in range(n_sum):
            for m in range(width):
                packed[m] = matrix[(first + m) * row_stride + k * step_stride]
            packed += width


# y (n_rows, n_columns) = matrix (n_rows, n_sum) times b (n_sum, n_columns); element (m, k) of the
# matrix is matrix[m * row_stride + k * step_stride].
cdef int _outer(
    const real *matrix, Py_ssize_t row_stride, Py_ssize_t step_stride, const real *b, real *y,
    Py_ssize_t n_rows, Py_ssize_t n_sum, Py_ssize_t n_columns, int n_threads,
) except -1 nogil:
    cdef Job job
    cdef Py_ssize_t k, worker_numbers = n_sum * COLUMNS
    cdef Py_ssize_t *offset = <Py_ssize_t *> allocate(
        (n_sum + 7) // 8 * 8 * sizeof(Py_ssize_t)
        + (n_threads * worker_numbers + n_rows * n_sum) * sizeof(real)
    )
    if offset is NULL:
        raise MemoryError("linear_backward: no memory for its working buffers")
    cdef real *scratch = <real *> (offset + (n_sum + 7) // 8 * 8)
    cdef real *packed = scratch + n_threads * worker_numbers
    for k in range(n_sum):
        offset[k] = k * COLUMNS
    _pack(matrix, row_stride, step_stride, packed, n_rows, n_sum)
    job.a, job.b, job.y, job.offset = packed, b, y, offset
    job.n_rows, job.n_columns, job.n_sum = n_rows, n_columns, n_sum
    job.column_blocks = (n_columns + COLUMNS - 1) // COLUMNS
    parallel_for(
        <task> &_outer_blocks[real], &job, (n_rows + OUTER_BLOCK - 1) // OUTER_BLOCK * job.column_blocks, 1,
        scratch, worker_numbers * sizeof(real), n_threads,
    )
    release(offset)
    return 0


def linear_backward_input(
    const real[:, ::1] dy,              # IN   (N, O)
    const real[:, ::1] weight,          # IN   (O, I)
    real[:, ::1] dx,                    # OUT  (N, I)
    int n_threads,
):
    """Fill ``dx`` = dy weight."""
    cdef Py_ssize_t n_outputs = dy.shape[1]
    with nogil:
        _outer(
            &dy[0, 0], n_outputs, 1, &weight[0, 0], &dx[0, 0], dy.shape[0], n_outputs, weight.shape[1],
            n_threads,
        )


def linear_backward_weight(
    const real[:, ::1] dy,              # IN   (N, O)
    const real[:, ::1] x,               # IN   (N, I)
    real[:, ::1] dweight,               # OUT  (O, I)
    int n_threads,
):
    """Fill ``dweight`` = dy^T x."""
    cdef Py_ssize_t n_outputs = dy.shape[1]
    with nogil:
        _outer(
            &dy[0, 0], 1, n_outputs, &x[0, 0], &dweight[0, 0], n_outputs, dy.shape[0], x.shape[1],
            n_threads,
        )


def linear_backward_bias(
    const real[:, ::1] dy,              # IN   (N, O)
    real[::1] dbias,                    # OUT  (O,)
):
    """Fill ``dbias`` with the sums of ``dy`` over the batch, taken in double precision."""
    cdef Py_ssize_t n, o, start, n_outputs = dy.shape[1]
    cdef double[64] total
    cdef Py_ssize_t width
    with nogil:
        for start in range(0, n_outputs, 64):
            width = min(64, n_outputs - start)
            for o in range(width):
                total[o] = 0
            for n in range(dy.shape[0]):
                for o in range(width):
                    total[o] += dy[n, start + o]
            for o in range(width):
                dbias[start + o] = <real> total[o]
