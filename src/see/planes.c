/* Images and matrices as planes of numbers, to and from files. An image's numbers are
 * those of its pixels, 0 to 255, without any scaling: what a kernel makes of them can
 * be worked out by hand. */
#include <convoy/convolve.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "image/image.h"
#include "see/planes.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A larger file is neither an image nor a matrix that fits. */
static const int64_t max_bytes = INT64_C(1) << 30;

static bool ends_in(const char *path, const char *ending)
{
    const size_t n = strlen(path), n_ending = strlen(ending);
    return n > n_ending && strcmp(path + n - n_ending, ending) == 0;
}

void convoy_planes_free(convoy_planes *planes)
{
    mem_free(planes->values);
    *planes = (convoy_planes){0};
}

bool convoy_planes_are_numbers(const char *path)
{
    return ends_in(path, ".csv") || ends_in(path, ".txt");
}

size_t planes_size(const convoy_planes *planes)
{
    return (size_t)planes->n * (size_t)planes->rows * (size_t)planes->columns;
}

convoy_status planes_make(int n, int rows, int columns, convoy_planes *planes)
{
    convoy_planes made = {.n = n, .rows = rows, .columns = columns};
    const convoy_status status =
        mem_alloc_array(planes_size(&made), sizeof *made.values, (void **)&made.values);
    if (status == CONVOY_OK)
        *planes = made;
    return status;
}

/* The whole file, new; free with mem_free. */
static convoy_status read_file(const char *path, char **bytes, size_t *n)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > max_bytes)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: has %lld bytes, at most %lld are read",
                    path, (long long)info.st_size, (long long)max_bytes);
    return file_read_all(path, bytes, n);
}

/* Whether red, green and blue are the same everywhere. */
static bool is_grey(const struct image *image)
{
    const size_t n = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *rgb = image->pixels + 3 * i;
        if (rgb[0] != rgb[1] || rgb[1] != rgb[2])
            return false;
    }
    return true;
}

/* From interleaved bytes to planes of floats. */
static convoy_status take_image(const struct image *image, convoy_planes *planes)
{
    const int n = image->channels == 3 && !is_grey(image) ? 3 : 1;
    const size_t n_pixels = (size_t)image->width * (size_t)image->height;
    const convoy_status status = planes_make(n, image->height, image->width, planes);
    for (int c = 0; status == CONVOY_OK && c < n; c++)
        for (size_t i = 0; i < n_pixels; i++)
            planes->values[(size_t)c * n_pixels + i] =
                (float)image->pixels[(size_t)image->channels * i + (size_t)c];
    return status;
}

static convoy_status read_image(const char *path, bool grey, convoy_planes *planes)
{
    convoy_status status = CONVOY_OK;
    struct image image = {0};
    char *bytes = NULL;
    size_t n = 0;
    TRY(read_file(path, &bytes, &n));
    status = image_decode((const uint8_t *)bytes, n, grey ? 1 : 3, &image);
    if (status == CONVOY_ERROR_FORMAT)
        status_prefix(status, "%s", path);
    if (status == CONVOY_OK)
        status = take_image(&image, planes);
cleanup:
    image_free(&image);
    mem_free(bytes);
    return status;
}

/* A matrix while it is read. */
struct matrix {
    const char *path;
    float *values;
    size_t capacity; /* bytes */
    size_t n;
    int rows, columns, in_row; /* in_row: numbers of the row so far */
    int line;                  /* from 1 */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static convoy_status add_number(struct matrix *m, const char *text, size_t n)
{
    convoy_status status = CONVOY_OK;
    char word[64];
    double value = 0;
    snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word), text);
    const bool is_number = n < sizeof word && text_number(word, &value);
    if (is_number && fabs(value) > (double)FLT_MAX)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: line %d: '%.40s' is too large, single precision ends at %.2g",
                    m->path, m->line, word, (double)FLT_MAX);
    if (n == 0)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: line %d: no number before or behind one of its commas",
                    m->path, m->line);
    if (!is_number)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: line %d: '%.40s' is no number", m->path,
                    m->line, word);
    if (m->in_row >= PLANES_MAX_SIDE)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: line %d has more than %d numbers",
                    m->path, m->line, PLANES_MAX_SIDE);
    const size_t needed = (m->n + 1) * sizeof *m->values;
    if (needed > m->capacity)
        TRY(mem_reserve((void **)&m->values, &m->capacity, 2 * needed + 1024));
    m->values[m->n++] = (float)value;
    m->in_row++;
cleanup:
    return status;
}

static convoy_status end_row(struct matrix *m)
{
    if (m->rows == 0)
        m->columns = m->in_row;
    if (m->in_row != m->columns)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s is no matrix: line %d has %d number%s, those before it %d",
                    m->path, m->line, m->in_row, m->in_row == 1 ? "" : "s", m->columns);
    if (++m->rows > PLANES_MAX_SIDE)
        return FAIL(CONVOY_ERROR_FORMAT, "%s has more than %d rows", m->path,
                    PLANES_MAX_SIDE);
    return CONVOY_OK;
}

/* 1,5;2,5 is two numbers where decimals have a comma: not four. */
static convoy_status check_separators(const struct matrix *m, const char *text,
                                      const char *end)
{
    const size_t n = (size_t)(end - text);
    if (!memchr(text, ',', n) || !memchr(text, ';', n))
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: line %d has commas and semicolons: one kind stands between "
                "numbers, and decimals have a point",
                m->path, m->line);
}

/* A line, which ends at end: numbers with blanks, or one comma or semicolon among
 * blanks, between. Two commas have an empty number between them, which is none. */
static convoy_status take_line(struct matrix *m, const char *text, const char *end)
{
    convoy_status status = CONVOY_OK;
    const char *const first = text;
    bool wants_more = false;
    m->in_row = 0;
    for (;;) {
        while (text < end && is_blank(*text))
            text++;
        if (text == end || (*text == '#' && m->in_row == 0))
            break;
        const char *begin = text;
        while (text < end && !is_blank(*text) && *text != ',' && *text != ';')
            text++;
        TRY(add_number(m, begin, (size_t)(text - begin)));
        while (text < end && is_blank(*text))
            text++;
        wants_more = text < end && (*text == ',' || *text == ';');
        text += wants_more;
    }
    if (wants_more)
        TRY(add_number(m, end, 0));
    if (m->in_row > 0) {
        TRY(check_separators(m, first, end));
        TRY(end_row(m));
    }
cleanup:
    return status;
}

convoy_status convoy_matrix_read(const char *path, convoy_planes *matrix)
{
    convoy_status status = CONVOY_OK;
    struct matrix m = {.path = path, .line = 1};
    char *text = NULL;
    size_t n = 0;
    TRY(read_file(path, &text, &n));
    if (memchr(text, '\0', n))
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s is no matrix: it is no text", path));
    for (const char *at = text_behind_mark(text); *at; m.line++) {
        const char *end = at + strcspn(at, "\n");
        TRY(take_line(&m, at, end));
        at = *end ? end + 1 : end;
    }
    if (m.rows == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s is no matrix: it holds no number", path));
    *matrix = (convoy_planes){
        .n = 1, .rows = m.rows, .columns = m.columns, .values = m.values};
    m.values = NULL;
cleanup:
    mem_free(m.values);
    mem_free(text);
    return status;
}

convoy_status convoy_signal_read(const char *path, convoy_planes *signal)
{
    convoy_planes read = {0};
    const convoy_status status = convoy_matrix_read(path, &read);
    if (status != CONVOY_OK)
        return status;
    if (read.rows > 1 && read.columns > 1) {
        const int rows = read.rows, columns = read.columns;
        convoy_planes_free(&read);
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s is no signal: it has %d rows of %d numbers, one row or one "
                    "column is expected",
                    path, rows, columns);
    }
    read.columns *= read.rows;
    read.rows = 1;
    *signal = read;
    return CONVOY_OK;
}

convoy_status convoy_planes_read(const char *path, bool grey, convoy_planes *planes)
{
    return convoy_planes_are_numbers(path) ? convoy_matrix_read(path, planes)
                                           : read_image(path, grey, planes);
}

static convoy_status write_numbers(const convoy_planes *planes, const char *path)
{
    convoy_status status = CONVOY_OK;
    char number[TEXT_NUMBER_SIZE], *text = NULL;
    size_t n = 0;
    if (planes->n != 1)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: a matrix has one plane, here are %d: work on a grey image "
                    "(--grey), or write a PNG",
                    path, planes->n);
    FILE *stream = open_memstream(&text, &n);
    if (!stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the text of %s", path);
    for (int y = 0; y < planes->rows; y++)
        for (int x = 0; x < planes->columns; x++) {
            const size_t at = (size_t)y * (size_t)planes->columns + (size_t)x;
            text_of_float(planes->values[at], number);
            fprintf(stream, "%s%c", number, x + 1 < planes->columns ? ',' : '\n');
        }
    if (fclose(stream) != 0)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the text of %s", path));
    TRY(file_write_whole(path, text, n));
cleanup:
    free(text);
    return status;
}

/* Values from least to most become 0 to 255; what is the same all over is grey. */
static uint8_t shade_of(float value, double least, double most)
{
    if (!(most > least))
        return 128;
    const double share = ((double)value - least) / (most - least);
    return (uint8_t)floor(255 * fmin(fmax(share, 0), 1) + 0.5);
}

static void fill_pixels(const convoy_planes *planes, bool scale, uint8_t *pixels)
{
    const size_t n = planes_size(planes), n_pixels = n / (size_t)planes->n;
    double least = scale ? INFINITY : 0, most = scale ? -INFINITY : 255;
    for (size_t i = 0; scale && i < n; i++) {
        least = fmin(least, (double)planes->values[i]);
        most = fmax(most, (double)planes->values[i]);
    }
    for (int c = 0; c < planes->n; c++)
        for (size_t i = 0; i < n_pixels; i++)
            pixels[(size_t)planes->n * i + (size_t)c] =
                shade_of(planes->values[(size_t)c * n_pixels + i], least, most);
}

static convoy_status write_image(const convoy_planes *planes, const char *path,
                                 bool scale)
{
    convoy_status status = CONVOY_OK;
    struct image image = {
        .width = planes->columns, .height = planes->rows, .channels = planes->n};
    uint8_t *bytes = NULL;
    size_t n = 0;
    image.capacity = planes_size(planes);
    TRY(mem_alloc(image.capacity, (void **)&image.pixels));
    fill_pixels(planes, scale, image.pixels);
    TRY(image_encode_png(&image, &bytes, &n));
    TRY(file_write_whole(path, (const char *)bytes, n));
cleanup:
    image_free(&image);
    mem_free(bytes);
    return status;
}

convoy_status convoy_planes_write(const convoy_planes *planes, const char *path,
                                  bool scale)
{
    if (convoy_planes_are_numbers(path))
        return write_numbers(planes, path);
    if (ends_in(path, ".png"))
        return write_image(planes, path, scale);
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "%s: what is written is told by the name, which ends in .png or .csv",
                path);
}
