/* IDX files, the format of MNIST and its family: bytes 0 0, the element type (8:
 * unsigned byte), the number of dimensions, the dimensions as big-endian 32-bit
 * numbers, then the elements. Images are [n, height, width] or [n, channels, height,
 * width]; the labels file beside them is [n], or as QMNIST has it i32 [n, 8], where the
 * first column is the class. Both may be packed, whatever their names say. Listing
 * reads the images through once, so that a damaged file shows at once. */
#include "packing/source.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "packing/container.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DIMS = 4, U8_ELEMENTS = 0x08, I32_ELEMENTS = 0x0c, BLOCK = 1 << 16 };

/* What the header says. */
struct header {
    int type, n_dims;
    uint32_t dims[MAX_DIMS];
};

/* No image has more bytes; a damaged header claims them. */
static const uint64_t max_record = UINT64_C(1) << 27;

/* Reads from at on, which moves. */
struct cursor {
    struct container *container;
    uint64_t at;
};

struct idx {
    const char *path;
    struct cursor images;
    int shape[3]; /* channels, height, width */
    uint64_t n;
    size_t record_bytes;
    uint8_t *labels; /* [n] */
    int n_classes;
};

static convoy_status take(struct cursor *cursor, void *out, size_t n)
{
    const convoy_status status = container_read(cursor->container, cursor->at, out, n);
    if (status == CONVOY_OK)
        cursor->at += n;
    return status;
}

/* Checks that the file ends here. */
static convoy_status check_end(const struct cursor *cursor)
{
    uint64_t n_bytes = 0;
    const convoy_status status = container_finish(cursor->container, &n_bytes);
    if (status == CONVOY_OK && n_bytes > cursor->at)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: goes on after the %" PRIu64 " bytes that its header claims",
                    container_path(cursor->container), cursor->at);
    return status;
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
           (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Reads the header of a file of at most MAX_DIMS dimensions. */
static convoy_status read_header(struct cursor *file, struct header *header)
{
    convoy_status status = CONVOY_OK;
    const char *path = container_path(file->container);
    uint8_t magic[4], size[4];
    TRY(take(file, magic, sizeof magic));
    if (magic[0] != 0 || magic[1] != 0)
        TRY(FAIL(
            CONVOY_ERROR_FORMAT,
            "%s: not an IDX file: starts with %02x %02x %02x %02x, 00 00 08 and the "
            "number of dimensions is expected",
            path, magic[0], magic[1], magic[2], magic[3]));
    if (magic[3] < 1 || magic[3] > MAX_DIMS)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: an IDX file of %d dimensions, 3 or 4 (images) or 1 (labels) are "
                 "expected",
                 path, magic[3]));
    *header = (struct header){.type = magic[2], .n_dims = magic[3]};
    for (int d = 0; d < header->n_dims; d++) {
        TRY(take(file, size, sizeof size));
        header->dims[d] = big_endian(size);
    }
cleanup:
    return status;
}

static convoy_status check_type(const struct cursor *file, const struct header *header)
{
    if (header->type == U8_ELEMENTS)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: an IDX file of element type %02x, 08 (unsigned byte) is expected",
                container_path(file->container), header->type);
}

static bool is_colours(uint32_t n)
{
    return n == 1 || n == 3;
}

/* Channels belong before height and width: behind them, every row of pixels would be
 * taken for a channel, and in silence. */
static convoy_status check_order(const char *path, const struct header *header)
{
    const uint32_t *dims = header->dims;
    if (header->n_dims < 4 || !is_colours(dims[3]))
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: has images of %u x %u x %u: %s; [n, channels, height, width] is "
                "expected: write the file anew, in Python with images.transpose(0, 3, "
                "1, 2)",
                path, dims[1], dims[2], dims[3],
                is_colours(dims[1]) ? "it cannot be told which are the channels"
                                    : "the channels come last");
}

static convoy_status open_images(struct idx *idx)
{
    convoy_status status = CONVOY_OK;
    const char *path = idx->path;
    struct header header;
    TRY(container_open(path, &idx->images.container));
    TRY(read_header(&idx->images, &header));
    const uint32_t *dims = header.dims;
    const int n_dims = header.n_dims;
    if (n_dims < 3)
        TRY(FAIL(
            CONVOY_ERROR_FORMAT,
            "%s: an IDX file of %d dimension%s, not images; give the images file, its "
            "labels file is found by its name",
            path, n_dims, n_dims == 1 ? " (labels)" : "s"));
    TRY(check_type(&idx->images, &header));
    TRY(check_order(path, &header));
    uint64_t shape[3] = {n_dims == 4 ? dims[1] : 1, dims[n_dims - 2], dims[n_dims - 1]};
    uint64_t bytes = 1;
    for (int d = 0; d < 3; d++) {
        if (shape[d] < 1 || shape[d] > UINT16_MAX || bytes * shape[d] > max_record)
            TRY(FAIL(CONVOY_ERROR_FORMAT,
                     "%s: claims images of %" PRIu64 " x %" PRIu64 " x %" PRIu64
                     " (channels, height, width), 1 to %d each is expected",
                     path, shape[0], shape[1], shape[2], UINT16_MAX));
        idx->shape[d] = (int)shape[d];
        bytes *= shape[d];
    }
    if (dims[0] == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: has no images", path));
    idx->n = dims[0];
    idx->record_bytes = (size_t)bytes;
cleanup:
    return status;
}

/* Puts to in place of the first from in text, if it is there. */
static bool replace(char *text, size_t size, const char *from, const char *to)
{
    char rest[PATH_MAX];
    char *at = strstr(text, from);
    if (!at)
        return false;
    snprintf(rest, sizeof rest, "%s", at + strlen(from));
    snprintf(at, size - (size_t)(at - text), "%s%s", to, rest);
    return true;
}

/* Adds or takes away ".gz". */
static void turn_suffix(char *path, size_t size)
{
    size_t n = strlen(path);
    if (n > 3 && strcmp(path + n - 3, ".gz") == 0)
        path[n - 3] = '\0';
    else
        snprintf(path + n, size - n, ".gz");
}

/* Whether the file is there, under this name or with ".gz" behind it or without. */
static bool find_either(char path[PATH_MAX])
{
    char other[PATH_MAX];
    snprintf(other, sizeof other, "%s", path);
    turn_suffix(other, sizeof other);
    if (!file_exists(path) && file_exists(other))
        memcpy(path, other, PATH_MAX);
    return file_exists(path);
}

/* The labels file beside an images file: its name with "labels" for "images" and "idx1"
 * for "idx3", or "idx2-int" for "idx3-ubyte", gzipped or not. */
static convoy_status find_labels(const char *images, char labels[PATH_MAX])
{
    char other[PATH_MAX];
    snprintf(labels, PATH_MAX, "%s", images);
    char *slash = strrchr(labels, '/'), *name = slash ? slash + 1 : labels;
    size_t room = PATH_MAX - (size_t)(name - labels);
    if (!replace(name, room, "images", "labels"))
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "%s: its name has no 'images' in it, by which the labels file beside it "
            "would be found; name the two like train-images-idx3-ubyte and "
            "train-labels-idx1-ubyte",
            images);
    memcpy(other, labels, PATH_MAX);
    if (!replace(name, room, "idx3", "idx1"))
        replace(name, room, "idx4", "idx1");
    if (find_either(labels))
        return CONVOY_OK;
    const bool has_other =
        replace(other + (name - labels), room, "idx3-ubyte", "idx2-int");
    if (has_other && find_either(other)) {
        memcpy(labels, other, PATH_MAX);
        return CONVOY_OK;
    }
    snprintf(other, sizeof other, "%s", labels);
    turn_suffix(other, sizeof other);
    return FAIL(CONVOY_ERROR_IO,
                "%s: its labels file is missing: neither %s nor %s is "
                "there",
                images, labels, other);
}

/* What of the labels file is read. */
struct columns {
    size_t row;      /* bytes of a row, which begins with the class */
    bool is_integer; /* of 4 bytes, big-endian; else of one */
};

/* The class at the beginning of row number i. */
static convoy_status read_class(const struct cursor *file,
                                const struct columns *columns, const uint8_t *row,
                                uint64_t i, uint8_t *label)
{
    const uint32_t class = columns->is_integer ? big_endian(row) : row[0];
    if (class > UINT8_MAX)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: label %" PRIu64 " is %" PRIu32 ", 0 to %d are expected",
                    container_path(file->container), i, class, UINT8_MAX);
    *label = (uint8_t) class;
    return CONVOY_OK;
}

/* Reads n labels. Grows as they come: a damaged header must not claim memory. */
static convoy_status take_labels(struct cursor *file, const struct columns *columns,
                                 struct idx *idx)
{
    convoy_status status = CONVOY_OK;
    uint8_t *rows = NULL;
    size_t capacity = 0;
    TRY(mem_alloc_array(BLOCK, columns->row, (void **)&rows));
    for (uint64_t i = 0; i < idx->n; i += BLOCK) {
        const size_t n = idx->n - i < BLOCK ? (size_t)(idx->n - i) : BLOCK;
        TRY(mem_reserve((void **)&idx->labels, &capacity, (size_t)i + n));
        TRY(take(file, rows, n * columns->row));
        for (size_t j = 0; j < n; j++) {
            uint8_t *label = &idx->labels[i + j];
            TRY(read_class(file, columns, rows + j * columns->row, i + j, label));
            idx->n_classes = *label >= idx->n_classes ? *label + 1 : idx->n_classes;
        }
    }
    TRY(check_end(file));
cleanup:
    mem_free(rows);
    return status;
}

/* [n] bytes, or QMNIST's [n, 8] integers. */
static convoy_status choose_columns(const struct cursor *file,
                                    const struct header *header,
                                    struct columns *columns)
{
    enum { MOST = 64 };
    *columns = (struct columns){.row = 1};
    if (header->n_dims == 2 && header->type == I32_ELEMENTS && header->dims[1] >= 1 &&
        header->dims[1] <= MOST) {
        *columns =
            (struct columns){.row = 4 * (size_t)header->dims[1], .is_integer = true};
        return CONVOY_OK;
    }
    if (header->n_dims != 1)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: an IDX file of %d dimensions, 1 (labels) is expected",
                    container_path(file->container), header->n_dims);
    return check_type(file, header);
}

static convoy_status read_labels(struct idx *idx)
{
    convoy_status status = CONVOY_OK;
    struct cursor file = {.at = 0};
    struct header header;
    struct columns columns;
    char path[PATH_MAX];
    TRY(find_labels(idx->path, path));
    TRY(container_open(path, &file.container));
    TRY(read_header(&file, &header));
    TRY(choose_columns(&file, &header, &columns));
    if (header.dims[0] != idx->n)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: has %" PRIu32 " labels, %s has %" PRIu64
                 " images: the two do not belong together",
                 path, header.dims[0], idx->path, idx->n));
    TRY(take_labels(&file, &columns, idx));
cleanup:
    container_close(file.container);
    return status;
}

/* A regular file that its name or its first bytes say is IDX: so a damaged one is told
 * what is wrong with it, and any other file what can be packed. */
static bool idx_matches(const char *path)
{
    struct stat info;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    uint8_t magic[3] = {0};
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    if ((strstr(name, "ubyte") || strstr(name, "idx")) && !strstr(name, ".tar"))
        return true;
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return false;
    size_t n = fread(magic, 1, sizeof magic, stream);
    fclose(stream);
    return n == sizeof magic && magic[0] == 0 && magic[1] == 0 &&
           magic[2] == U8_ELEMENTS;
}

/* Reads the images through, which proves the file, for the hash of their bytes. */
static convoy_status read_through(struct idx *idx, char hex[33])
{
    convoy_status status = CONVOY_OK;
    struct hash *hash = NULL;
    uint8_t *record = NULL;
    TRY(hash_create(&hash));
    TRY(mem_alloc(idx->record_bytes, (void **)&record));
    for (uint64_t i = 0; i < idx->n; i++) {
        TRY(take(&idx->images, record, idx->record_bytes));
        hash_update(hash, record, idx->record_bytes);
    }
    TRY(check_end(&idx->images));
    hash_hex(hash, hex);
cleanup:
    hash_destroy(hash);
    mem_free(record);
    return status;
}

static convoy_status idx_list(const char *path, const convoy_pack_options *options,
                              struct listing *listing)
{
    (void)options;
    convoy_status status = CONVOY_OK;
    struct idx idx = {.path = path};
    TRY(open_images(&idx));
    TRY(read_labels(&idx));
    const uint64_t first = idx.images.at;
    TRY(read_through(&idx, listing->content));
    listing->is_container = listing->is_raw = true;
    memcpy(listing->shape, idx.shape, sizeof listing->shape);
    for (int c = 0; c < idx.n_classes; c++)
        TRY(texts_print(&listing->classes, "%d", c));
    TRY(texts_add(&listing->names, "an image"));
    for (uint64_t i = 0; i < idx.n; i++)
        TRY(listing_add(listing, 0, first + i * idx.record_bytes, idx.record_bytes,
                        idx.labels[i]));
cleanup:
    container_close(idx.images.container);
    mem_free(idx.labels);
    return status;
}

const struct source_kind source_idx = {
    .name = "idx",
    .expects = "an IDX images file (train-images-idx3-ubyte.gz)",
    .matches = idx_matches,
    .list = idx_list,
};
