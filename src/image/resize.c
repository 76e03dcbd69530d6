/* Resizing with a triangle filter whose support grows with the scale ("bilinear with
 * antialiasing"), in two passes, as Pillow defines it.
 *
 * Output pixel i of an axis that maps n_out pixels to the interval [from, from +
 * length) of the input has its centre at c = from + (i + 1/2) s, s = length / n_out.
 * With r = max(s, 1) it is the mean of the input pixels j whose centres lie within r of
 * c, weighted by 1 - |j + 1/2 - c| / r. Weights are integers that add up to 2^14, and
 * both passes round to 8 bits, rows first: so the result does not depend on the
 * machine.
 *
 * Rows are made when an output row first needs them, in a ring that holds as many as
 * one output row looks at, so they stay in cache. In it a pixel of three channels takes
 * four bytes. Its last step, to the values that a net takes, is a table look-up a
 * channel. */
#include "image/image_internal.h"
#include "image/resize_loops.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

struct image_scratch {
    const struct resize_loops *loops;
    struct axis x, y;
    /* The resize that goes on. */
    const struct image *src;
    int left, top;   /* where src lies in the planned image */
    int next, end;   /* rows of the planned image: first that is not in the ring yet,
                        one past the last */
    int n_ring;      /* rows in the ring; row j of the image is at j modulo n_ring */
    size_t row_size; /* of a row in the ring, in bytes */
    uint8_t *ring;   /* [n_ring, row_size] */
    uint8_t *mixed;  /* [row_size] */
    uint8_t *edge;   /* [2, edge_size]: copies of rows at src's end */
    size_t edge_size;
    const uint8_t **taps; /* [2 y.n_pairs] rows that one output row is mixed of */
    void *memory;
    size_t capacity;
};

convoy_status image_scratch_create(struct image_scratch **scratch)
{
    struct image_scratch *made = NULL;
    convoy_status status = mem_alloc(sizeof *made, (void **)&made);
    if (status != CONVOY_OK)
        return status;
    made->loops = resize_loops_here();
    *scratch = made;
    return CONVOY_OK;
}

void image_scratch_destroy(struct image_scratch *scratch)
{
    if (!scratch)
        return;
    mem_free(scratch->x.memory);
    mem_free(scratch->y.memory);
    mem_free(scratch->memory);
    mem_free(scratch);
}

/* An interval of one axis, and which pixels may be looked at. */
struct span {
    double from, length;
    int low, high;
};

static double triangle(double distance, double reach)
{
    return fmax(0.0, 1.0 - fabs(distance) / reach);
}

/* Weights of the pixels start … end - 1 for a filter around centre. Each is the step
 * between two rounded partial sums, so all add up to 2^WEIGHT_BITS. */
static void axis_weights(double centre, double reach, int start, int end,
                         int16_t *weights)
{
    double total = 0.0, sum = 0.0;
    int32_t before = 0;
    for (int j = start; j < end; j++)
        total += triangle(j + 0.5 - centre, reach);
    for (int j = start; j < end; j++) {
        sum += triangle(j + 0.5 - centre, reach);
        int32_t now = (int32_t)(sum / total * (1 << WEIGHT_BITS) + 0.5);
        weights[j - start] = (int16_t)(now - before);
        before = now;
    }
}

static int round_up(int n, int unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Room for the weights, all 0. */
static convoy_status axis_reserve(struct axis *axis, int n_out, int n_taps)
{
    size_t n = (size_t)round_up(n_out, OUT_UNIT),
           n_weights = (size_t)round_up(n_taps, 2);
    size_t bytes = n * (sizeof *axis->start + n_weights * sizeof *axis->weights);
    convoy_status status = mem_reserve(&axis->memory, &axis->capacity, bytes);
    if (status != CONVOY_OK)
        return status;
    axis->n_out = n_out;
    axis->n_taps = n_taps;
    axis->n_pairs = (n_taps + 1) / 2;
    axis->start = axis->memory;
    axis->weights = (int16_t *)(axis->start + n);
    memset(axis->memory, 0, bytes);
    return CONVOY_OK;
}

/* The input pixels *start … *end - 1 around centre. */
static void window(const struct span *span, double centre, double reach, int *start,
                   int *end)
{
    *start = (int)fmax(centre - reach + 0.5, span->low);
    *end = (int)fmin(centre + reach + 0.5, span->high);
}

static int widest_window(const struct span *span, double scale, double reach, int n_out)
{
    int widest = 1;
    for (int i = 0; i < n_out; i++) {
        int start, end;
        window(span, span->from + (i + 0.5) * scale, reach, &start, &end);
        widest = end - start > widest ? end - start : widest;
    }
    return widest;
}

static convoy_status axis_plan(struct axis *axis, const struct span *span, int n_out)
{
    double scale = span->length / n_out;
    double reach = fmax(scale, 1.0);
    int n_taps = widest_window(span, scale, reach, n_out);
    convoy_status status = axis_reserve(axis, n_out, n_taps);
    if (status != CONVOY_OK)
        return status;
    for (int i = 0; i < n_out; i++) {
        double centre = span->from + (i + 0.5) * scale;
        int start, end;
        window(span, centre, reach, &start, &end);
        /* Narrower ones are filled up by weights of 0, within the span. */
        int first = start < span->high - n_taps ? start : span->high - n_taps;
        axis->start[i] = first;
        axis_weights(centre, reach, start, end,
                     axis->weights + 2 * (size_t)i * (size_t)axis->n_pairs +
                         (start - first));
    }
    for (int i = n_out; i < round_up(n_out, OUT_UNIT); i++)
        axis->start[i] = axis->start[n_out - 1];
    return CONVOY_OK;
}

/* One past the last input pixel that the axis looks at. */
static int axis_end(const struct axis *axis)
{
    return axis->start[axis->n_out - 1] + axis->n_taps;
}

static convoy_status check_crop(const struct image_crop *crop, int width, int height)
{
    const struct image_box *box = &crop->box;
    if (crop->width < 1 || crop->height < 1 || crop->width > UINT16_MAX ||
        crop->height > UINT16_MAX)
        return FAIL(CONVOY_ERROR_ARGUMENT, "an image cannot be resized to %d x %d",
                    crop->width, crop->height);
    /* x + w may have been rounded; a NaN fails. */
    const double slack = 1e-6;
    if (!(box->x >= 0.0 && box->y >= 0.0 && box->w > 0.0 && box->h > 0.0 &&
          box->x + box->w <= width + slack && box->y + box->h <= height + slack))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "box %g, %g of %g x %g does not lie in the image of %d x %d",
                    box->x, box->y, box->w, box->h, width, height);
    return CONVOY_OK;
}

static struct span make_span(double from, double length, int n, bool beside)
{
    double end = fmin(ceil(from + length), n);
    return (struct span){from, length, beside ? 0 : (int)fmin(from, n - 1.0),
                         beside ? n : (int)end};
}

convoy_status resize_plan(struct image_scratch *scratch, const struct image_crop *crop,
                          int width, int height, struct region *needed)
{
    convoy_status status = CONVOY_OK;
    const struct image_box *box = &crop->box;
    const struct axis *x = &scratch->x, *y = &scratch->y;
    TRY(check_crop(crop, width, height));
    struct span across = make_span(box->x, box->w, width, crop->beside);
    struct span down = make_span(box->y, box->h, height, crop->beside);
    TRY(axis_plan(&scratch->x, &across, crop->width));
    TRY(axis_plan(&scratch->y, &down, crop->height));
    *needed = (struct region){x->start[0], y->start[0], axis_end(x) - x->start[0],
                              axis_end(y) - y->start[0]};
cleanup:
    return status;
}

/* Starts writing what was planned, from src, which lies at (left, top) of the planned
 * image. */
static convoy_status start(struct image_scratch *scratch, const struct image *src,
                           int left, int top)
{
    size_t pixel = src->channels == 3 ? RING_PIXEL : 1;
    size_t n_taps = 2 * (size_t)scratch->y.n_pairs,
           n_ring = (size_t)scratch->y.n_taps + 1;
    size_t taps_size = mem_round_up(n_taps * sizeof *scratch->taps);
    size_t row = (size_t)scratch->x.n_out * pixel;
    row = (row + ROW_UNIT - 1) / ROW_UNIT * ROW_UNIT;
    scratch->edge_size = (size_t)src->width * (size_t)src->channels + READ_BEYOND;
    convoy_status status =
        mem_reserve(&scratch->memory, &scratch->capacity,
                    taps_size + (n_ring + 1) * row + 2 * scratch->edge_size);
    if (status != CONVOY_OK)
        return status;
    scratch->taps = scratch->memory;
    scratch->ring = (uint8_t *)scratch->memory + taps_size;
    scratch->mixed = scratch->ring + n_ring * row;
    scratch->edge = scratch->mixed + row;
    scratch->row_size = row;
    scratch->n_ring = (int)n_ring;
    scratch->src = src;
    scratch->left = left;
    scratch->top = top;
    scratch->next = scratch->y.start[0];
    scratch->end = axis_end(&scratch->y);
    return CONVOY_OK;
}

static uint8_t *ring_row(const struct image_scratch *scratch, int y)
{
    return scratch->ring + (size_t)(y % scratch->n_ring) * scratch->row_size;
}

/* Row y of the planned image; a copy where reading beyond it would leave src's memory.
 */
static const uint8_t *source_row(const struct image_scratch *scratch, int y,
                                 uint8_t *copy)
{
    const struct image *src = scratch->src;
    size_t size = (size_t)src->width * (size_t)src->channels;
    size_t at = (size_t)(y - scratch->top) * size;
    if (at + size + READ_BEYOND <= size * (size_t)src->height)
        return src->pixels + at;
    return memcpy(copy, src->pixels + at, size);
}

/* Makes the next two rows of the ring; behind the last one, one of them twice. */
static void make_rows(struct image_scratch *scratch)
{
    int y = scratch->next, below = y + 1 < scratch->end ? y + 1 : y;
    const struct row_pair rows = {
        {source_row(scratch, y, scratch->edge),
         source_row(scratch, below, scratch->edge + scratch->edge_size)},
        {ring_row(scratch, y), ring_row(scratch, below)}};
    if (scratch->src->channels == 3)
        scratch->loops->rows_of_3(&scratch->x, scratch->left, &rows);
    else
        scratch->loops->rows_of_1(&scratch->x, scratch->left, &rows);
    scratch->next = below + 1;
}

/* Output row y, to be asked for in order. Pixels of 1 or RING_PIXEL bytes. */
static const uint8_t *next_row(struct image_scratch *scratch, int y)
{
    const struct axis *axis = &scratch->y;
    int first = axis->start[y], n = 2 * axis->n_pairs;
    if (scratch->next < first)
        scratch->next = first;
    while (scratch->next < first + axis->n_taps)
        make_rows(scratch);
    for (int j = 0; j < n; j++)
        scratch->taps[j] = ring_row(scratch, first + (j < axis->n_taps ? j : 0));
    scratch->loops->mix(scratch->taps, axis->weights + (size_t)y * (size_t)n,
                        axis->n_pairs, scratch->row_size, scratch->mixed);
    return scratch->mixed;
}

/* row: [n, RING_PIXEL]; pixel: floats from one to the next, negative to flip. */
static void look_up_3(const uint8_t *row, int n, const struct image_planes *to,
                      float *values, ptrdiff_t pixel)
{
    const float(*table)[256] = to->table;
    float *r = values, *g = r + to->channel, *b = g + to->channel;
    for (int i = 0; i < n; i++, row += RING_PIXEL) {
        ptrdiff_t at = i * pixel;
        r[at] = table[0][row[0]];
        g[at] = table[1][row[1]];
        b[at] = table[2][row[2]];
    }
}

static void look_up_1(const uint8_t *row, int n, const float table[256], float *values,
                      ptrdiff_t pixel)
{
    for (int i = 0; i < n; i++)
        values[i * pixel] = table[row[i]];
}

/* row: [n, RING_PIXEL], or [n] of one channel. */
static void spread(const uint8_t *row, int n, const struct image_planes *to,
                   uint8_t *bytes, ptrdiff_t pixel)
{
    const int size = to->channels == 3 ? RING_PIXEL : 1;
    for (int c = 0; c < to->channels; c++, bytes += to->channel)
        for (int i = 0; i < n; i++)
            bytes[i * pixel] = row[i * size + c];
}

/* Row y of the output, flipped where pixel is negative. */
static void write_row(const uint8_t *row, int n, int y, const struct image_planes *to,
                      ptrdiff_t pixel)
{
    const size_t at =
        (size_t)y * to->row + (pixel < 0 ? (size_t)(n - 1) * to->pixel : 0);
    if (to->bytes)
        spread(row, n, to, to->bytes + at, pixel);
    else if (to->channels == 3)
        look_up_3(row, n, to, to->values + at, pixel);
    else
        look_up_1(row, n, to->table[0], to->values + at, pixel);
}

convoy_status resize_write(struct image_scratch *scratch, const struct image *src,
                           int left, int top, bool flip, const struct image_planes *to)
{
    convoy_status status = start(scratch, src, left, top);
    if (status != CONVOY_OK)
        return status;
    const int n = scratch->x.n_out;
    const ptrdiff_t pixel = flip ? -(ptrdiff_t)to->pixel : (ptrdiff_t)to->pixel;
    for (int y = 0; y < scratch->y.n_out; y++)
        write_row(next_row(scratch, y), n, y, to, pixel);
    return CONVOY_OK;
}

static convoy_status check_channels(const struct image *src)
{
    if (src->channels == 3 || src->channels == 1)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT, "images of %d channels cannot be resized",
                src->channels);
}

convoy_status image_write_crop(const struct image *src, const struct image_crop *crop,
                               struct image_scratch *scratch,
                               const struct image_planes *to)
{
    convoy_status status = CONVOY_OK;
    struct region needed;
    TRY(check_channels(src));
    if (to->channels != src->channels)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT, "an image of %d channels for %d planes",
                 src->channels, to->channels));
    TRY(resize_plan(scratch, crop, src->width, src->height, &needed));
    TRY(resize_write(scratch, src, 0, 0, crop->flip, to));
cleanup:
    return status;
}

/* to: [n, 3] */
static void pack_row(const uint8_t *row, int n, uint8_t *to)
{
    for (int i = 0; i < n; i++, row += RING_PIXEL, to += 3)
        memcpy(to, row, 3);
}

convoy_status image_resize(const struct image *src, struct image_box box, int width,
                           int height, struct image_scratch *scratch, struct image *dst)
{
    convoy_status status = CONVOY_OK;
    const struct image_crop crop = {box, width, height, .beside = true};
    struct region needed;
    TRY(check_channels(src));
    TRY(resize_plan(scratch, &crop, src->width, src->height, &needed));
    TRY(image_shape(dst, width, height, src->channels));
    TRY(start(scratch, src, 0, 0));
    for (int y = 0; y < height; y++) {
        const uint8_t *row = next_row(scratch, y);
        uint8_t *to = dst->pixels + (size_t)y * (size_t)width * (size_t)src->channels;
        if (src->channels == 3)
            pack_row(row, width, to);
        else
            memcpy(to, row, (size_t)width);
    }
cleanup:
    return status;
}
