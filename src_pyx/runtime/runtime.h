/* The parts of the runtime put together: the table that kernels see, and what a fork does to it. */

#ifndef CNN_CORE_RUNTIME_H
#define CNN_CORE_RUNTIME_H

#include "allocator.h"
#include "cpu.h"
#include "pool.h"

static const char *runtime_isa_level_name = "baseline"; /* set before any kernel is there to ask */

static void runtime_set_isa_level(const char *level) { runtime_isa_level_name = level; }
static const char *runtime_isa_level(void) { return runtime_isa_level_name; }

static int runtime_num_threads_now = 1; /* atomic */

static void runtime_set_num_threads(int n_threads)
{
    __atomic_store_n(&runtime_num_threads_now, n_threads, __ATOMIC_RELAXED);
}
static int runtime_num_threads(void) { return __atomic_load_n(&runtime_num_threads_now, __ATOMIC_RELAXED); }

#ifndef _WIN32
/* A fork copies one thread.  Holding the allocator's lock over it keeps the lists whole in the
   child; the pool's workers are not there, so the child begins without any. */
static void runtime_before_fork(void)
{
    pool_before_fork();
    mutex_lock(&allocator.mutex);
}
static void runtime_after_fork_in_parent(void)
{
    mutex_unlock(&allocator.mutex);
    pool_after_fork_in_parent();
}
static void runtime_after_fork_in_child(void)
{
    mutex_init(&allocator.mutex);
    pool_after_fork_in_child();
}
#endif

static cnn_kernel_api_table *runtime_init(size_t cache_limit, unsigned long main_thread)
{
    static cnn_kernel_api_table table = {
        CNN_CORE_KERNEL_API_VERSION, sizeof(cnn_kernel_api_table), pool_parallel_for,   allocator_allocate,
        allocator_release,           runtime_isa_level,            runtime_num_threads, pool_interruptible_for,
    };
    mutex_init(&allocator.mutex);
    allocator.limit = cache_limit;
    interruption.main_thread = main_thread;
    pool_reset();
#ifndef _WIN32
    pthread_atfork(runtime_before_fork, runtime_after_fork_in_parent, runtime_after_fork_in_child);
#endif
    return &table;
}

#endif
