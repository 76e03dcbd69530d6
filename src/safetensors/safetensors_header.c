/* A header is believed only where all of it fits together: shape, type and offsets of
 * each tensor say the same number of bytes, and the tensors cover the file's data
 * without gap, overlap or rest. So no two readers can take the file for different
 * things. Names with control characters are refused, since messages print them.
 */
#include "safetensors/safetensors_header.h"

#include "base/memory.h"
#include "json/json_value.h"

#include <convoy/json.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define METADATA "__metadata__"

enum { HEADER_ALIGNMENT = 8, PROBLEM_SIZE = 200 };

static const struct {
    const char *name;
    enum safetensors_type type;
    size_t bytes;
} types[] = {
    {"F32", SAFETENSORS_F32, 4},       {"F64", SAFETENSORS_F64, 8},
    {"F16", SAFETENSORS_F16, 2},       {"BF16", SAFETENSORS_BF16, 2},
    {"I64", SAFETENSORS_I64, 8},       {"BOOL", SAFETENSORS_OTHER, 1},
    {"U8", SAFETENSORS_OTHER, 1},      {"I8", SAFETENSORS_OTHER, 1},
    {"F8_E5M2", SAFETENSORS_OTHER, 1}, {"F8_E4M3", SAFETENSORS_OTHER, 1},
    {"I16", SAFETENSORS_OTHER, 2},     {"U16", SAFETENSORS_OTHER, 2},
    {"I32", SAFETENSORS_OTHER, 4},     {"U32", SAFETENSORS_OTHER, 4},
    {"U64", SAFETENSORS_OTHER, 8},
};

enum { N_TYPES = sizeof types / sizeof *types };

/* Row of the table, N_TYPES for none. */
static int find_type(const char *name)
{
    int i = 0;
    while (i < N_TYPES && strcmp(types[i].name, name) != 0)
        i++;
    return i;
}

size_t safetensors_type_bytes(enum safetensors_type type)
{
    return types[type].bytes; /* the first rows are in the order of the types */
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* text without what could upset a terminal. */
static void show(const char *text, char out[PROBLEM_SIZE])
{
    snprintf(out, PROBLEM_SIZE, "%s", text);
    for (char *c = out; *c; c++)
        if (is_control(*c))
            *c = '?';
}

static convoy_status check_text(const char *path, const char *what, const char *text)
{
    for (const char *c = text; *c; c++) {
        char shown[PROBLEM_SIZE];
        if (!is_control(*c))
            continue;
        show(text, shown);
        return FAIL(CONVOY_ERROR_FORMAT, "%s: %s '%s' holds a control character", path,
                    what, shown);
    }
    return CONVOY_OK;
}

static convoy_status read_shape(const char *path, const struct json_value *shape,
                                struct safetensors_tensor *tensor)
{
    const size_t n = json_value_count(shape);
    if (json_value_type(shape) != JSON_TYPE_LIST)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: %.200s: its shape is no list", path,
                    tensor->name);
    if (n > SAFETENSORS_MAX_DIMS)
        return FAIL(CONVOY_ERROR_UNSUPPORTED,
                    "%s: %.200s has %zu dimensions; up to %d work", path, tensor->name,
                    n, SAFETENSORS_MAX_DIMS);
    for (size_t i = 0; i < n; i++) {
        const struct json_value *dim = json_value_item(shape, i);
        if (json_value_type(dim) != JSON_TYPE_INTEGER || json_value_integer(dim) < 0)
            return FAIL(CONVOY_ERROR_FORMAT,
                        "%s: %.200s: dimension %zu of its shape is no integer of at "
                        "least 0",
                        path, tensor->name, i);
        tensor->dims[i] = (uint64_t)json_value_integer(dim);
    }
    tensor->n_dims = (int)n;
    return CONVOY_OK;
}

/* Bytes that shape and type ask for; false where no u64 can hold them. */
static bool tensor_bytes(const struct safetensors_tensor *tensor, size_t value_bytes,
                         uint64_t *bytes)
{
    uint64_t product = 1;
    for (int i = 0; i < tensor->n_dims; i++)
        if (__builtin_mul_overflow(product, tensor->dims[i], &product))
            return false;
    return !__builtin_mul_overflow(product, (uint64_t)value_bytes, bytes);
}

/* value_bytes 0: not known, as of a type that is newer than this table. */
static convoy_status check_offsets(const char *path,
                                   const struct safetensors_tensor *tensor,
                                   size_t value_bytes, int64_t begin, int64_t end)
{
    uint64_t bytes = 0;
    if (value_bytes == 0 && begin >= 0 && end >= begin)
        return CONVOY_OK;
    char shape[SAFETENSORS_SHAPE_SIZE];
    safetensors_shape_text(tensor, shape);
    if (!tensor_bytes(tensor, value_bytes, &bytes))
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: %.200s: the shape %s is larger than any file", path,
                    tensor->name, shape);
    if (begin < 0 || end < begin || (uint64_t)(end - begin) != bytes)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: %.200s: %s values of the shape %s take %" PRIu64
                    " bytes, but its data_offsets are %" PRIi64 " and %" PRIi64,
                    path, tensor->name, tensor->type_name, shape, bytes, begin, end);
    return CONVOY_OK;
}

/* Whether they are a list of two integers. */
static bool are_offsets(const struct json_value *offsets)
{
    return json_value_count(offsets) == 2 &&
           json_value_type(json_value_item(offsets, 0)) == JSON_TYPE_INTEGER &&
           json_value_type(json_value_item(offsets, 1)) == JSON_TYPE_INTEGER;
}

static convoy_status read_entry(const char *path, const char *name,
                                const struct json_value *entry,
                                struct safetensors_tensor *tensor)
{
    convoy_status status = CONVOY_OK;
    const struct json_value *shape = json_value_member(entry, "shape");
    const struct json_value *offsets = json_value_member(entry, "data_offsets");
    const char *type = json_value_text(json_value_member(entry, "dtype"));
    TRY(check_text(path, "the name of the tensor", name));
    if (json_value_count(entry) != 3 || !type || !shape || !are_offsets(offsets))
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: %.200s: expected {\"dtype\": text, \"shape\": list, "
                 "\"data_offsets\": [begin, end]} in the header and nothing else",
                 path, name));
    const int64_t begin = json_value_integer(json_value_item(offsets, 0));
    const int64_t end = json_value_integer(json_value_item(offsets, 1));
    const int row = find_type(type);
    TRY(check_text(path, "the type", type));
    tensor->name = name;
    tensor->type = row < N_TYPES ? types[row].type : SAFETENSORS_OTHER;
    tensor->type_name = type;
    TRY(read_shape(path, shape, tensor));
    TRY(check_offsets(path, tensor, row < N_TYPES ? types[row].bytes : 0, begin, end));
    tensor->begin = (uint64_t)begin;
    tensor->end = (uint64_t)end;
cleanup:
    return status;
}

static convoy_status check_metadata(const char *path, const struct json_value *metadata)
{
    struct json_member note = {0};
    if (json_value_type(metadata) == JSON_TYPE_NULL)
        return CONVOY_OK;
    if (json_value_type(metadata) != JSON_TYPE_OBJECT)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: " METADATA " in the header is no object of texts", path);
    while (json_value_next(metadata, &note)) {
        char shown[PROBLEM_SIZE];
        if (json_value_text(note.value))
            continue;
        show(note.name, shown);
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: '%s' of " METADATA " in the header is no text", path, shown);
    }
    return CONVOY_OK;
}

static convoy_status read_entries(const char *path, struct safetensors_header *header)
{
    convoy_status status = CONVOY_OK;
    struct json_member entry = {0};
    TRY(mem_alloc_array(json_value_count(header->json), sizeof *header->tensors,
                        (void **)&header->tensors));
    while (json_value_next(header->json, &entry)) {
        if (strcmp(entry.name, METADATA) == 0)
            TRY(check_metadata(path, entry.value));
        else
            TRY(read_entry(path, entry.name, entry.value,
                           &header->tensors[header->n++]));
    }
cleanup:
    return status;
}

static int by_offset(const void *a, const void *b)
{
    const struct safetensors_tensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int by_name(const void *a, const void *b)
{
    const struct safetensors_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* The tensors, by offset, must cover the data exactly. */
static convoy_status check_cover(const char *path,
                                 const struct safetensors_header *header,
                                 uint64_t data_bytes)
{
    uint64_t end = 0;
    for (size_t i = 0; i < header->n; i++) {
        const struct safetensors_tensor *tensor = &header->tensors[i];
        if (tensor->begin < end)
            return FAIL(CONVOY_ERROR_FORMAT,
                        "%s: %.200s and %.200s overlap: both hold byte %" PRIu64
                        " of the data",
                        path, tensor[-1].name, tensor->name, tensor->begin);
        if (tensor->begin > end)
            return FAIL(CONVOY_ERROR_FORMAT,
                        "%s: bytes %" PRIu64 " to %" PRIu64
                        " of the data belong to no tensor",
                        path, end, tensor->begin);
        end = tensor->end;
    }
    if (end > data_bytes)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: was cut short: %" PRIu64
                    " bytes of data follow its header, expected %" PRIu64,
                    path, data_bytes, end);
    if (end < data_bytes)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: %" PRIu64 " bytes of data follow its header, which accounts "
                    "for %" PRIu64 " only",
                    path, data_bytes, end);
    return CONVOY_OK;
}

convoy_status safetensors_header_read(const char *path, const char *text, size_t n,
                                      uint64_t data_bytes,
                                      struct safetensors_header *header)
{
    convoy_status status = CONVOY_OK;
    char what[STATUS_TEXT_SIZE];
    if (n == 0 || text[0] != '{')
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: is no safetensors file: its header does not start with '{'",
                 path));
    snprintf(what, sizeof what, "%s: its header is not what safetensors allows", path);
    TRY(json_value_read(what, text, n, &header->json));
    TRY(read_entries(path, header));
    qsort(header->tensors, header->n, sizeof *header->tensors, by_offset);
    TRY(check_cover(path, header, data_bytes));
    qsort(header->tensors, header->n, sizeof *header->tensors, by_name);
cleanup:
    return status;
}

void safetensors_header_free(struct safetensors_header *header)
{
    json_value_free(header->json);
    mem_free(header->tensors);
    memset(header, 0, sizeof *header);
}

void safetensors_shape_text(const struct safetensors_tensor *tensor,
                            char out[SAFETENSORS_SHAPE_SIZE])
{
    int n = snprintf(out, SAFETENSORS_SHAPE_SIZE, "[");
    for (int i = 0; i < tensor->n_dims; i++)
        n += snprintf(out + n, (size_t)(SAFETENSORS_SHAPE_SIZE - n), "%s%" PRIu64,
                      i ? ", " : "", tensor->dims[i]);
    snprintf(out + n, (size_t)(SAFETENSORS_SHAPE_SIZE - n), "]");
}

static void write_notes(convoy_json *json, const struct safetensors_note *notes,
                        size_t n)
{
    convoy_json_begin_object(json, METADATA);
    for (size_t i = 0; i < n; i++)
        convoy_json_text(json, notes[i].key, notes[i].text);
    convoy_json_end(json);
}

static void write_entry(convoy_json *json, const struct safetensors_tensor *tensor)
{
    convoy_json_begin_object(json, tensor->name);
    convoy_json_text(json, "dtype", types[tensor->type].name);
    convoy_json_begin_list(json, "shape");
    for (int i = 0; i < tensor->n_dims; i++)
        convoy_json_count(json, NULL, tensor->dims[i]);
    convoy_json_end(json);
    convoy_json_begin_list(json, "data_offsets");
    convoy_json_count(json, NULL, tensor->begin);
    convoy_json_count(json, NULL, tensor->end);
    convoy_json_end(json);
    convoy_json_end(json);
}

void safetensors_header_write(FILE *stream, struct safetensors_tensor *tensors,
                              size_t n, const struct safetensors_note *notes,
                              size_t n_notes)
{
    uint64_t at = 0;
    convoy_json json = {.stream = stream, .style = CONVOY_JSON_COMPACT};
    convoy_json_begin_object(&json, NULL);
    if (n_notes > 0)
        write_notes(&json, notes, n_notes);
    for (size_t i = 0; i < n; i++) {
        struct safetensors_tensor *tensor = &tensors[i];
        uint64_t bytes = 0;
        tensor_bytes(tensor, types[tensor->type].bytes, &bytes);
        tensor->begin = at;
        tensor->end = at = at + bytes;
        write_entry(&json, tensor);
    }
    convoy_json_end(&json);
    while (ftell(stream) % HEADER_ALIGNMENT != 0)
        fputc(' ', stream);
}
