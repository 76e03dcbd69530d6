/* Records lie in one container or in files of their own; either way the listing says at
 * which place and how long they are. A file that has changed since it was listed is an
 * error: its neighbours may have changed too. */
#include "packing/source_reader.h"

#include "base/file.h"
#include "base/memory.h"
#include "packing/container.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct source_reader {
    const struct listing *listing;
    struct container *container; /* or NULL */
    char *path;
};

convoy_status source_reader_open(const char *path, const struct listing *listing,
                                 struct source_reader **reader)
{
    convoy_status status = CONVOY_OK;
    struct source_reader *made = NULL;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    made->listing = listing;
    TRY(mem_copy_text(path, &made->path));
    if (listing->is_container)
        TRY(container_open(path, &made->container));
    *reader = made;
    made = NULL;
cleanup:
    source_reader_close(made);
    return status;
}

void source_reader_close(struct source_reader *reader)
{
    if (!reader)
        return;
    container_close(reader->container);
    mem_free(reader->path);
    mem_free(reader);
}

bool source_reader_is_serial(const struct source_reader *reader)
{
    return reader->container && container_is_packed(reader->container);
}

void source_reader_name(const struct source_reader *reader, uint64_t i, char *out,
                        size_t size)
{
    snprintf(out, size, "%s/%s", reader->path, listing_name(reader->listing, i));
}

static convoy_status read_file(const char *path, const struct listing_entry *entry,
                               bool is_whole, void *out)
{
    convoy_status status = CONVOY_OK;
    struct stat info;
    int fd = -1;
    TRY(file_open(path, &fd, &info));
    if (is_whole && ((uint64_t)info.st_size != entry->n_bytes ||
                     file_changed_ns(&info) != entry->changed))
        TRY(FAIL(CONVOY_ERROR_IO,
                 "%s: changed while it was packed (it had %" PRIu64 " bytes, and has "
                 "%" PRIu64 "): run the command again",
                 path, entry->n_bytes, (uint64_t)info.st_size));
    TRY(file_read_at(fd, path, entry->place, out, entry->n_bytes));
cleanup:
    if (fd >= 0)
        close(fd);
    return status;
}

convoy_status source_reader_read(struct source_reader *reader, uint64_t i,
                                 void **buffer, size_t *capacity)
{
    convoy_status status = CONVOY_OK;
    const struct listing_entry *entry = &reader->listing->entries[i];
    char path[PATH_MAX];
    TRY(mem_reserve(buffer, capacity, entry->n_bytes));
    if (reader->container)
        return container_read(reader->container, entry->place, *buffer, entry->n_bytes);
    TRY(file_join(reader->path, listing_name(reader->listing, i), path, sizeof path));
    TRY(read_file(path, entry, !reader->listing->is_raw, *buffer));
cleanup:
    return status;
}
