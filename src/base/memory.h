/* Aligned memory. Everything that a vector loop or oneDNN touches starts on a cache
 * line. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include "base/status.h"

#include <stddef.h>

enum { MEM_ALIGNMENT = 64 };

/* Rounds bytes up to a multiple of MEM_ALIGNMENT. */
size_t mem_round_up(size_t bytes);
/* The same for a number of floats. */
size_t mem_round_up_floats(size_t n);

/* New memory of at least bytes, all zeros, aligned to MEM_ALIGNMENT; free with
 * mem_free. Of a megabyte and more no thread has touched the pages yet: each comes to
 * lie in the NUMA domain of the thread that first writes to it. bytes 0 gives a valid
 * pointer. *out is written only on success. */
convoy_status mem_alloc(size_t bytes, void **out);

/* n elements of size bytes each, as mem_alloc; fails where n * size overflows. */
convoy_status mem_alloc_array(size_t n, size_t size, void **out);

/* Makes *buffer (NULL or from mem_alloc) at least bytes large; contents are kept up to
 * *capacity, which is then the new capacity. */
convoy_status mem_reserve(void **buffer, size_t *capacity, size_t bytes);

/* Takes NULL. */
void mem_free(void *memory);

/* New copy of text; free with mem_free. */
convoy_status mem_copy_text(const char *text, char **out);

#endif
