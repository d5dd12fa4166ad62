/* Mutex, condition, thread start, as POSIX and Windows call them, and CPUs, where Linux says which. */

#ifndef CNN_CORE_OS_THREADS_H
#define CNN_CORE_OS_THREADS_H

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <stdlib.h>
#include <windows.h>

typedef SRWLOCK mutex_t;
typedef CONDITION_VARIABLE condition_t;

static void mutex_init(mutex_t *m) { InitializeSRWLock(m); }
static void mutex_lock(mutex_t *m) { AcquireSRWLockExclusive(m); }
static void mutex_unlock(mutex_t *m) { ReleaseSRWLockExclusive(m); }
static void condition_init(condition_t *c) { InitializeConditionVariable(c); }
static void condition_wait(condition_t *c, mutex_t *m) { SleepConditionVariableSRW(c, m, INFINITE, 0); }
static void condition_signal_all(condition_t *c) { WakeAllConditionVariable(c); }

typedef struct {
    void (*run)(void *);
    void *argument;
} thread_start;

static DWORD WINAPI thread_entry(LPVOID start)
{
    thread_start s = *(thread_start *)start;
    free(start);
    s.run(s.argument);
    return 0;
}

static int thread_launch(void (*run)(void *), void *argument)
{
    thread_start *start = (thread_start *)malloc(sizeof *start);
    HANDLE handle;
    if (start == NULL)
        return -1;
    start->run = run;
    start->argument = argument;
    handle = CreateThread(NULL, 0, thread_entry, start, 0, NULL);
    if (handle == NULL) {
        free(start);
        return -1;
    }
    CloseHandle(handle);
    return 0;
}

#else

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

typedef pthread_mutex_t mutex_t;
typedef pthread_cond_t condition_t;

static void mutex_init(mutex_t *m) { pthread_mutex_init(m, NULL); }
static void mutex_lock(mutex_t *m) { pthread_mutex_lock(m); }
static void mutex_unlock(mutex_t *m) { pthread_mutex_unlock(m); }
static void condition_init(condition_t *c) { pthread_cond_init(c, NULL); }
static void condition_wait(condition_t *c, mutex_t *m) { pthread_cond_wait(c, m); }
static void condition_signal_all(condition_t *c) { pthread_cond_broadcast(c); }

typedef struct {
    void (*run)(void *);
    void *argument;
} thread_start;

static void *thread_entry(void *start)
{
    thread_start s = *(thread_start *)start;
    free(start);
    s.run(s.argument);
    return NULL;
}

static int thread_launch(void (*run)(void *), void *argument)
{
    thread_start *start = (thread_start *)malloc(sizeof *start);
    sigset_t all, before;
    pthread_t thread;
    int failed;
    if (start == NULL)
        return -1;
    start->run = run;
    start->argument = argument;
    /* Signals are the interpreter's business: workers block them all. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&thread, NULL, thread_entry, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(start);
        return -1;
    }
    pthread_detach(thread);
    return 0;
}

#endif

#ifdef __linux__
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef cpu_set_t cpus;

static int this_thread(void) { return (int)syscall(SYS_gettid); }

/* Forbids another thread the CPU of the calling one, if it may use at least `least`; which, goes to `allowed`. */
static int keep_off_this_cpu(int thread, int least, cpus *allowed)
{
    const int cpu = sched_getcpu();
    cpus others;
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(thread, sizeof *allowed, allowed) != 0 ||
        CPU_COUNT(allowed) < least)
        return 0;
    others = *allowed;
    CPU_CLR(cpu, &others);
    return sched_setaffinity(thread, sizeof others, &others) == 0;
}

/* The calling thread may use these again. */
static void allow_cpus(const cpus *allowed) { sched_setaffinity(0, sizeof *allowed, allowed); }
#else
typedef int cpus;

static int this_thread(void) { return 0; }

static int keep_off_this_cpu(int thread, int least, cpus *allowed)
{
    (void)thread, (void)least, (void)allowed;
    return 0;
}

static void allow_cpus(const cpus *allowed) { (void)allowed; }
#endif

#endif
