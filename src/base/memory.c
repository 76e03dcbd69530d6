/* Aligned, zeroed memory with overflow checks.
 *
 * A page of memory lies in the NUMA domain of the thread that writes to it first. So
 * large memory is not cleared here, where one thread would take all of it: its pages
 * are given back to the kernel (madvise, MADV_DONTNEED), which hands out zeroed ones to
 * whoever touches them. */
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Below, a call to the kernel costs more than clearing. */
enum { LARGE = 1 << 20 };

size_t mem_round_up(size_t bytes)
{
    return (bytes + MEM_ALIGNMENT - 1) / MEM_ALIGNMENT * MEM_ALIGNMENT;
}

size_t mem_round_up_floats(size_t n)
{
    return mem_round_up(n * sizeof(float)) / sizeof(float);
}

/* Makes the whole pages within memory read as zeros, untouched; false where this memory
 * is of a kind that keeps its contents (huge or shared pages of another malloc). */
static bool forget(char *begin, char *end)
{
    begin[0] = 1;
    return madvise(begin, (size_t)(end - begin), MADV_DONTNEED) == 0 && begin[0] == 0;
}

static void clear(char *memory, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const size_t before = (size_t)(-(uintptr_t)memory % page);
    const size_t behind = ((uintptr_t)memory + bytes) % page;
    if (bytes < LARGE || !forget(memory + before, memory + bytes - behind)) {
        memset(memory, 0, bytes);
        return;
    }
    memset(memory, 0, before);
    memset(memory + bytes - behind, 0, behind);
}

convoy_status mem_alloc(size_t bytes, void **out)
{
    if (bytes > SIZE_MAX - MEM_ALIGNMENT)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate %zu bytes", bytes);
    size_t rounded = bytes ? mem_round_up(bytes) : MEM_ALIGNMENT;
    void *memory = aligned_alloc(MEM_ALIGNMENT, rounded);
    if (!memory)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate %zu bytes", bytes);
    clear(memory, rounded);
    *out = memory;
    return CONVOY_OK;
}

convoy_status mem_alloc_array(size_t n, size_t size, void **out)
{
    if (size && n > SIZE_MAX / size)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate %zu x %zu bytes", n, size);
    return mem_alloc(n * size, out);
}

convoy_status mem_reserve(void **buffer, size_t *capacity, size_t bytes)
{
    if (bytes <= *capacity && *buffer)
        return CONVOY_OK;
    size_t grown = bytes + bytes / 2;
    void *memory = NULL;
    convoy_status status = mem_alloc(grown, &memory);
    if (status != CONVOY_OK)
        return status;
    if (*buffer)
        memcpy(memory, *buffer, *capacity);
    mem_free(*buffer);
    *buffer = memory;
    *capacity = grown;
    return CONVOY_OK;
}

void mem_free(void *memory)
{
    free(memory);
}

convoy_status mem_copy_text(const char *text, char **out)
{
    size_t bytes = strlen(text) + 1;
    void *memory = NULL;
    convoy_status status = mem_alloc(bytes, &memory);
    if (status == CONVOY_OK) {
        memcpy(memory, text, bytes);
        *out = memory;
    }
    return status;
}
