/* Sources of packs: listing them, choosing a part, and reading the records. The input's
 * first byte says what the rest is; the second, how many bytes of option --classes come
 * first. Of an IDX pair two bytes more tell how long the images file is. The listing
 * also goes through the file by which ranks share it. */
#include "fuzz/fuzz.h"

#include "base/memory.h"
#include "packing/source.h"
#include "packing/source_reader.h"
#include "packing/subset.h"

#include <stdlib.h>
#include <string.h>

extern const struct source_kind source_cifar, source_idx, source_tar;

enum { MAX_READ = 16, MAX_CLASSES = 40 };

struct input {
    const uint8_t *at;
    size_t n;
};

static struct input cut(struct input *from, size_t n)
{
    const struct input first = {from->at, n < from->n ? n : from->n};
    from->at += first.n;
    from->n -= first.n;
    return first;
}

static uint8_t cut_byte(struct input *from)
{
    const struct input byte = cut(from, 1);
    return byte.n ? *byte.at : 0;
}

static const char *make_source(uint8_t way, struct input rest,
                               const struct source_kind **kind)
{
    if (way % 4 == 0) {
        const size_t n = cut_byte(&rest) + (size_t)cut_byte(&rest) * 256;
        const struct input images = cut(&rest, n);
        *kind = &source_idx;
        fuzz_file("a-labels-idx1-ubyte", rest.at, rest.n);
        return fuzz_file("a-images-idx3-ubyte", images.at, images.n);
    }
    *kind = way % 4 == 3 ? &source_tar : &source_cifar;
    if (way % 4 == 3)
        return fuzz_file("a.tar", rest.at, rest.n);
    return fuzz_file(way % 4 == 1 ? "test_batch.bin" : "cifar.tar.gz", rest.at, rest.n);
}

static void check_listing(const struct listing *listing)
{
    for (uint64_t i = 0; i < listing->n; i++) {
        const char *name = listing_name(listing, i);
        fuzz_look(name, strlen(name) + 1);
        fuzz_expect(listing->entries[i].label >= 0 &&
                        (size_t)listing->entries[i].label < listing->classes.n,
                    "a label without a class");
    }
}

static void share(const struct listing *listing)
{
    struct listing copy = {.n = 0};
    char *line = NULL;
    const char *path = fuzz_file("listing", (const uint8_t *)"", 0);
    fuzz_expect(listing_save(listing, "a line", path) == CONVOY_OK &&
                    listing_load(path, &line, &copy) == CONVOY_OK,
                "a listing that cannot be shared");
    fuzz_expect(copy.n == listing->n && strcmp(line, "a line") == 0,
                "a shared listing that is another one");
    check_listing(&copy);
    mem_free(line);
    listing_free(&copy);
}

static void read_records(const char *path, const struct listing *listing)
{
    struct source_reader *reader = NULL;
    void *buffer = NULL;
    size_t capacity = 0;
    char name[1024];
    if (source_reader_open(path, listing, &reader) == CONVOY_OK)
        for (uint64_t i = 0; i < listing->n && i < MAX_READ; i++) {
            source_reader_name(reader, i, name, sizeof name);
            if (source_reader_read(reader, i, &buffer, &capacity) == CONVOY_OK)
                fuzz_look(buffer, (size_t)listing->entries[i].n_bytes);
        }
    source_reader_close(reader);
    mem_free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input rest = {data, size};
    const uint8_t way = cut_byte(&rest);
    const struct input classes = cut(&rest, cut_byte(&rest) % MAX_CLASSES);
    const struct source_kind *kind = NULL;
    const char *path = make_source(way, rest, &kind);
    char *wanted = fuzz_text(classes.at, classes.n);
    const convoy_pack_options options = {.classes = classes.n ? wanted : NULL,
                                         .max_per_class = way & 128 ? 2 : 0};
    struct listing listing = {.n = 0};
    if (kind->list(path, &options, &listing) == CONVOY_OK &&
        subset_choose(path, &options, &listing) == CONVOY_OK) {
        check_listing(&listing);
        share(&listing);
        read_records(path, &listing);
    }
    listing_free(&listing);
    free(wanted);
    return 0;
}
