/* Reading the headers of a tar archive through libarchive.
 *
 * libarchive gets the archive's bytes from callbacks of ours and skips over contents,
 * so of a plain file little more than the headers is read. After a header, the bytes
 * that it has consumed say where the contents begin. Names are taken as UTF-8 where
 * they are, else byte for byte: the program runs in the C locale. */
#include "packing/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A plain file is read in small pieces, since most of it is skipped. */
enum { PIECE_PLAIN = 4096, PIECE_PACKED = 1 << 16, BLOCK = 512 };

struct window {
    struct container *container;
    uint64_t first, at, end;
    struct failure failure; /* of the last read */
    uint64_t entry_end;     /* of the last entry's contents, from first on */
    /* The last piece that was read, [n_piece], and before it the end of the one before
     * that, which is what lies there in the archive if nothing was skipped. */
    size_t n_piece;
    uint8_t bytes[BLOCK + PIECE_PACKED];
};

static la_ssize_t read_piece(struct archive *archive, void *context, const void **out)
{
    struct window *w = context;
    size_t n = container_is_packed(w->container) ? PIECE_PACKED : PIECE_PLAIN, got = 0;
    if (n > w->end - w->at)
        n = w->end - w->at;
    memmove(w->bytes, w->bytes + w->n_piece, BLOCK);
    w->n_piece = 0;
    const convoy_status status =
        container_take(w->container, w->at, w->bytes + BLOCK, n, &got);
    if (status != CONVOY_OK) {
        status_save(status, &w->failure);
        archive_set_error(archive, EIO, "cannot read");
        return -1;
    }
    w->at += got;
    w->n_piece = got;
    *out = w->bytes + BLOCK;
    return (la_ssize_t)got;
}

static la_int64_t skip_bytes(struct archive *archive, void *context, la_int64_t n)
{
    struct window *w = context;
    (void)archive;
    const uint64_t rest = w->end - w->at;
    const uint64_t skipped = (uint64_t)n < rest ? (uint64_t)n : rest;
    w->at += skipped;
    return (la_int64_t)skipped;
}

static convoy_status fail(const struct window *w, struct archive *archive)
{
    if (w->failure.status != CONVOY_OK)
        return status_restore(&w->failure);
    const char *why = archive_error_string(archive);
    return FAIL(CONVOY_ERROR_FORMAT, "%s: no tar archive, or a damaged one: %s",
                container_path(w->container), why ? why : "no reason given");
}

/* Why an entry has no bytes of its own, or NULL. */
static const char *find_problem(struct archive_entry *entry)
{
    if (archive_entry_hardlink(entry) || archive_entry_hardlink_utf8(entry))
        return "is a link to another file of the archive";
    if (archive_entry_filetype(entry) == AE_IFLNK)
        return "is a symbolic link in the archive";
    if (archive_entry_filetype(entry) != AE_IFREG)
        return "is neither a file nor a folder";
    if (archive_entry_sparse_count(entry) > 0)
        return "is a sparse file in the archive";
    return NULL;
}

/* Finds what the entry is a link to, if it is one. */
static void find_link(struct archive_entry *header, struct tar_entry *entry)
{
    const char *text = archive_entry_hardlink_utf8(header);
    if (!text)
        text = archive_entry_hardlink(header);
    if (!text && archive_entry_filetype(header) == AE_IFLNK) {
        entry->is_symbolic = true;
        text = archive_entry_symlink_utf8(header);
        if (!text)
            text = archive_entry_symlink(header);
    }
    entry->link = text;
}

/* Visits the entry whose header was read. */
static convoy_status visit_entry(struct window *w, struct archive *archive,
                                 struct archive_entry *header, tar_visitor *visit,
                                 void *context)
{
    uint8_t head[TAR_HEAD];
    const char *name = archive_entry_pathname_utf8(header);
    struct tar_entry entry = {.name = name ? name : archive_entry_pathname(header),
                              .place =
                                  w->first + (uint64_t)archive_filter_bytes(archive, 0),
                              .head = head,
                              .problem = find_problem(header)};
    find_link(header, &entry);
    if (!entry.problem)
        entry.n_bytes = (uint64_t)archive_entry_size(header);
    if (!entry.name)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: has an entry without a name",
                    container_path(w->container));
    while (entry.n_head < TAR_HEAD && entry.n_head < entry.n_bytes) {
        la_ssize_t n =
            archive_read_data(archive, head + entry.n_head, TAR_HEAD - entry.n_head);
        if (n <= 0)
            return fail(w, archive);
        entry.n_head += (size_t)n;
    }
    return visit(context, &entry);
}

static convoy_status visit_all(struct window *w, struct archive *archive,
                               tar_visitor *visit, void *context, uint64_t *n_entries)
{
    convoy_status status = CONVOY_OK;
    struct archive_entry *header = NULL;
    for (;;) {
        const int result = archive_read_next_header(archive, &header);
        if (result == ARCHIVE_EOF)
            return CONVOY_OK;
        /* A warning: a name that cannot be converted to the locale. */
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
            return fail(w, archive);
        const bool is_folder = archive_entry_filetype(header) == AE_IFDIR;
        if (!is_folder)
            TRY(visit_entry(w, archive, header, visit, context));
        *n_entries += !is_folder;
        if (archive_read_data_skip(archive) < ARCHIVE_WARN)
            return fail(w, archive);
        w->entry_end = (uint64_t)archive_filter_bytes(archive, 0);
    }
cleanup:
    return status;
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
    size_t i = 0;
    while (i < n && bytes[i] == 0)
        i++;
    return i == n;
}

/* An archive ends in blocks of zeros, the last of which was read: it is still among the
 * bytes of the last piece. Zeros that end the last entry are not meant. */
static convoy_status check_end(const struct window *w, struct archive *archive)
{
    const uint64_t used = (uint64_t)archive_filter_bytes(archive, 0);
    const uint64_t unread = w->at - w->first - used;
    if (unread <= w->n_piece && used >= w->entry_end + BLOCK &&
        is_zero(w->bytes + (w->n_piece - unread), BLOCK))
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: the archive has no end after %" PRIu64 " bytes: it was cut short",
                container_path(w->container), used);
}

/* Behind its end there are at most more zeros. */
static convoy_status check_behind(struct window *w, struct archive *archive)
{
    convoy_status status = CONVOY_OK;
    const uint64_t used = (uint64_t)archive_filter_bytes(archive, 0);
    size_t got = (size_t)(w->at - w->first - used);
    bool is_end = is_zero(w->bytes + BLOCK + w->n_piece - got, got);
    while (is_end && w->at < w->end) {
        const uint64_t rest = w->end - w->at;
        TRY(container_take(w->container, w->at, w->bytes,
                           rest < PIECE_PACKED ? rest : PIECE_PACKED, &got));
        if (got == 0)
            break;
        is_end = is_zero(w->bytes, got);
        w->at += got;
    }
    if (!is_end)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: more follows the archive's end at byte %" PRIu64
                 ": if several archives were put together, pack each, or make one of "
                 "them",
                 container_path(w->container), used));
cleanup:
    return status;
}

convoy_status tar_scan(struct container *container, uint64_t first, uint64_t n_bytes,
                       tar_visitor *visit, void *context, uint64_t *n_entries)
{
    convoy_status status = CONVOY_OK;
    struct window window = {.container = container, .first = first, .at = first};
    struct archive *archive = archive_read_new();
    window.end = n_bytes > UINT64_MAX - first ? UINT64_MAX : first + n_bytes;
    *n_entries = 0;
    if (!archive)
        return FAIL(CONVOY_ERROR_MEMORY, "libarchive cannot start");
    archive_read_set_skip_callback(archive, skip_bytes);
    archive_read_set_read_callback(archive, read_piece);
    archive_read_set_callback_data(archive, &window);
    if (archive_read_support_format_tar(archive) != ARCHIVE_OK ||
        archive_read_open1(archive) != ARCHIVE_OK)
        TRY(fail(&window, archive));
    TRY(visit_all(&window, archive, visit, context, n_entries));
    TRY(check_end(&window, archive));
    TRY(check_behind(&window, archive));
cleanup:
    archive_read_free(archive);
    return status;
}

bool tar_sniff(const uint8_t *bytes, size_t n)
{
    return n >= 263 && memcmp(bytes + 257, "ustar", 5) == 0;
}
