/* The library's thread pool.

   Workers are started on first need, spin for some microseconds after a job in
   the hope of another, then block: an idle pool uses no CPU.  One job runs at a
   time; a Python thread that finds the pool busy runs its job alone, which gives
   the same result, as ranges do not depend on who takes them.

   The gate is one atomic word: which job this is (32 bits), how many threads may
   join it (16), how many workers are inside (16).  The caller closes the gate when
   no range is left and waits only for the workers inside: one that is slow to wake
   holds nobody up. */

#ifndef CNN_CORE_POOL_H
#define CNN_CORE_POOL_H

#include <stdint.h>

#include "cnn_core/kernel_api.h"
#include "denormals.h"
#include "os_threads.h"

#define POOL_MAX_THREADS 256
#define POOL_SPINS 2000 /* pauses before a waiting thread blocks: some 20 to 50 microseconds */

typedef struct {
    cnn_task task;
    const void *job;
    ptrdiff_t n_items, grain;
    char *scratch;
    size_t scratch_bytes;
    ptrdiff_t next_item; /* atomic: where the next range starts */
} pool_job;

static struct {
    uint64_t gate;       /* atomic */
    pool_job job;        /* steady while the gate is open or a worker is inside */
    int busy;            /* atomic: some thread is inside pool_parallel_for */
    int n_workers;       /* started so far; only the busy thread changes it */
    uint32_t born[POOL_MAX_THREADS]; /* the last job before each worker's time */
    int n_sleeping;      /* atomic: workers that block on `work`, or are about to */
    mutex_t mutex;
    condition_t work, done;
    int backwards;       /* atomic: see pool_run_alone */
    size_t jobs_shared;  /* atomic: how many jobs had several threads so far */
} pool;

#define GATE_JOB(gate) ((uint32_t)((gate) >> 32))
#define GATE_OPEN(gate) ((int)((gate) >> 16 & 0xffff))
#define GATE_INSIDE(gate) ((int)((gate) & 0xffff))

/* Also the forked child's first act: its parent's workers do not exist there. */
static void pool_reset(void)
{
    __atomic_store_n(&pool.gate, 0, __ATOMIC_SEQ_CST);
    pool.busy = pool.n_workers = pool.n_sleeping = 0;
    mutex_init(&pool.mutex);
    condition_init(&pool.work);
    condition_init(&pool.done);
}

static void pool_take_ranges(pool_job *job, int worker)
{
    void *scratch = job->scratch ? job->scratch + worker * job->scratch_bytes : NULL;
    float_mode mode = flush_denormals();
    for (;;) {
        ptrdiff_t first = __atomic_fetch_add(&job->next_item, job->grain, __ATOMIC_RELAXED);
        if (first >= job->n_items)
            break;
        job->task(job->job, first,
                  job->n_items - first < job->grain ? job->n_items : first + job->grain, scratch);
    }
    restore_denormals(mode);
}

/* Waits for a job other than `seen`; returns the gate as it was found. */
static uint64_t pool_await_job(uint32_t seen)
{
    uint64_t gate;
    for (int spin = 0; spin < POOL_SPINS; spin++) {
        gate = __atomic_load_n(&pool.gate, __ATOMIC_ACQUIRE);
        if (GATE_JOB(gate) != seen)
            return gate;
        cpu_pause();
    }
    mutex_lock(&pool.mutex);
    __atomic_fetch_add(&pool.n_sleeping, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        gate = __atomic_load_n(&pool.gate, __ATOMIC_SEQ_CST);
        if (GATE_JOB(gate) != seen)
            break;
        condition_wait(&pool.work, &pool.mutex);
    }
    __atomic_fetch_sub(&pool.n_sleeping, 1, __ATOMIC_SEQ_CST);
    mutex_unlock(&pool.mutex);
    return gate;
}

static void pool_work(void *argument)
{
    int worker = (int)(intptr_t)argument; /* 1, 2, ...: a caller is worker 0 */
    uint32_t seen = pool.born[worker];
    for (;;) {
        uint64_t gate = pool_await_job(seen);
        seen = GATE_JOB(gate);
        while (GATE_JOB(gate) == seen && worker < GATE_OPEN(gate)) {
            if (!__atomic_compare_exchange_n(&pool.gate, &gate, gate + 1, 0, __ATOMIC_ACQ_REL,
                                             __ATOMIC_ACQUIRE))
                continue;
            pool_take_ranges(&pool.job, worker);
            gate = __atomic_sub_fetch(&pool.gate, 1, __ATOMIC_SEQ_CST);
            if (GATE_INSIDE(gate) == 0 && GATE_OPEN(gate) == 0) {
                mutex_lock(&pool.mutex);
                condition_signal_all(&pool.done);
                mutex_unlock(&pool.mutex);
            }
            break;
        }
    }
}

static void pool_start_workers(int wanted)
{
    while (pool.n_workers < wanted) {
        int worker = pool.n_workers + 1;
        pool.born[worker] = GATE_JOB(pool.gate);
        if (thread_launch(pool_work, (void *)(intptr_t)worker) != 0)
            return; /* the system has no more threads: go on with those there are */
        pool.n_workers = worker;
    }
}

static void pool_open_gate(int n_threads)
{
    uint64_t job = GATE_JOB(pool.gate) + (uint32_t)1;
    __atomic_store_n(&pool.gate, job << 32 | (uint64_t)n_threads << 16, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pool.n_sleeping, __ATOMIC_SEQ_CST) > 0) {
        mutex_lock(&pool.mutex);
        condition_signal_all(&pool.work);
        mutex_unlock(&pool.mutex);
    }
}

static void pool_close_gate_and_wait(void)
{
    uint64_t gate = __atomic_and_fetch(&pool.gate, ~(uint64_t)0xffff0000, __ATOMIC_SEQ_CST);
    for (int spin = 0; GATE_INSIDE(gate) > 0 && spin < POOL_SPINS; spin++) {
        cpu_pause();
        gate = __atomic_load_n(&pool.gate, __ATOMIC_ACQUIRE);
    }
    if (GATE_INSIDE(gate) == 0)
        return;
    mutex_lock(&pool.mutex);
    while (GATE_INSIDE(__atomic_load_n(&pool.gate, __ATOMIC_SEQ_CST)) > 0)
        condition_wait(&pool.done, &pool.mutex);
    mutex_unlock(&pool.mutex);
}

/* Whoever wants to know whether results depend on how a job was cut, and in which order its ranges
   came, lets them run backwards, one by one: what threads do by chance is then done every time. */
static void pool_set_backwards(int backwards)
{
    __atomic_store_n(&pool.backwards, backwards, __ATOMIC_RELAXED);
}

static size_t pool_jobs_shared(void) { return __atomic_load_n(&pool.jobs_shared, __ATOMIC_RELAXED); }

static void pool_run_alone(cnn_task task, const void *job, ptrdiff_t n_items, ptrdiff_t grain,
                           void *scratch)
{
    float_mode mode = flush_denormals();
    if (!__atomic_load_n(&pool.backwards, __ATOMIC_RELAXED))
        task(job, 0, n_items, scratch);
    else
        for (ptrdiff_t last = n_items, first; last > 0; last = first) {
            first = (last - 1) / grain * grain;
            task(job, first, last, scratch);
        }
    restore_denormals(mode);
}

/* See cnn_kernel_api_table.parallel_for. */
static void pool_parallel_for(cnn_task task, const void *job, ptrdiff_t n_items, ptrdiff_t grain,
                              void *scratch, size_t scratch_bytes, int n_threads)
{
    if (n_items <= 0)
        return;
    if (grain < 1)
        grain = 1;
    if (n_threads > POOL_MAX_THREADS)
        n_threads = POOL_MAX_THREADS;
    if ((n_items - 1) / grain + 1 < n_threads)
        n_threads = (int)((n_items - 1) / grain + 1);
    if (n_threads <= 1 || __atomic_exchange_n(&pool.busy, 1, __ATOMIC_ACQUIRE)) {
        pool_run_alone(task, job, n_items, grain, scratch);
        return;
    }
    pool.job = (pool_job){task, job, n_items, grain, (char *)scratch, scratch_bytes, 0};
    __atomic_fetch_add(&pool.jobs_shared, 1, __ATOMIC_RELAXED);
    pool_start_workers(n_threads - 1);
    pool_open_gate(n_threads);
    pool_take_ranges(&pool.job, 0);
    pool_close_gate_and_wait();
    __atomic_store_n(&pool.busy, 0, __ATOMIC_RELEASE);
}

#endif
