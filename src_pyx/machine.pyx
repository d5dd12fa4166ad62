"""The two roofs of the roofline model: how fast this machine multiplies and adds, and how fast it copies.

They are run by the library's own threads, so that what is measured is what a kernel could reach.

Contract, guaranteed by cnn_core.functional._machine: arrays are C-contiguous and not empty, inputs and
outputs do not overlap. Every element of the outputs is written.
"""

from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task

import_kernel_api()

cdef extern from "machine.h" nogil:
    enum: CHAIN_NUMBERS
    void multiply_add_chains_f32(float a, float b, float *y, Py_ssize_t n_steps) noexcept
    void multiply_add_chains_f64(double a, double b, double *y, Py_ssize_t n_steps) noexcept
    void copy_repeatedly(const void *source, void *target, size_t n_bytes, Py_ssize_t n_repeats) noexcept

ROW_NUMBERS = CHAIN_NUMBERS  # in a row of what multiply_add takes

cdef struct Chains:
    void *y
    double a, b
    Py_ssize_t n_steps

cdef struct Copy:
    const void *x
    void *y
    Py_ssize_t size, shard, n_repeats


cdef void _rows(const Chains *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t row
    for row in range(first, last):
        if real is float:
            multiply_add_chains_f32(
                <float> job.a, <float> job.b, <float *> job.y + row * CHAIN_NUMBERS, job.n_steps
            )
        else:
            multiply_add_chains_f64(job.a, job.b, <double *> job.y + row * CHAIN_NUMBERS, job.n_steps)


def multiply_add(
    real[:, ::1] y,                     # INOUT (rows, ROW_NUMBERS)
    double a, double b, Py_ssize_t n_steps, int n_threads,
):
    """y = a * y + b, n_steps times: 2 * y.size * n_steps operations. Rows are shared among threads."""
    cdef Chains job = Chains(&y[0, 0], a, b, n_steps)
    with nogil:
        parallel_for(<task> &_rows[real], &job, y.shape[0], 1, NULL, 0, n_threads)


cdef void _shards(const Copy *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
    cdef Py_ssize_t i, start
    for i in range(first, last):
        start = i * job.shard
        copy_repeatedly(
            <const real *> job.x + start, <real *> job.y + start,
            min(job.shard, job.size - start) * sizeof(real), job.n_repeats,
        )


def copy(
    const real[::1] x,                  # IN
    real[::1] y,                        # OUT  same length
    Py_ssize_t shard, Py_ssize_t n_repeats, int n_threads,
):
    """y = x in shards of so many numbers, each copied n_repeats times before the next one."""
    cdef Copy job = Copy(&x[0], &y[0], x.shape[0], shard, n_repeats)
    with nogil:
        parallel_for(
            <task> &_shards[real], &job, (job.size - 1) // shard + 1, 1, NULL, 0, n_threads
        )
