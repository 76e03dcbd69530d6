/* Writing one pack file.
 *
 * The number of bytes is known from the start, so /bytes gets its one piece of the file
 * at once and records stream into it through a buffer of a few megabytes; only the
 * index (24 bytes a record) is kept in memory, and written last. The file carries a
 * temporary name until it is complete and synced. */
#include "pack/pack_writer.h"

#include <convoy/version.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "h5/h5.h"
#include "pack/pack_index.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { BUFFER_BYTES = 4 << 20 };

struct pack_writer {
    struct h5_file *file;
    char *output, *temporary;
    convoy_pack_info info;
    struct pack_index index;
    const char *const *class_names;
    uint64_t n_done;            /* records */
    uint64_t n_added, n_stored; /* bytes; those in between are in the buffer */
    uint8_t *buffer;
    bool committed;
};

convoy_status pack_writer_create(const char *output, struct pack_writer **out)
{
    convoy_status status = CONVOY_OK;
    struct pack_writer *writer = NULL;
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.%ld.tmp", output, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof temporary)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: the path is too long", output);
    TRY(mem_alloc(sizeof *writer, (void **)&writer));
    TRY(mem_copy_text(output, &writer->output));
    TRY(mem_alloc(BUFFER_BYTES, (void **)&writer->buffer));
    TRY(h5_create(temporary, &writer->file));
    TRY(mem_copy_text(temporary, &writer->temporary));
    *out = writer;
    writer = NULL;
cleanup:
    pack_writer_destroy(writer);
    return status;
}

/* A disk that is too small shows now, not after hours. */
static convoy_status check_space(const struct pack_writer *writer)
{
    struct statvfs disk;
    if (statvfs(writer->temporary, &disk) != 0)
        return CONVOY_OK;
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes < writer->info.n_bytes)
        return FAIL(CONVOY_ERROR_IO,
                    "%s: the pack takes %" PRIu64 " bytes, its disk has only %" PRIu64
                    " left",
                    writer->output, writer->info.n_bytes, free_bytes);
    return CONVOY_OK;
}

convoy_status pack_writer_begin(struct pack_writer *writer,
                                const struct source_facts *facts)
{
    convoy_status status = CONVOY_OK;
    convoy_pack_info *info = &writer->info;
    struct pack_index *index = &writer->index;
    size_t n = facts->n_records;
    info->version = PACK_VERSION;
    info->n_parts = 1;
    memcpy(info->shape, facts->shape, sizeof info->shape);
    info->n_records = facts->n_records;
    info->n_bytes = facts->n_bytes;
    info->n_classes = facts->n_classes;
    writer->class_names = facts->class_names;
    TRY(check_space(writer));
    TRY(mem_alloc_array(n + 1, sizeof *index->offsets, (void **)&index->offsets));
    TRY(mem_alloc_array(n, sizeof *index->labels, (void **)&index->labels));
    TRY(mem_alloc_array(n, sizeof *index->checksums, (void **)&index->checksums));
    TRY(mem_alloc_array(n, sizeof *index->width, (void **)&index->width));
    TRY(mem_alloc_array(n, sizeof *index->height, (void **)&index->height));
    TRY(h5_reserve_bytes(writer->file, "/bytes", info->n_bytes));
cleanup:
    return status;
}

static convoy_status store(struct pack_writer *writer, const uint8_t *bytes, size_t n)
{
    convoy_status status =
        h5_write_bytes(writer->file, "/bytes", writer->n_stored, bytes, n);
    if (status == CONVOY_OK)
        writer->n_stored += n;
    return status;
}

/* Collects small records; a large one goes straight to the file. */
static convoy_status append(struct pack_writer *writer, const uint8_t *bytes, size_t n)
{
    convoy_status status = CONVOY_OK;
    size_t waiting = (size_t)(writer->n_added - writer->n_stored);
    if (waiting + n > BUFFER_BYTES) {
        TRY(store(writer, writer->buffer, waiting));
        waiting = 0;
    }
    if (n > BUFFER_BYTES)
        TRY(store(writer, bytes, n));
    else
        memcpy(writer->buffer + waiting, bytes, n);
    writer->n_added += n;
cleanup:
    return status;
}

/* One encoding for the pack: PNG only where every record is one. */
static void take_encoding(struct pack_writer *writer, convoy_encoding encoding)
{
    if (writer->n_done == 0)
        writer->info.encoding = encoding;
    else if (encoding == CONVOY_ENCODING_JPEG)
        writer->info.encoding = CONVOY_ENCODING_JPEG;
}

convoy_status pack_writer_add(struct pack_writer *writer,
                              const struct source_record *record)
{
    struct pack_index *index = &writer->index;
    uint64_t i = writer->n_done;
    if (i == writer->info.n_records ||
        record->n_bytes > writer->info.n_bytes - writer->n_added)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: more arrives than the source claimed: it changed meanwhile",
                    writer->output);
    convoy_status status = append(writer, record->bytes, record->n_bytes);
    if (status != CONVOY_OK)
        return status;
    take_encoding(writer, record->encoding);
    index->offsets[i + 1] = writer->n_added;
    index->labels[i] = record->label;
    index->checksums[i] = hash_64(record->bytes, record->n_bytes);
    index->width[i] = record->width;
    index->height[i] = record->height;
    writer->n_done++;
    return CONVOY_OK;
}

static convoy_status write_index(struct pack_writer *writer)
{
    convoy_status status = CONVOY_OK;
    struct h5_file *file = writer->file;
    const struct pack_index *index = &writer->index;
    uint64_t n = writer->info.n_records, n_offsets = n + 1;
    TRY(h5_write(file, "/offsets", H5_TYPE_U64, 1, &n_offsets, index->offsets));
    TRY(h5_write(file, "/labels", H5_TYPE_I32, 1, &n, index->labels));
    TRY(h5_write(file, "/checksums", H5_TYPE_U64, 1, &n, index->checksums));
    TRY(h5_write(file, "/width", H5_TYPE_U16, 1, &n, index->width));
    TRY(h5_write(file, "/height", H5_TYPE_U16, 1, &n, index->height));
    TRY(h5_write_texts(file, "/class_names", writer->class_names,
                       (size_t)writer->info.n_classes));
cleanup:
    return status;
}

static convoy_status write_attributes(struct pack_writer *writer)
{
    convoy_status status = CONVOY_OK;
    struct h5_file *file = writer->file;
    const convoy_pack_info *info = &writer->info;
    TRY(h5_write_text(file, "/", "format", PACK_FORMAT));
    TRY(h5_write_i64(file, "/", "version", info->version));
    TRY(h5_write_text(file, "/", "pack_id", info->id));
    TRY(h5_write_i64(file, "/", "part", info->part));
    TRY(h5_write_i64(file, "/", "parts", info->n_parts));
    TRY(h5_write_text(file, "/", "encoding", pack_encoding_name(info->encoding)));
    TRY(h5_write_text(file, "/", "producer", "convoy " CONVOY_VERSION));
    if (info->encoding == CONVOY_ENCODING_RAW) {
        TRY(h5_write_i64(file, "/", "channels", info->shape[0]));
        TRY(h5_write_i64(file, "/", "height", info->shape[1]));
        TRY(h5_write_i64(file, "/", "width", info->shape[2]));
    }
cleanup:
    return status;
}

convoy_status pack_writer_commit(struct pack_writer *writer)
{
    convoy_status status = CONVOY_OK;
    const convoy_pack_info *info = &writer->info;
    if (writer->n_done != info->n_records || writer->n_added != info->n_bytes)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: %" PRIu64 " records of %" PRIu64
                 " bytes arrived, the source claimed "
                 "%" PRIu64 " of %" PRIu64 ": it changed meanwhile",
                 writer->output, writer->n_done, writer->n_added, info->n_records,
                 info->n_bytes));
    TRY(store(writer, writer->buffer, (size_t)(writer->n_added - writer->n_stored)));
    TRY(pack_index_hash(info, &writer->index, writer->class_names, writer->info.id));
    TRY(write_index(writer));
    TRY(write_attributes(writer));
    TRY(h5_finish(writer->file));
    TRY(file_commit(writer->temporary, writer->output));
    writer->committed = true;
cleanup:
    return status;
}

void pack_writer_destroy(struct pack_writer *writer)
{
    if (!writer)
        return;
    h5_close(writer->file);
    if (writer->temporary && !writer->committed)
        unlink(writer->temporary);
    mem_free(writer->index.offsets);
    mem_free(writer->index.labels);
    mem_free(writer->index.checksums);
    mem_free(writer->index.width);
    mem_free(writer->index.height);
    mem_free(writer->buffer);
    mem_free(writer->output);
    mem_free(writer->temporary);
    mem_free(writer);
}
