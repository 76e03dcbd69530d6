/* What random resized crops, erasing and colour jitter make of a record, against plain
 * references. */
#include "base/memory.h"
#include "load/jitter.h"
#include "unit/load/sample_support.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

/* Cut, then resized: pixels outside of the box have no part in its edges. */
static void assert_resized_crop(const struct loader_options *options,
                                const struct image *image, uint64_t epoch,
                                uint64_t record, const float *out)
{
    int h = options->shape[1], w = options->shape[2];
    struct rng rng = augment_stream(options->seed, epoch, record);
    struct image part =
        copied(image, augment_resized_crop(&rng, image->height, image->width));
    struct image small = resized(&part, h, w);
    assert_cut(options, &small, (struct box){0, 0, h, w}, augment_flip(&rng), out);
    image_free(&small);
    image_free(&part);
}

static void a_resized_crop_of_an_image_is_cut_then_resized(void **state)
{
    (void)state;
    enum { N = 6 };
    struct fixture fixture;
    struct image images[N];
    float out[MAX_VALUES];
    for (int i = 0; i < N; i++)
        images[i] = fixture_noise(20 + 9 * i, 60 - 7 * i, (uint64_t)i);
    fixture_png(&fixture, images, N);
    struct loader_options options = options_for(3, 16, 24);
    options.augment = (struct augment){.resized_crop = true, .flip = true};
    for (uint64_t epoch = 0; epoch < 3; epoch++)
        for (int i = 0; i < N; i++) {
            make(&fixture, &options, epoch, (uint64_t)i, out);
            assert_resized_crop(&options, &images[i], epoch, (uint64_t)i, out);
        }
    fixture_close(&fixture);
    for (int i = 0; i < N; i++)
        image_free(&images[i]);
}

/* Also where the record is smaller than the crop. */
static void a_resized_crop_of_a_raw_record_is_the_same(void **state)
{
    (void)state;
    struct fixture fixture;
    float out[MAX_VALUES];
    fixture_raw(&fixture, 20, 14, 11);
    struct loader_options options = options_for(1, 16, 16);
    options.augment = (struct augment){.resized_crop = true, .flip = true};
    for (int record = 0; record < 20; record++) {
        struct image image = raw_image(&fixture, record);
        make(&fixture, &options, 1, (uint64_t)record, out);
        assert_resized_crop(&options, &image, 1, (uint64_t)record, out);
    }
    fixture_close(&fixture);
}

/* A smooth picture, of which a quarter of the pixels still is the same picture. */
static struct image smooth(int side)
{
    struct image image = fixture_noise(side, side, 0);
    for (int i = 0; i < side * side; i++) {
        image.pixels[(ptrdiff_t)3 * i] = (uint8_t)(i % side * 255 / side);
        image.pixels[3 * i + 1] = (uint8_t)(i / side * 255 / side);
        image.pixels[3 * i + 2] = (uint8_t)(255 - i % side * 128 / side);
    }
    return image;
}

/* The sample of a JPEG whose crops are all much larger than the sample. */
static void make_jpeg(const struct fixture *fixture,
                      const struct loader_options *options, uint64_t record,
                      const uint8_t *bytes, size_t n, float *out)
{
    struct sample_rules rules;
    struct sample_buffers buffers = {0};
    const struct pack_record read = {bytes, n, 0};
    ok(sample_rules_init(fixture->pack, options, &rules));
    ok(sample_buffers_init(&buffers));
    ok(sample_make_of(&rules, &buffers, 0, record, &read, out));
    sample_buffers_fini(&buffers);
}

/* Exact: the whole JPEG decoded, cut, resized. Scaled: other pixels, but close to them:
 * a level of 255 is 0.017 to 0.018 after normalisation. */
static void a_large_jpeg_is_decoded_scaled_unless_exact(void **state)
{
    (void)state;
    enum { SIDE = 400 };
    struct fixture fixture;
    struct image image = smooth(SIDE), decoded = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    float exact[MAX_VALUES], scaled[MAX_VALUES], largest = 0.0F;
    fixture_png(&fixture, &image, 1);
    ok(image_encode_jpeg(&image, 90, &bytes, &n));
    ok(image_decode(bytes, n, 3, &decoded));
    struct loader_options options = options_for(3, 16, 16);
    options.augment.flip = true;
    for (uint64_t record = 0; record < 8; record++) {
        options.augment.resized_crop = AUGMENT_CROP_EXACT;
        make_jpeg(&fixture, &options, record, bytes, n, exact);
        assert_resized_crop(&options, &decoded, 0, record, exact);
        options.augment.resized_crop = AUGMENT_CROP_SCALED;
        make_jpeg(&fixture, &options, record, bytes, n, scaled);
        for (int i = 0; i < 3 * 16 * 16; i++)
            largest = fmaxf(largest, fabsf(exact[i] - scaled[i]));
    }
    assert_true(largest > 0.0F && largest < 0.1F);
    mem_free(bytes);
    image_free(&decoded);
    image_free(&image);
    fixture_close(&fixture);
}

/* What is erased is 0 in all channels, the rest is as without. */
static void erasing_clears_the_box_that_was_drawn(void **state)
{
    (void)state;
    enum { N = 20, SIDE = 12 };
    struct fixture fixture;
    float plain[MAX_VALUES], out[MAX_VALUES];
    int n_erased = 0;
    fixture_raw(&fixture, N, SIDE, SIDE);
    for (uint64_t record = 0; record < N; record++) {
        struct loader_options options = options_for(1, SIDE, SIDE);
        struct box box = {0};
        const struct rng rng = augment_stream(options.seed, 3, record);
        const bool erased = augment_erasing(&rng, 0.5, SIDE, SIDE, &box);
        make(&fixture, &options, 3, record, plain);
        options.augment.erasing = 0.5;
        make(&fixture, &options, 3, record, out);
        for (int i = 0; i < SIDE * SIDE; i++) {
            const int y = i / SIDE - box.top, x = i % SIDE - box.left;
            const bool inside =
                erased && y >= 0 && y < box.height && x >= 0 && x < box.width;
            assert_true(out[i] == (inside ? 0.0F : plain[i]));
        }
        options.evaluate = true;
        make(&fixture, &options, 3, record, out);
        assert_memory_equal(out, plain, sizeof(float) * SIDE * SIDE);
        n_erased += erased;
    }
    assert_in_range(n_erased, 3, N - 3);
    fixture_close(&fixture);
}

/* Scaled to [0, 1], adjusted, then normalised; the crop and flip are those without. */
static void jitter_comes_between_scaling_and_normalising(void **state)
{
    (void)state;
    enum { SIDE = 16, PLANE = SIDE * SIDE };
    struct fixture fixture;
    struct image image = fixture_noise(SIDE, SIDE, 5);
    float unit[MAX_VALUES], out[MAX_VALUES];
    fixture_png(&fixture, &image, 1);
    for (uint64_t epoch = 0; epoch < 6; epoch++) {
        struct loader_options options = options_for(3, SIDE, SIDE), scale = options;
        options.augment = (struct augment){.flip = true,
                                           .brightness = 0.4,
                                           .contrast = 0.4,
                                           .saturation = 0.4,
                                           .hue = 0.1};
        const struct rng rng = augment_stream(options.seed, epoch, 0);
        const struct augment_jitter jitter = augment_jitter(&rng, &options.augment);
        scale.augment.flip = true;
        for (int c = 0; c < 3; c++) {
            scale.mean[c] = 0.0F;
            scale.std[c] = 1.0F;
        }
        make(&fixture, &scale, epoch, 0, unit);
        jitter_apply(&jitter, unit, 3, PLANE);
        make(&fixture, &options, epoch, 0, out);
        for (int i = 0; i < 3 * PLANE; i++) {
            const int c = i / PLANE;
            assert_true(out[i] == (unit[i] - options.mean[c]) / options.std[c]);
        }
    }
    fixture_close(&fixture);
    image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resized_crop_of_an_image_is_cut_then_resized),
        cmocka_unit_test(a_resized_crop_of_a_raw_record_is_the_same),
        cmocka_unit_test(a_large_jpeg_is_decoded_scaled_unless_exact),
        cmocka_unit_test(erasing_clears_the_box_that_was_drawn),
        cmocka_unit_test(jitter_comes_between_scaling_and_normalising),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
