/* Milliseconds that only go forward: a cheap clock, which ticks every few of them. */

#ifndef CNN_CORE_CLOCK_H
#define CNN_CORE_CLOCK_H

#include <stdint.h>

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

static int64_t clock_milliseconds(void) { return (int64_t)GetTickCount64(); }

#else

#include <time.h>

#ifdef CLOCK_MONOTONIC_COARSE
#define CLOCK_CHEAP CLOCK_MONOTONIC_COARSE
#else
#define CLOCK_CHEAP CLOCK_MONOTONIC
#endif

static int64_t clock_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_CHEAP, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
#endif
