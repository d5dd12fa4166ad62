/* The library's thread pool.

   Workers are started on first need, spin for some microseconds after a job in
   the hope of another, then block: an idle pool uses no CPU.  One job runs at a
   time; a Python thread that finds the pool busy runs its job alone, which gives
   the same result, as ranges do not depend on who takes them.

   The gate is one atomic word: which job this is (32 bits), how many threads may
   join it (16), how many workers are inside (16).  The caller closes the gate when
   no range is left and waits only for the workers inside: one that is slow to wake
   holds nobody up.

   Linux likes to wake a worker on the CPU of the thread that wakes it, though that thread
   goes on and another CPU is idle, and takes some milliseconds to move one of them.  So a
   worker may not use the caller's CPU while it is woken.

   Between ranges that it takes, Python's main thread looks for signals: see interruption.h. */

#ifndef CNN_CORE_POOL_H
#define CNN_CORE_POOL_H

#include <stdint.h>

#include "cnn_core/kernel_api.h"
#include "denormals.h"
#include "interruption.h"
#include "os_threads.h"

#define POOL_MAX_THREADS 256
#define POOL_SPINS 2000 /* pauses before a waiting thread blocks: some 20 to 50 microseconds */
#define POOL_SHORT 10   /* milliseconds: a thread that is alone takes eight times as much after a piece this short */

typedef struct {
    cnn_task task;
    const void *job;
    ptrdiff_t n_items, grain;
    char *scratch;
    size_t scratch_bytes;
    ptrdiff_t next_item; /* atomic: where the next range starts */
    int n_threads;
    int looks;           /* whether the caller looks for signals */
} pool_job;

static struct {
    uint64_t gate;       /* atomic */
    pool_job job;        /* steady while the gate is open or a worker is inside */
    int busy;            /* atomic: some thread shares a job */
    int main_inside;     /* it is Python's main thread; nobody else reads or writes this */
    ptrdiff_t paused_at; /* the job's next item, while the main thread forks */
    int n_workers;       /* started so far; only the busy thread changes it */
    uint32_t born[POOL_MAX_THREADS]; /* the last job before each worker's time */
    int sleeps[POOL_MAX_THREADS]; /* atomic: the worker blocks on its `work`, or is about to */
    int thread[POOL_MAX_THREADS]; /* the system's number for each worker */
    int kept_off[POOL_MAX_THREADS]; /* under the mutex: it is woken with fewer CPUs than it is `allowed` */
    cpus allowed[POOL_MAX_THREADS];
    mutex_t mutex;
    condition_t work[POOL_MAX_THREADS]; /* one for each worker: those that a job has no use for sleep on */
    condition_t done;
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
    pool.busy = pool.main_inside = pool.n_workers = 0;
    mutex_init(&pool.mutex);
    condition_init(&pool.done);
    for (int worker = 0; worker < POOL_MAX_THREADS; worker++) {
        pool.sleeps[worker] = pool.kept_off[worker] = 0;
        condition_init(&pool.work[worker]);
    }
}

/* Looks for signals if it is time to; whether to leave the job.  Handlers run in the mode that the caller had. */
static int pool_leaves(int64_t now, float_mode mode)
{
    if (!interruption.leaving && interruption_is_due(now)) {
        restore_denormals(mode);
        interruption_look();
        flush_denormals();
    }
    return interruption.leaving; /* a kernel inside of the task may have looked as well */
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
        if (worker == 0 && job->looks && pool_leaves(clock_milliseconds(), mode))
            __atomic_store_n(&job->next_item, job->n_items, __ATOMIC_RELAXED); /* for the workers, too */
    }
    restore_denormals(mode);
}

/* Waits for a job other than `seen`; returns the gate as it was found. */
static uint64_t pool_await_job(uint32_t seen, int worker)
{
    uint64_t gate;
    for (int spin = 0; spin < POOL_SPINS; spin++) {
        gate = __atomic_load_n(&pool.gate, __ATOMIC_ACQUIRE);
        if (GATE_JOB(gate) != seen)
            return gate;
        cpu_pause();
    }
    mutex_lock(&pool.mutex);
    __atomic_store_n(&pool.sleeps[worker], 1, __ATOMIC_SEQ_CST);
    for (;;) {
        gate = __atomic_load_n(&pool.gate, __ATOMIC_SEQ_CST);
        if (GATE_JOB(gate) != seen)
            break;
        condition_wait(&pool.work[worker], &pool.mutex);
    }
    __atomic_store_n(&pool.sleeps[worker], 0, __ATOMIC_SEQ_CST);
    const int kept_off = pool.kept_off[worker];
    const cpus allowed = pool.allowed[worker];
    pool.kept_off[worker] = 0;
    mutex_unlock(&pool.mutex);
    if (kept_off)
        allow_cpus(&allowed);
    return gate;
}

static void pool_work(void *argument)
{
    int worker = (int)(intptr_t)argument; /* 1, 2, ...: a caller is worker 0 */
    uint32_t seen = pool.born[worker];
    pool.thread[worker] = this_thread();
    for (;;) {
        uint64_t gate = pool_await_job(seen, worker);
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
        pool.born[worker] = GATE_JOB(__atomic_load_n(&pool.gate, __ATOMIC_RELAXED));
        if (thread_launch(pool_work, (void *)(intptr_t)worker) != 0)
            return; /* the system has no more threads: go on with those there are */
        pool.n_workers = worker;
    }
}

/* With the mutex held. */
static void pool_wake(int worker, int n_threads)
{
    if (!pool.kept_off[worker])
        pool.kept_off[worker] = keep_off_this_cpu(pool.thread[worker], n_threads, &pool.allowed[worker]);
    condition_signal_all(&pool.work[worker]);
}

static void pool_open_gate(int n_threads)
{
    uint64_t job = GATE_JOB(__atomic_load_n(&pool.gate, __ATOMIC_RELAXED)) + (uint32_t)1;
    int worker = 1;
    __atomic_store_n(&pool.gate, job << 32 | (uint64_t)n_threads << 16, __ATOMIC_SEQ_CST);
    while (worker < n_threads && !__atomic_load_n(&pool.sleeps[worker], __ATOMIC_SEQ_CST))
        worker++;
    if (worker == n_threads)
        return; /* as a rule: all of them spin */
    mutex_lock(&pool.mutex);
    for (; worker < n_threads; worker++)
        if (__atomic_load_n(&pool.sleeps[worker], __ATOMIC_RELAXED))
            pool_wake(worker, n_threads);
    mutex_unlock(&pool.mutex);
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

static void pool_run_backwards(cnn_task task, const void *job, ptrdiff_t n_items, ptrdiff_t grain,
                               void *scratch)
{
    for (ptrdiff_t last = n_items, first; last > 0; last = first) {
        first = (last - 1) / grain * grain;
        task(job, first, last, scratch);
    }
}

/* In pieces that grow until a clock can tell how long they took, so that there are looks between them. */
static void pool_run_with_looks(cnn_task task, const void *job, ptrdiff_t n_items, ptrdiff_t grain,
                                void *scratch, float_mode mode)
{
    int64_t began = clock_milliseconds(), now;
    ptrdiff_t first = 0, piece = grain;
    for (; n_items - first > piece; began = now) {
        task(job, first, first + piece, scratch);
        first += piece;
        now = clock_milliseconds();
        if (pool_leaves(now, mode))
            return;
        if (now - began < POOL_SHORT)
            piece = piece > n_items / 8 ? n_items : 8 * piece;
    }
    task(job, first, n_items, scratch);
}

static void pool_run_alone(cnn_task task, const void *job, ptrdiff_t n_items, ptrdiff_t grain,
                           void *scratch, int looks)
{
    float_mode mode = flush_denormals();
    if (__atomic_load_n(&pool.backwards, __ATOMIC_RELAXED))
        pool_run_backwards(task, job, n_items, grain, scratch);
    else if (looks)
        pool_run_with_looks(task, job, n_items, grain, scratch, mode);
    else
        task(job, 0, n_items, scratch);
    restore_denormals(mode);
}

static void pool_run(cnn_task task, const void *job, ptrdiff_t n_items, ptrdiff_t grain, void *scratch,
                     size_t scratch_bytes, int n_threads, int may_be_left)
{
    ptrdiff_t n_ranges;
    int on_main, looks;
    if (n_items <= 0)
        return;
    if (grain < 1)
        grain = 1;
    n_ranges = (n_items - 1) / grain + 1;
    if (n_threads > POOL_MAX_THREADS)
        n_threads = POOL_MAX_THREADS;
    if (n_ranges < n_threads)
        n_threads = (int)n_ranges;
    on_main = n_ranges > 1 && on_main_thread();
    looks = may_be_left && on_main;
    if (n_threads <= 1 || __atomic_exchange_n(&pool.busy, 1, __ATOMIC_ACQUIRE)) {
        pool_run_alone(task, job, n_items, grain, scratch, looks);
        return;
    }
    pool.job = (pool_job){task, job, n_items, grain, (char *)scratch, scratch_bytes, 0, n_threads, looks};
    __atomic_fetch_add(&pool.jobs_shared, 1, __ATOMIC_RELAXED);
    if (on_main)
        pool.main_inside = 1;
    pool_start_workers(n_threads - 1);
    pool_open_gate(n_threads);
    pool_take_ranges(&pool.job, 0);
    pool_close_gate_and_wait();
    if (on_main)
        pool.main_inside = 0;
    __atomic_store_n(&pool.busy, 0, __ATOMIC_RELEASE);
}

/* See cnn_kernel_api_table.parallel_for. */
static void pool_parallel_for(cnn_task task, const void *job, ptrdiff_t n_items, ptrdiff_t grain,
                              void *scratch, size_t scratch_bytes, int n_threads)
{
    pool_run(task, job, n_items, grain, scratch, scratch_bytes, n_threads, 0);
}

/* See cnn_kernel_api_table.interruptible_for. */
static void pool_interruptible_for(cnn_task task, const void *job, ptrdiff_t n_items, ptrdiff_t grain,
                                   void *scratch, size_t scratch_bytes, int n_threads)
{
    if (!interruption_at_start())
        pool_run(task, job, n_items, grain, scratch, scratch_bytes, n_threads, 1);
}

#ifndef _WIN32
/* A handler of a signal runs between two ranges of a job.  If it forks, both processes go on with the job:
   what workers have begun is finished before, as the child has none.  Jobs of other threads are not in
   the child. */
static int pool_forks_inside(void) { return on_main_thread() && pool.main_inside; }

static void pool_before_fork(void)
{
    if (!pool_forks_inside())
        return;
    pool.paused_at = __atomic_exchange_n(&pool.job.next_item, pool.job.n_items, __ATOMIC_RELAXED);
    pool_close_gate_and_wait();
}

static void pool_after_fork_in_parent(void)
{
    if (!pool_forks_inside())
        return;
    __atomic_store_n(&pool.job.next_item, pool.paused_at, __ATOMIC_RELAXED);
    pool_open_gate(pool.job.n_threads);
}

static void pool_after_fork_in_child(void)
{
    int inside = pool_forks_inside();
    pool_reset();
    if (inside) {
        pool.job.next_item = pool.paused_at;
        pool.busy = pool.main_inside = 1;
    }
    interruption_after_fork_in_child();
}
#endif

#endif
