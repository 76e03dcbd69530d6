/* Aligned, zeroed memory with overflow checks. */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t mem_round_up(size_t bytes)
{
    return (bytes + MEM_ALIGNMENT - 1) / MEM_ALIGNMENT * MEM_ALIGNMENT;
}

size_t mem_round_up_floats(size_t n)
{
    return mem_round_up(n * sizeof(float)) / sizeof(float);
}

convoy_status mem_alloc(size_t bytes, void **out)
{
    if (bytes > SIZE_MAX - MEM_ALIGNMENT)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate %zu bytes", bytes);
    size_t rounded = bytes ? mem_round_up(bytes) : MEM_ALIGNMENT;
    void *memory = aligned_alloc(MEM_ALIGNMENT, rounded);
    if (!memory)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate %zu bytes", bytes);
    memset(memory, 0, rounded);
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
