/* Ctrl-C, or any signal with a handler in Python, while a kernel runs.

   Python runs handlers in its main thread, between two instructions, and a kernel is one instruction.
   So the main thread, between ranges that it takes of a job, looks now and then whether a signal has come,
   and lets Python run its handler there.  If the handler returns, the job goes on.  If it raises, no further
   range is begun: the kernel returns with its outputs unfinished, and so does every other that the main thread
   calls, until the exception is raised by a pending call.  Python makes that call before its next
   instruction, as it does with signals: nobody sees the unfinished outputs.

   Only the main thread ever takes the GIL inside a kernel.  Others could wait for it for ever when the
   interpreter ends.  All that is written here belongs to the main thread. */

#ifndef CNN_CORE_INTERRUPTION_H
#define CNN_CORE_INTERRUPTION_H

#include <Python.h>
#include <stdint.h>

#include "clock.h"

#define LOOK_EVERY 100 /* milliseconds */

static struct {
    unsigned long main_thread;
    int64_t looked;                     /* when, in milliseconds */
    PyObject *type, *value, *traceback; /* what a handler raised, if `raised` */
    int raised;                         /* atomic: others may ask */
    int is_pending;                     /* Python will call interruption_raise */
    int leaving;                        /* both of these: kernels return */
} interruption;

static int on_main_thread(void) { return PyThread_get_thread_ident() == interruption.main_thread; }

static int interruption_raise(void *unused)
{
    (void)unused;
    interruption.is_pending = interruption.leaving = 0;
    if (!interruption.raised)
        return 0;
    __atomic_store_n(&interruption.raised, 0, __ATOMIC_RELAXED);
    PyErr_Restore(interruption.type, interruption.value, interruption.traceback);
    return -1;
}

/* Python has room for a few dozen pending calls. */
static int interruption_make_pending(void)
{
    if (!interruption.is_pending)
        interruption.is_pending = Py_AddPendingCall(interruption_raise, NULL) == 0;
    return interruption.is_pending;
}

/* Takes the GIL, lets the handlers of signals that have come run, and says whether to leave. */
static int interruption_look(void)
{
    PyGILState_STATE gil = PyGILState_Ensure();
    /* Without room for the call, signals wait until the kernel has returned. */
    if (interruption_make_pending() && !interruption.raised && PyErr_CheckSignals() < 0) {
        if (interruption.raised) { /* by a kernel in the handler, which no room was left for: this is later */
            Py_XDECREF(interruption.type);
            Py_XDECREF(interruption.value);
            Py_XDECREF(interruption.traceback);
        }
        PyErr_Fetch(&interruption.type, &interruption.value, &interruption.traceback);
        __atomic_store_n(&interruption.raised, 1, __ATOMIC_RELAXED);
        interruption_make_pending(); /* the handler's own instructions may have used the call up */
    }
    interruption.leaving = interruption.raised && interruption.is_pending;
    PyGILState_Release(gil);
    return interruption.leaving;
}

static int interruption_is_due(int64_t now)
{
    if (now - interruption.looked < LOOK_EVERY)
        return 0;
    interruption.looked = now;
    return 1;
}

/* Whether a kernel that begins leaves at once. */
static int interruption_at_start(void)
{
    if (!__atomic_load_n(&interruption.raised, __ATOMIC_RELAXED) || !on_main_thread())
        return 0;
    return interruption.leaving || interruption_look();
}

/* The thread that forked is the child's main thread, and what was raised in another is none of its business.
   (Whether Python takes pending calls into the child is its own.) */
static void interruption_after_fork_in_child(void)
{
    interruption.is_pending = interruption.leaving = 0;
    if (!on_main_thread()) {
        interruption.raised = 0;
#ifdef Py_GIL_DISABLED
        /* CPython (3.13) still tells the thread that was the parent's main one of pending calls. With a GIL, who
           takes it sees them all the same; without, nobody would: kernels had better run to their end. */
        interruption.main_thread = 0;
        return;
#endif
    }
    interruption.main_thread = PyThread_get_thread_ident();
}

#endif
