/* One file, packed or not, through libarchive's raw format.
 *
 * libarchive unpacks gzip without looking at its checksum, so damage could come out as
 * other bytes in silence. Therefore the CRC-32 of what was read is compared with the
 * file's trailer: CRC and length, 4 bytes each, little-endian (RFC 1952). The trailer
 * speaks of the last gzip member only: a file of several is refused. The other formats
 * check themselves. */
#include "packing/stream.h"

#include "base/file.h"

#include <archive.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 1 << 16, TRAILER = 8, SMALLEST_GZIP = 18 };

void stream_close(struct stream *stream)
{
    if (stream->archive)
        archive_read_free(stream->archive);
    stream->archive = NULL;
}

static convoy_status fail(const struct stream *stream, const char *doing)
{
    const char *why = archive_error_string(stream->archive);
    return FAIL(CONVOY_ERROR_FORMAT, "%s: cannot %s: %s", stream->path, doing,
                why ? why : "no reason given");
}

/* Those that need no other program. The worst of the results. */
static int add_filters(struct archive *archive)
{
    const int results[] = {archive_read_support_filter_gzip(archive),
                           archive_read_support_filter_bzip2(archive),
                           archive_read_support_filter_xz(archive),
                           archive_read_support_filter_zstd(archive)};
    int worst = ARCHIVE_OK;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        worst = results[i] < worst ? results[i] : worst;
    return worst;
}

convoy_status stream_open(struct stream *stream, const char *path)
{
    convoy_status status = CONVOY_OK;
    struct archive_entry *entry = NULL;
    struct stat info;
    int fd = -1;
    *stream = (struct stream){.crc = 0};
    if (snprintf(stream->path, sizeof stream->path, "%s", path) >= PATH_MAX)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: the path is too long", path);
    TRY(file_open(path, &fd, &info)); /* libarchive would wait for a pipe */
    close(fd);
    stream->archive = archive_read_new();
    if (!stream->archive)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "libarchive cannot start"));
    if (add_filters(stream->archive) < ARCHIVE_WARN ||
        archive_read_support_format_raw(stream->archive) != ARCHIVE_OK ||
        archive_read_support_format_empty(stream->archive) != ARCHIVE_OK ||
        archive_read_open_filename(stream->archive, path, BLOCK) != ARCHIVE_OK)
        TRY(fail(stream, "open"));
    int result = archive_read_next_header(stream->archive, &entry);
    if (result == ARCHIVE_EOF)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: the file is empty", path));
    if (result != ARCHIVE_OK)
        TRY(fail(stream, "read"));
cleanup:
    if (status != CONVOY_OK)
        stream_close(stream);
    return status;
}

/* CRC-32 of gzip, a nibble at a time: the table fits in a cache line. */
static uint32_t crc_update(uint32_t crc, const uint8_t *bytes, size_t n)
{
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

convoy_status stream_take(struct stream *stream, void *out, size_t n, size_t *got)
{
    uint8_t *to = out;
    *got = 0;
    while (*got < n) {
        la_ssize_t r = archive_read_data(stream->archive, to + *got, n - *got);
        if (r < 0)
            return fail(stream, "read");
        if (r == 0)
            break;
        *got += (size_t)r;
    }
    stream->crc = crc_update(stream->crc, out, *got);
    stream->at += *got;
    return CONVOY_OK;
}

convoy_status stream_read(struct stream *stream, void *out, size_t n)
{
    size_t got = 0;
    convoy_status status = stream_take(stream, out, n, &got);
    if (status == CONVOY_OK && got < n)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: ends after %" PRIu64
                    " bytes (unpacked): the file was cut short",
                    stream->path, stream->at);
    return status;
}

static uint32_t little_endian(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static convoy_status check_trailer(const struct stream *stream)
{
    convoy_status status = CONVOY_OK;
    uint8_t magic[2], trailer[TRAILER];
    struct stat info = {0};
    int fd = -1;
    TRY(file_open(stream->path, &fd, &info));
    if (info.st_size < SMALLEST_GZIP)
        goto cleanup;
    TRY(file_read_at(fd, stream->path, 0, magic, sizeof magic));
    if (magic[0] != 0x1f || magic[1] != 0x8b)
        goto cleanup;
    TRY(file_read_at(fd, stream->path, (uint64_t)info.st_size - TRAILER, trailer,
                     TRAILER));
    if (little_endian(trailer) != stream->crc ||
        little_endian(trailer + 4) != (uint32_t)stream->at)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: what was unpacked has checksum %08" PRIx32 ", %08" PRIx32
                 " is expected: the file was damaged (or is of several gzip members: "
                 "unpack it first)",
                 stream->path, stream->crc, little_endian(trailer)));
cleanup:
    if (fd >= 0)
        close(fd);
    return status;
}

convoy_status stream_end(struct stream *stream)
{
    uint64_t expected = stream->at;
    uint8_t more = 0;
    size_t got = 0;
    convoy_status status = stream_take(stream, &more, 1, &got);
    if (status != CONVOY_OK)
        return status;
    if (got > 0)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: goes on after the %" PRIu64
                    " bytes (unpacked) that its header claims",
                    stream->path, expected);
    return check_trailer(stream);
}
