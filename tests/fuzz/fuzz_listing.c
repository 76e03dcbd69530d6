/* The file by which the ranks of a job share a listing. */
#include "fuzz/fuzz.h"

#include "base/memory.h"
#include "packing/listing.h"

#include <string.h>

static void look_at(const struct texts *texts)
{
    for (size_t i = 0; i < texts->n; i++)
        fuzz_look(texts_get(texts, i), strlen(texts_get(texts, i)) + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct listing listing = {.n = 0};
    char *line = NULL;
    if (listing_load(fuzz_file("input", data, size), &line, &listing) == CONVOY_OK) {
        fuzz_look(line, strlen(line) + 1);
        look_at(&listing.classes);
        look_at(&listing.names);
        look_at(&listing.notes);
        for (uint64_t i = 0; i < listing.n; i++)
            fuzz_look(listing_name(&listing, i), 1);
    }
    mem_free(line);
    listing_free(&listing);
    return 0;
}
