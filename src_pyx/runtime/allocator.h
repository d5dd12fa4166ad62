/* A caching allocator for large arrays.

   Pages fresh from the system cost more than the arithmetic of a memory-bound
   layer: each is zeroed and mapped at its first touch.  A training step asks for the
   same sizes again and again, so freed blocks are kept by size class, four classes to
   a doubling, and handed out again. */

#ifndef CNN_CORE_ALLOCATOR_H
#define CNN_CORE_ALLOCATOR_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "os_threads.h"

#define ALLOCATOR_ALIGNMENT 64
#define ALLOCATOR_CLASSES 256

/* Sits in the 64 bytes before the memory it describes. */
typedef struct block {
    struct block *next; /* in its free list */
    void *start;        /* what malloc gave */
    size_t bytes;
    int size_class;
} block;

static struct {
    mutex_t mutex;
    block *free_lists[ALLOCATOR_CLASSES];
    size_t cached, in_use; /* bytes */
    size_t limit;          /* the most bytes that are kept for reuse */
} allocator;

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

static void *allocator_allocate(size_t bytes)
{
    size_t class_bytes;
    int index;
    block *b;
    void *start;
    if (bytes > PTRDIFF_MAX / 2)
        return NULL;
    index = size_class(bytes, &class_bytes);
    mutex_lock(&allocator.mutex);
    b = allocator.free_lists[index];
    if (b != NULL) {
        allocator.free_lists[index] = b->next;
        allocator.cached -= class_bytes;
    }
    allocator.in_use += class_bytes;
    mutex_unlock(&allocator.mutex);
    if (b != NULL)
        return (char *)b + ALLOCATOR_ALIGNMENT;

    start = malloc(class_bytes + 2 * ALLOCATOR_ALIGNMENT);
    if (start == NULL) {
        mutex_lock(&allocator.mutex);
        allocator.in_use -= class_bytes;
        mutex_unlock(&allocator.mutex);
        return NULL;
    }
    b = (block *)(((uintptr_t)start + ALLOCATOR_ALIGNMENT - 1) & ~(uintptr_t)(ALLOCATOR_ALIGNMENT - 1));
    b->start = start;
    b->bytes = class_bytes;
    b->size_class = index;
    return (char *)b + ALLOCATOR_ALIGNMENT;
}

static void allocator_release(void *memory)
{
    block *b;
    int keep;
    if (memory == NULL)
        return;
    b = (block *)((char *)memory - ALLOCATOR_ALIGNMENT);
    mutex_lock(&allocator.mutex);
    allocator.in_use -= b->bytes;
    keep = allocator.cached + b->bytes <= allocator.limit;
    if (keep) {
        b->next = allocator.free_lists[b->size_class];
        allocator.free_lists[b->size_class] = b;
        allocator.cached += b->bytes;
    }
    mutex_unlock(&allocator.mutex);
    if (!keep)
        free(b->start);
}

/* Gives all kept blocks back to the system. */
static void allocator_trim(void)
{
    block *lists[ALLOCATOR_CLASSES];
    mutex_lock(&allocator.mutex);
    memcpy(lists, allocator.free_lists, sizeof lists);
    memset(allocator.free_lists, 0, sizeof lists);
    allocator.cached = 0;
    mutex_unlock(&allocator.mutex);
    for (int i = 0; i < ALLOCATOR_CLASSES; i++) {
        while (lists[i] != NULL) {
            block *next = lists[i]->next;
            free(lists[i]->start);
            lists[i] = next;
        }
    }
}

#endif
