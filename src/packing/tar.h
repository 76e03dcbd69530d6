/* What a tar archive holds and where, without extracting it. */
#ifndef PACKING_TAR_H
#define PACKING_TAR_H

#include "packing/container.h"

enum { TAR_HEAD = 265 }; /* enough to tell an image, and a tar archive */

/* A file within an archive. */
struct tar_entry {
    const char *name;
    uint64_t place, n_bytes; /* its bytes in the (unpacked) container */
    const uint8_t *head;     /* the first of them */
    size_t n_head;           /* TAR_HEAD, or n_bytes where that is less */
    const char *problem;     /* NULL, or why it has no bytes of its own */
    const char *link; /* NULL, or what it is a link to; then there is a problem */
    bool is_symbolic; /* of a link: a symbolic one */
};

/* Called for every entry that is not a folder, in the archive's order. */
typedef convoy_status tar_visitor(void *context, const struct tar_entry *entry);

/* Visits the archive that begins at place first of the container and has n_bytes
 * (UINT64_MAX: up to the end). *n_entries counts what was visited. Errors: FORMAT (no
 * archive, damaged, cut short). */
convoy_status tar_scan(struct container *container, uint64_t first, uint64_t n_bytes,
                       tar_visitor *visit, void *context, uint64_t *n_entries);

/* Whether the bytes begin a tar archive (of POSIX or GNU; older ones have no mark). */
bool tar_sniff(const uint8_t *bytes, size_t n);

#endif
