/* The widest instruction set that this CPU and operating system run, asked from code
   that itself runs anywhere. */

#ifndef CNN_CORE_CPU_H
#define CNN_CORE_CPU_H

#include <string.h>

static int cpu_runs(const char *level)
{
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
    if (strcmp(level, "avx2") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    if (strcmp(level, "avx512") == 0)
        return cpu_runs("avx2") && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return strcmp(level, "baseline") == 0;
}

#endif
