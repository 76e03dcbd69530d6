/* Writing and reading one checkpoint. The content hash covers the facts in the order of
 * their table, then every tensor in byte order of its path: what the file means, not
 * how HDF5 lays it out. The writer hashes memory and the reader hashes what it read
 * back, so damage on any way between shows.
 */
#include "checkpoint/checkpoint.h"

#include <convoy/version.h>

#include "base/file.h"
#include "base/memory.h"
#include "h5/h5.h"
#include "checkpoint/checkpoint_hash.h"
#include "checkpoint/checkpoint_internal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_KIND "convoy_file"
#define VERSION "format_version"
#define CONTENT_HASH "content_hash"
#define WRITER "convoy_version"

enum { TENSOR_PATH_SIZE = 512 };

/* A tensor to write and its place in the file. */
struct entry {
    char path[TENSOR_PATH_SIZE];
    const struct tensor_view *tensor;
};

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static convoy_status add_entries(const char *group, const struct tensor_view *tensors,
                                 size_t n, struct entry *entries, size_t *n_entries)
{
    for (size_t i = 0; i < n; i++) {
        struct entry *entry = &entries[(*n_entries)++];
        entry->tensor = &tensors[i];
        convoy_status status =
            file_join(group, tensors[i].name, entry->path, sizeof entry->path);
        if (status != CONVOY_OK)
            return status;
    }
    return CONVOY_OK;
}

/* All tensors of contents with their paths, in byte order; free with mem_free. */
static convoy_status list_entries(const struct checkpoint_contents *contents,
                                  struct entry **out, size_t *n_out)
{
    convoy_status status = CONVOY_OK;
    struct entry *entries = NULL;
    size_t room = 2 * (contents->n_params + contents->n_buffers), n = 0;
    for (size_t i = 0; i < contents->n_slots; i++)
        room += contents->slots[i].n;
    TRY(mem_alloc_array(room, sizeof *entries, (void **)&entries));
    TRY(add_entries("params", contents->params, contents->n_params, entries, &n));
    TRY(add_entries("buffers", contents->buffers, contents->n_buffers, entries, &n));
    if (contents->ema_params) {
        TRY(add_entries(CHECKPOINT_EMA "params", contents->ema_params,
                        contents->n_params, entries, &n));
        TRY(add_entries(CHECKPOINT_EMA "buffers", contents->ema_buffers,
                        contents->n_buffers, entries, &n));
    }
    for (size_t i = 0; i < contents->n_slots; i++) {
        const struct checkpoint_slot *slot = &contents->slots[i];
        char group[TENSOR_PATH_SIZE];
        TRY(file_join("optimizer", slot->name, group, sizeof group));
        TRY(add_entries(group, slot->tensors, slot->n, entries, &n));
    }
    qsort(entries, n, sizeof *entries, compare_entries);
    *out = entries;
    *n_out = n;
    entries = NULL;
cleanup:
    mem_free(entries);
    return status;
}

static convoy_status write_tensor(struct h5_file *file, const struct entry *entry)
{
    const struct tensor_view *tensor = entry->tensor;
    uint64_t dims[CHECKPOINT_MAX_DIMS] = {0};
    for (int i = 0; i < tensor->n_dims; i++)
        dims[i] = (uint64_t)tensor->dims[i];
    return h5_write(file, entry->path, H5_TYPE_F32, tensor->n_dims, dims, tensor->data);
}

static convoy_status write_file(const char *path, const struct checkpoint_facts *facts,
                                const struct entry *entries, size_t n)
{
    convoy_status status = CONVOY_OK;
    struct h5_file *file = NULL;
    struct hash *hash = NULL;
    char hex[33];
    TRY(hash_create(&hash));
    TRY(h5_create(path, &file));
    TRY(h5_write_text(file, "/", FILE_KIND, "checkpoint"));
    TRY(h5_write_i64(file, "/", VERSION, CHECKPOINT_VERSION));
    TRY(checkpoint_facts_write(file, facts, CHECKPOINT_VERSION));
    checkpoint_facts_hash(hash, facts, CHECKPOINT_VERSION);
    for (size_t i = 0; i < n; i++) {
        TRY(write_tensor(file, &entries[i]));
        checkpoint_hash_tensor(hash, entries[i].path, entries[i].tensor,
                               entries[i].tensor->data);
    }
    hash_hex(hash, hex);
    TRY(h5_write_text(file, "/", CONTENT_HASH, hex));
    TRY(h5_finish(file));
cleanup:
    h5_close(file);
    hash_destroy(hash);
    return status;
}

convoy_status checkpoint_write_to(const char *path,
                                  const struct checkpoint_contents *contents)
{
    convoy_status status = CONVOY_OK;
    struct entry *entries = NULL;
    size_t n = 0;
    TRY(list_entries(contents, &entries, &n));
    TRY(write_file(path, &contents->facts, entries, n));
cleanup:
    mem_free(entries);
    return status;
}

static convoy_status write_contents(const char *temporary, const void *contents)
{
    return checkpoint_write_to(temporary, contents);
}

convoy_status checkpoint_write(const char *path,
                               const struct checkpoint_contents *contents)
{
    return file_write_by(path, write_contents, contents);
}

convoy_status checkpoint_weights_hash(const struct checkpoint_contents *contents,
                                      char hex[33])
{
    convoy_status status = CONVOY_OK;
    struct checkpoint_contents weights = *contents;
    struct entry *entries = NULL;
    struct hash *hash = NULL;
    size_t n = 0;
    weights.n_slots = 0;
    weights.ema_params = NULL;
    TRY(list_entries(&weights, &entries, &n));
    TRY(hash_create(&hash));
    for (size_t i = 0; i < n; i++)
        checkpoint_hash_tensor(hash, entries[i].path, entries[i].tensor,
                               entries[i].tensor->data);
    hash_hex(hash, hex);
cleanup:
    hash_destroy(hash);
    mem_free(entries);
    return status;
}

/* Whether path begins as safetensors files do: the length of a JSON object, and its
 * brace. */
static bool looks_like_safetensors(const char *path)
{
    uint8_t begin[9];
    uint64_t header = 0;
    struct stat info;
    int fd = -1;
    if (file_open(path, &fd, &info) != CONVOY_OK)
        return false;
    const bool is_read = pread(fd, begin, sizeof begin, 0) == sizeof begin;
    close(fd);
    for (int i = 7; is_read && i >= 0; i--)
        header = header << 8 | begin[i];
    return is_read && begin[8] == '{' && header < UINT64_C(1) << 32;
}

/* Where the file is one of PyTorch's world, tells how to get one of ours of it. */
static convoy_status open_file(const char *path, struct h5_file **file)
{
    const convoy_status status = h5_open(path, file);
    if (status != CONVOY_ERROR_FORMAT || !looks_like_safetensors(path))
        return status;
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: is a safetensors file; make one of convoy's of it: convoy weights "
                "import %s -o weights.h5 --model NAME",
                path, path);
}

/* Names the program that can read the file. */
static convoy_status refuse_newer(const struct h5_file *file, int64_t version)
{
    char *writer = NULL;
    if (h5_read_text(file, "/", WRITER, &writer) != CONVOY_OK)
        writer = NULL;
    const convoy_status status = FAIL(
        CONVOY_ERROR_UNSUPPORTED,
        "%s: was written by convoy %.40s, format version %" PRId64
        "; this convoy, " CONVOY_VERSION ", reads up to version %d: use that one or "
        "a newer one",
        h5_path(file), writer ? writer : "of an unknown version", version,
        CHECKPOINT_VERSION);
    mem_free(writer);
    return status;
}

static convoy_status check_kind(const struct h5_file *file, int *version)
{
    convoy_status status = CONVOY_OK;
    char *kind = NULL;
    int64_t found = 0;
    bool has = false;
    status = h5_has_attribute(file, "/", FILE_KIND, &has);
    if (status == CONVOY_ERROR_FORMAT)
        status = status_prefix(status, "damaged file");
    TRY(status);
    if (!has)
        return FAIL(
            CONVOY_ERROR_FORMAT,
            "%s: is no convoy checkpoint or is damaged: its attribute " FILE_KIND
            " cannot be found",
            h5_path(file));
    TRY(h5_read_text(file, "/", FILE_KIND, &kind));
    if (strcmp(kind, "checkpoint") != 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: is no checkpoint: its " FILE_KIND " is '%.40s'", h5_path(file),
                 kind));
    TRY(h5_read_i64(file, "/", VERSION, &found));
    if (found > CHECKPOINT_VERSION)
        TRY(refuse_newer(file, found));
    if (found < 1)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: format version %" PRId64 " does not exist",
                 h5_path(file), found));
    *version = (int)found;
cleanup:
    mem_free(kind);
    return status;
}

static convoy_status describe_tensor(const struct h5_file *file, const char *path,
                                     struct tensor_view *tensor)
{
    struct h5_shape shape;
    convoy_status status = h5_describe(file, path, &shape);
    if (status != CONVOY_OK)
        return status;
    if (shape.type != H5_TYPE_F32 || shape.n_dims > CHECKPOINT_MAX_DIMS)
        return FAIL(
            CONVOY_ERROR_FORMAT,
            "%s: %s: is no f32 array of at most %d dimensions: the file is damaged",
            h5_path(file), path, CHECKPOINT_MAX_DIMS);
    tensor->name = path;
    tensor->n_dims = shape.n_dims;
    for (int i = 0; i < shape.n_dims; i++)
        tensor->dims[i] = (int64_t)shape.dims[i];
    return CONVOY_OK;
}

static convoy_status list_tensors(struct checkpoint *checkpoint)
{
    convoy_status status = CONVOY_OK;
    TRY(h5_list(checkpoint->file, "/", &checkpoint->names, &checkpoint->n_names));
    TRY(mem_alloc_array(checkpoint->n_names, sizeof *checkpoint->tensors,
                        (void **)&checkpoint->tensors));
    for (size_t i = 0; i < checkpoint->n_names; i++) {
        if (strcmp(checkpoint->names[i], "class_names") == 0)
            continue;
        TRY(describe_tensor(checkpoint->file, checkpoint->names[i],
                            &checkpoint->tensors[checkpoint->n_tensors]));
        checkpoint->n_tensors++;
    }
cleanup:
    return status;
}

/* Whether so much memory is more than the whole machine has. */
static bool is_beyond_machine(size_t n_values)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 &&
           n_values / ((size_t)page / sizeof(float)) >= (size_t)pages;
}

/* Room for n values that the file says it holds. What no memory here can hold is the
 * file's fault (one with holes is as long as it likes); else a lack of memory is no
 * damage. */
static convoy_status make_room(const struct checkpoint *checkpoint, size_t n,
                               void **buffer, size_t *capacity)
{
    if (is_beyond_machine(n))
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: claims %zu values, more than this machine's memory holds",
                    checkpoint_path(checkpoint), n);
    const convoy_status status = mem_reserve(buffer, capacity, n * sizeof(float));
    if (status == CONVOY_OK)
        return CONVOY_OK;
    return status_prefix(status, "%s", checkpoint_path(checkpoint));
}

/* Room for all values at once, which the tensors then point to. */
static convoy_status keep_values(struct checkpoint *checkpoint)
{
    void *values = NULL;
    size_t n = 0, capacity = 0;
    for (size_t i = 0; i < checkpoint->n_tensors; i++)
        n += checkpoint_n_values(&checkpoint->tensors[i]);
    const convoy_status status = make_room(checkpoint, n, &values, &capacity);
    checkpoint->values = values;
    float *at = values;
    for (size_t i = 0; status == CONVOY_OK && i < checkpoint->n_tensors; i++) {
        checkpoint->tensors[i].data = at;
        at += checkpoint_n_values(&checkpoint->tensors[i]);
    }
    return status;
}

/* Reads all tensors once. */
static convoy_status hash_contents(const struct checkpoint *checkpoint, int version,
                                   char hex[33])
{
    convoy_status status = CONVOY_OK;
    struct hash *hash = NULL;
    void *buffer = NULL;
    size_t capacity = 0;
    TRY(hash_create(&hash));
    checkpoint_facts_hash(hash, &checkpoint->facts.facts, version);
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        const struct tensor_view *tensor = &checkpoint->tensors[i];
        if (!tensor->data)
            TRY(make_room(checkpoint, checkpoint_n_values(tensor), &buffer, &capacity));
        float *values = tensor->data ? tensor->data : buffer;
        TRY(checkpoint_read_stored(checkpoint, i, values));
        checkpoint_hash_tensor(hash, tensor->name, tensor, values);
    }
    hash_hex(hash, hex);
cleanup:
    mem_free(buffer);
    hash_destroy(hash);
    return status;
}

static convoy_status check_hash(struct checkpoint *checkpoint)
{
    convoy_status status = CONVOY_OK;
    char *stated = NULL;
    TRY(h5_read_text(checkpoint->file, "/", CONTENT_HASH, &stated));
    if (strcmp(stated, checkpoint->hash) != 0)
        TRY(FAIL(
            CONVOY_ERROR_FORMAT,
            "%s: is damaged: its contents have the hash %s, its attribute " CONTENT_HASH
            " says %.32s; use another checkpoint",
            checkpoint_path(checkpoint), checkpoint->hash, stated));
cleanup:
    mem_free(stated);
    return status;
}

/* What HDF5 cannot make sense of in a file of the right kind is damage. */
static convoy_status read_contents(struct checkpoint *checkpoint, int version,
                                   bool keeps)
{
    convoy_status status = CONVOY_OK;
    TRY(checkpoint_facts_read(checkpoint->file, version, &checkpoint->facts));
    TRY(list_tensors(checkpoint));
    if (keeps)
        TRY(keep_values(checkpoint));
    TRY(hash_contents(checkpoint, version, checkpoint->hash));
cleanup:
    if (status == CONVOY_ERROR_FORMAT)
        status = status_prefix(status, "damaged checkpoint");
    return status;
}

static convoy_status open_and_check(const char *path, bool keeps,
                                    struct checkpoint **checkpoint)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint *opened = NULL;
    int version = 0;
    TRY(mem_alloc(sizeof *opened, (void **)&opened));
    TRY(mem_copy_text(path, &opened->path));
    TRY(open_file(path, &opened->file));
    TRY(check_kind(opened->file, &version));
    TRY(read_contents(opened, version, keeps));
    TRY(check_hash(opened));
    *checkpoint = opened;
    opened = NULL;
cleanup:
    checkpoint_close(opened);
    return status;
}

convoy_status checkpoint_open(const char *path, struct checkpoint **checkpoint)
{
    return open_and_check(path, false, checkpoint);
}

convoy_status checkpoint_load(const char *path, struct checkpoint **checkpoint)
{
    return open_and_check(path, true, checkpoint);
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    checkpoint_facts_free(&checkpoint->facts);
    h5_free_texts(checkpoint->names, checkpoint->n_names);
    mem_free(checkpoint->tensors);
    mem_free(checkpoint->values);
    mem_free(checkpoint->path);
    h5_close(checkpoint->file);
    mem_free(checkpoint);
}

const char *checkpoint_path(const struct checkpoint *checkpoint)
{
    return checkpoint->path;
}

const struct checkpoint_facts *checkpoint_describe(const struct checkpoint *checkpoint)
{
    return &checkpoint->facts.facts;
}

const char *checkpoint_content_hash(const struct checkpoint *checkpoint)
{
    return checkpoint->hash;
}

const struct tensor_view *checkpoint_tensors(const struct checkpoint *checkpoint,
                                             size_t *n)
{
    *n = checkpoint->n_tensors;
    return checkpoint->tensors;
}

void checkpoint_shape_text(const struct tensor_view *tensor,
                           char out[CHECKPOINT_SHAPE_SIZE])
{
    int n = snprintf(out, CHECKPOINT_SHAPE_SIZE, "[");
    for (int i = 0; i < tensor->n_dims; i++)
        n += snprintf(out + n, (size_t)(CHECKPOINT_SHAPE_SIZE - n), "%s%" PRId64,
                      i ? ", " : "", tensor->dims[i]);
    snprintf(out + n, (size_t)(CHECKPOINT_SHAPE_SIZE - n), "]");
}
