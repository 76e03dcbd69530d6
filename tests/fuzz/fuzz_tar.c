/* Archives, packed or not: every entry's name, head and bytes. */
#include "fuzz/fuzz.h"

#include "packing/tar.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ENTRY = 1 << 12 };

struct entries {
    uint64_t n;
    bool packed;
    struct container *container;
};

static convoy_status visit(void *context, const struct tar_entry *entry)
{
    struct entries *entries = context;
    uint8_t bytes[MAX_ENTRY];
    size_t got = 0;
    entries->n++;
    fuzz_look(entry->name, strlen(entry->name) + 1);
    fuzz_look(entry->head, entry->n_head);
    fuzz_expect(entry->n_head <= TAR_HEAD, "a longer head");
    if (entry->problem || entries->packed)
        return CONVOY_OK;
    const size_t n = entry->n_bytes < MAX_ENTRY ? (size_t)entry->n_bytes : MAX_ENTRY;
    if (container_take(entries->container, entry->place, bytes, n, &got) == CONVOY_OK)
        fuzz_expect(got < entry->n_head ||
                        memcmp(bytes, entry->head, entry->n_head) == 0,
                    "an entry whose place has other bytes");
    return CONVOY_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct entries entries = {.n = 0};
    uint64_t n = 0;
    (void)tar_sniff(data, size);
    if (container_open(fuzz_file("input", data, size), &entries.container) ==
        CONVOY_OK) {
        entries.packed = container_is_packed(entries.container);
        if (tar_scan(entries.container, 0, UINT64_MAX, visit, &entries, &n) ==
            CONVOY_OK)
            fuzz_expect(n == entries.n, "another number of entries");
        (void)container_finish(entries.container, &n);
    }
    container_close(entries.container);
    return 0;
}
