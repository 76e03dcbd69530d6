/* Writing one file of a pack whose number of bytes shows only at its end.
 *
 * HDF5 has to be told the size of /bytes when it places it. So records are written
 * without HDF5, to where it will place them: page 1 of the file. At the end HDF5 makes
 * a second file, the frame, in which /bytes is a hole of the right size, and index and
 * attributes are around it; what is around the hole is copied to the records. Should
 * HDF5 choose another place (it does for less than a page), the records are copied into
 * the frame instead. A part of which everything was left out has no records. The file
 * carries a temporary name until it is complete and synced. Only the index (24 bytes a
 * record) is kept in memory. */
#include "packing/pack_writer.h"

#include <convoy/version.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/owner.h"
#include "h5/h5.h"
#include "pack/pack_index.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_BYTES = 4 << 20, START = 4096 };

struct pack_writer {
    char output[PATH_MAX], temporary[PATH_MAX], frame[PATH_MAX];
    int fd; /* of temporary */
    struct pack_facts facts;
    convoy_pack_info info;
    struct pack_index index;
    size_t capacities[5]; /* of the index's arrays */
    struct texts notes;
    uint64_t n_stored; /* bytes; those after them, up to info.n_bytes, are in buffer */
    uint8_t *buffer;
    bool committed;
};

/* Makes the temporary file; the frame has a name like it. */
static convoy_status make_file(struct pack_writer *writer, const char *output)
{
    char owner[OWNER_SIZE];
    owner_name(owner);
    const int n = snprintf(writer->frame, PATH_MAX, "%s.%s.frame.tmp", output, owner);
    if (n < 0 || n >= PATH_MAX)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: the path is too long", output);
    snprintf(writer->output, PATH_MAX, "%s", output);
    return file_make_temporary(output, writer->temporary, PATH_MAX, &writer->fd);
}

convoy_status pack_writer_create(const char *output, const struct pack_facts *facts,
                                 struct pack_writer **out)
{
    convoy_status status = CONVOY_OK;
    struct pack_writer *writer = NULL;
    TRY(mem_alloc(sizeof *writer, (void **)&writer));
    writer->fd = -1;
    writer->facts = *facts;
    writer->info.version = PACK_VERSION;
    writer->info.part = facts->part;
    writer->info.n_parts = facts->n_parts;
    writer->info.n_classes = (int)facts->classes->n;
    memcpy(writer->info.shape, facts->shape, sizeof writer->info.shape);
    /* Until a record says more: the encoding of a part without any. */
    writer->info.encoding = facts->shape[0] ? CONVOY_ENCODING_RAW : CONVOY_ENCODING_PNG;
    TRY(mem_alloc(BUFFER_BYTES, (void **)&writer->buffer));
    TRY(make_file(writer, output));
    *out = writer;
    writer = NULL;
cleanup:
    pack_writer_destroy(writer);
    return status;
}

static convoy_status store(struct pack_writer *writer, const uint8_t *bytes, size_t n)
{
    convoy_status status =
        file_write_at(writer->fd, writer->output, START + writer->n_stored, bytes, n);
    if (status == CONVOY_OK)
        writer->n_stored += n;
    return status;
}

/* Collects small records; a large one goes straight to the file. */
static convoy_status append(struct pack_writer *writer, const uint8_t *bytes, size_t n)
{
    convoy_status status = CONVOY_OK;
    size_t waiting = (size_t)(writer->info.n_bytes - writer->n_stored);
    if (waiting + n > BUFFER_BYTES) {
        TRY(store(writer, writer->buffer, waiting));
        waiting = 0;
    }
    if (n > BUFFER_BYTES)
        TRY(store(writer, bytes, n));
    else
        memcpy(writer->buffer + waiting, bytes, n);
    writer->info.n_bytes += n;
cleanup:
    return status;
}

/* One encoding for the file: PNG only where every record is one. */
static void take_encoding(convoy_pack_info *info, convoy_encoding encoding)
{
    if (info->n_records == 0 || encoding == CONVOY_ENCODING_JPEG)
        info->encoding = encoding;
}

/* Makes room for one more record. */
static convoy_status grow_index(struct pack_writer *writer)
{
    convoy_status status = CONVOY_OK;
    struct pack_index *index = &writer->index;
    const size_t n = writer->info.n_records + 1;
    struct {
        void **array;
        size_t bytes;
    } arrays[] = {{(void **)&index->offsets, (n + 1) * sizeof *index->offsets},
                  {(void **)&index->labels, n * sizeof *index->labels},
                  {(void **)&index->checksums, n * sizeof *index->checksums},
                  {(void **)&index->width, n * sizeof *index->width},
                  {(void **)&index->height, n * sizeof *index->height}};
    for (size_t a = 0; a < sizeof arrays / sizeof *arrays; a++)
        TRY(mem_reserve(arrays[a].array, &writer->capacities[a], arrays[a].bytes));
cleanup:
    return status;
}

convoy_status pack_writer_add(struct pack_writer *writer,
                              const struct new_record *record)
{
    convoy_status status = CONVOY_OK;
    struct pack_index *index = &writer->index;
    const uint64_t i = writer->info.n_records;
    TRY(grow_index(writer));
    TRY(append(writer, record->bytes, record->n_bytes));
    take_encoding(&writer->info, record->encoding);
    index->offsets[i + 1] = writer->info.n_bytes;
    index->labels[i] = record->label;
    index->checksums[i] = hash_64(record->bytes, record->n_bytes);
    index->width[i] = record->width;
    index->height[i] = record->height;
    writer->info.n_records++;
cleanup:
    return status;
}

convoy_status pack_writer_note(struct pack_writer *writer, const char *text)
{
    return texts_add(&writer->notes, text);
}

static convoy_status write_texts(struct h5_file *file, const char *name,
                                 const struct texts *texts)
{
    const char **list = NULL;
    convoy_status status = texts_list(texts, &list);
    if (status == CONVOY_OK)
        status = h5_write_texts(file, name, list, texts->n);
    mem_free(list);
    return status;
}

static convoy_status write_index(const struct pack_writer *writer, struct h5_file *file)
{
    convoy_status status = CONVOY_OK;
    const struct pack_index *index = &writer->index;
    uint64_t n = writer->info.n_records, n_offsets = n + 1;
    TRY(h5_write(file, "/offsets", H5_TYPE_U64, 1, &n_offsets, index->offsets));
    TRY(h5_write(file, "/labels", H5_TYPE_I32, 1, &n, index->labels));
    TRY(h5_write(file, "/checksums", H5_TYPE_U64, 1, &n, index->checksums));
    TRY(h5_write(file, "/width", H5_TYPE_U16, 1, &n, index->width));
    TRY(h5_write(file, "/height", H5_TYPE_U16, 1, &n, index->height));
cleanup:
    return status;
}

static convoy_status write_attributes(const struct pack_writer *writer,
                                      struct h5_file *file)
{
    convoy_status status = CONVOY_OK;
    const convoy_pack_info *info = &writer->info;
    TRY(h5_write_text(file, "/", "format", PACK_FORMAT));
    TRY(h5_write_i64(file, "/", "version", info->version));
    TRY(h5_write_text(file, "/", "pack_id", info->id));
    TRY(h5_write_i64(file, "/", "part", info->part));
    TRY(h5_write_i64(file, "/", "parts", info->n_parts));
    TRY(h5_write_text(file, "/", "plan", writer->facts.plan));
    if (writer->facts.state)
        TRY(h5_write_text(file, "/", "state", writer->facts.state));
    if (info->n_records == 0)
        TRY(h5_write_i64(file, "/", PACK_EMPTY, 1));
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

static convoy_status hash_index(struct pack_writer *writer)
{
    const char **names = NULL;
    convoy_status status = texts_list(writer->facts.classes, &names);
    if (status == CONVOY_OK)
        status = pack_index_hash(&writer->info, &writer->index, names, writer->info.id);
    mem_free(names);
    return status;
}

/* Makes the file around a hole, and tells where in it the hole is. */
static convoy_status make_frame(struct pack_writer *writer, uint64_t *start)
{
    convoy_status status = CONVOY_OK;
    struct h5_file *file = NULL;
    uint64_t n = 0;
    TRY(h5_create(writer->frame, &file));
    if (writer->info.n_records > 0) {
        TRY(h5_reserve_bytes(file, "/bytes", writer->info.n_bytes));
        TRY(write_index(writer, file));
    }
    TRY(write_texts(file, "/class_names", writer->facts.classes));
    if (writer->notes.n)
        TRY(write_texts(file, "/left_out", &writer->notes));
    TRY(write_attributes(writer, file));
    TRY(h5_finish(file));
    *start = 0;
    if (writer->info.n_records == 0)
        goto cleanup;
    h5_close(file);
    file = NULL;
    TRY(h5_open(writer->frame, &file));
    TRY(h5_locate_bytes(file, "/bytes", start, &n));
cleanup:
    h5_close(file);
    return status;
}

/* Copies n bytes through the buffer, which is free by now. */
static convoy_status copy_bytes(struct pack_writer *writer, int from, uint64_t at,
                                int to, uint64_t to_at, uint64_t n)
{
    convoy_status status = CONVOY_OK;
    for (uint64_t done = 0; done < n;) {
        const uint64_t rest = n - done;
        const size_t piece = rest < BUFFER_BYTES ? (size_t)rest : BUFFER_BYTES;
        TRY(file_read_at(from, writer->output, at + done, writer->buffer, piece));
        TRY(file_write_at(to, writer->output, to_at + done, writer->buffer, piece));
        done += piece;
    }
cleanup:
    return status;
}

/* Brings records and frame together, in the one file or the other. */
static convoy_status join_frame(struct pack_writer *writer, uint64_t start)
{
    convoy_status status = CONVOY_OK;
    const uint64_t n = writer->info.n_bytes, end = start + n;
    struct stat info;
    const int fd = open(writer->frame, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", writer->frame,
                 strerror(errno)));
    if (start == START && n > 0) {
        TRY(copy_bytes(writer, fd, 0, writer->fd, 0, START));
        TRY(copy_bytes(writer, fd, end, writer->fd, end, (uint64_t)info.st_size - end));
    } else {
        TRY(copy_bytes(writer, writer->fd, START, fd, start, n));
        if (rename(writer->frame, writer->temporary) != 0)
            TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot rename: %s", writer->frame,
                     strerror(errno)));
    }
cleanup:
    if (fd >= 0)
        close(fd);
    return status;
}

convoy_status pack_writer_commit(struct pack_writer *writer)
{
    convoy_status status = CONVOY_OK;
    uint64_t start = 0;
    const uint64_t n_waiting = writer->info.n_bytes - writer->n_stored;
    if (writer->info.n_records == 0 && writer->info.n_parts == 1)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: no image is left for it%s%s", writer->output,
                 writer->notes.n ? ": " : "",
                 writer->notes.n ? texts_get(&writer->notes, 0) : ""));
    TRY(store(writer, writer->buffer, (size_t)n_waiting));
    TRY(hash_index(writer));
    TRY(make_frame(writer, &start));
    TRY(join_frame(writer, start));
    TRY(file_commit(writer->temporary, writer->output));
    writer->committed = true;
cleanup:
    return status;
}

void pack_writer_destroy(struct pack_writer *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0) {
        close(writer->fd);
        unlink(writer->frame);
        if (!writer->committed)
            unlink(writer->temporary);
    }
    mem_free(writer->index.offsets);
    mem_free(writer->index.labels);
    mem_free(writer->index.checksums);
    mem_free(writer->index.width);
    mem_free(writer->index.height);
    texts_free(&writer->notes);
    mem_free(writer->buffer);
    mem_free(writer);
}
