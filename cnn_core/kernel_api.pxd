"""What every kernel cimports: the fused type ``real`` and the library's threads.

A kernel's threads are written like this::

    import_kernel_api()                    # once, at the top of the module

    cdef struct Job:                       # the call's arrays and sizes
        const void *x
        void *y

    cdef void _rows(const Job *job, Py_ssize_t first, Py_ssize_t last, real *scratch) noexcept nogil:
        ...                                # the items first <= i < last

    def kernel(const real[:, ::1] x, real[:, ::1] y, int n_threads):
        cdef Job job = Job(&x[0, 0], &y[0, 0])
        with nogil:
            parallel_for(<task> &_rows[real], &job, x.shape[0], 1, NULL, 0, n_threads)

The declarations are all there is to compile; what each function promises is written in
include/cnn_core/kernel_api.h.
"""

ctypedef fused real:
    float
    double

cdef extern from "cnn_core/kernel_api.h" nogil:
    ctypedef void (*task "cnn_task")(
        const void *job, Py_ssize_t first, Py_ssize_t last, void *scratch
    ) noexcept nogil

    # Runs the task over 0 <= i < n_items in ranges that start at multiples of grain.  If Ctrl-C ends it
    # early, Python raises KeyboardInterrupt when the kernel returns.
    void parallel_for "cnn_parallel_for"(
        task run, const void *job, Py_ssize_t n_items, Py_ssize_t grain,
        void *scratch, size_t scratch_bytes, int n_threads,
    ) noexcept

    # Working memory, aligned to 64 bytes, from the library's cache; NULL when none is left.
    void *allocate "cnn_allocate"(size_t n_bytes) noexcept
    void release "cnn_release"(void *memory) noexcept

    # The level that the library's kernels run at, and the threads that a kernel may have.
    const char *isa_level "cnn_isa_level"() noexcept
    int num_threads "cnn_num_threads"() noexcept

cdef extern from "cnn_core/kernel_api.h":
    # Call once at the top of the module, before all others; raises ImportError if cnn_core is too old.
    int import_kernel_api "cnn_import_kernel_api"() except -1
