/* What a compiled kernel may ask of the library at run time.

   One table of functions, reached through a capsule, serves the library's own
   kernels and those of other packages alike.  The table only ever grows at its
   end, so a kernel built against one release runs on every later one. */

#ifndef CNN_CORE_KERNEL_API_H
#define CNN_CORE_KERNEL_API_H

#include <Python.h>
#include <stddef.h>

#define CNN_CORE_KERNEL_API_VERSION 1
#define CNN_CORE_KERNEL_API_MODULE "cnn_core._kernels.runtime"

/* Does the items first <= i < last of a job.  Must not depend on how the range
   was cut: that is what makes results the same for any number of threads.
   `scratch` is memory of this worker alone (NULL if none was given). */
typedef void (*cnn_task)(const void *job, ptrdiff_t first, ptrdiff_t last, void *scratch);

typedef struct {
    int version; /* of this table: CNN_CORE_KERNEL_API_VERSION of the library that made it */

    /* Runs task over 0 <= i < n_items on up to n_threads threads, the caller's among
       them, in ranges that start at multiples of `grain`; returns when all are done.
       Worker w gets scratch + w * scratch_bytes.  Call it without the GIL. */
    void (*parallel_for)(cnn_task task, const void *job, ptrdiff_t n_items, ptrdiff_t grain,
                         void *scratch, size_t scratch_bytes, int n_threads);

    /* 64-byte aligned memory from the library's cache; NULL when there is none left. */
    void *(*allocate)(size_t bytes);
    void (*release)(void *memory);

    /* "baseline" (SSE2 or NEON), "avx2" or "avx512": the level that the library's kernels run at. */
    const char *(*isa_level)(void);
} cnn_kernel_api_table;

static const cnn_kernel_api_table *cnn_kernel_api = NULL;

/* Call once when a kernel's module is imported; returns -1 with an ImportError set if
   the installed library is older than the header that the kernel was built with.
   (Not PyCapsule_Import: it looks for attributes that a package still being imported lacks.) */
static int cnn_import_kernel_api(void)
{
    PyObject *capsule = NULL, *runtime = PyImport_ImportModule(CNN_CORE_KERNEL_API_MODULE);
    if (runtime != NULL)
        capsule = PyObject_GetAttrString(runtime, "kernel_api");
    if (capsule != NULL)
        cnn_kernel_api = (const cnn_kernel_api_table *)PyCapsule_GetPointer(
            capsule, CNN_CORE_KERNEL_API_MODULE ".kernel_api");
    Py_XDECREF(capsule);
    Py_XDECREF(runtime);
    if (cnn_kernel_api == NULL)
        return -1;
    if (cnn_kernel_api->version < CNN_CORE_KERNEL_API_VERSION) {
        PyErr_Format(PyExc_ImportError,
                     "this kernel needs version %d of cnn_core's kernel API, the installed "
                     "cnn_core has %d: upgrade cnn_core",
                     CNN_CORE_KERNEL_API_VERSION, cnn_kernel_api->version);
        return -1;
    }
    return 0;
}

static inline void cnn_parallel_for(cnn_task task, const void *job, ptrdiff_t n_items,
                                    ptrdiff_t grain, void *scratch, size_t scratch_bytes,
                                    int n_threads)
{
    cnn_kernel_api->parallel_for(task, job, n_items, grain, scratch, scratch_bytes, n_threads);
}

static inline void *cnn_allocate(size_t bytes) { return cnn_kernel_api->allocate(bytes); }
static inline void cnn_release(void *memory) { cnn_kernel_api->release(memory); }

#endif
