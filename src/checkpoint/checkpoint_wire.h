/* Numbers and texts as a row of bytes, from one process to another of the same program.
 */
#ifndef CHECKPOINT_CHECKPOINT_WIRE_H
#define CHECKPOINT_CHECKPOINT_WIRE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Start with {0}; free bytes with mem_free. */
struct wire {
    void *bytes;
    size_t n, capacity; /* written */
    size_t at;          /* read */
};

/* MEMORY. */
convoy_status wire_put_u64(struct wire *wire, uint64_t value);
convoy_status wire_put_text(struct wire *wire, const char *text);

/* What was put, in the same order. LIBRARY: something else was. *text is new; free with
 * mem_free. */
convoy_status wire_get_u64(struct wire *wire, uint64_t *value);
convoy_status wire_get_text(struct wire *wire, char **text);

#endif
