/* Pictures of numbers. Heat is shown in colours that grow lighter with the value, after
 * matplotlib's "inferno", so that they are ordered in grey and to the colour blind too.
 */
#include "see/see_picture.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

enum { MAX_TILES = 256, MAX_SHEET_SIDE = 2048 };
enum { MAX_PICTURE_SIDE = 32767, GOOD_SIDE = 320, MAX_FACTOR = 16, GAP = 2 };

convoy_status see_picture_make(int width, int height, int channels, struct image *out)
{
    if (width > MAX_PICTURE_SIDE || height > MAX_PICTURE_SIDE)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "a picture of %d x %d pixels is too large: at most %d a side",
                    width, height, MAX_PICTURE_SIDE);
    const size_t n = (size_t)width * (size_t)height * (size_t)channels;
    void *pixels = out->pixels;
    const convoy_status status = mem_reserve(&pixels, &out->capacity, n);
    out->pixels = pixels;
    if (status != CONVOY_OK)
        return status;
    out->width = width;
    out->height = height;
    out->channels = channels;
    memset(out->pixels, 0, n);
    return CONVOY_OK;
}

static uint8_t byte_of(double share)
{
    if (!(share > 0))
        return 0;
    return share >= 1 ? 255 : (uint8_t)floor(share * 255 + 0.5);
}

convoy_status see_picture_sample(const float *values, const int shape[3],
                                 const float *mean, const float *std, struct image *out)
{
    const int channels = shape[0] == 3 ? 3 : 1;
    const size_t plane = (size_t)shape[1] * (size_t)shape[2];
    const convoy_status status = see_picture_make(shape[2], shape[1], channels, out);
    if (status != CONVOY_OK)
        return status;
    for (size_t i = 0; i < plane; i++) {
        double sum = 0;
        for (int c = 0; c < shape[0]; c++) {
            const double share =
                (double)values[(size_t)c * plane + i] * (double)std[c] +
                (double)mean[c];
            if (channels == 3)
                out->pixels[3 * i + (size_t)c] = byte_of(share);
            sum += share;
        }
        if (channels == 1)
            out->pixels[i] = byte_of(sum / shape[0]);
    }
    return CONVOY_OK;
}

convoy_status see_picture_enlarge(const struct image *src, int factor,
                                  struct image *dst)
{
    const size_t n = (size_t)src->channels;
    const convoy_status status =
        see_picture_make(src->width * factor, src->height * factor, src->channels, dst);
    for (int y = 0; status == CONVOY_OK && y < dst->height; y++) {
        const uint8_t *row =
            src->pixels + (size_t)(y / factor) * (size_t)src->width * n;
        uint8_t *to = dst->pixels + (size_t)y * (size_t)dst->width * n;
        for (int x = 0; x < dst->width; x++)
            memcpy(to + (size_t)x * n, row + (size_t)(x / factor) * n, n);
    }
    return status;
}

int see_picture_factor(int height, int width)
{
    const int side = height > width ? height : width;
    const int factor = GOOD_SIDE / side;
    return factor < 1 ? 1 : factor < MAX_FACTOR ? factor : MAX_FACTOR;
}

/* Red, green and blue at equal distances of the scale. */
static const uint8_t colours[][3] = {
    {0, 0, 4},     {27, 12, 65},   {74, 12, 107}, {120, 28, 109}, {165, 44, 96},
    {207, 68, 70}, {237, 105, 37}, {251, 155, 6}, {247, 209, 61}, {252, 255, 164}};

/* 0 … 1; what is no number is 0. */
static double share_of(const struct heat *heat, double value)
{
    const double range = (double)heat->most - (double)heat->least;
    const double share = range > 0 ? (value - (double)heat->least) / range : 0;
    return !(share > 0) ? 0 : share < 1 ? share : 1;
}

static void colour_of(double share, double rgb[3])
{
    enum { LAST = sizeof colours / sizeof *colours - 1 };
    const double at = share * LAST;
    const size_t below = at < LAST - 1 ? (size_t)at : LAST - 1;
    for (int c = 0; c < 3; c++)
        rgb[c] = (double)colours[below][c] +
                 (at - (double)below) *
                     ((double)colours[below + 1][c] - (double)colours[below][c]);
}

void heat_find_range(const float *values, size_t n, float *least, float *most)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i]))
            continue;
        low = fmin(low, (double)values[i]);
        high = fmax(high, (double)values[i]);
    }
    *least = low <= high ? (float)low : 0;
    *most = low <= high ? (float)high : 0;
}

convoy_status heat_draw(const struct heat *heat, int factor, struct image *out)
{
    double rgb[3];
    const convoy_status status =
        see_picture_make(heat->w * factor, heat->h * factor, 3, out);
    uint8_t *pixel = out->pixels;
    for (int y = 0; status == CONVOY_OK && y < out->height; y++)
        for (int x = 0; x < out->width; x++) {
            const int at = y / factor * heat->w + x / factor;
            colour_of(share_of(heat, (double)heat->values[at]), rgb);
            for (int c = 0; c < 3; c++)
                *pixel++ = (uint8_t)(rgb[c] + 0.5);
        }
    return status;
}

/* Where the centre of pixel i of n lies among m values. */
struct place {
    int below, above;
    double part; /* of above */
};

static struct place place_of(int i, int n, int m)
{
    double at = (i + 0.5) * m / n - 0.5;
    at = at < 0 ? 0 : at > m - 1 ? m - 1 : at;
    const int below = (int)at;
    return (struct place){below, below + 1 < m ? below + 1 : below, at - below};
}

static double value_between(const struct heat *heat, struct place y, struct place x)
{
    const float *low = heat->values + (size_t)y.below * (size_t)heat->w,
                *high = heat->values + (size_t)y.above * (size_t)heat->w;
    const double a =
        (1 - x.part) * (double)low[x.below] + x.part * (double)low[x.above];
    const double b =
        (1 - x.part) * (double)high[x.below] + x.part * (double)high[x.above];
    return (1 - y.part) * a + y.part * b;
}

static double grey_of(const struct image *picture, size_t i)
{
    const uint8_t *p = picture->pixels + i * (size_t)picture->channels;
    return picture->channels == 3 ? 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] : p[0];
}

convoy_status heat_draw_over(const struct heat *heat, const struct image *picture,
                             struct image *out)
{
    const double least_cover = 0.15, more_cover = 0.65;
    double rgb[3];
    const int height = picture->height, width = picture->width;
    const convoy_status status = see_picture_make(width, height, 3, out);
    uint8_t *pixel = out->pixels;
    for (int y = 0; status == CONVOY_OK && y < height; y++)
        for (int x = 0; x < width; x++) {
            const double share =
                share_of(heat, value_between(heat, place_of(y, height, heat->h),
                                             place_of(x, width, heat->w)));
            const double cover = least_cover + more_cover * share;
            const double grey = grey_of(picture, (size_t)y * (size_t)width + (size_t)x);
            colour_of(share, rgb);
            for (int c = 0; c < 3; c++)
                *pixel++ = (uint8_t)((1 - cover) * grey + cover * rgb[c] + 0.5);
        }
    return status;
}

convoy_status sheet_begin(struct sheet *sheet, int n, int tile_width, int tile_height)
{
    sheet->columns = 1;
    sheet->n = 0;
    sheet->tile_width = tile_width;
    sheet->tile_height = tile_height;
    while (sheet->columns * sheet->columns < n)
        sheet->columns++;
    const int rows = (n + sheet->columns - 1) / sheet->columns;
    const int64_t width = (int64_t)sheet->columns * (tile_width + GAP) + GAP,
                  height = (int64_t)rows * (tile_height + GAP) + GAP;
    if (width > MAX_PICTURE_SIDE || height > MAX_PICTURE_SIDE)
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "%d pictures of %d x %d pixels make no sheet of at most %d pixels a "
            "side: show fewer",
            n, tile_width, tile_height, MAX_PICTURE_SIDE);
    const convoy_status status =
        see_picture_make((int)width, (int)height, 3, &sheet->image);
    if (status == CONVOY_OK)
        memset(sheet->image.pixels, 255, (size_t)width * (size_t)height * 3);
    return status;
}

void sheet_add(struct sheet *sheet, const struct image *tile)
{
    const int row = sheet->n / sheet->columns, column = sheet->n % sheet->columns;
    const int top = GAP + row * (sheet->tile_height + GAP),
              left = GAP + column * (sheet->tile_width + GAP);
    if (tile->width != sheet->tile_width || tile->height != sheet->tile_height ||
        top + tile->height > sheet->image.height)
        return;
    for (int y = 0; y < tile->height; y++)
        for (int x = 0; x < tile->width; x++) {
            const size_t from = (size_t)y * (size_t)tile->width + (size_t)x,
                         to = (size_t)(top + y) * (size_t)sheet->image.width +
                              (size_t)(left + x);
            for (size_t c = 0; c < 3; c++)
                sheet->image.pixels[3 * to + c] = tile->channels == 3
                                                      ? tile->pixels[3 * from + c]
                                                      : tile->pixels[from];
        }
    sheet->n++;
}

int64_t see_picture_tiles(const struct kernel_set *set)
{
    return set->c == 3 ? set->n : set->n * set->c;
}

struct kernel_set see_picture_tile(const struct kernel_set *set, int64_t i)
{
    const int64_t c = set->c == 3 ? 3 : 1, size = c * set->h * set->w;
    return (struct kernel_set){set->values + i * size, 1, c, set->h, set->w};
}

/* How many pictures of this size a sheet has. */
static int tiles_of_sheet(const struct kernel_set *set, const struct image *tile)
{
    int side = 1;
    const int larger = tile->width > tile->height ? tile->width : tile->height;
    while ((side + 1) * (larger + GAP) + GAP <= MAX_SHEET_SIDE)
        side++;
    const int64_t n = see_picture_tiles(set);
    const int most = side * side < MAX_TILES ? side * side : MAX_TILES;
    return n < most ? (int)n : most;
}

convoy_status see_picture_grid(const struct kernel_set *set, struct image *out)
{
    convoy_status status = CONVOY_OK;
    struct sheet sheet = {.n = 0};
    struct image tile = {0};
    struct kernel_set one = see_picture_tile(set, 0);
    TRY(kernel_grid_draw(&one, &tile));
    const int n = tile.width > 0 ? tiles_of_sheet(set, &tile) : 0;
    if (n > 0)
        TRY(sheet_begin(&sheet, n, tile.width, tile.height));
    for (int i = 0; i < n; i++) {
        one = see_picture_tile(set, i);
        TRY(kernel_grid_draw(&one, &tile));
        sheet_add(&sheet, &tile);
    }
    *out = sheet.image;
    sheet.image = (struct image){0};
cleanup:
    image_free(&sheet.image);
    image_free(&tile);
    return status;
}
