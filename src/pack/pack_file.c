/* Reading the index of a pack file through HDF5, and checking that its parts agree with
 * each other, with the file's size and with the file's id, so a damaged index never
 * reaches a reader. */
#include "pack/pack_file.h"

#include "base/file.h"
#include "base/memory.h"
#include "h5/h5.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* An attribute from least to most. */
static convoy_status read_int(const struct h5_file *file, const char *name, int least,
                              int most, int *out)
{
    int64_t value = 0;
    convoy_status status = h5_read_i64(file, "/", name, &value);
    if (status != CONVOY_OK)
        return status;
    if (value < least || value > most)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: attribute '%s' is %" PRId64 ", %d to %d is expected",
                    h5_path(file), name, value, least, most);
    *out = (int)value;
    return CONVOY_OK;
}

/* Whether this is a pack at all, and one of a version that is known. */
static convoy_status check_format(const struct h5_file *file, int *version)
{
    convoy_status status = CONVOY_OK;
    char *format = NULL;
    bool has = false;
    TRY(h5_has_attribute(file, "/", "format", &has));
    if (!has)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: an HDF5 file, but not a pack ('convoy pack' makes packs)",
                    h5_path(file));
    TRY(h5_read_text(file, "/", "format", &format));
    if (strcmp(format, PACK_FORMAT) != 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: not a pack: its format is '%.40s'",
                 h5_path(file), format));
    TRY(read_int(file, "version", 1, INT_MAX, version));
    if (*version != PACK_VERSION)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: a pack of version %d, this convoy reads version %d: use a newer "
                 "convoy "
                 "or pack again",
                 h5_path(file), *version, PACK_VERSION));
cleanup:
    mem_free(format);
    return status;
}

static convoy_status read_id(const struct h5_file *file, char id[33])
{
    char *text = NULL;
    convoy_status status = h5_read_text(file, "/", "pack_id", &text);
    if (status != CONVOY_OK)
        return status;
    if (strlen(text) == 32)
        memcpy(id, text, 33);
    else
        status = FAIL(CONVOY_ERROR_FORMAT,
                      "%s: attribute 'pack_id' is '%.40s', 32 hex digits are expected",
                      h5_path(file), text);
    mem_free(text);
    return status;
}

static convoy_status read_info(const struct h5_file *file, convoy_pack_info *info)
{
    static const char *const axes[3] = {"channels", "height", "width"};
    convoy_status status = CONVOY_OK;
    char *encoding = NULL;
    TRY(check_format(file, &info->version));
    TRY(read_id(file, info->id));
    TRY(read_int(file, "parts", 1, PACK_MAX_PARTS, &info->n_parts));
    TRY(read_int(file, "part", 0, PACK_MAX_PARTS - 1, &info->part));
    if (info->part >= info->n_parts)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is part %d (from 0) of only %d",
                 h5_path(file), info->part, info->n_parts));
    TRY(h5_read_text(file, "/", "encoding", &encoding));
    TRY(pack_encoding_of(h5_path(file), encoding, &info->encoding));
    for (int d = 0; d < 3 && info->encoding == CONVOY_ENCODING_RAW; d++)
        TRY(read_int(file, axes[d], 1, UINT16_MAX, &info->shape[d]));
cleanup:
    mem_free(encoding);
    return status;
}

static convoy_status read_classes(const struct h5_file *file, struct pack_file *pack)
{
    size_t n = 0;
    convoy_status status = h5_read_texts(file, "/class_names", &pack->class_names, &n);
    if (status != CONVOY_OK)
        return status;
    if (n == 0 || n > INT_MAX) {
        h5_free_texts(pack->class_names, n);
        pack->class_names = NULL;
        return FAIL(CONVOY_ERROR_FORMAT, "%s: has %zu classes", pack->path, n);
    }
    pack->info.n_classes = (int)n;
    return CONVOY_OK;
}

/* An attribute's text; "" where the file does not have it. */
static convoy_status read_note(const struct h5_file *file, const char *name,
                               char **text)
{
    bool has = false;
    convoy_status status = h5_has_attribute(file, "/", name, &has);
    if (status != CONVOY_OK)
        return status;
    return has ? h5_read_text(file, "/", name, text) : mem_copy_text("", text);
}

/* What files of before these were thought of do not have. */
static convoy_status read_notes(const struct h5_file *file, struct pack_file *pack)
{
    convoy_status status = CONVOY_OK;
    bool has = false;
    TRY(h5_exists(file, "/left_out", &has));
    if (has)
        TRY(h5_read_texts(file, "/left_out", &pack->left_out, &pack->n_left_out));
    TRY(read_note(file, "plan", &pack->plan));
    TRY(read_note(file, "state", &pack->state));
cleanup:
    return status;
}

/* Reads the arrays; the length of /labels says what the others must have. */
static convoy_status read_index(const struct h5_file *file, struct pack_file *pack)
{
    convoy_status status = CONVOY_OK;
    struct pack_index *index = &pack->index;
    TRY(h5_read_vector(file, "/labels", H5_TYPE_I32, (void **)&index->labels,
                       &pack->info.n_records));
    uint64_t n = pack->info.n_records, n_offsets = n + 1;
    if (n == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: the pack has no records", pack->path));
    TRY(mem_alloc_array(n_offsets, sizeof *index->offsets, (void **)&index->offsets));
    TRY(mem_alloc_array(n, sizeof *index->checksums, (void **)&index->checksums));
    TRY(mem_alloc_array(n, sizeof *index->width, (void **)&index->width));
    TRY(mem_alloc_array(n, sizeof *index->height, (void **)&index->height));
    TRY(h5_read(file, "/offsets", H5_TYPE_U64, 1, &n_offsets, index->offsets));
    TRY(h5_read(file, "/checksums", H5_TYPE_U64, 1, &n, index->checksums));
    TRY(h5_read(file, "/width", H5_TYPE_U16, 1, &n, index->width));
    TRY(h5_read(file, "/height", H5_TYPE_U16, 1, &n, index->height));
cleanup:
    return status;
}

static convoy_status check_record(const struct pack_file *pack, uint64_t i)
{
    const struct pack_index *index = &pack->index;
    const int *shape = pack->info.shape;
    uint64_t from = index->offsets[i], to = index->offsets[i + 1];
    if (index->labels[i] < 0 || index->labels[i] >= pack->info.n_classes)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: record %" PRIu64
                    " has label %d, 0 to %d is expected: the file was "
                    "damaged",
                    pack->path, i, index->labels[i], pack->info.n_classes - 1);
    if (to <= from || to > pack->info.n_bytes)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: record %" PRIu64 " lies from byte %" PRIu64 " to %" PRIu64
                    " of %" PRIu64 ": the file was damaged",
                    pack->path, i, from, to, pack->info.n_bytes);
    if (pack->info.encoding == CONVOY_ENCODING_RAW &&
        (to - from != (uint64_t)shape[0] * (uint64_t)shape[1] * (uint64_t)shape[2] ||
         index->height[i] != shape[1] || index->width[i] != shape[2]))
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: record %" PRIu64 " has %" PRIu64
                    " bytes for %d x %d pixels, the "
                    "pack's records are %d x %d x %d: the file was damaged",
                    pack->path, i, to - from, index->width[i], index->height[i],
                    shape[0], shape[1], shape[2]);
    return CONVOY_OK;
}

static convoy_status check_index(const struct pack_file *pack)
{
    const convoy_pack_info *info = &pack->info;
    const uint64_t *offsets = pack->index.offsets;
    if (offsets[0] != 0 || offsets[info->n_records] != info->n_bytes)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: /offsets goes from %" PRIu64 " to %" PRIu64 ", 0 to %" PRIu64
                    " is expected: the file was damaged",
                    pack->path, offsets[0], offsets[info->n_records], info->n_bytes);
    for (uint64_t i = 0; i < info->n_records; i++) {
        convoy_status status = check_record(pack, i);
        if (status != CONVOY_OK)
            return status;
    }
    return CONVOY_OK;
}

static convoy_status check_id(const struct pack_file *pack)
{
    char id[33];
    convoy_status status = pack_index_hash(&pack->info, &pack->index,
                                           (const char *const *)pack->class_names, id);
    if (status == CONVOY_OK && strcmp(id, pack->info.id) != 0)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: its index has the id %s, %s is expected: the file was damaged",
                    pack->path, id, pack->info.id);
    return status;
}

/* Everything that takes HDF5. */
static convoy_status load(struct pack_file *pack)
{
    convoy_status status = CONVOY_OK;
    struct h5_file *file = NULL;
    bool is_empty = false;
    TRY(h5_open(pack->path, &file));
    TRY(read_info(file, &pack->info));
    TRY(read_classes(file, pack));
    TRY(read_notes(file, pack));
    TRY(h5_has_attribute(file, "/", PACK_EMPTY, &is_empty));
    if (!is_empty) {
        TRY(read_index(file, pack));
        TRY(h5_locate_bytes(file, "/bytes", &pack->start, &pack->info.n_bytes));
        TRY(check_index(pack));
    }
    TRY(check_id(pack));
cleanup:
    h5_close(file);
    return status;
}

convoy_status pack_file_load(const char *path, struct pack_file *file)
{
    convoy_status status = CONVOY_OK;
    TRY(mem_copy_text(path, &file->path));
    TRY(load(file));
cleanup:
    return status;
}

void pack_file_free(struct pack_file *file)
{
    h5_free_texts(file->class_names, (size_t)file->info.n_classes);
    h5_free_texts(file->left_out, file->n_left_out);
    mem_free(file->index.offsets);
    mem_free(file->index.labels);
    mem_free(file->index.checksums);
    mem_free(file->index.width);
    mem_free(file->index.height);
    mem_free(file->plan);
    mem_free(file->state);
    mem_free(file->path);
    *file = (struct pack_file){.start = 0};
}

convoy_status pack_file_name_part(const char *folder, int part, char *out, size_t size)
{
    char name[32];
    snprintf(name, sizeof name, "part-%05d.h5", part);
    return file_join(folder, name, out, size);
}
