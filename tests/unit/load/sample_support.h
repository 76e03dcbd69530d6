/* One record to one sample, and what it must be: for the tests of sample.c. */
#ifndef TESTS_SAMPLE_SUPPORT_H
#define TESTS_SAMPLE_SUPPORT_H

#include "load/sample.h"
#include "unit/load/fixture.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

enum { MAX_VALUES = 3 * 64 * 64 };

static inline void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s (%s)", convoy_status_text(), convoy_status_where());
}

static inline struct loader_options options_for(int channels, int height, int width)
{
    return (struct loader_options){
        .microbatch = 1,
        .n_microbatches = 1,
        .count = 1,
        .shape = {channels, height, width},
        .mean = {0.485F, 0.456F, 0.406F},
        .std = {0.229F, 0.224F, 0.225F},
        .seed = 4,
        .n_threads = 1,
    };
}

/* The sample of one record, with buffers of its own. */
static inline int32_t make(const struct fixture *fixture,
                           const struct loader_options *options, uint64_t epoch,
                           uint64_t record, float *out)
{
    struct sample_rules rules;
    struct sample_buffers buffers = {0};
    int32_t label = -2;
    ok(sample_rules_init(fixture->pack, options, &rules));
    ok(sample_buffers_init(&buffers));
    ok(sample_make(&rules, &buffers, epoch, record, out, &label));
    sample_buffers_fini(&buffers);
    return label;
}

/* Each operation rounded to f32 by its own. */
static inline float normalised(const struct loader_options *options, int channel,
                               uint8_t value)
{
    volatile float scaled = (float)value / 255.0F;
    volatile float centred = scaled - options->mean[channel];
    return centred / options->std[channel];
}

/* Compares out with the box of the interleaved image, zeros around it, as told. */
static inline void assert_cut(const struct loader_options *options,
                              const struct image *image, struct box box, bool flip,
                              const float *out)
{
    for (int c = 0; c < image->channels; c++)
        for (int i = 0; i < box.height; i++)
            for (int j = 0; j < box.width; j++) {
                int y = box.top + i;
                int x = box.left + (flip ? box.width - 1 - j : j);
                bool inside = y >= 0 && y < image->height && x >= 0 && x < image->width;
                int at = (y * image->width + x) * image->channels + c;
                float want = normalised(options, c, inside ? image->pixels[at] : 0);
                float got = out[(c * box.height + i) * box.width + j];
                if (want != got)
                    fail_msg("(%d, %d, %d) is %.9g, not %.9g", c, i, j, (double)got,
                             (double)want);
            }
}

/* A raw record as an image that borrows its pixels. */
static inline struct image raw_image(const struct fixture *fixture, int record)
{
    size_t size = (size_t)fixture->height * (size_t)fixture->width;
    return (struct image){
        .pixels = fixture->pixels + (size_t)record * size,
        .height = fixture->height,
        .width = fixture->width,
        .channels = 1,
    };
}

static inline struct image resized(const struct image *image, int height, int width)
{
    struct image_scratch *scratch = NULL;
    struct image out = {0};
    ok(image_scratch_create(&scratch));
    const struct image_box whole = {0, 0, image->width, image->height};
    ok(image_resize(image, whole, width, height, scratch, &out));
    image_scratch_destroy(scratch);
    return out;
}

/* A copy of the box's pixels. */
static inline struct image copied(const struct image *image, struct box box)
{
    struct image out = fixture_noise(box.height, box.width, 0);
    out.channels = image->channels;
    int row = box.width * image->channels;
    for (int y = 0; y < box.height; y++) {
        int from = ((box.top + y) * image->width + box.left) * image->channels;
        for (int i = 0; i < row; i++)
            out.pixels[y * row + i] = image->pixels[from + i];
    }
    return out;
}

#endif
