/* A plain file is read with pread. A packed one is a stream that only goes forward:
 * what lies between two reads is unpacked and dropped. */
#include "packing/container.h"

#include "base/file.h"
#include "base/memory.h"
#include "packing/stream.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCRAP = 1 << 16, MAGIC = 6 };

struct container {
    char path[PATH_MAX];
    int fd;
    uint64_t n_bytes; /* of the file as it is */
    bool is_packed;
    struct stream stream;
    uint8_t scrap[SCRAP];
};

static bool looks_packed(const uint8_t magic[MAGIC])
{
    static const struct {
        size_t n;
        uint8_t bytes[MAGIC];
    } kinds[] = {{2, {0x1f, 0x8b}},
                 {3, {'B', 'Z', 'h'}},
                 {6, {0xfd, '7', 'z', 'X', 'Z', 0}},
                 {4, {0x28, 0xb5, 0x2f, 0xfd}}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (memcmp(magic, kinds[k].bytes, kinds[k].n) == 0)
            return true;
    return false;
}

convoy_status container_open(const char *path, struct container **out)
{
    convoy_status status = CONVOY_OK;
    struct container *c = NULL;
    struct stat info;
    uint8_t magic[MAGIC] = {0};
    TRY(mem_alloc(sizeof *c, (void **)&c));
    c->fd = -1;
    if (strlen(path) >= sizeof c->path)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT, "%s: the path is too long", path));
    memcpy(c->path, path, strlen(path) + 1);
    TRY(file_open(path, &c->fd, &info));
    c->n_bytes = (uint64_t)info.st_size;
    TRY(file_read_at(c->fd, path, 0, magic, c->n_bytes < MAGIC ? c->n_bytes : MAGIC));
    c->is_packed = looks_packed(magic);
    if (c->n_bytes == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: the file is empty", path));
    if (c->is_packed)
        TRY(stream_open(&c->stream, path));
    *out = c;
    c = NULL;
cleanup:
    container_close(c);
    return status;
}

void container_close(struct container *container)
{
    if (!container)
        return;
    stream_close(&container->stream);
    if (container->fd >= 0)
        close(container->fd);
    mem_free(container);
}

bool container_is_packed(const struct container *container)
{
    return container->is_packed;
}

const char *container_path(const struct container *container)
{
    return container->path;
}

/* Brings the stream to place, or to its end. */
static convoy_status go_to(struct container *c, uint64_t place)
{
    convoy_status status = CONVOY_OK;
    if (place < c->stream.at) {
        stream_close(&c->stream);
        TRY(stream_open(&c->stream, c->path));
    }
    while (c->stream.at < place) {
        uint64_t rest = place - c->stream.at;
        size_t got = 0;
        TRY(stream_take(&c->stream, c->scrap, rest < SCRAP ? rest : SCRAP, &got));
        if (got == 0)
            break;
    }
cleanup:
    return status;
}

convoy_status container_take(struct container *c, uint64_t place, void *out, size_t n,
                             size_t *got)
{
    convoy_status status = CONVOY_OK;
    if (!c->is_packed) {
        const uint64_t rest = place < c->n_bytes ? c->n_bytes - place : 0;
        n = n < rest ? n : rest;
        TRY(file_read_at(c->fd, c->path, place, out, n));
        *got = n;
        return CONVOY_OK;
    }
    TRY(go_to(c, place));
    *got = 0;
    if (c->stream.at == place)
        TRY(stream_take(&c->stream, out, n, got));
cleanup:
    return status;
}

convoy_status container_read(struct container *c, uint64_t place, void *out, size_t n)
{
    size_t got = 0;
    convoy_status status = container_take(c, place, out, n, &got);
    if (status == CONVOY_OK && got < n) {
        const uint64_t end = c->is_packed ? c->stream.at : c->n_bytes;
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: ends after %" PRIu64 " bytes%s: the file was cut short",
                    c->path, end, c->is_packed ? " (unpacked)" : "");
    }
    return status;
}

convoy_status container_finish(struct container *c, uint64_t *n_bytes)
{
    convoy_status status = CONVOY_OK;
    if (c->is_packed) {
        TRY(go_to(c, UINT64_MAX));
        TRY(stream_end(&c->stream));
    }
    *n_bytes = c->is_packed ? c->stream.at : c->n_bytes;
cleanup:
    return status;
}
