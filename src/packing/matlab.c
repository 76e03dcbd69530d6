/* MATLAB's MAT-file format, version 5, little-endian: a header of 128 bytes, then data
 * elements, each a type, a length, and the data, padded to 8 bytes. A short element
 * keeps its data, up to 4 bytes, within the tag. Variables are elements of type MATRIX,
 * as a rule within a COMPRESSED one (zlib). A matrix consists of elements itself:
 * flags, dimensions, name, then what its class has.
 *
 * libarchive knows no zlib streams. But these are the same deflate data as gzip's, so a
 * gzip header is put before them, and their checksum (Adler-32) is checked here. */
#include "packing/matlab.h"

#include "base/memory.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <string.h>

enum {
    HEADER = 128,
    TAG = 8,
    MATRIX = 14,
    COMPRESSED = 15,
    CLASS_STRUCT = 2,
    CLASS_CHAR = 4,
    LONGEST_FIELD = 64
};

static const size_t most_bytes = (size_t)1 << 30; /* no synset list has more */

/* Bytes not read yet. */
struct bytes {
    const char *path;
    const uint8_t *at;
    size_t n;
};

struct element {
    uint32_t type;
    struct bytes data;
};

static convoy_status damaged(const struct bytes *in, const char *what)
{
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: is no MATLAB file of version 5, or damaged: %s", in->path, what);
}

static uint32_t u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static convoy_status next_element(struct bytes *in, struct element *element)
{
    if (in->n < TAG)
        return damaged(in, "it ends within an element");
    uint32_t type = u32(in->at), n = u32(in->at + 4);
    size_t start = TAG, end;
    if (type >> 16) {
        n = type >> 16;
        type &= 0xffff;
        start = 4;
        end = TAG;
    } else {
        end = start + n;
        if (type != COMPRESSED)
            end = (end + 7) / 8 * 8;
    }
    if (start + n > in->n || (start == 4 && n > 4))
        return damaged(in, "an element is longer than what is left");
    *element = (struct element){type, {in->path, in->at + start, n}};
    if (end > in->n)
        end = in->n;
    in->at += end;
    in->n -= end;
    return CONVOY_OK;
}

static uint32_t adler_32(const uint8_t *bytes, size_t n)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) {
        a = (a + bytes[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

/* New memory with what the opened archive's one entry holds. */
static convoy_status unpack(struct archive *archive, const struct bytes *in,
                            uint8_t **out, size_t *n)
{
    convoy_status status = CONVOY_OK;
    struct archive_entry *entry = NULL;
    uint8_t *buffer = NULL;
    size_t capacity = 0, used = 0;
    la_ssize_t got = 0;
    if (archive_read_next_header(archive, &entry) != ARCHIVE_OK)
        TRY(damaged(in, "a variable cannot be unpacked"));
    do {
        used += (size_t)got;
        if (used > most_bytes)
            TRY(damaged(in, "a variable is too large"));
        TRY(mem_reserve((void **)&buffer, &capacity, used + (1 << 16)));
        got = archive_read_data(archive, buffer + used, 1 << 16);
    } while (got > 0);
    if (got < 0)
        TRY(damaged(in, "a variable cannot be unpacked"));
    *out = buffer;
    *n = used;
    buffer = NULL;
cleanup:
    mem_free(buffer);
    return status;
}

/* New memory with the unpacked zlib stream. */
static convoy_status inflate(const struct bytes *in, uint8_t **out, size_t *n)
{
    static const uint8_t gzip[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    convoy_status status = CONVOY_OK;
    struct archive *archive = archive_read_new();
    uint8_t *file = NULL;
    if (in->n < 6)
        TRY(damaged(in, "a packed variable is too short"));
    const size_t n_deflate = in->n - 6; /* without 2 bytes before and the checksum */
    TRY(mem_alloc(sizeof gzip + n_deflate + 8, (void **)&file));
    memcpy(file, gzip, sizeof gzip);
    memcpy(file + sizeof gzip, in->at + 2, n_deflate);
    if (!archive || archive_read_support_filter_gzip(archive) != ARCHIVE_OK ||
        archive_read_support_format_raw(archive) != ARCHIVE_OK ||
        archive_read_open_memory(archive, file, sizeof gzip + n_deflate + 8) !=
            ARCHIVE_OK)
        TRY(damaged(in, "a variable cannot be unpacked"));
    TRY(unpack(archive, in, out, n));
    const uint8_t *sum = in->at + in->n - 4;
    if (adler_32(*out, *n) != ((uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 |
                               (uint32_t)sum[2] << 8 | sum[3])) {
        mem_free(*out);
        *out = NULL;
        TRY(damaged(in, "the checksum of a variable is wrong"));
    }
cleanup:
    archive_read_free(archive);
    mem_free(file);
    return status;
}

/* What every matrix begins with. */
struct matrix {
    int class;
    uint64_t n_values;
    char name[LONGEST_FIELD];
    struct bytes rest;
};

static convoy_status open_matrix(const struct bytes *data, struct matrix *matrix)
{
    convoy_status status = CONVOY_OK;
    struct bytes in = *data;
    struct element flags, dims, name;
    TRY(next_element(&in, &flags));
    TRY(next_element(&in, &dims));
    TRY(next_element(&in, &name));
    if (flags.data.n < 8)
        TRY(damaged(data, "a matrix has no class"));
    matrix->class = flags.data.at[0];
    matrix->n_values = 1;
    for (size_t i = 0; i + 4 <= dims.data.n; i += 4) {
        matrix->n_values *= u32(dims.data.at + i);
        if (matrix->n_values > most_bytes)
            TRY(damaged(data, "a matrix is too large"));
    }
    const size_t n = name.data.n < LONGEST_FIELD ? name.data.n : LONGEST_FIELD;
    snprintf(matrix->name, sizeof matrix->name, "%.*s", (int)n,
             (const char *)name.data.at);
    matrix->rest = in;
cleanup:
    return status;
}

/* What the types of numbers are stored as. */
static const struct {
    size_t bytes;
    bool is_signed, is_float;
} number_types[] = {
    [1] = {1, true, false},  [2] = {1, false, false}, [3] = {2, true, false},
    [4] = {2, false, false}, [5] = {4, true, false},  [6] = {4, false, false},
    [7] = {4, true, true},   [9] = {8, true, true},   [12] = {8, true, false},
    [13] = {8, false, false}};

enum { N_NUMBER_TYPES = sizeof number_types / sizeof *number_types };

/* A single number; false: it is none. */
static bool read_number(const struct element *e, double *number)
{
    uint64_t bits = 0;
    float single;
    if (e->type >= N_NUMBER_TYPES || number_types[e->type].bytes == 0 ||
        e->data.n != number_types[e->type].bytes)
        return false;
    for (size_t i = e->data.n; i-- > 0;)
        bits = bits << 8 | e->data.at[i];
    const int unused = 64 - 8 * (int)e->data.n;
    if (number_types[e->type].is_float && e->data.n == sizeof single) {
        const uint32_t low = (uint32_t)bits;
        memcpy(&single, &low, sizeof single);
        *number = (double)single;
    } else if (number_types[e->type].is_float) {
        memcpy(number, &bits, sizeof *number);
    } else if (number_types[e->type].is_signed) {
        *number = (double)((int64_t)(bits << unused) >> unused);
    } else {
        *number = (double)bits;
    }
    return true;
}

/* Characters are stored as u16 (type 4) or as bytes; those beyond ASCII, and 0, become
 * "?". */
static void read_text(const struct element *e, struct matlab_value *value)
{
    const size_t step = e->type == 4 ? 2 : 1;
    size_t n = e->data.n / step;
    n = n < sizeof value->text ? n : sizeof value->text - 1;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *at = e->data.at + i * step;
        const bool is_ascii = at[0] > 0 && at[0] < 0x80 && (step == 1 || at[1] == 0);
        value->text[i] = is_ascii ? (char)at[0] : '?';
    }
    value->text[n] = '\0';
    value->is_text = true;
}

static convoy_status read_value(const struct element *e, struct matlab_value *value)
{
    convoy_status status = CONVOY_OK;
    struct matrix matrix;
    struct element content;
    value->is_number = value->is_text = false;
    if (e->type != MATRIX || e->data.n == 0)
        return CONVOY_OK;
    TRY(open_matrix(&e->data, &matrix));
    if (matrix.class < CLASS_CHAR || matrix.n_values == 0 || matrix.rest.n < TAG)
        return CONVOY_OK;
    TRY(next_element(&matrix.rest, &content));
    if (matrix.class == CLASS_CHAR)
        read_text(&content, value);
    else
        value->is_number =
            matrix.n_values == 1 && read_number(&content, &value->number);
cleanup:
    return status;
}

static convoy_status visit_struct(struct matrix *matrix, matlab_visitor *visit,
                                  void *context)
{
    convoy_status status = CONVOY_OK;
    struct element length, names, field;
    struct matlab_value value;
    char name[LONGEST_FIELD];
    TRY(next_element(&matrix->rest, &length));
    TRY(next_element(&matrix->rest, &names));
    const size_t size = length.data.n == 4 ? u32(length.data.at) : 0;
    /* A struct without fields could claim any number of elements for nothing. */
    if (size == 0 || size > LONGEST_FIELD || names.data.n == 0 ||
        names.data.n % size != 0)
        TRY(damaged(&matrix->rest, "a struct has no field names"));
    const size_t n_fields = names.data.n / size;
    for (uint64_t i = 0; i < matrix->n_values; i++)
        for (size_t f = 0; f < n_fields; f++) {
            const char *text = (const char *)names.data.at + f * size;
            snprintf(name, sizeof name, "%.*s", (int)size, text);
            TRY(next_element(&matrix->rest, &field));
            TRY(read_value(&field, &value));
            TRY(visit(context, i, name, &value));
        }
cleanup:
    return status;
}

/* Visits the variable if it is the one that is asked for. */
static convoy_status try_variable(const struct bytes *data, const char *name,
                                  matlab_visitor *visit, void *context, bool *found)
{
    convoy_status status = CONVOY_OK;
    struct matrix matrix;
    TRY(open_matrix(data, &matrix));
    *found = matrix.class == CLASS_STRUCT && strcmp(matrix.name, name) == 0;
    if (*found)
        TRY(visit_struct(&matrix, visit, context));
cleanup:
    return status;
}

convoy_status matlab_visit(const char *path, const uint8_t *bytes, size_t n,
                           const char *name, matlab_visitor *visit, void *context)
{
    convoy_status status = CONVOY_OK;
    struct bytes in = {path, bytes, n};
    uint8_t *unpacked = NULL;
    bool found = false;
    if (n < HEADER || bytes[126] != 'I' || bytes[127] != 'M' || bytes[125] != 1)
        TRY(damaged(&in, "its header is another"));
    in.at += HEADER;
    in.n -= HEADER;
    while (in.n > 0 && !found) {
        struct element variable;
        size_t n_unpacked = 0;
        TRY(next_element(&in, &variable));
        mem_free(unpacked);
        unpacked = NULL;
        if (variable.type == COMPRESSED) {
            TRY(inflate(&variable.data, &unpacked, &n_unpacked));
            struct bytes inner = {path, unpacked, n_unpacked};
            TRY(next_element(&inner, &variable));
        }
        if (variable.type == MATRIX)
            TRY(try_variable(&variable.data, name, visit, context, &found));
    }
    if (!found)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: holds no struct array '%s'", path, name));
cleanup:
    mem_free(unpacked);
    return status;
}
