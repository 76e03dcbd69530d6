/* A growing block of texts and where each starts. The block may move as it grows, so
 * callers keep numbers, not pointers. */
#include "packing/texts.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

convoy_status texts_add(struct texts *texts, const char *text)
{
    convoy_status status = CONVOY_OK;
    size_t bytes = strlen(text) + 1;
    TRY(mem_reserve((void **)&texts->block, &texts->capacity, texts->used + bytes));
    TRY(mem_reserve((void **)&texts->starts, &texts->starts_capacity,
                    (texts->n + 1) * sizeof *texts->starts));
    memcpy(texts->block + texts->used, text, bytes);
    texts->starts[texts->n++] = texts->used;
    texts->used += bytes;
cleanup:
    return status;
}

convoy_status texts_print(struct texts *texts, const char *format, ...)
{
    char text[STATUS_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return texts_add(texts, text);
}

const char *texts_get(const struct texts *texts, size_t i)
{
    return texts->block + texts->starts[i];
}

convoy_status texts_list(const struct texts *texts, const char ***list)
{
    const char **found = NULL;
    convoy_status status =
        mem_alloc_array(texts->n + 1, sizeof *found, (void **)&found);
    if (status != CONVOY_OK)
        return status;
    for (size_t i = 0; i < texts->n; i++)
        found[i] = texts_get(texts, i);
    *list = found;
    return CONVOY_OK;
}

static int compare_starts(const void *a, const void *b, void *block)
{
    const char *base = block;
    return strcmp(base + *(const size_t *)a, base + *(const size_t *)b);
}

void texts_sort(struct texts *texts)
{
    if (texts->n)
        qsort_r(texts->starts, texts->n, sizeof *texts->starts, compare_starts,
                texts->block);
}

void texts_trim(struct texts *texts, size_t n)
{
    for (size_t i = 0; i < texts->n; i++)
        if (strlen(texts_get(texts, i)) >= n)
            texts->starts[i] += n;
}

void texts_free(struct texts *texts)
{
    mem_free(texts->block);
    mem_free(texts->starts);
    *texts = (struct texts){.block = NULL};
}
