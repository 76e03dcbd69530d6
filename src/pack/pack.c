/* Opening and reading packs.
 *
 * Opening reads the index through HDF5 and checks that its parts agree with each other,
 * with the file's size and with the pack's id, so a damaged index never reaches a
 * reader. Then HDF5 is closed: records are read with pread at their place in the file,
 * which any number of threads may do, and each is checked against its checksum. */
#include "pack/pack.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "h5/h5.h"
#include "pack/pack_index.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

struct convoy_pack {
    convoy_pack_info info;
    struct pack_index index;
    char **class_names; /* [n_classes] */
    char *path;
    int fd;
    uint64_t start; /* of the records in the file */
};

static convoy_status read_int(const struct h5_file *file, const char *name, int least,
                              int *out)
{
    int64_t value = 0;
    convoy_status status = h5_read_i64(file, "/", name, &value);
    if (status != CONVOY_OK)
        return status;
    if (value < least || value > INT_MAX)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: attribute '%s' is %" PRId64 ", %d or more is "
                    "expected",
                    h5_path(file), name, value, least);
    *out = (int)value;
    return CONVOY_OK;
}

/* Whether this is a pack at all, and one of a version that is known. */
static convoy_status check_format(const struct h5_file *file, int *version)
{
    convoy_status status = CONVOY_OK;
    char *format = NULL;
    if (!h5_has_attribute(file, "/", "format"))
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: an HDF5 file, but not a pack ('convoy pack' makes packs)",
                    h5_path(file));
    TRY(h5_read_text(file, "/", "format", &format));
    if (strcmp(format, PACK_FORMAT) != 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: not a pack: its format is '%.40s'",
                 h5_path(file), format));
    TRY(read_int(file, "version", 1, version));
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
    TRY(read_int(file, "parts", 1, &info->n_parts));
    TRY(read_int(file, "part", 0, &info->part));
    if (info->part >= info->n_parts)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is part %d (from 0) of only %d",
                 h5_path(file), info->part, info->n_parts));
    TRY(h5_read_text(file, "/", "encoding", &encoding));
    TRY(pack_encoding_of(h5_path(file), encoding, &info->encoding));
    for (int d = 0; d < 3 && info->encoding == CONVOY_ENCODING_RAW; d++) {
        TRY(read_int(file, axes[d], 1, &info->shape[d]));
        if (info->shape[d] > UINT16_MAX)
            TRY(FAIL(CONVOY_ERROR_FORMAT,
                     "%s: attribute '%s' is %d, at most %d is expected", h5_path(file),
                     axes[d], info->shape[d], UINT16_MAX));
    }
cleanup:
    mem_free(encoding);
    return status;
}

static convoy_status read_classes(const struct h5_file *file, convoy_pack *pack)
{
    size_t n = 0;
    convoy_status status = h5_read_texts(file, "/class_names", &pack->class_names, &n);
    if (status != CONVOY_OK)
        return status;
    pack->info.n_classes = (int)n;
    if (n == 0 || n > INT_MAX)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: has %zu classes", pack->path, n);
    return CONVOY_OK;
}

/* Reads the arrays; the length of /labels says what the others must have. */
static convoy_status read_index(const struct h5_file *file, convoy_pack *pack)
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

static convoy_status check_record(const convoy_pack *pack, uint64_t i)
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

static convoy_status check_index(const convoy_pack *pack)
{
    convoy_status status = CONVOY_OK;
    const convoy_pack_info *info = &pack->info;
    char id[33];
    if (pack->index.offsets[0] != 0 ||
        pack->index.offsets[info->n_records] != info->n_bytes)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: /offsets goes from %" PRIu64 " to %" PRIu64 ", 0 to %" PRIu64
                 " is expected: the file was damaged",
                 pack->path, pack->index.offsets[0],
                 pack->index.offsets[info->n_records], info->n_bytes));
    for (uint64_t i = 0; i < info->n_records; i++)
        TRY(check_record(pack, i));
    TRY(pack_index_hash(info, &pack->index, (const char *const *)pack->class_names,
                        id));
    if (strcmp(id, info->id) != 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: its index has the id %s, %s is expected: the file was damaged",
                 pack->path, id, info->id));
cleanup:
    return status;
}

/* Everything that takes HDF5. */
static convoy_status load(convoy_pack *pack)
{
    convoy_status status = CONVOY_OK;
    struct h5_file *file = NULL;
    TRY(h5_open(pack->path, &file));
    TRY(read_info(file, &pack->info));
    TRY(read_classes(file, pack));
    TRY(read_index(file, pack));
    TRY(h5_locate_bytes(file, "/bytes", &pack->start, &pack->info.n_bytes));
    TRY(check_index(pack));
cleanup:
    h5_close(file);
    return status;
}

convoy_status convoy_pack_open(const char *path, convoy_pack **out)
{
    convoy_status status = CONVOY_OK;
    convoy_pack *pack = NULL;
    TRY(mem_alloc(sizeof *pack, (void **)&pack));
    pack->fd = -1;
    TRY(mem_copy_text(path, &pack->path));
    TRY(load(pack));
    pack->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (pack->fd < 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", path, strerror(errno)));
    *out = pack;
    pack = NULL;
cleanup:
    convoy_pack_close(pack);
    return status;
}

void convoy_pack_close(convoy_pack *pack)
{
    if (!pack)
        return;
    if (pack->fd >= 0)
        close(pack->fd);
    h5_free_texts(pack->class_names, (size_t)pack->info.n_classes);
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

const char *pack_path(const convoy_pack *pack)
{
    return pack->path;
}

void pack_record_size(const convoy_pack *pack, uint64_t index, int *width, int *height)
{
    *width = pack->index.width[index];
    *height = pack->index.height[index];
}

convoy_status pack_read(const convoy_pack *pack, uint64_t index, void **buffer,
                        size_t *capacity, struct pack_record *record)
{
    convoy_status status = CONVOY_OK;
    uint64_t from = pack->index.offsets[index];
    size_t n = (size_t)(pack->index.offsets[index + 1] - from);
    int32_t label = pack->index.labels[index];
    TRY(mem_reserve(buffer, capacity, n));
    TRY(file_read_at(pack->fd, pack->path, pack->start + from, *buffer, n));
    uint64_t found = hash_64(*buffer, n);
    if (found != pack->index.checksums[index])
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: record %" PRIu64 " (class '%s'): checksum %016" PRIx64
                 ", %016" PRIx64
                 " is expected: the file was damaged; run 'convoy verify %s'",
                 pack->path, index, pack->class_names[label], found,
                 pack->index.checksums[index], pack->path));
    record->bytes = *buffer;
    record->n_bytes = n;
    record->label = label;
cleanup:
    return status;
}
