/* One record to one sample, value by value, against plain references. */
#include "base/memory.h"
#include "unit/load/sample_support.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void every_pixel_value_is_normalised_exactly(void **state)
{
    (void)state;
    struct fixture fixture;
    struct image image = fixture_noise(16, 16, 1);
    float out[3 * 256];
    for (int i = 0; i < 3 * 256; i++)
        image.pixels[i] = (uint8_t)(i / 3);
    fixture_png(&fixture, &image, 1);
    struct loader_options options = options_for(3, 16, 16);
    make(&fixture, &options, 0, 0, out);
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) {
            float want = normalised(&options, c, (uint8_t)v);
            assert_memory_equal(&out[c * 256 + v], &want, sizeof want);
        }
    fixture_close(&fixture);
    image_free(&image);
}

static void a_raw_record_of_the_right_size_goes_through_whole(void **state)
{
    (void)state;
    struct fixture fixture;
    float out[MAX_VALUES];
    fixture_raw(&fixture, 12, 9, 7);
    struct loader_options options = options_for(1, 9, 7);
    for (int record = 0; record < 12; record++) {
        struct image image = raw_image(&fixture, record);
        assert_int_equal(make(&fixture, &options, 3, (uint64_t)record, out),
                         fixture_label((uint64_t)record));
        assert_cut(&options, &image, (struct box){0, 0, 9, 7}, false, out);
    }
    fixture_close(&fixture);
}

/* The centre of larger records, evaluating and in training without augmentation; odd
 * differences round to even. */
static void a_larger_raw_record_is_cut_in_the_centre(void **state)
{
    (void)state;
    struct fixture fixture;
    float out[MAX_VALUES];
    fixture_raw(&fixture, 2, 11, 16);
    struct image image = raw_image(&fixture, 1);
    struct loader_options options = options_for(1, 8, 9);
    for (int evaluate = 0; evaluate < 2; evaluate++) {
        options.evaluate = evaluate;
        make(&fixture, &options, 0, 1, out);
        assert_cut(&options, &image, (struct box){2, 4, 8, 9}, false, out);
    }
    fixture_close(&fixture);
}

/* MNIST in a net for 32 x 32: padded as in training, which has one place only. */
static void a_smaller_raw_record_is_padded_evenly_evaluating(void **state)
{
    (void)state;
    struct fixture fixture;
    float out[MAX_VALUES];
    fixture_raw(&fixture, 1, 28, 28);
    struct image image = raw_image(&fixture, 0);
    struct loader_options options = options_for(1, 32, 32);
    options.augment.pad = 2;
    for (int evaluate = 0; evaluate < 2; evaluate++) {
        options.evaluate = evaluate;
        make(&fixture, &options, 0, 0, out);
        assert_cut(&options, &image, (struct box){-2, -2, 32, 32}, false, out);
    }
    fixture_close(&fixture);
}

/* Every sample is where the draws for (seed, epoch, record) put it; together they show
 * both flips and crops over each edge. */
static void pad_crop_and_flip_follow_the_draws(void **state)
{
    (void)state;
    enum { N = 40, SIDE = 12, PAD = 3 };
    struct fixture fixture;
    float out[MAX_VALUES];
    int flips = 0, above = 0, below = 0, left = 0, right = 0;
    fixture_raw(&fixture, N, SIDE, SIDE);
    struct loader_options options = options_for(1, SIDE, SIDE);
    options.augment = (struct augment){.pad = PAD, .flip = true};
    for (int record = 0; record < N; record++) {
        uint64_t epoch = (uint64_t)record % 3;
        struct rng rng = augment_stream(options.seed, epoch, (uint64_t)record);
        struct box box = augment_random_crop(&rng, SIDE, SIDE, PAD, SIDE, SIDE);
        bool flip = augment_flip(&rng);
        struct image image = raw_image(&fixture, record);
        make(&fixture, &options, epoch, (uint64_t)record, out);
        assert_cut(&options, &image, box, flip, out);
        flips += flip;
        above += box.top < 0;
        below += box.top > 0;
        left += box.left < 0;
        right += box.left > 0;
    }
    assert_in_range(flips, 8, N - 8);
    assert_true(above > 4 && below > 4 && left > 4 && right > 4);
    fixture_close(&fixture);
}

/* With more padding than record a crop may see nothing but zeros; nothing is written
 * beside the sample. */
static void a_crop_may_lie_in_the_padding_alone(void **state)
{
    (void)state;
    enum { N = 60, PAD = 6, SIZE = 16, EDGE = 8 };
    struct fixture fixture;
    float room[EDGE + SIZE + EDGE], *out = room + EDGE;
    int empty = 0;
    fixture_raw(&fixture, N, 2, 2);
    struct loader_options options = options_for(1, 4, 4);
    options.augment = (struct augment){.pad = PAD, .flip = true};
    for (int record = 0; record < N; record++) {
        struct rng rng = augment_stream(options.seed, 0, (uint64_t)record);
        struct box box = augment_random_crop(&rng, 2, 2, PAD, 4, 4);
        struct image image = raw_image(&fixture, record);
        for (int i = 0; i < EDGE + SIZE + EDGE; i++)
            room[i] = 77.0F;
        make(&fixture, &options, 0, (uint64_t)record, out);
        assert_cut(&options, &image, box, augment_flip(&rng), out);
        for (int i = 0; i < EDGE; i++)
            assert_true(room[i] == 77.0F && out[SIZE + i] == 77.0F);
        empty += box.top <= -4 || box.top >= 2 || box.left <= -4 || box.left >= 2;
    }
    assert_true(empty > 5);
    fixture_close(&fixture);
}

static void evaluation_does_not_augment(void **state)
{
    (void)state;
    struct fixture fixture;
    float out[MAX_VALUES];
    fixture_raw(&fixture, 30, 12, 12);
    struct loader_options options = options_for(1, 12, 12);
    options.evaluate = true;
    options.augment = (struct augment){.resized_crop = true, .pad = 4, .flip = true};
    for (int record = 0; record < 30; record++) {
        struct image image = raw_image(&fixture, record);
        make(&fixture, &options, 0, (uint64_t)record, out);
        assert_cut(&options, &image, (struct box){0, 0, 12, 12}, false, out);
    }
    fixture_close(&fixture);
}

/* Height, width, `resize`, then the size that torchvision's Resize gives. Training
 * resizes the whole image, evaluation only what the crop shows: the pixels are equal.
 */
static void an_image_is_resized_by_its_shorter_side_then_cut(void **state)
{
    (void)state;
    const int cases[][5] = {{37, 50, 20, 20, 27}, {50, 37, 20, 27, 20},
                            {20, 33, 20, 20, 33}, {12, 12, 20, 20, 20},
                            {61, 41, 17, 25, 17}, {40, 56, 0, 18, 25},
                            {16, 30, 20, 20, 37}, {30, 16, 20, 37, 20}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct fixture fixture;
        float out[MAX_VALUES];
        struct image image = fixture_noise(cases[k][0], cases[k][1], k);
        struct image small = resized(&image, cases[k][3], cases[k][4]);
        struct box box = augment_centre_crop(cases[k][3], cases[k][4], 16, 16);
        fixture_png(&fixture, &image, 1);
        struct loader_options options = options_for(3, 16, 16);
        options.resize = cases[k][2];
        for (int evaluate = 0; evaluate < 2; evaluate++) {
            options.evaluate = evaluate;
            make(&fixture, &options, 0, 0, out);
            assert_cut(&options, &small, box, false, out);
        }
        fixture_close(&fixture);
        image_free(&small);
        image_free(&image);
    }
}

/* In training; Resize(256) makes 256 x 256 of 224 x 224 pixels, too. */
static void an_image_of_the_crop_s_size_is_resized_evaluating_only(void **state)
{
    (void)state;
    enum { N = 10 };
    struct fixture fixture;
    struct image images[N];
    float out[MAX_VALUES];
    for (int i = 0; i < N; i++)
        images[i] = fixture_noise(16, 16, (uint64_t)i);
    fixture_png(&fixture, images, N);
    struct loader_options options = options_for(3, 16, 16);
    options.augment = (struct augment){.pad = 2, .flip = true};
    for (int i = 0; i < N; i++) {
        struct rng rng = augment_stream(options.seed, 5, (uint64_t)i);
        options.evaluate = false;
        make(&fixture, &options, 5, (uint64_t)i, out);
        assert_cut(&options, &images[i], augment_random_crop(&rng, 16, 16, 2, 16, 16),
                   augment_flip(&rng), out);
        options.evaluate = true;
        make(&fixture, &options, 5, (uint64_t)i, out);
        struct image large = resized(&images[i], 18, 18);
        assert_cut(&options, &large, (struct box){1, 1, 16, 16}, false, out);
        image_free(&large);
    }
    fixture_close(&fixture);
    for (int i = 0; i < N; i++)
        image_free(&images[i]);
}

/* The sample that evaluation makes of an image as a PNG file in no pack. */
static void make_file(const struct loader_options *options, const struct image *image,
                      float *out)
{
    struct sample_rules rules;
    struct sample_buffers buffers = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    ok(image_encode_png(image, &bytes, &n));
    ok(sample_rules_init(NULL, options, &rules));
    ok(sample_buffers_init(&buffers));
    ok(sample_make_file(&rules, &buffers, bytes, n, out));
    sample_buffers_fini(&buffers);
    mem_free(bytes);
}

/* Records of 1 x 28 x 28, cut, whole and padded: the shorter side of the record as
 * `resize` leaves the pixels as they are. */
static void a_raw_record_s_image_file_becomes_the_same_sample(void **state)
{
    (void)state;
    const int crops[] = {24, 28, 32};
    float record[MAX_VALUES], file[MAX_VALUES];
    struct fixture fixture;
    fixture_raw(&fixture, 3, 28, 28);
    for (size_t k = 0; k < sizeof crops / sizeof *crops; k++)
        for (int i = 0; i < 3; i++) {
            const int crop = crops[k];
            struct image image = raw_image(&fixture, i);
            struct loader_options options = options_for(1, crop, crop);
            options.augment.pad = 2;
            options.resize = 28;
            options.evaluate = true;
            make(&fixture, &options, 0, (uint64_t)i, record);
            make_file(&options, &image, file);
            assert_memory_equal(file, record, sizeof(float) * (size_t)(crop * crop));
        }
    fixture_close(&fixture);
}

/* torchvision pads with zeros where Resize leaves less than CenterCrop shows. */
static void evaluation_pads_a_resized_image_that_is_smaller(void **state)
{
    (void)state;
    float out[MAX_VALUES];
    struct image image = fixture_noise(20, 30, 7), small = resized(&image, 10, 15);
    struct loader_options options = options_for(3, 13, 14);
    options.resize = 10;
    options.evaluate = true;
    make_file(&options, &image, out);
    assert_cut(&options, &small, (struct box){-1, 0, 13, 14}, false, out);
    image_free(&small);
    image_free(&image);
}

static void evaluation_takes_an_image_of_any_shape(void **state)
{
    (void)state;
    float out[MAX_VALUES];
    struct image line = fixture_noise(1, 2000, 7), large = resized(&line, 18, 36000);
    struct loader_options options = options_for(3, 16, 16);
    options.evaluate = true;
    make_file(&options, &line, out);
    assert_cut(&options, &large, (struct box){1, 17992, 16, 16}, false, out);
    image_free(&large);
    image_free(&line);
}

static void a_resize_that_no_crop_fits_is_refused(void **state)
{
    (void)state;
    struct sample_rules rules;
    struct loader_options options = options_for(3, 32, 16);
    options.augment.pad = 2;
    options.resize = 27;
    assert_int_equal(sample_rules_init(NULL, &options, &rules), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "at least 28"));
    options.resize = 28;
    ok(sample_rules_init(NULL, &options, &rules));
    options.resize = AUGMENT_MAX_RESIZE + 1;
    options.evaluate = true;
    assert_int_equal(sample_rules_init(NULL, &options, &rules), CONVOY_ERROR_ARGUMENT);
}

static void a_padded_random_crop_of_an_image_follows_its_resize(void **state)
{
    (void)state;
    struct fixture fixture;
    float out[MAX_VALUES];
    struct image image = fixture_noise(30, 40, 3);
    struct image small = resized(&image, 18, 24);
    fixture_png(&fixture, &image, 1);
    struct loader_options options = options_for(3, 16, 16);
    options.augment.pad = 1;
    for (uint64_t epoch = 0; epoch < 10; epoch++) {
        struct rng rng = augment_stream(options.seed, epoch, 0);
        struct box box = augment_random_crop(&rng, 18, 24, 1, 16, 16);
        make(&fixture, &options, epoch, 0, out);
        assert_cut(&options, &small, box, false, out);
    }
    fixture_close(&fixture);
    image_free(&small);
    image_free(&image);
}

static void a_colour_image_is_decoded_to_the_net_s_one_channel(void **state)
{
    (void)state;
    struct fixture fixture;
    float out[MAX_VALUES];
    struct image image = fixture_noise(16, 16, 3), grey = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    ok(image_encode_png(&image, &bytes, &n));
    ok(image_decode(bytes, n, 1, &grey));
    fixture_png(&fixture, &image, 1);
    struct loader_options options = options_for(1, 16, 16);
    make(&fixture, &options, 0, 0, out);
    assert_cut(&options, &grey, (struct box){0, 0, 16, 16}, false, out);
    fixture_close(&fixture);
    mem_free(bytes);
    image_free(&grey);
    image_free(&image);
}

/* Records of rising and falling size through the same buffers. */
static void buffers_carry_nothing_from_sample_to_sample(void **state)
{
    (void)state;
    enum { N = 5 };
    const int sides[N] = {40, 90, 16, 120, 20};
    struct fixture fixture;
    struct image images[N];
    float fresh[MAX_VALUES], reused[MAX_VALUES];
    struct sample_rules rules;
    struct sample_buffers buffers = {0};
    int32_t label;
    for (int i = 0; i < N; i++)
        images[i] = fixture_noise(sides[i], sides[(i + 1) % N], (uint64_t)i);
    fixture_png(&fixture, images, N);
    struct loader_options options = options_for(3, 16, 16);
    ok(sample_rules_init(fixture.pack, &options, &rules));
    ok(sample_buffers_init(&buffers));
    for (int i = 0; i < 3 * N; i++) {
        uint64_t record = (uint64_t)i % N;
        make(&fixture, &options, 0, record, fresh);
        ok(sample_make(&rules, &buffers, 0, record, reused, &label));
        assert_memory_equal(fresh, reused, sizeof(float[3 * 16 * 16]));
    }
    sample_buffers_fini(&buffers);
    fixture_close(&fixture);
    for (int i = 0; i < N; i++)
        image_free(&images[i]);
}

/* torchvision resizes and crops an image of any shape, in training too. */
static void training_takes_an_image_of_any_shape(void **state)
{
    static const int shapes[][2] = {{2, 600}, {600, 2}, {1, 2000}, {257, 1}};
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const int h = shapes[s][0], w = shapes[s][1];
        int height = 0, width = 0;
        struct fixture fixture;
        float out[MAX_VALUES], evaluated[MAX_VALUES];
        struct image image = fixture_noise(h, w, 5);
        fixture_png(&fixture, &image, 1);
        augment_resized_size(h, w, 18, &height, &width);
        struct image large = resized(&image, height, width);
        struct loader_options options = options_for(3, 16, 16);
        make(&fixture, &options, 0, 0, out);
        assert_cut(&options, &large, augment_centre_crop(height, width, 16, 16), false,
                   out);
        options.evaluate = true;
        make(&fixture, &options, 0, 0, evaluated);
        assert_memory_equal(out, evaluated, sizeof(float[3 * 16 * 16]));
        options.evaluate = false;
        options.augment.pad = 2;
        const struct rng rng = augment_stream(options.seed, 3, 0);
        make(&fixture, &options, 3, 0, out);
        assert_cut(&options, &large,
                   augment_random_crop(&rng, height, width, 2, 16, 16), false, out);
        options.augment = (struct augment){.resized_crop = AUGMENT_CROP_SCALED};
        const struct box box = augment_resized_crop(&rng, h, w);
        struct image cut = copied(&image, box), small = resized(&cut, 16, 16);
        make(&fixture, &options, 3, 0, out);
        assert_cut(&options, &small, (struct box){0, 0, 16, 16}, false, out);
        fixture_close(&fixture);
        image_free(&small);
        image_free(&cut);
        image_free(&large);
        image_free(&image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pixel_value_is_normalised_exactly),
        cmocka_unit_test(a_raw_record_of_the_right_size_goes_through_whole),
        cmocka_unit_test(a_larger_raw_record_is_cut_in_the_centre),
        cmocka_unit_test(a_smaller_raw_record_is_padded_evenly_evaluating),
        cmocka_unit_test(pad_crop_and_flip_follow_the_draws),
        cmocka_unit_test(a_crop_may_lie_in_the_padding_alone),
        cmocka_unit_test(evaluation_does_not_augment),
        cmocka_unit_test(an_image_is_resized_by_its_shorter_side_then_cut),
        cmocka_unit_test(an_image_of_the_crop_s_size_is_resized_evaluating_only),
        cmocka_unit_test(a_raw_record_s_image_file_becomes_the_same_sample),
        cmocka_unit_test(evaluation_pads_a_resized_image_that_is_smaller),
        cmocka_unit_test(evaluation_takes_an_image_of_any_shape),
        cmocka_unit_test(a_resize_that_no_crop_fits_is_refused),
        cmocka_unit_test(a_padded_random_crop_of_an_image_follows_its_resize),
        cmocka_unit_test(a_colour_image_is_decoded_to_the_net_s_one_channel),
        cmocka_unit_test(buffers_carry_nothing_from_sample_to_sample),
        cmocka_unit_test(training_takes_an_image_of_any_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
