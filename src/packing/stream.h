/* Reading a file that may be packed (gzip, bzip2, xz, zstd) as one stream of unpacked
 * bytes. */
#ifndef PACKING_STREAM_H
#define PACKING_STREAM_H

#include "base/status.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

struct archive;

struct stream {
    char path[PATH_MAX];
    struct archive *archive;
    uint64_t at;  /* bytes read so far, unpacked */
    uint32_t crc; /* of them */
};

/* Opens path into *stream, to be closed with stream_close; a failed open needs no
 * close. Errors: FORMAT (empty, or packed and damaged), IO. */
convoy_status stream_open(struct stream *stream, const char *path);

/* Reads exactly n bytes. FORMAT where the file ends before. */
convoy_status stream_read(struct stream *stream, void *out, size_t n);

/* Reads up to n bytes; less only at the end. */
convoy_status stream_take(struct stream *stream, void *out, size_t n, size_t *got);

/* Checks that the stream ends here, and a gzipped one against its length and checksum.
 */
convoy_status stream_end(struct stream *stream);

/* Takes {0}. */
void stream_close(struct stream *stream);

#endif
