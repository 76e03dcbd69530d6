/* The records of a source, listed. Names are kept in one block and entries in one
 * array, so a listing is written and read as a few large pieces. */
#include "packing/listing.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

bool listing_passes_over(const char *name, size_t n)
{
    static const char *const leftovers[] = {"__MACOSX", "Thumbs.db", "desktop.ini",
                                            "@eaDir"};
    if (n > 0 && name[0] == '.')
        return true;
    for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++)
        if (strlen(leftovers[i]) == n && strncasecmp(leftovers[i], name, n) == 0)
            return true;
    return false;
}

convoy_status listing_add(struct listing *listing, size_t name, uint64_t place,
                          uint64_t n_bytes, int32_t label)
{
    convoy_status status = CONVOY_OK;
    if (name > UINT32_MAX)
        return FAIL(CONVOY_ERROR_UNSUPPORTED, "more than %" PRIu32 " names",
                    UINT32_MAX);
    TRY(mem_reserve((void **)&listing->entries, &listing->capacity,
                    (listing->n + 1) * sizeof *listing->entries));
    listing->entries[listing->n++] = (struct listing_entry){
        .place = place, .n_bytes = n_bytes, .name = (uint32_t)name, .label = label};
cleanup:
    return status;
}

const char *listing_name(const struct listing *listing, uint64_t i)
{
    return texts_get(&listing->names, listing->entries[i].name);
}

uint64_t listing_bytes(const struct listing *listing, uint64_t first, uint64_t n)
{
    uint64_t bytes = 0;
    for (uint64_t i = first; i < first + n; i++)
        bytes += listing->entries[i].n_bytes;
    return bytes;
}

static int compare_entries(const void *a, const void *b, void *names)
{
    const struct listing_entry *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return strcmp(texts_get(names, x->name), texts_get(names, y->name));
}

void listing_sort(struct listing *listing)
{
    if (listing->n)
        qsort_r(listing->entries, listing->n, sizeof *listing->entries, compare_entries,
                &listing->names);
}

static void hash_texts(const struct texts *texts, struct hash *hash)
{
    hash_update(hash, &texts->n, sizeof texts->n);
    for (size_t i = 0; i < texts->n; i++)
        hash_update(hash, texts_get(texts, i), strlen(texts_get(texts, i)) + 1);
}

/* Not the place: an archive may be written anew, or be unpacked. Not the notes: they
 * name the source as the user did. */
void listing_hash(const struct listing *listing, struct hash *hash)
{
    hash_update(hash, listing->shape, sizeof listing->shape);
    hash_update(hash, listing->content, sizeof listing->content);
    hash_update(hash, &listing->n, sizeof listing->n);
    hash_texts(&listing->classes, hash);
    for (uint64_t i = 0; i < listing->n; i++) {
        const char *name = listing_name(listing, i);
        hash_update(hash, name, strlen(name) + 1);
        hash_update(hash, &listing->entries[i].label, sizeof(int32_t));
    }
}

void listing_hash_notes(const struct listing *listing, struct hash *hash)
{
    hash_texts(&listing->notes, hash);
}

void listing_hash_state(const struct listing *listing, uint64_t first, uint64_t end,
                        struct hash *hash)
{
    for (uint64_t i = first; i < end; i++) {
        const struct listing_entry *entry = &listing->entries[i];
        hash_update(hash, &entry->n_bytes, sizeof entry->n_bytes);
        hash_update(hash, &entry->changed, sizeof entry->changed);
    }
}

/* The fixed part of the file; then the line, the entries, and the texts. */
struct head {
    char magic[16];
    uint64_t n, line_bytes, n_texts[3], text_bytes[3];
    int shape[3];
    uint8_t is_container, is_raw;
};

static const char magic[16] = "convoy listing";

/* Writes and reads pieces; after a failure nothing more is done. */
struct pieces {
    FILE *stream;
    bool failed;
};

static void put(struct pieces *out, const void *bytes, size_t n)
{
    if (n && !out->failed)
        out->failed = fwrite(bytes, 1, n, out->stream) != n;
}

convoy_status listing_save(const struct listing *listing, const char *line,
                           const char *path)
{
    const struct texts *texts[3] = {&listing->classes, &listing->names,
                                    &listing->notes};
    struct pieces out = {.stream = fopen(path, "wb")};
    struct head head;
    if (!out.stream)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
    memset(&head, 0, sizeof head);
    memcpy(head.magic, magic, sizeof magic);
    memcpy(head.shape, listing->shape, sizeof head.shape);
    head.n = listing->n;
    head.line_bytes = strlen(line) + 1;
    head.is_container = listing->is_container;
    head.is_raw = listing->is_raw;
    for (int t = 0; t < 3; t++) {
        head.n_texts[t] = texts[t]->n;
        head.text_bytes[t] = texts[t]->used;
    }
    put(&out, &head, sizeof head);
    put(&out, line, head.line_bytes);
    put(&out, listing->entries, listing->n * sizeof *listing->entries);
    for (int t = 0; t < 3; t++) {
        put(&out, texts[t]->block, texts[t]->used);
        put(&out, texts[t]->starts, texts[t]->n * sizeof *texts[t]->starts);
    }
    if (fclose(out.stream) != 0 || out.failed) {
        remove(path);
        return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
    }
    return CONVOY_OK;
}

/* Takes n values of size bytes off what is left of the file, if there are so many. */
static bool claim(uint64_t *left, uint64_t n, size_t size)
{
    if (n > *left / size)
        return false;
    *left -= n * size;
    return true;
}

/* Whether the file is as long as its head says: nobody gets memory for less. */
static bool claims_fit(const struct head *head, uint64_t left)
{
    bool fit = claim(&left, 1, sizeof *head) && claim(&left, head->line_bytes, 1) &&
               claim(&left, head->n, sizeof(struct listing_entry));
    for (int t = 0; t < 3; t++)
        fit = fit && claim(&left, head->text_bytes[t], 1) &&
              claim(&left, head->n_texts[t], sizeof(size_t));
    return fit && left == 0 && head->line_bytes > 0;
}

static bool texts_are_sound(const struct texts *texts)
{
    if (texts->used && texts->block[texts->used - 1] != '\0')
        return false;
    for (size_t i = 0; i < texts->n; i++)
        if (texts->starts[i] >= texts->used)
            return false;
    return true;
}

/* Whether every text ends, and every entry has a name and a class. */
static bool is_sound(const struct listing *listing)
{
    if (!texts_are_sound(&listing->classes) || !texts_are_sound(&listing->names) ||
        !texts_are_sound(&listing->notes))
        return false;
    for (uint64_t i = 0; i < listing->n; i++) {
        const struct listing_entry *entry = &listing->entries[i];
        if (entry->name >= listing->names.n || entry->label < 0 ||
            (size_t)entry->label >= listing->classes.n)
            return false;
    }
    return true;
}

/* New memory with the next n bytes. */
static convoy_status take(struct pieces *in, size_t n, void **out)
{
    convoy_status status = mem_alloc(n, out);
    if (status == CONVOY_OK && !in->failed)
        in->failed = fread(*out, 1, n, in->stream) != n;
    return status;
}

static convoy_status take_texts(struct pieces *in, uint64_t n, uint64_t bytes,
                                struct texts *texts)
{
    convoy_status status = CONVOY_OK;
    TRY(take(in, bytes, (void **)&texts->block));
    TRY(take(in, n * sizeof *texts->starts, (void **)&texts->starts));
    texts->capacity = texts->used = bytes;
    texts->starts_capacity = n * sizeof *texts->starts;
    texts->n = n;
cleanup:
    return status;
}

convoy_status listing_load(const char *path, char **line, struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    struct texts *texts[3] = {&listing->classes, &listing->names, &listing->notes};
    struct pieces in = {.stream = fopen(path, "rb")};
    struct head head = {.n = 0};
    struct stat info;
    char *text = NULL;
    if (!in.stream)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fread(&head, sizeof head, 1, in.stream) != 1 ||
        memcmp(head.magic, magic, sizeof magic) != 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is no listing", path));
    if (fstat(fileno(in.stream), &info) != 0 ||
        !claims_fit(&head, (uint64_t)info.st_size))
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is no whole listing", path));
    TRY(take(&in, head.line_bytes, (void **)&text));
    listing->capacity = head.n * sizeof *listing->entries;
    TRY(take(&in, listing->capacity, (void **)&listing->entries));
    for (int t = 0; t < 3; t++)
        TRY(take_texts(&in, head.n_texts[t], head.text_bytes[t], texts[t]));
    listing->n = head.n;
    if (in.failed || text[head.line_bytes - 1] != '\0' || !is_sound(listing))
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is damaged", path));
    memcpy(listing->shape, head.shape, sizeof head.shape);
    listing->is_container = head.is_container;
    listing->is_raw = head.is_raw;
    *line = text;
    text = NULL;
cleanup:
    mem_free(text);
    fclose(in.stream);
    return status;
}

void listing_free(struct listing *listing)
{
    texts_free(&listing->classes);
    texts_free(&listing->names);
    texts_free(&listing->notes);
    mem_free(listing->entries);
    *listing = (struct listing){.n = 0};
}
