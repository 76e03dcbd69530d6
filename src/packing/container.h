/* One file that many records lie in, packed (gzip, bzip2, xz, zstd) or not: reading at
 * any place of what it holds unpacked. */
#ifndef PACKING_CONTAINER_H
#define PACKING_CONTAINER_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct container;

/* *container is new; free with container_close. */
convoy_status container_open(const char *path, struct container **container);

/* Takes NULL. */
void container_close(struct container *container);

/* Whether it must be unpacked as one stream: then one thread at a time may read, places
 * should rise, and a lower one than the last means to begin again. */
bool container_is_packed(const struct container *container);

/* The path it was opened with. */
const char *container_path(const struct container *container);

/* Reads exactly n bytes at place. FORMAT where the file ends before. */
convoy_status container_read(struct container *container, uint64_t place, void *out,
                             size_t n);

/* Reads up to n bytes at place; less only where the file ends. */
convoy_status container_take(struct container *container, uint64_t place, void *out,
                             size_t n, size_t *got);

/* Reads to the end, which checks a packed file's own checksum. *n_bytes: all it holds.
 */
convoy_status container_finish(struct container *container, uint64_t *n_bytes);

#endif
