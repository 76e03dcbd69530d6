/* Pack files: opening one, its facts, and every record. */
#include "fuzz/fuzz.h"

#include "base/memory.h"
#include "fuzz/h5_edit.h"
#include "pack/pack.h"

#include <stdlib.h>
#include <string.h>

static void read_records(const convoy_pack *pack, uint64_t n, int n_classes)
{
    void *buffer = NULL;
    size_t capacity = 0;
    struct pack_record record;
    for (uint64_t i = 0; i < n; i++)
        if (pack_read(pack, i, &buffer, &capacity, &record) == CONVOY_OK) {
            fuzz_look(record.bytes, record.n_bytes);
            fuzz_expect(record.label >= 0 && record.label < n_classes,
                        "a label without a class");
        }
    mem_free(buffer);
}

static void look_at(const convoy_pack *pack)
{
    const convoy_pack_info *info = convoy_pack_describe(pack);
    uint64_t *counts = calloc((size_t)info->n_classes + 1, sizeof *counts);
    fuzz_expect(counts, "more classes than there is memory for");
    convoy_pack_count_labels(pack, counts);
    free(counts);
    for (int c = 0; c < info->n_classes; c++)
        fuzz_look(convoy_pack_class_name(pack, c), 1);
    for (size_t i = 0; i < convoy_pack_count_left_out(pack); i++)
        fuzz_look(convoy_pack_left_out(pack, i), 1);
    read_records(pack, info->n_records, info->n_classes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const seeds[] = {"pack/raw.h5", "pack/jpeg.h5"};
    convoy_pack *pack = NULL;
    if (convoy_pack_open(h5_edit_make(seeds, 2, data, size), &pack) == CONVOY_OK)
        look_at(pack);
    convoy_pack_close(pack);
    return 0;
}
