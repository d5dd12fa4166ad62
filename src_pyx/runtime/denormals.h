/* Denormal numbers are a hundred times slower than others and worth nothing in
   training: kernels run with them flushed to zero, and the caller's mode comes
   back afterwards.  (A worker thread has a mode of its own, hence one call in each.) */

#ifndef CNN_CORE_DENORMALS_H
#define CNN_CORE_DENORMALS_H

#if defined(__SSE2__) || defined(_M_X64)

#include <immintrin.h>

typedef unsigned float_mode;

static float_mode flush_denormals(void)
{
    float_mode before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* results flush to zero, operands are zero */
    return before;
}
static void restore_denormals(float_mode before) { _mm_setcsr(before); }
static void cpu_pause(void) { _mm_pause(); }

#elif defined(__aarch64__)

typedef unsigned long float_mode;

static float_mode flush_denormals(void)
{
    float_mode before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (1ul << 24))); /* FZ */
    return before;
}
static void restore_denormals(float_mode before) { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
static void cpu_pause(void) { __asm__ volatile("yield"); }

#else

typedef int float_mode;

static float_mode flush_denormals(void) { return 0; }
static void restore_denormals(float_mode before) { (void)before; }
static void cpu_pause(void) {}

#endif
#endif
