/* A kernel in plain C: y = 2 x over doubles, and what the table says. */

#include <Python.h>

#include "cnn_core/kernel_api.h"

typedef struct {
    const double *x;
    double *y;
} doubling;

static void twice(const void *job, ptrdiff_t first, ptrdiff_t last, void *scratch)
{
    const doubling *d = (const doubling *)job;
    double *working = (double *)scratch;
    for (ptrdiff_t i = first; i < last; i++) {
        *working = d->x[i];
        d->y[i] = *working + d->x[i];
    }
}

static PyObject *doubled(PyObject *self, PyObject *args)
{
    Py_buffer x, y;
    doubling job;
    int n_threads;
    void *scratch;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*w*i", &x, &y, &n_threads))
        return NULL;
    job.x = (const double *)x.buf;
    job.y = (double *)y.buf;
    scratch = cnn_allocate(64 * (size_t)n_threads);
    if (scratch != NULL) {
        Py_BEGIN_ALLOW_THREADS
        cnn_parallel_for(twice, &job, x.len / (ptrdiff_t)sizeof(double), 1000, scratch, 64, n_threads);
        Py_END_ALLOW_THREADS
        cnn_release(scratch);
    }
    PyBuffer_Release(&x);
    PyBuffer_Release(&y);
    return scratch == NULL ? PyErr_NoMemory() : PyBool_FromLong((size_t)scratch % 64 == 0);
}

static PyObject *table(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    return Py_BuildValue("{si,sn,ss,si,si}", "version", cnn_kernel_api->version, "size",
                         (Py_ssize_t)cnn_kernel_api->size, "isa_level", cnn_isa_level(), "num_threads",
                         cnn_num_threads(), "has",
#ifdef ASK_FOR
                         (int)CNN_KERNEL_API_HAS(ASK_FOR)
#else
                         (int)CNN_KERNEL_API_HAS(num_threads)
#endif
    );
}

static PyMethodDef methods[] = {
    {"doubled", doubled, METH_VARARGS, NULL},
    {"table", table, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "plugin", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_plugin(void)
{
    return cnn_import_kernel_api() < 0 ? NULL : PyModule_Create(&module);
}
