/* A caching allocator for large arrays.

   Pages fresh from the system cost more than the arithmetic of a memory-bound
   layer: each is zeroed and mapped at its first touch.  A training step asks for the
   same sizes again and again, so freed blocks are kept by size class, four classes to
   a doubling, and handed out again.  When more is kept than the limit allows, the blocks
   that were freed longest ago go back to the system. */

#ifndef CNN_CORE_ALLOCATOR_H
#define CNN_CORE_ALLOCATOR_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "os_threads.h"

#define ALLOCATOR_ALIGNMENT 64
#define ALLOCATOR_CLASSES 256
#define HUGE_PAGE ((size_t)1 << 21)

/* A load waits for a store before it if both are in the same place of a page, though the pages differ: processors
   compare no more than that at first. So a kernel takes up to 1.4 times as long if it stores 50 to 200 bytes further
   into its pages than it loads. numpy's large arrays begin 16 bytes into a page, and a block with its header would
   begin just there; half a page on, it is as far from them as can be, and all large blocks are in one place. */
#define LARGE_BLOCK ((size_t)1 << 16)
#define LARGE_LEAD ((size_t)2048)

/* Sits in the 64 bytes before the memory it describes. */
typedef struct block {
    struct block *next, *previous; /* in the free list of its class, the newest first */
    struct block *newer, *older;   /* among all kept blocks */
    void *start;                   /* what malloc gave */
    size_t bytes;
    int size_class;
} block;

static struct {
    mutex_t mutex;
    block *free_lists[ALLOCATOR_CLASSES];
    block *newest, *oldest;
    size_t cached, in_use; /* bytes */
    size_t limit;          /* the most bytes that are kept for reuse */
} allocator;

/* Puts a block among the kept ones.  Both need the mutex. */
static void keep_block(block *b)
{
    b->previous = NULL;
    b->next = allocator.free_lists[b->size_class];
    if (b->next != NULL)
        b->next->previous = b;
    allocator.free_lists[b->size_class] = b;
    b->newer = NULL;
    b->older = allocator.newest;
    if (b->older != NULL)
        b->older->newer = b;
    else
        allocator.oldest = b;
    allocator.newest = b;
    allocator.cached += b->bytes;
}

static void unkeep_block(block *b)
{
    if (b->previous != NULL)
        b->previous->next = b->next;
    else
        allocator.free_lists[b->size_class] = b->next;
    if (b->next != NULL)
        b->next->previous = b->previous;
    if (b->newer != NULL)
        b->newer->older = b->older;
    else
        allocator.newest = b->older;
    if (b->older != NULL)
        b->older->newer = b->newer;
    else
        allocator.oldest = b->newer;
    allocator.cached -= b->bytes;
}

/* Gives kept blocks back to the system, the oldest first, until no more than `bytes` are kept. */
static void allocator_trim(size_t bytes)
{
    block *freed = NULL;
    mutex_lock(&allocator.mutex);
    while (allocator.cached > bytes) {
        block *b = allocator.oldest;
        unkeep_block(b);
        b->next = freed;
        freed = b;
    }
    mutex_unlock(&allocator.mutex);
    while (freed != NULL) {
        block *next = freed->next;
        free(freed->start);
        freed = next;
    }
}

/* The smallest class, and its size, that holds `bytes`: 64, 80, 96, 112, 128, 160, ... */
static int size_class(size_t bytes, size_t *class_bytes)
{
    size_t quarter = ALLOCATOR_ALIGNMENT / 4, size = ALLOCATOR_ALIGNMENT;
    int index = 0;
    while (size < bytes && index < ALLOCATOR_CLASSES - 1) {
        if (++index % 4 == 1 && index > 1)
            quarter *= 2;
        size += quarter;
    }
    *class_bytes = size;
    return index;
}

/* Large blocks lie on huge pages where the system has them to give (Linux, if it is asked): a kernel
   that walks through many planes at once then needs few page addresses instead of one for each. */
static void *system_memory(size_t bytes)
{
#ifdef MADV_HUGEPAGE
    void *memory;
    if (bytes >= 2 * HUGE_PAGE) {
        if (posix_memalign(&memory, HUGE_PAGE, bytes) != 0)
            return NULL;
        madvise(memory, bytes, MADV_HUGEPAGE); /* no is an answer, too */
        return memory;
    }
#endif
    return malloc(bytes);
}

static void *allocator_allocate(size_t bytes)
{
    size_t class_bytes;
    int index;
    block *b;
    void *start;
    const size_t lead = bytes < LARGE_BLOCK ? 0 : LARGE_LEAD;
    if (bytes > PTRDIFF_MAX / 2)
        return NULL;
    index = size_class(bytes, &class_bytes);
    mutex_lock(&allocator.mutex);
    b = allocator.free_lists[index];
    if (b != NULL)
        unkeep_block(b);
    allocator.in_use += class_bytes;
    mutex_unlock(&allocator.mutex);
    if (b != NULL)
        return (char *)b + ALLOCATOR_ALIGNMENT;

    start = system_memory(lead + class_bytes + 2 * ALLOCATOR_ALIGNMENT);
    if (start == NULL) {
        mutex_lock(&allocator.mutex);
        allocator.in_use -= class_bytes;
        mutex_unlock(&allocator.mutex);
        return NULL;
    }
    b = (block *)(((uintptr_t)start + lead + ALLOCATOR_ALIGNMENT) & ~(uintptr_t)(ALLOCATOR_ALIGNMENT - 1));
    b->start = start;
    b->bytes = class_bytes;
    b->size_class = index;
    return (char *)b + ALLOCATOR_ALIGNMENT;
}

static void allocator_release(void *memory)
{
    block *b;
    size_t cached;
    if (memory == NULL)
        return;
    b = (block *)((char *)memory - ALLOCATOR_ALIGNMENT);
    mutex_lock(&allocator.mutex);
    allocator.in_use -= b->bytes;
    keep_block(b);
    cached = allocator.cached;
    mutex_unlock(&allocator.mutex);
    if (cached > allocator.limit)
        allocator_trim(allocator.limit);
}

static size_t allocator_cached(void)
{
    size_t bytes;
    mutex_lock(&allocator.mutex);
    bytes = allocator.cached;
    mutex_unlock(&allocator.mutex);
    return bytes;
}

static size_t allocator_in_use(void)
{
    size_t bytes;
    mutex_lock(&allocator.mutex);
    bytes = allocator.in_use;
    mutex_unlock(&allocator.mutex);
    return bytes;
}

#endif
