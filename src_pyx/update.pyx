"""One optimizer step over all arrays of a model, each read and written once.

``rows`` is a list of tuples of arrays: a parameter (changed in place), its gradient (read), then the
optimizer's state for it (changed in place). One call does all rows, so that a model of many small arrays
costs one dispatch; this is why rows are a list of arrays and not typed memoryviews.

Contract, guaranteed by cnn_core.functional._update:
  * arrays of a row are C-contiguous, of one shape and of one dtype, float32 or float64.
Sizes are checked again here, before anything is written. Parameters that share memory (tied weights under two
names) take their steps one after the other, in the rows' order.
"""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from libc.math cimport sqrt, sqrtf
from libc.stdlib cimport qsort

from cnn_core.kernel_api cimport import_kernel_api, parallel_for, real, task

import_kernel_api()

cdef enum:
    CHUNK = 1 << 14        # elements that one thread does at a time
    MAX_COLUMNS = 4        # parameter, gradient, two states

cdef struct Numbers:       # what a rule is told beside arrays
    double lr, decay, a, b, eps
    bint nesterov

cdef struct Chunk:
    char *column[MAX_COLUMNS]
    Py_ssize_t n
    bint is_float

ctypedef void (*rule)(
    const Numbers *numbers, void *p, const void *g, void *s, void *r, Py_ssize_t n
) noexcept nogil

cdef struct Job:
    const Chunk *chunks
    const Numbers *numbers
    rule of_float
    rule of_double


cdef void _chunks(const Job *job, Py_ssize_t first, Py_ssize_t last, void *scratch) noexcept nogil:
    cdef Py_ssize_t i
    cdef const Chunk *c
    for i in range(first, last):
        c = &job.chunks[i]
        if c.is_float:
            job.of_float(job.numbers, c.column[0], c.column[1], c.column[2], c.column[3], c.n)
        else:
            job.of_double(job.numbers, c.column[0], c.column[1], c.column[2], c.column[3], c.n)


cdef struct Span:
    char *start
    char *end


cdef int _by_start(const void *a, const void *b) noexcept nogil:
    cdef char *x = (<const Span *> a).start
    cdef char *y = (<const Span *> b).start
    return (x > y) - (x < y)


cdef class _Table:
    """The rows' memory, held for the time of a call, and its chunks."""

    cdef Py_buffer *buffers
    cdef Py_ssize_t n_buffers
    cdef Chunk *chunks
    cdef Py_ssize_t n_chunks
    cdef Py_ssize_t n_elements

    def __cinit__(self, list rows, Py_ssize_t columns):
        cdef Py_ssize_t row, column, size, start
        cdef Py_buffer *buffer
        cdef Chunk *chunk
        cdef tuple arrays
        self.buffers = <Py_buffer *> PyMem_Calloc(len(rows) * columns + 1, sizeof(Py_buffer))
        if self.buffers is NULL:
            raise MemoryError
        for row in range(len(rows)):
            arrays = rows[row]
            if len(arrays) != columns:
                raise ValueError(f"row {row} has {len(arrays)} arrays, this rule takes {columns}")
            for column in range(columns):
                buffer = self.buffers + self.n_buffers
                PyObject_GetBuffer(
                    arrays[column], buffer, PyBUF_C_CONTIGUOUS | (0 if column == 1 else PyBUF_WRITABLE)
                )
                self.n_buffers += 1
                if buffer.len != (buffer - column).len or buffer.itemsize != (buffer - column).itemsize:
                    raise ValueError(f"row {row}: arrays differ in size or in dtype")
                if buffer.itemsize != sizeof(float) and buffer.itemsize != sizeof(double):
                    raise ValueError(f"row {row}: arrays must be float32 or float64")
            buffer = self.buffers + row * columns
            size = buffer.len // buffer.itemsize
            self.n_elements += size
            self.n_chunks += (size + CHUNK - 1) // CHUNK
        self.chunks = <Chunk *> PyMem_Malloc((self.n_chunks + 1) * sizeof(Chunk))
        if self.chunks is NULL:
            raise MemoryError
        chunk = self.chunks
        for row in range(len(rows)):
            buffer = self.buffers + row * columns
            size = buffer.len // buffer.itemsize
            for start in range(0, size, <Py_ssize_t> CHUNK):
                for column in range(MAX_COLUMNS):
                    chunk.column[column] = NULL
                    if column < columns:
                        chunk.column[column] = <char *> buffer[column].buf + start * buffer.itemsize
                chunk.n = min(size - start, <Py_ssize_t> CHUNK)
                chunk.is_float = buffer.itemsize == sizeof(float)
                chunk += 1

    cdef bint parameters_overlap(self, Py_ssize_t columns) except -1:
        cdef Py_ssize_t i, n = self.n_buffers // columns
        cdef Span *spans = <Span *> PyMem_Malloc((n + 1) * sizeof(Span))
        cdef Py_buffer *buffer
        cdef bint overlap = False
        if spans is NULL:
            raise MemoryError
        for i in range(n):
            buffer = self.buffers + i * columns
            spans[i] = Span(<char *> buffer.buf, <char *> buffer.buf + buffer.len)
        qsort(spans, n, sizeof(Span), &_by_start)
        for i in range(1, n):
            overlap |= spans[i].start < spans[i - 1].end
        PyMem_Free(spans)
        return overlap

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.n_buffers):
            PyBuffer_Release(&self.buffers[i])
        PyMem_Free(self.buffers)
        PyMem_Free(self.chunks)


cdef _apply(list rows, Py_ssize_t columns, Numbers numbers, rule of_float, rule of_double, int n_threads):
    cdef _Table table = _Table(rows, columns)
    cdef Job job = Job(table.chunks, &numbers, of_float, of_double)
    # a small model is not worth waking a thread, however many arrays it has
    if table.n_elements <= CHUNK or table.parameters_overlap(columns):
        n_threads = 1
    with nogil:
        parallel_for(<task> &_chunks, &job, table.n_chunks, 1, NULL, 0, n_threads)


cdef void _sgd(const Numbers *k, real *p, const real *g, real *s, real *r, Py_ssize_t n) noexcept nogil:
    cdef real lr = <real> k.lr, decay = <real> k.decay
    cdef Py_ssize_t i
    for i in range(n):
        p[i] -= lr * (g[i] + decay * p[i])


def sgd(list rows, double lr, double weight_decay, int n_threads):
    """Rows (p, g): p -= lr * (g + weight_decay * p)."""
    cdef Numbers numbers = Numbers(lr, weight_decay, 0, 0, 0, False)
    _apply(rows, 2, numbers, <rule> &_sgd[float], <rule> &_sgd[double], n_threads)


cdef void _momentum(const Numbers *k, real *p, const real *g, real *v, real *r, Py_ssize_t n) noexcept nogil:
    cdef real lr = <real> k.lr, decay = <real> k.decay, momentum = <real> k.a, d, new
    cdef Py_ssize_t i
    if k.nesterov:
        for i in range(n):
            d = g[i] + decay * p[i]
            new = momentum * v[i] + d
            v[i] = new
            p[i] -= lr * (d + momentum * new)
    else:
        for i in range(n):
            d = g[i] + decay * p[i]
            new = momentum * v[i] + d
            v[i] = new
            p[i] -= lr * new


def momentum(list rows, double lr, double momentum, bint nesterov, double weight_decay, int n_threads):
    """Rows (p, g, v), torch's form: d = g + weight_decay * p;  v = momentum * v + d;
    p -= lr * v, or with Nesterov's momentum p -= lr * (d + momentum * v).
    """
    _apply(
        rows, 3, Numbers(lr, weight_decay, momentum, 0, 0, nesterov),
        <rule> &_momentum[float], <rule> &_momentum[double], n_threads,
    )


cdef void _velocity(const Numbers *k, real *p, const real *g, real *v, real *r, Py_ssize_t n) noexcept nogil:
    cdef real lr = <real> k.lr, decay = <real> k.decay, momentum = <real> k.a, d, old, new
    cdef real ahead = <real> (1 + k.a)
    cdef Py_ssize_t i
    if k.nesterov:
        for i in range(n):
            d = lr * (g[i] + decay * p[i])
            old = v[i]
            v[i] = momentum * old - d
            p[i] += momentum * momentum * old - ahead * d
    else:
        for i in range(n):
            d = lr * (g[i] + decay * p[i])
            new = momentum * v[i] - d
            v[i] = new
            p[i] += new


def velocity(list rows, double lr, double momentum, bint nesterov, double weight_decay, int n_threads):
    """Rows (p, g, v), the book's form: d = lr * (g + weight_decay * p);  v' = momentum * v - d;
    p += v', or with Nesterov's momentum p += momentum^2 * v - (1 + momentum) * d.
    """
    _apply(
        rows, 3, Numbers(lr, weight_decay, momentum, 0, 0, nesterov),
        <rule> &_velocity[float], <rule> &_velocity[double], n_threads,
    )


cdef inline real _root(real x) noexcept nogil:
    if real is float:
        return sqrtf(x)
    else:
        return sqrt(x)


cdef void _adagrad(const Numbers *k, real *p, const real *g, real *h, real *r, Py_ssize_t n) noexcept nogil:
    cdef real lr = <real> k.lr, decay = <real> k.decay, eps = <real> k.eps, d, new
    cdef Py_ssize_t i
    for i in range(n):
        d = g[i] + decay * p[i]
        new = h[i] + d * d
        h[i] = new
        p[i] -= lr * d / (_root(new) + eps)


def adagrad(list rows, double lr, double eps, double weight_decay, int n_threads):
    """Rows (p, g, h): d = g + weight_decay * p;  h += d^2;  p -= lr * d / (sqrt(h) + eps)."""
    _apply(
        rows, 3, Numbers(lr, weight_decay, 0, 0, eps, False),
        <rule> &_adagrad[float], <rule> &_adagrad[double], n_threads,
    )


cdef void _rmsprop(const Numbers *k, real *p, const real *g, real *h, real *r, Py_ssize_t n) noexcept nogil:
    cdef real lr = <real> k.lr, decay = <real> k.decay, eps = <real> k.eps, d, new
    cdef real alpha = <real> k.a, rest = <real> (1 - k.a)
    cdef Py_ssize_t i
    for i in range(n):
        d = g[i] + decay * p[i]
        new = alpha * h[i] + rest * d * d
        h[i] = new
        p[i] -= lr * d / (_root(new) + eps)


def rmsprop(list rows, double lr, double alpha, double eps, double weight_decay, int n_threads):
    """Rows (p, g, h): d = g + weight_decay * p;  h = alpha * h + (1 - alpha) * d^2;
    p -= lr * d / (sqrt(h) + eps).
    """
    _apply(
        rows, 3, Numbers(lr, weight_decay, alpha, 0, eps, False),
        <rule> &_rmsprop[float], <rule> &_rmsprop[double], n_threads,
    )


cdef void _adam(const Numbers *k, real *p, const real *g, real *m, real *v, Py_ssize_t n) noexcept nogil:
    cdef real lr = <real> k.lr, decay = <real> k.decay, eps = <real> k.eps, d, new_m, new_v
    cdef real beta2 = <real> k.b, rest1 = <real> (1 - k.a), rest2 = <real> (1 - k.b)
    cdef Py_ssize_t i
    for i in range(n):
        d = g[i] + decay * p[i]
        new_m = m[i] + rest1 * (d - m[i])
        new_v = beta2 * v[i] + rest2 * d * d
        m[i] = new_m
        v[i] = new_v
        p[i] -= lr * new_m / (_root(new_v) + eps)


cdef void _adam_decoupled(
    const Numbers *k, real *p, const real *g, real *m, real *v, Py_ssize_t n
) noexcept nogil:
    cdef real lr = <real> k.lr, shrink = <real> (1 - k.decay), eps = <real> k.eps, d, new_m, new_v
    cdef real beta2 = <real> k.b, rest1 = <real> (1 - k.a), rest2 = <real> (1 - k.b)
    cdef Py_ssize_t i
    for i in range(n):
        d = g[i]
        new_m = m[i] + rest1 * (d - m[i])
        new_v = beta2 * v[i] + rest2 * d * d
        m[i] = new_m
        v[i] = new_v
        p[i] = shrink * p[i] - lr * new_m / (_root(new_v) + eps)


def adam(
    list rows, double rate, double beta1, double beta2, double eps, double weight_decay, bint decoupled,
    int n_threads,
):
    """Rows (p, g, m, v): d = g + weight_decay * p;  m += (1 - beta1) * (d - m);
    v = beta2 * v + (1 - beta2) * d^2;  p -= rate * m / (sqrt(v) + eps).

    Bias corrections are in ``rate`` and ``eps``. Decoupled, d = g and p is first scaled by 1 - weight_decay.
    """
    cdef Numbers numbers = Numbers(rate, weight_decay, beta1, beta2, eps, False)
    if decoupled:
        _apply(rows, 4, numbers, <rule> &_adam_decoupled[float], <rule> &_adam_decoupled[double], n_threads)
    else:
        _apply(rows, 4, numbers, <rule> &_adam[float], <rule> &_adam[double], n_threads)
