/* Which operation has which strength, and how an image goes through it.
 *
 * Operations that change each value by itself (brightness, contrast, posterize,
 * solarize, autocontrast, equalize) are maps of 256 values, which are put before the
 * table through which the samples' values go anyway: they cost a look at the image's
 * histogram, or nothing. The others make another image first. */
#include "load/trivial.h"

#include <math.h>

/* 31 strengths from `first` to `last`, signed at random or not, cut to whole numbers or
 * not. */
static const struct strength {
    double first, last;
    bool is_signed, is_whole;
} strengths[N_TRIVIAL_OPS] = {
    [TRIVIAL_SHEAR_X] = {0, 0.99, true, false},
    [TRIVIAL_SHEAR_Y] = {0, 0.99, true, false},
    [TRIVIAL_TRANSLATE_X] = {0, 32, true, true},
    [TRIVIAL_TRANSLATE_Y] = {0, 32, true, true},
    [TRIVIAL_ROTATE] = {0, 135, true, false},
    [TRIVIAL_BRIGHTNESS] = {0, 0.99, true, false},
    [TRIVIAL_COLOR] = {0, 0.99, true, false},
    [TRIVIAL_CONTRAST] = {0, 0.99, true, false},
    [TRIVIAL_SHARPNESS] = {0, 0.99, true, false},
    [TRIVIAL_POSTERIZE] = {8, 2, false, false},
    [TRIVIAL_SOLARIZE] = {255, 0, false, false},
};

double trivial_magnitude(const struct augment_trivial *drawn)
{
    const struct strength *s = &strengths[drawn->op];
    const int last = N_TRIVIAL_BINS - 1;
    double magnitude = s->first + (s->last - s->first) * drawn->bin / last;
    if (drawn->op == TRIVIAL_POSTERIZE)
        magnitude = s->first - rint(drawn->bin * (s->first - s->last) / last);
    if (s->is_whole)
        magnitude = trunc(magnitude);
    magnitude = (double)(float)magnitude; /* torchvision's are f32 */
    return s->is_signed && drawn->negative ? -magnitude : magnitude;
}

void trivial_write(const struct augment_trivial *drawn,
                   const struct trivial_image *image, uint8_t *room,
                   const float (*table)[256], float *out)
{
    const double magnitude = trivial_magnitude(drawn);
    const size_t n = (size_t)image->height * (size_t)image->width;
    const uint8_t *pixels = room;
    if (drawn->op == TRIVIAL_COLOR && image->channels == 3)
        trivial_color(magnitude, image, room);
    else if (drawn->op == TRIVIAL_SHARPNESS)
        trivial_sharpness(magnitude, image, room);
    else if (TRIVIAL_SHEAR_X <= drawn->op && drawn->op <= TRIVIAL_ROTATE)
        trivial_move(drawn->op, magnitude, image, room);
    else
        pixels = image->pixels;
    for (int c = 0; c < image->channels; c++, pixels += n, out += n) {
        uint8_t map[256];
        float values[256];
        if (c == 0 || drawn->op >= TRIVIAL_AUTOCONTRAST) /* by the channel's values */
            trivial_map(drawn->op, magnitude, image, c, map);
        for (int v = 0; v < 256; v++)
            values[v] = table[c][map[v]];
        for (size_t i = 0; i < n; i++)
            out[i] = values[pixels[i]];
    }
}
