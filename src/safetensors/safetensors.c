/* Reading safetensors files. The header is read whole, values only when asked for:
 * straight into place where they are F32, else through a buffer of fixed size.
 *
 * Half precision: F16 is sign, 5 bits of exponent (bias 15), 10 of fraction; BF16 is
 * the upper half of an F32.
 */
#include "safetensors/safetensors.h"

#include "base/file.h"
#include "base/memory.h"
#include "safetensors/safetensors_header.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are little-endian");

enum { LENGTH_BYTES = 8, CHUNK_BYTES = 1 << 16 };

struct safetensors {
    char *path;
    int fd;
    uint64_t data_at; /* byte of the file at which the data begin */
    struct safetensors_header header;
};

/* What the first bytes of a file that is something else say about it. */
static const char *guess(const unsigned char start[LENGTH_BYTES])
{
    static const char torch[] = "; it looks like PyTorch's own format: there, "
                                "safetensors.torch.save_file(model.state_dict(), …) "
                                "writes this one";
    static const struct {
        const char *start;
        size_t n;
        const char *what;
    } known[] = {
        {"\x89HDF\r\n\x1a\n", 8, "; it is an HDF5 file, perhaps of convoy itself"},
        {"PK\3\4", 4, torch},
        {"\x80\2", 2, torch},     /* a pickle, of before PyTorch 1.6 */
        {"\x80\4\x95", 3, torch}, /* a later one */
        {"version ", 8,
         "; it looks like a pointer of Git LFS: 'git lfs pull' fetches the file "
         "itself"},
        {"<", 1, "; it looks like a web page: the download gave something else"},
        {"\x1f\x8b", 2, "; it is compressed with gzip: unpack it first"},
    };
    size_t at = 0;
    while (at < LENGTH_BYTES - 1 && (start[at] == '\n' || start[at] == ' '))
        at++;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].n <= LENGTH_BYTES - at &&
            memcmp(start + at, known[i].start, known[i].n) == 0)
            return known[i].what;
    return "";
}

static uint64_t u64_at(const unsigned char bytes[LENGTH_BYTES])
{
    uint64_t value = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static convoy_status read_header(struct safetensors *file, uint64_t size)
{
    convoy_status status = CONVOY_OK;
    unsigned char start[LENGTH_BYTES];
    char *text = NULL;
    if (size < LENGTH_BYTES)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: is no safetensors file: it has %" PRIu64 " bytes only",
                    file->path, size);
    TRY(file_read_at(file->fd, file->path, 0, start, sizeof start));
    const uint64_t n = u64_at(start);
    if (n > SAFETENSORS_MAX_HEADER)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: is no safetensors file: its header would have %" PRIu64
                 " bytes, more than the format's limit of %d%s",
                 file->path, n, SAFETENSORS_MAX_HEADER, guess(start)));
    if (n > size - LENGTH_BYTES)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: was cut short or is no safetensors file: its header should have "
                 "%" PRIu64 " bytes, the file has %" PRIu64 "%s",
                 file->path, n, size, guess(start)));
    TRY(mem_alloc((size_t)n, (void **)&text));
    TRY(file_read_at(file->fd, file->path, LENGTH_BYTES, text, (size_t)n));
    file->data_at = LENGTH_BYTES + n;
    TRY(safetensors_header_read(file->path, text, (size_t)n, size - file->data_at,
                                &file->header));
cleanup:
    mem_free(text);
    return status;
}

convoy_status safetensors_open(const char *path, struct safetensors **file)
{
    convoy_status status = CONVOY_OK;
    struct safetensors *opened = NULL;
    struct stat info;
    TRY(mem_alloc(sizeof *opened, (void **)&opened));
    opened->fd = -1;
    TRY(mem_copy_text(path, &opened->path));
    TRY(file_open(path, &opened->fd, &info));
    TRY(read_header(opened, (uint64_t)info.st_size));
    *file = opened;
    opened = NULL;
cleanup:
    safetensors_close(opened);
    return status;
}

void safetensors_close(struct safetensors *file)
{
    if (!file)
        return;
    safetensors_header_free(&file->header);
    if (file->fd >= 0)
        close(file->fd);
    mem_free(file->path);
    mem_free(file);
}

const struct safetensors_tensor *safetensors_tensors(const struct safetensors *file,
                                                     size_t *n)
{
    *n = file->header.n;
    return file->header.tensors;
}

static int compare_name(const void *name, const void *tensor)
{
    return strcmp(name, ((const struct safetensors_tensor *)tensor)->name);
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *file,
                                                  const char *name)
{
    if (file->header.n == 0)
        return NULL;
    return bsearch(name, file->header.tensors, file->header.n,
                   sizeof *file->header.tensors, compare_name);
}

bool safetensors_is_float(enum safetensors_type type)
{
    return type != SAFETENSORS_I64 && type != SAFETENSORS_OTHER;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float from_f16(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const uint32_t exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
    if (exponent == 0x1f)
        return from_bits(sign | 0x7f800000U | fraction << 13);
    if (exponent > 0)
        return from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
    const float small = ldexpf((float)fraction, -24);
    return sign ? -small : small;
}

/* Converts n values at bytes; false where a number would become infinite. */
static bool convert(enum safetensors_type type, const unsigned char *bytes, size_t n,
                    float *values)
{
    bool fits = true;
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        double wide;
        if (type == SAFETENSORS_F64) {
            memcpy(&wide, bytes + i * sizeof wide, sizeof wide);
            values[i] = (float)wide;
            fits = fits && (isinf(wide) || !isinf(values[i]));
            continue;
        }
        memcpy(&half, bytes + i * sizeof half, sizeof half);
        values[i] =
            type == SAFETENSORS_F16 ? from_f16(half) : from_bits((uint32_t)half << 16);
    }
    return fits;
}

static convoy_status read_converted(const struct safetensors *file,
                                    const struct safetensors_tensor *tensor,
                                    float *values)
{
    const size_t value_bytes = safetensors_type_bytes(tensor->type);
    for (uint64_t at = tensor->begin; at < tensor->end; at += CHUNK_BYTES) {
        unsigned char chunk[CHUNK_BYTES];
        const uint64_t left = tensor->end - at;
        const size_t bytes = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        const size_t n = bytes / value_bytes;
        convoy_status status =
            file_read_at(file->fd, file->path, file->data_at + at, chunk, bytes);
        if (status != CONVOY_OK)
            return status;
        if (!convert(tensor->type, chunk, n, values))
            return FAIL(CONVOY_ERROR_UNSUPPORTED,
                        "%s: %.200s holds an F64 value that is too large for the f32 "
                        "that convoy computes with",
                        file->path, tensor->name);
        values += n;
    }
    return CONVOY_OK;
}

convoy_status safetensors_read_f32(const struct safetensors *file,
                                   const struct safetensors_tensor *tensor,
                                   float *values)
{
    if (!safetensors_is_float(tensor->type))
        return FAIL(CONVOY_ERROR_UNSUPPORTED,
                    "%s: %.200s has the type %s, expected F32, F64, F16 or BF16",
                    file->path, tensor->name, tensor->type_name);
    if (tensor->type == SAFETENSORS_F32)
        return file_read_at(file->fd, file->path, file->data_at + tensor->begin, values,
                            (size_t)(tensor->end - tensor->begin));
    return read_converted(file, tensor, values);
}
