/* Resizing with a triangle filter whose support grows with the scale ("bilinear with
 * antialiasing"), in two passes, as Pillow defines it.
 *
 * Output pixel i of an axis that maps n_out pixels to the interval [from, from +
 * length) of n_in pixels has its centre at c = from + (i + 1/2) s, s = length / n_out.
 * With r = max(s, 1) it is the mean of the input pixels j whose centres lie within r of
 * c, weighted by 1 - |j + 1/2 - c| / r. Weights are integers of 22 fractional bits and
 * both passes round to 8 bits, rows first: so the result does not depend on the
 * machine. Rows outside the box are never touched. */
#include "image/image_internal.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

enum { WEIGHT_BITS = 22, HALF = 1 << (WEIGHT_BITS - 1) };

/* The integer loops below are exact, so each machine may use its widest instructions.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WIDEST __attribute__((target_clones("avx2", "default")))
#else
#define WIDEST
#endif

/* The filter of one axis. */
struct axis {
    int n_taps;       /* room for the weights of one output pixel */
    int32_t *start;   /* [n_out] first input pixel */
    int32_t *count;   /* [n_out] number of weights in use, at least 1 */
    int32_t *weights; /* [n_out, n_taps] */
    void *memory;
    size_t capacity;
};

struct image_scratch {
    struct axis x, y;
    struct image rows; /* after the first pass */
    void *sums;        /* i32 [width * channels] */
    size_t capacity;
};

convoy_status image_scratch_create(struct image_scratch **scratch)
{
    return mem_alloc(sizeof **scratch, (void **)scratch);
}

void image_scratch_destroy(struct image_scratch *scratch)
{
    if (!scratch)
        return;
    mem_free(scratch->x.memory);
    mem_free(scratch->y.memory);
    image_free(&scratch->rows);
    mem_free(scratch->sums);
    mem_free(scratch);
}

static convoy_status axis_reserve(struct axis *axis, int n_out, int n_taps)
{
    size_t n = (size_t)n_out;
    size_t bytes = (2 * n + n * (size_t)n_taps) * sizeof(int32_t);
    convoy_status status = mem_reserve(&axis->memory, &axis->capacity, bytes);
    if (status != CONVOY_OK)
        return status;
    axis->start = axis->memory;
    axis->count = axis->start + n;
    axis->weights = axis->count + n;
    axis->n_taps = n_taps;
    return CONVOY_OK;
}

/* Weights of the output pixel at centre, of the input pixels start … start + count - 1.
 */
static void axis_weights(double centre, double reach, int start, int count,
                         int32_t *weights)
{
    double sum = 0.0;
    for (int j = 0; j < count; j++)
        sum += fmax(0.0, 1.0 - fabs(start + j + 0.5 - centre) / reach);
    for (int j = 0; j < count; j++) {
        double weight = fmax(0.0, 1.0 - fabs(start + j + 0.5 - centre) / reach) / sum;
        weights[j] = (int32_t)floor(weight * (1 << WEIGHT_BITS) + 0.5);
    }
}

static convoy_status axis_plan(struct axis *axis, int n_in, double from, double length,
                               int n_out)
{
    double scale = length / n_out;
    double reach = fmax(scale, 1.0);
    convoy_status status = axis_reserve(axis, n_out, 2 * (int)ceil(reach) + 1);
    if (status != CONVOY_OK)
        return status;
    for (int i = 0; i < n_out; i++) {
        double centre = from + (i + 0.5) * scale;
        int start = (int)fmax(centre - reach + 0.5, 0.0);
        int end = (int)fmin(centre + reach + 0.5, n_in);
        axis->start[i] = start;
        axis->count[i] = end - start;
        axis_weights(centre, reach, start, end - start,
                     axis->weights + (size_t)i * (size_t)axis->n_taps);
    }
    return CONVOY_OK;
}

static inline uint8_t to_u8(int32_t sum)
{
    int32_t value = sum >> WEIGHT_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* One row to axis's output pixels. from: [n_in, 3] to: [n_out, 3] */
WIDEST static void row_of_3(const struct axis *axis, const uint8_t *from, int n_out,
                            uint8_t *to)
{
    for (int i = 0; i < n_out; i++, to += 3) {
        const int32_t *weights = axis->weights + (size_t)i * (size_t)axis->n_taps;
        const uint8_t *pixel = from + 3 * (size_t)axis->start[i];
        int32_t r = HALF, g = HALF, b = HALF;
        for (int j = 0; j < axis->count[i]; j++, pixel += 3) {
            r += pixel[0] * weights[j];
            g += pixel[1] * weights[j];
            b += pixel[2] * weights[j];
        }
        to[0] = to_u8(r);
        to[1] = to_u8(g);
        to[2] = to_u8(b);
    }
}

/* from: [n_in] to: [n_out] */
WIDEST static void row_of_1(const struct axis *axis, const uint8_t *from, int n_out,
                            uint8_t *to)
{
    for (int i = 0; i < n_out; i++) {
        const int32_t *weights = axis->weights + (size_t)i * (size_t)axis->n_taps;
        const uint8_t *pixel = from + axis->start[i];
        int32_t sum = HALF;
        for (int j = 0; j < axis->count[i]; j++)
            sum += pixel[j] * weights[j];
        to[i] = to_u8(sum);
    }
}

/* to[x] = sum over j of weights[j] * from[j, x]; from: [count, n] sums, to: [n] */
WIDEST static void mix_rows(const uint8_t *from, const int32_t *weights, int count,
                            int n, int32_t *sums, uint8_t *to)
{
#pragma omp simd
    for (int x = 0; x < n; x++)
        sums[x] = HALF + from[x] * weights[0];
    for (int j = 1; j < count; j++) {
        const uint8_t *row = from + (size_t)j * (size_t)n;
        int32_t weight = weights[j];
#pragma omp simd
        for (int x = 0; x < n; x++)
            sums[x] += row[x] * weight;
    }
#pragma omp simd
    for (int x = 0; x < n; x++)
        to[x] = to_u8(sums[x]);
}

/* First pass: rows first … first + rows->height - 1 of src to the new width. */
static void resize_rows(const struct image *src, const struct axis *axis, int first,
                        struct image *rows)
{
    size_t stride = (size_t)src->width * (size_t)src->channels;
    size_t out_stride = (size_t)rows->width * (size_t)rows->channels;
    for (int y = 0; y < rows->height; y++) {
        const uint8_t *from = src->pixels + (size_t)(first + y) * stride;
        uint8_t *to = rows->pixels + (size_t)y * out_stride;
        if (src->channels == 3)
            row_of_3(axis, from, rows->width, to);
        else
            row_of_1(axis, from, rows->width, to);
    }
}

/* Second pass. rows starts at row first of the source. */
static void resize_columns(const uint8_t *rows, int first, const struct axis *axis,
                           int32_t *sums, struct image *dst)
{
    int n = dst->width * dst->channels;
    for (int y = 0; y < dst->height; y++) {
        const uint8_t *from = rows + (size_t)(axis->start[y] - first) * (size_t)n;
        mix_rows(from, axis->weights + (size_t)y * (size_t)axis->n_taps, axis->count[y],
                 n, sums, dst->pixels + (size_t)y * (size_t)n);
    }
}

static convoy_status check(const struct image *src, const struct image_box *box,
                           int width, int height)
{
    if (src->channels != 1 && src->channels != 3)
        return FAIL(CONVOY_ERROR_ARGUMENT, "images of %d channels cannot be resized",
                    src->channels);
    if (width < 1 || height < 1 || width > UINT16_MAX || height > UINT16_MAX)
        return FAIL(CONVOY_ERROR_ARGUMENT, "an image cannot be resized to %d x %d",
                    width, height);
    /* x + w may have been rounded; a NaN fails. */
    const double slack = 1e-6;
    if (!(box->x >= 0.0 && box->y >= 0.0 && box->w > 0.0 && box->h > 0.0 &&
          box->x + box->w <= src->width + slack &&
          box->y + box->h <= src->height + slack))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "box %g, %g of %g x %g does not lie in the image of %d x %d",
                    box->x, box->y, box->w, box->h, src->width, src->height);
    return CONVOY_OK;
}

convoy_status image_resize(const struct image *src, struct image_box box, int width,
                           int height, struct image_scratch *scratch, struct image *dst)
{
    convoy_status status = CONVOY_OK;
    const struct axis *rows_axis = &scratch->y;
    TRY(check(src, &box, width, height));
    TRY(axis_plan(&scratch->x, src->width, box.x, box.w, width));
    TRY(axis_plan(&scratch->y, src->height, box.y, box.h, height));
    int first = rows_axis->start[0];
    int end = rows_axis->start[height - 1] + rows_axis->count[height - 1];
    TRY(image_shape(&scratch->rows, width, end - first, src->channels));
    TRY(mem_reserve(&scratch->sums, &scratch->capacity,
                    (size_t)width * (size_t)src->channels * sizeof(int32_t)));
    TRY(image_shape(dst, width, height, src->channels));
    resize_rows(src, &scratch->x, first, &scratch->rows);
    resize_columns(scratch->rows.pixels, first, rows_axis, scratch->sums, dst);
cleanup:
    return status;
}
