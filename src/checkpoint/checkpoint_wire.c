/* Each piece as it lies in memory: both ends are the same program on the same kind of
 * machine. A text is its length and its bytes. */
#include "checkpoint/checkpoint_wire.h"

#include "base/memory.h"

#include <string.h>

static convoy_status put(struct wire *wire, const void *bytes, size_t n)
{
    if (wire->n + n > wire->capacity) {
        const convoy_status status =
            mem_reserve(&wire->bytes, &wire->capacity, 2 * (wire->n + n) + 4096);
        if (status != CONVOY_OK)
            return status;
    }
    memcpy((char *)wire->bytes + wire->n, bytes, n);
    wire->n += n;
    return CONVOY_OK;
}

static convoy_status get(struct wire *wire, void *bytes, size_t n)
{
    if (n > wire->n - wire->at)
        return FAIL(CONVOY_ERROR_LIBRARY,
                    "a checkpoint's description came cut short from another rank");
    memcpy(bytes, (const char *)wire->bytes + wire->at, n);
    wire->at += n;
    return CONVOY_OK;
}

convoy_status wire_put_u64(struct wire *wire, uint64_t value)
{
    return put(wire, &value, sizeof value);
}

convoy_status wire_put_text(struct wire *wire, const char *text)
{
    const size_t n = strlen(text);
    const convoy_status status = wire_put_u64(wire, n);
    return status == CONVOY_OK ? put(wire, text, n) : status;
}

convoy_status wire_get_u64(struct wire *wire, uint64_t *value)
{
    return get(wire, value, sizeof *value);
}

convoy_status wire_get_text(struct wire *wire, char **text)
{
    convoy_status status = CONVOY_OK;
    uint64_t n = 0;
    char *read = NULL;
    TRY(wire_get_u64(wire, &n));
    if (n > wire->n - wire->at)
        n = wire->n; /* get says so */
    TRY(mem_alloc((size_t)n + 1, (void **)&read));
    TRY(get(wire, read, (size_t)n));
    *text = read;
    read = NULL;
cleanup:
    mem_free(read);
    return status;
}
