/* What a compiled kernel may ask of cnn_core at run time.  C11 or C++17, any compiler.

   One table of functions, reached through a capsule, serves the library's own
   kernels and those of other packages alike.  A kernel calls cnn_import_kernel_api()
   once, when its module is imported, and the functions at the end of this file after it.

   A kernel built against one release runs on every later one, by three rules:
     * the table grows at its end alone: no member is moved, removed or given another meaning;
     * `version` counts the additions, `size` says how far the table goes;
     * the capsule keeps its name for as long as the first two hold. */

#ifndef CNN_CORE_KERNEL_API_H
#define CNN_CORE_KERNEL_API_H

#include <Python.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CNN_CORE_KERNEL_API_VERSION 2 /* of the table below */
#define CNN_CORE_KERNEL_API_MODULE "cnn_core.kernel_api"
#define CNN_CORE_KERNEL_API_CAPSULE "cnn_core.kernel_api.table"

/* The least version that a kernel needs: that of its header.  A kernel that can do with an older
   one defines this before it includes the header, and asks CNN_KERNEL_API_HAS before it uses more. */
#ifndef CNN_CORE_KERNEL_API_NEEDED
#define CNN_CORE_KERNEL_API_NEEDED CNN_CORE_KERNEL_API_VERSION
#endif

/* Does the items first <= i < last of a job.  Must not depend on how the range was cut or on which
   range came first: that is what makes results the same for any number of threads.
   `scratch` is memory of this worker alone (NULL if none was given).  Must not throw, and must
   not touch Python objects: the GIL is not held. */
typedef void (*cnn_task)(const void *job, ptrdiff_t first, ptrdiff_t last, void *scratch);

typedef struct {
    int version; /* of the table that the installed library has */
    size_t size; /* of that table, in bytes */

    /* Since version 1. */

    /* Runs task over 0 <= i < n_items on up to n_threads threads, the caller's among
       them, in ranges that start at multiples of `grain`; returns when all are done.
       Worker w < n_threads gets scratch + w * scratch_bytes.  Call it without the GIL.  Inside
       of a task it runs all items on the thread that calls. */
    void (*parallel_for)(cnn_task task, const void *job, ptrdiff_t n_items, ptrdiff_t grain,
                         void *scratch, size_t scratch_bytes, int n_threads);

    /* 64-byte aligned memory from the library's cache; NULL when there is none left.  What
       was released is handed out again.  From any thread, with or without the GIL. */
    void *(*allocate)(size_t bytes);
    void (*release)(void *memory);

    /* "baseline" (SSE2 or NEON), "avx2" or "avx512": the level that the library's kernels run at. */
    const char *(*isa_level)(void);

    /* How many threads the user lets a kernel have: what cnn_core.get_num_threads() says. */
    int (*num_threads)(void);

    /* Since version 2. */

    /* As parallel_for, but Ctrl-C takes effect.  On Python's main thread, handlers of signals may run between
       two ranges; if one raises an exception, the remaining ranges are never begun, and neither are those of
       the calls that follow.  Python raises the exception as soon as the kernel has returned to it, so nobody
       sees its outputs; only the kernel itself must not take them for more than numbers (no index, no size),
       must hold no lock that a kernel called by a handler would wait for, and must free what it has allocated. */
    void (*interruptible_for)(cnn_task task, const void *job, ptrdiff_t n_items, ptrdiff_t grain,
                              void *scratch, size_t scratch_bytes, int n_threads);
} cnn_kernel_api_table;

/* Each source file that includes this header has a pointer of its own, and imports for itself. */
static const cnn_kernel_api_table *cnn_kernel_api = NULL;

/* Whether the installed library's table goes as far as this member. */
#define CNN_KERNEL_API_HAS(member) \
    (offsetof(cnn_kernel_api_table, member) + sizeof cnn_kernel_api->member <= cnn_kernel_api->size)

/* Returns 0, or -1 with an ImportError set that says what to install.
   (Not PyCapsule_Import: it looks for attributes that a package still being imported lacks.) */
static inline int cnn_import_kernel_api(void)
{
    PyObject *capsule = NULL, *module = PyImport_ImportModule(CNN_CORE_KERNEL_API_MODULE);
    const cnn_kernel_api_table *table = NULL;
    if (module == NULL)
        return -1;
    capsule = PyObject_GetAttrString(module, "table");
    Py_DECREF(module);
    if (capsule == NULL)
        return -1;
    if (!PyCapsule_IsValid(capsule, CNN_CORE_KERNEL_API_CAPSULE)) {
        Py_DECREF(capsule);
        PyErr_SetString(PyExc_ImportError,
                        "the installed cnn_core has another kernel API than the one this kernel was "
                        "built for: build the kernel again, against the installed cnn_core");
        return -1;
    }
    table = (const cnn_kernel_api_table *)PyCapsule_GetPointer(capsule, CNN_CORE_KERNEL_API_CAPSULE);
    Py_DECREF(capsule); /* the table itself lives as long as the process */
    if (table->version < CNN_CORE_KERNEL_API_NEEDED) {
        PyErr_Format(PyExc_ImportError,
                     "this kernel needs version %d of cnn_core's kernel API, the installed cnn_core has "
                     "version %d: upgrade it (pip install --upgrade cnn_core), or build the kernel "
                     "again, against the installed one",
                     CNN_CORE_KERNEL_API_NEEDED, table->version);
        return -1;
    }
    cnn_kernel_api = table;
    return 0;
}

static inline void cnn_parallel_for(cnn_task task, const void *job, ptrdiff_t n_items,
                                    ptrdiff_t grain, void *scratch, size_t scratch_bytes,
                                    int n_threads)
{
#if CNN_CORE_KERNEL_API_NEEDED < 2
    if (!CNN_KERNEL_API_HAS(interruptible_for)) {
        cnn_kernel_api->parallel_for(task, job, n_items, grain, scratch, scratch_bytes, n_threads);
        return;
    }
#endif
    cnn_kernel_api->interruptible_for(task, job, n_items, grain, scratch, scratch_bytes, n_threads);
}

static inline void *cnn_allocate(size_t bytes) { return cnn_kernel_api->allocate(bytes); }
static inline void cnn_release(void *memory) { cnn_kernel_api->release(memory); }
static inline const char *cnn_isa_level(void) { return cnn_kernel_api->isa_level(); }
static inline int cnn_num_threads(void) { return cnn_kernel_api->num_threads(); }

#ifdef __cplusplus
}
#endif

#endif
