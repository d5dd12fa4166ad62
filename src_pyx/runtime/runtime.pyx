"""What all kernels share, at whatever ISA level they run: threads, memory, the CPU's abilities.

Built once, for the oldest CPU.  Kernels reach it through the capsule ``kernel_api``, which
``cnn_core.kernel_api`` publishes (include/cnn_core/kernel_api.h), Python through the functions here.
"""

import threading

from cython cimport final

from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AsString
from cpython.pycapsule cimport PyCapsule_New

cdef extern from "cnn_core/kernel_api.h":
    ctypedef struct cnn_kernel_api_table:
        pass
    const char *CNN_CORE_KERNEL_API_CAPSULE
    int CNN_CORE_KERNEL_API_VERSION

cdef extern from "runtime.h" nogil:
    cnn_kernel_api_table *runtime_init(size_t cache_limit, unsigned long main_thread)
    void runtime_set_isa_level(const char *level)
    void runtime_set_num_threads(int n_threads)
    void pool_set_backwards(int backwards)
    size_t pool_jobs_shared()
    int cpu_runs(const char *level)
    void *allocator_allocate(size_t bytes)
    void allocator_release(void *memory)
    void allocator_trim(size_t n_bytes)
    size_t allocator_cached()
    size_t allocator_in_use()
    int POOL_MAX_THREADS

MAX_THREADS = POOL_MAX_THREADS

# More freed bytes than this are not kept for reuse.
CACHE_LIMIT = 1 << 29

KERNEL_API_VERSION = CNN_CORE_KERNEL_API_VERSION
kernel_api = PyCapsule_New(
    runtime_init(CACHE_LIMIT, threading.main_thread().ident), CNN_CORE_KERNEL_API_CAPSULE, NULL
)


def cpu_supports(str level):
    """Whether kernels built for this ISA level run on this CPU."""
    return bool(cpu_runs(level.encode()))


_isa_level = b"baseline"


def set_isa_level(str level):
    """Say which level the library chose, for kernels that ask."""
    global _isa_level
    _isa_level = level.encode()  # keeps the characters alive
    runtime_set_isa_level(PyBytes_AsString(_isa_level))


def set_num_threads(int n_threads):
    """Say how many threads kernels may have, for those that ask."""
    runtime_set_num_threads(n_threads)


def set_backwards(bint backwards):
    """Let jobs of one thread take their ranges from the last to the first: for tests, nothing may change."""
    pool_set_backwards(backwards)


def jobs_shared():
    """How many jobs had several threads so far: the others were too small, or only one was allowed."""
    return pool_jobs_shared()


@final
cdef class Block:
    """Memory from the cache that goes back to it when the last array on it dies."""

    cdef void *memory
    cdef Py_ssize_t nbytes

    def __cinit__(self, Py_ssize_t nbytes):
        if nbytes < 0:
            raise ValueError(f"a block needs 0 bytes or more, got {nbytes}")
        self.nbytes = nbytes
        self.memory = allocator_allocate(nbytes)
        if self.memory is NULL:
            raise MemoryError(f"no memory left for an array of {nbytes} bytes")

    def __dealloc__(self):
        allocator_release(self.memory)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.memory, self.nbytes, 0, flags)


def memory_cached():
    """Bytes that were freed and are kept for reuse."""
    return allocator_cached()


def memory_in_use():
    """Bytes in blocks that arrays stand on."""
    return allocator_in_use()


def trim_memory():
    """Give the memory that is kept for reuse back to the system."""
    allocator_trim(0)
