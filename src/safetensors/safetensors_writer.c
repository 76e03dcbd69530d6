/* Writing safetensors files: the header says where each tensor will lie, so values go
 * out one tensor at a time and nothing is held. Until it is complete and synced the
 * file has a temporary name.
 */
#include "safetensors/safetensors_header.h"

#include "base/file.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

struct safetensors_writer {
    char path[PATH_SIZE], temporary[PATH_SIZE];
    FILE *stream;
    uint64_t left; /* bytes of data that are still to come */
};

static convoy_status fail_write(const struct safetensors_writer *writer)
{
    return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", writer->path, strerror(errno));
}

/* The header as new text; free with free. */
static convoy_status make_header(const struct safetensors_tensor *tensors, size_t n,
                                 const struct safetensors_note *notes, size_t n_notes,
                                 char **text, size_t *bytes, uint64_t *data_bytes)
{
    convoy_status status = CONVOY_OK;
    struct safetensors_tensor *placed = NULL;
    FILE *stream = NULL;
    TRY(mem_alloc_array(n, sizeof *placed, (void **)&placed));
    if (n > 0)
        memcpy(placed, tensors, n * sizeof *placed);
    stream = open_memstream(text, bytes);
    if (!stream)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a safetensors header"));
    safetensors_header_write(stream, placed, n, notes, n_notes);
    if (fclose(stream) != 0)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a safetensors header"));
    *data_bytes = n > 0 ? placed[n - 1].end : 0;
cleanup:
    mem_free(placed);
    return status;
}

static convoy_status write_start(struct safetensors_writer *writer, const char *header,
                                 size_t n)
{
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)n >> 8 * i);
    int fd = -1;
    convoy_status status = file_make_temporary(writer->path, writer->temporary,
                                               sizeof writer->temporary, &fd);
    if (status != CONVOY_OK)
        return status;
    writer->stream = fdopen(fd, "wb");
    if (!writer->stream) {
        status = fail_write(writer);
        close(fd);
        unlink(writer->temporary);
        return status;
    }
    if (fwrite(length, 1, sizeof length, writer->stream) < 8 ||
        fwrite(header, 1, n, writer->stream) < n)
        return fail_write(writer);
    return CONVOY_OK;
}

convoy_status safetensors_create(const char *path,
                                 const struct safetensors_tensor *tensors, size_t n,
                                 const struct safetensors_note *notes, size_t n_notes,
                                 struct safetensors_writer **writer)
{
    convoy_status status = CONVOY_OK;
    struct safetensors_writer *made = NULL;
    char *header = NULL;
    size_t bytes = 0;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    snprintf(made->path, sizeof made->path, "%s", path);
    TRY(make_header(tensors, n, notes, n_notes, &header, &bytes, &made->left));
    TRY(write_start(made, header, bytes));
    *writer = made;
    made = NULL;
cleanup:
    safetensors_writer_destroy(made);
    free(header);
    return status;
}

convoy_status safetensors_write(struct safetensors_writer *writer, const void *values,
                                size_t bytes)
{
    assert(bytes <= writer->left);
    writer->left -= bytes;
    if (fwrite(values, 1, bytes, writer->stream) < bytes)
        return fail_write(writer);
    return CONVOY_OK;
}

convoy_status safetensors_commit(struct safetensors_writer *writer)
{
    assert(writer->left == 0);
    FILE *stream = writer->stream;
    writer->stream = NULL;
    convoy_status status = CONVOY_OK;
    if (fclose(stream) != 0)
        status = fail_write(writer);
    else
        status = file_commit(writer->temporary, writer->path);
    if (status != CONVOY_OK)
        unlink(writer->temporary);
    return status;
}

void safetensors_writer_destroy(struct safetensors_writer *writer)
{
    if (!writer)
        return;
    if (writer->stream) {
        fclose(writer->stream);
        unlink(writer->temporary);
    }
    mem_free(writer);
}
