/* Parts as files without a name: for the disk a temporary file that is removed as soon
 * as it is open, for memory a memfd, which is mapped. Another process opens either as
 * /proc/PID/fd/FD. Room is reserved before a byte is written, so that a full disk is
 * found at the start and no mapped page can fail later. */
#include "load/record_store.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct part {
    uint64_t first, end; /* records */
    int fd;              /* -1: not here */
    uint8_t *mapped;     /* in memory; NULL: on disk */
};

struct record_store {
    const convoy_pack *pack;
    uint64_t *starts; /* [records + 1] in bytes, of all records one after the other */
    int n_parts;
    struct part *parts;
};

static const double gib = 1 << 30;

convoy_status record_store_create(const convoy_pack *pack, const uint64_t *ends,
                                  int n_parts, struct record_store **store)
{
    convoy_status status = CONVOY_OK;
    struct record_store *made = NULL;
    const uint64_t n = convoy_pack_describe(pack)->n_records;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    made->pack = pack;
    TRY(mem_alloc_array(n + 1, sizeof *made->starts, (void **)&made->starts));
    for (uint64_t i = 0; i < n; i++)
        made->starts[i + 1] = made->starts[i] + pack_record_bytes(pack, i);
    TRY(mem_alloc_array((size_t)n_parts, sizeof *made->parts, (void **)&made->parts));
    made->n_parts = n_parts;
    for (int p = 0; p < n_parts; p++)
        made->parts[p] =
            (struct part){.first = p ? ends[p - 1] : 0, .end = ends[p], .fd = -1};
    *store = made;
    made = NULL;
cleanup:
    record_store_destroy(made);
    return status;
}

void record_store_destroy(struct record_store *store)
{
    if (!store)
        return;
    for (int p = 0; p < store->n_parts; p++) {
        struct part *part = &store->parts[p];
        if (part->mapped)
            munmap(part->mapped, (size_t)record_store_bytes(store, p));
        if (part->fd >= 0)
            close(part->fd);
    }
    mem_free(store->parts);
    mem_free(store->starts);
    mem_free(store);
}

uint64_t record_store_bytes(const struct record_store *store, int part)
{
    const struct part *p = &store->parts[part];
    return store->starts[p->end] - store->starts[p->first];
}

int record_store_part(const struct record_store *store, uint64_t record)
{
    int low = 0, high = store->n_parts;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (store->parts[middle].end <= record)
            low = middle + 1;
        else
            high = middle;
    }
    return low < store->n_parts ? low : -1;
}

bool record_store_has(const struct record_store *store, int part)
{
    return store->parts[part].fd >= 0;
}

convoy_status record_store_check_room(const struct record_store *store,
                                      enum record_place place, const char *folder,
                                      uint64_t bytes)
{
    const char *path = pack_path(store->pack);
    struct statvfs disk;
    if (place == RECORD_MEMORY) {
        const uint64_t room = limits_memory_left();
        if (room > 0 && bytes > room)
            return FAIL(
                CONVOY_ERROR_ARGUMENT,
                "%s: this node would keep %.2f GiB of it in memory, of which "
                "%.2f GiB are free: use more nodes, or data.read stage or direct",
                path, (double)bytes / gib, (double)room / gib);
        return CONVOY_OK;
    }
    if (statvfs(folder, &disk) != 0)
        return FAIL(CONVOY_ERROR_IO,
                    "%s: cannot stage a pack there: %s; set TMPDIR to a folder on the "
                    "node's own disk",
                    folder, strerror(errno));
    const uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (bytes > room)
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "%s: this node would stage %.2f GiB of it in %s, where %.2f GiB are "
            "free: set TMPDIR to a larger disk of the node's own, use more "
            "nodes, or data.read direct",
            path, (double)bytes / gib, folder, (double)room / gib);
    return CONVOY_OK;
}

static convoy_status open_disk(const char *folder, int *fd)
{
    char path[4096];
    convoy_status status = file_join(folder, "convoy-stage-XXXXXX", path, sizeof path);
    if (status != CONVOY_OK)
        return status;
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd < 0)
        return FAIL(CONVOY_ERROR_IO,
                    "%s: cannot make a file there: %s; set TMPDIR to a folder on the "
                    "node's own disk",
                    folder, strerror(errno));
    unlink(path);
    return CONVOY_OK;
}

/* A new file without a name and with room for n bytes. */
static convoy_status make_file(const struct record_store *store,
                               enum record_place place, const char *folder, uint64_t n,
                               int *fd)
{
    convoy_status status = CONVOY_OK;
    if (place == RECORD_DISK) {
        status = open_disk(folder, fd);
        if (status != CONVOY_OK)
            return status;
    } else {
        *fd = memfd_create("convoy records", MFD_CLOEXEC);
        if (*fd < 0)
            return FAIL(CONVOY_ERROR_IO, "cannot make a file in memory: %s",
                        strerror(errno));
    }
    const int error = file_reserve(*fd, 0, n);
    if (error != 0)
        return FAIL(CONVOY_ERROR_IO, "%s: no room for %.2f GiB of it in %s: %s",
                    pack_path(store->pack), (double)n / gib,
                    place == RECORD_DISK ? folder : "memory", strerror(error));
    return CONVOY_OK;
}

static convoy_status copy_records(const struct record_store *store,
                                  const struct part *part, int fd, bool tolerant)
{
    convoy_status status = CONVOY_OK;
    void *buffer = NULL;
    size_t capacity = 0;
    for (uint64_t i = part->first; i < part->end; i++) {
        struct pack_record record;
        status = pack_read(store->pack, i, &buffer, &capacity, &record);
        pulse();
        /* The bytes are there, only wrong. */
        if (status == CONVOY_ERROR_FORMAT && tolerant)
            status = CONVOY_OK;
        if (status == CONVOY_OK)
            status = file_write_at(fd, "staged records",
                                   store->starts[i] - store->starts[part->first],
                                   buffer, pack_record_bytes(store->pack, i));
        if (status != CONVOY_OK)
            break;
    }
    mem_free(buffer);
    return status;
}

/* Takes the file over as the part's; in memory it is mapped. */
static convoy_status take_file(struct record_store *store, int part,
                               enum record_place place, int fd)
{
    const size_t n = (size_t)record_store_bytes(store, part);
    if (place == RECORD_MEMORY) {
        void *mapped = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
        if (mapped == MAP_FAILED)
            return FAIL(CONVOY_ERROR_MEMORY,
                        "%s: cannot map %zu bytes of its records: %s",
                        pack_path(store->pack), n, strerror(errno));
        store->parts[part].mapped = mapped;
    }
    store->parts[part].fd = fd;
    return CONVOY_OK;
}

convoy_status record_store_hold(struct record_store *store, int part,
                                enum record_place place, const char *folder,
                                bool tolerant, int *fd)
{
    convoy_status status = CONVOY_OK;
    const uint64_t n = record_store_bytes(store, part);
    int made = -1;
    *fd = -1;
    if (n == 0)
        return CONVOY_OK;
    TRY(make_file(store, place, folder, n, &made));
    TRY(copy_records(store, &store->parts[part], made, tolerant));
    TRY(take_file(store, part, place, made));
    *fd = made;
    made = -1;
cleanup:
    if (made >= 0)
        close(made);
    return status;
}

convoy_status record_store_open(struct record_store *store, int part,
                                enum record_place place, int pid, int fd)
{
    convoy_status status = CONVOY_OK;
    char path[64];
    struct stat info;
    if (record_store_bytes(store, part) == 0)
        return CONVOY_OK;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
    const int opened = open(path, O_RDONLY | O_CLOEXEC);
    /* In containers of their own, processes may take another one for the one meant. */
    if (opened < 0 || fstat(opened, &info) != 0 ||
        (uint64_t)info.st_size != record_store_bytes(store, part))
        TRY(FAIL(CONVOY_ERROR_IO,
                 "%s: cannot open what another rank of this node holds of %s%s%s; the "
                 "ranks of a node must see each other's processes (one container a "
                 "node), or use data.read direct",
                 path, pack_path(store->pack), opened < 0 ? ": " : "",
                 opened < 0 ? strerror(errno) : ""));
    TRY(take_file(store, part, place, opened));
cleanup:
    if (status != CONVOY_OK && opened >= 0)
        close(opened);
    return status;
}

/* Where a record lies in the file of its part. */
static uint64_t place_of(const struct record_store *store, uint64_t record,
                         const struct part **part)
{
    *part = &store->parts[record_store_part(store, record)];
    return store->starts[record] - store->starts[(*part)->first];
}

convoy_status record_store_copy(const struct record_store *store, uint64_t record,
                                void *out)
{
    const struct part *part;
    const uint64_t at = place_of(store, record, &part);
    const size_t n = pack_record_bytes(store->pack, record);
    if (!part->mapped)
        return file_read_at(part->fd, "staged records", at, out, n);
    memcpy(out, part->mapped + at, n);
    return CONVOY_OK;
}

convoy_status record_store_read(const struct record_store *store, uint64_t record,
                                void **buffer, size_t *capacity,
                                struct pack_record *read)
{
    convoy_status status = CONVOY_OK;
    const struct part *part;
    const uint64_t at = place_of(store, record, &part);
    if (part->mapped)
        return pack_take(store->pack, record, part->mapped + at, read);
    TRY(mem_reserve(buffer, capacity, pack_record_bytes(store->pack, record)));
    TRY(record_store_copy(store, record, *buffer));
    TRY(pack_take(store->pack, record, *buffer, read));
cleanup:
    return status;
}
