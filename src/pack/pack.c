/* Opening and reading packs: one file, or a folder of part files that are one after the
 * other.
 *
 * The files' indices are joined into one. HDF5 is closed then: records are read with
 * pread at their place in their file, which any number of threads may do, and each is
 * checked against its checksum. */
#include "pack/pack.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "pack/pack_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A file and its place in the whole. */
struct part {
    char *path;
    int fd;
    uint64_t start;      /* of its records in the file */
    uint64_t first_byte; /* the same, in the pack's offsets */
    uint64_t end;        /* the first record behind it */
};

struct convoy_pack {
    convoy_pack_info info;
    struct pack_index index;
    char **class_names; /* [n_classes] */
    char **left_out;    /* [n_left_out] */
    size_t n_left_out;
    char *path;
    struct part *parts; /* [n_parts] */
    int n_parts;
};

static convoy_status check_same(bool is_same, const struct pack_file *file,
                                const struct pack_file *first, const char *what)
{
    if (is_same)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: %s as %s: they are parts of different packs; pack again",
                file->path, what, first->path);
}

/* Whether file is part p of the pack that first is part 0 of. */
static convoy_status check_part(const struct pack_file *file, int p,
                                const struct pack_file *first)
{
    convoy_status status = CONVOY_OK;
    const convoy_pack_info *a = &file->info, *b = &first->info;
    if (a->part != p || a->n_parts != b->n_parts)
        TRY(FAIL(
            CONVOY_ERROR_FORMAT,
            "%s: says that it is part %d (from 0) of %d, part %d of %d is expected",
            file->path, a->part, a->n_parts, p, b->n_parts));
    TRY(check_same(strcmp(file->plan, first->plan) == 0, file, first,
                   "was not packed from the same source with the same options"));
    bool same = a->n_classes == b->n_classes;
    for (int c = 0; same && c < a->n_classes; c++)
        same = strcmp(file->class_names[c], first->class_names[c]) == 0;
    TRY(check_same(same, file, first, "does not have the same classes"));
    const bool raw[2] = {a->encoding == CONVOY_ENCODING_RAW,
                         b->encoding == CONVOY_ENCODING_RAW};
    TRY(check_same(raw[0] == raw[1] && memcmp(a->shape, b->shape, sizeof a->shape) == 0,
                   file, first, "does not have records of the same kind"));
cleanup:
    return status;
}

/* Loads all parts of the folder. *files is new, also on error: [*n] */
static convoy_status load_parts(const char *path, struct pack_file **files, int *n)
{
    convoy_status status = CONVOY_OK;
    char name[PATH_MAX];
    struct pack_file *grown = NULL;
    TRY(mem_alloc(sizeof **files, (void **)files));
    *n = 1;
    for (int p = 0; p < *n; p++) {
        TRY(pack_file_name_part(path, p, name, sizeof name));
        if (!file_exists(name))
            TRY(FAIL(
                CONVOY_ERROR_FORMAT,
                "%s: is a folder without %s: no pack, or one that is not complete: "
                "run the same 'convoy pack' again to finish it",
                path, strrchr(name, '/') + 1));
        TRY(pack_file_load(name, &(*files)[p]));
        if (p == 0 && (*files)[0].info.n_parts > 1) {
            const int all = (*files)[0].info.n_parts;
            TRY(mem_alloc_array((size_t)all, sizeof *grown, (void **)&grown));
            grown[0] = (*files)[0];
            mem_free(*files);
            *files = grown;
            *n = all;
        }
        TRY(check_part(&(*files)[p], p, &(*files)[0]));
    }
cleanup:
    return status;
}

static convoy_status allocate(convoy_pack *pack, uint64_t n, size_t n_left_out)
{
    convoy_status status = CONVOY_OK;
    struct pack_index *index = &pack->index;
    TRY(mem_alloc_array(n + 1, sizeof *index->offsets, (void **)&index->offsets));
    TRY(mem_alloc_array(n, sizeof *index->labels, (void **)&index->labels));
    TRY(mem_alloc_array(n, sizeof *index->checksums, (void **)&index->checksums));
    TRY(mem_alloc_array(n, sizeof *index->width, (void **)&index->width));
    TRY(mem_alloc_array(n, sizeof *index->height, (void **)&index->height));
    TRY(mem_alloc_array(n_left_out + 1, sizeof *pack->left_out,
                        (void **)&pack->left_out));
cleanup:
    return status;
}

/* Appends the file's index to the pack's; takes what it left out. */
static void append_index(convoy_pack *pack, struct pack_file *file)
{
    struct pack_index *to = &pack->index;
    const struct pack_index *from = &file->index;
    const uint64_t at = pack->info.n_records, n = file->info.n_records;
    for (uint64_t i = 0; i < n; i++) {
        to->labels[at + i] = from->labels[i];
        to->checksums[at + i] = from->checksums[i];
        to->width[at + i] = from->width[i];
        to->height[at + i] = from->height[i];
        to->offsets[at + i + 1] = pack->info.n_bytes + from->offsets[i + 1];
        const uint64_t bytes = from->offsets[i + 1] - from->offsets[i];
        if (bytes > pack->info.largest_bytes)
            pack->info.largest_bytes = bytes;
    }
    for (size_t i = 0; i < file->n_left_out; i++) {
        pack->left_out[pack->n_left_out++] = file->left_out[i];
        file->left_out[i] = NULL;
    }
}

static convoy_status append_part(convoy_pack *pack, struct pack_file *file)
{
    struct part *part = &pack->parts[pack->n_parts++];
    append_index(pack, file);
    part->first_byte = pack->info.n_bytes;
    pack->info.n_bytes += file->info.n_bytes;
    pack->info.n_records += file->info.n_records;
    part->end = pack->info.n_records;
    part->start = file->start;
    part->path = file->path;
    file->path = NULL;
    part->fd = open(part->path, O_RDONLY | O_CLOEXEC);
    if (part->fd < 0)
        return FAIL(
            CONVOY_ERROR_IO, "%s: cannot open: %s%s", part->path, strerror(errno),
            errno == EMFILE ? " (see 'ulimit -n', or pack into fewer parts)" : "");
    return CONVOY_OK;
}

/* The parts' own ids cover their records; the pack's covers all in one go, so it does
 * not depend on how many parts there are. */
static convoy_status join_parts(convoy_pack *pack, struct pack_file *files, int n)
{
    convoy_status status = CONVOY_OK;
    uint64_t n_records = 0;
    size_t n_left_out = 0;
    for (int p = 0; p < n; p++) {
        n_records += files[p].info.n_records;
        n_left_out += files[p].n_left_out;
    }
    if (n_records == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: the pack has no records", pack->path));
    TRY(allocate(pack, n_records, n_left_out));
    TRY(mem_alloc_array((size_t)n, sizeof *pack->parts, (void **)&pack->parts));
    pack->info = files[0].info;
    pack->info.n_records = pack->info.n_bytes = 0;
    pack->class_names = files[0].class_names;
    files[0].class_names = NULL;
    for (int p = 0; p < n; p++) {
        if (files[p].info.encoding == CONVOY_ENCODING_JPEG)
            pack->info.encoding = CONVOY_ENCODING_JPEG;
        TRY(append_part(pack, &files[p]));
    }
    if (n > 1) {
        pack->info.part = -1;
        TRY(pack_index_hash(&pack->info, &pack->index,
                            (const char *const *)pack->class_names, pack->info.id));
    }
cleanup:
    return status;
}

convoy_status convoy_pack_open(const char *path, convoy_pack **out)
{
    convoy_status status = CONVOY_OK;
    convoy_pack *pack = NULL;
    struct pack_file *files = NULL;
    int n = 0;
    TRY(mem_alloc(sizeof *pack, (void **)&pack));
    TRY(mem_copy_text(path, &pack->path));
    if (file_is_folder(path)) {
        TRY(load_parts(path, &files, &n));
    } else {
        TRY(mem_alloc(sizeof *files, (void **)&files));
        n = 1;
        TRY(pack_file_load(path, &files[0]));
    }
    TRY(join_parts(pack, files, n));
    *out = pack;
    pack = NULL;
cleanup:
    for (int p = 0; p < n; p++)
        pack_file_free(&files[p]);
    mem_free(files);
    convoy_pack_close(pack);
    return status;
}

void convoy_pack_close(convoy_pack *pack)
{
    if (!pack)
        return;
    for (int p = 0; p < pack->n_parts; p++) {
        if (pack->parts[p].fd >= 0)
            close(pack->parts[p].fd);
        mem_free(pack->parts[p].path);
    }
    mem_free(pack->parts);
    for (int c = 0; pack->class_names && c < pack->info.n_classes; c++)
        mem_free(pack->class_names[c]);
    for (size_t i = 0; i < pack->n_left_out; i++)
        mem_free(pack->left_out[i]);
    mem_free(pack->class_names);
    mem_free(pack->left_out);
    mem_free(pack->index.offsets);
    mem_free(pack->index.labels);
    mem_free(pack->index.checksums);
    mem_free(pack->index.width);
    mem_free(pack->index.height);
    mem_free(pack->path);
    mem_free(pack);
}

const convoy_pack_info *convoy_pack_describe(const convoy_pack *pack)
{
    return &pack->info;
}

const char *convoy_pack_class_name(const convoy_pack *pack, int index)
{
    return pack->class_names[index];
}

void convoy_pack_count_labels(const convoy_pack *pack, uint64_t *counts)
{
    memset(counts, 0, (size_t)pack->info.n_classes * sizeof *counts);
    for (uint64_t i = 0; i < pack->info.n_records; i++)
        counts[pack->index.labels[i]]++;
}

size_t convoy_pack_count_left_out(const convoy_pack *pack)
{
    return pack->n_left_out;
}

const char *convoy_pack_left_out(const convoy_pack *pack, size_t index)
{
    return pack->left_out[index];
}

const char *pack_path(const convoy_pack *pack)
{
    return pack->path;
}

void pack_record_size(const convoy_pack *pack, uint64_t index, int *width, int *height)
{
    *width = pack->index.width[index];
    *height = pack->index.height[index];
}

/* The part that record index lies in. */
static const struct part *find_part(const convoy_pack *pack, uint64_t index)
{
    int low = 0, high = pack->n_parts - 1;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (index < pack->parts[middle].end)
            high = middle;
        else
            low = middle + 1;
    }
    return &pack->parts[low];
}

size_t pack_record_bytes(const convoy_pack *pack, uint64_t index)
{
    return (size_t)(pack->index.offsets[index + 1] - pack->index.offsets[index]);
}

convoy_status pack_take(const convoy_pack *pack, uint64_t index, const uint8_t *bytes,
                        struct pack_record *record)
{
    const size_t n = pack_record_bytes(pack, index);
    const int32_t label = pack->index.labels[index];
    const char *part = strrchr(find_part(pack, index)->path, '/');
    const uint64_t found = hash_64(bytes, n);
    if (found != pack->index.checksums[index])
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: record %" PRIu64 " (class '%s'%s%s): checksum %016" PRIx64
                    ", %016" PRIx64
                    " is expected: the file was damaged; run 'convoy verify %s'",
                    pack->path, index, pack->class_names[label],
                    pack->n_parts > 1 ? ", in " : "", pack->n_parts > 1 ? part + 1 : "",
                    found, pack->index.checksums[index], pack->path);
    *record = (struct pack_record){bytes, n, label};
    return CONVOY_OK;
}

/* Into bytes, which has room for the record. */
static convoy_status read_bytes(const convoy_pack *pack, uint64_t index, void *bytes,
                                struct pack_record *record)
{
    const struct part *part = find_part(pack, index);
    const convoy_status status =
        file_read_at(part->fd, part->path,
                     part->start + pack->index.offsets[index] - part->first_byte, bytes,
                     pack_record_bytes(pack, index));
    return status == CONVOY_OK ? pack_take(pack, index, bytes, record) : status;
}

convoy_status pack_read(const convoy_pack *pack, uint64_t index, void **buffer,
                        size_t *capacity, struct pack_record *record)
{
    convoy_status status = CONVOY_OK;
    TRY(mem_reserve(buffer, capacity, pack_record_bytes(pack, index)));
    TRY(read_bytes(pack, index, *buffer, record));
cleanup:
    return status;
}

convoy_status convoy_pack_find(const convoy_pack *pack, uint64_t index,
                               convoy_pack_record *record)
{
    if (index >= pack->info.n_records)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: there is no record %" PRIu64 ", the last is %" PRIu64,
                    pack->path, index, pack->info.n_records - 1);
    *record = (convoy_pack_record){.n_bytes = pack_record_bytes(pack, index),
                                   .label = pack->index.labels[index],
                                   .width = pack->index.width[index],
                                   .height = pack->index.height[index]};
    return CONVOY_OK;
}

convoy_status convoy_pack_read(const convoy_pack *pack, uint64_t index, void *bytes,
                               uint64_t size)
{
    convoy_pack_record record;
    struct pack_record read;
    const convoy_status status = convoy_pack_find(pack, index, &record);
    if (status != CONVOY_OK)
        return status;
    if (size < record.n_bytes)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: record %" PRIu64 " has %" PRIu64
                    " bytes, there is room for %" PRIu64,
                    pack->path, index, record.n_bytes, size);
    return read_bytes(pack, index, bytes, &read);
}
