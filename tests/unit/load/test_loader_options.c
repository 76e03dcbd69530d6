/* Options that cannot work are refused before anything runs, with both sides named. */
#include "load/loader.h"
#include "load/loader_options.h"
#include "unit/load/fixture.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

/* Fails unless loader_create refuses the options with a text that holds every word. */
static void assert_refused(const struct fixture *fixture,
                           const struct loader_options *options,
                           const char *const words[3])
{
    struct loader *loader = NULL;
    convoy_status status = loader_create(fixture->pack, options, &loader);
    loader_destroy(loader);
    assert_int_equal(status, CONVOY_ERROR_ARGUMENT);
    for (int i = 0; i < 3 && words[i]; i++)
        if (!strstr(convoy_status_text(), words[i]))
            fail_msg("'%s' does not say '%s'", convoy_status_text(), words[i]);
}

static void more_samples_a_step_than_records_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_raw(&fixture, 100, 8, 8);
    struct loader_options options = fixture_options(&fixture, 32, 4);
    assert_refused(&fixture, &options, (const char *[]){"100", "128", "batch.size"});
    assert_refused(&fixture, &options, (const char *[]){fixture.path, NULL, NULL});
    fixture_close(&fixture);
}

static void an_evaluation_that_misses_records_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_raw(&fixture, 100, 8, 8);
    struct loader_options options = fixture_options(&fixture, 32, 3);
    options.evaluate = true;
    assert_refused(&fixture, &options, (const char *[]){"100", "96", "at least 4"});
    fixture_close(&fixture);
}

/* One change each to options that work (the next test shows it), and what the text
 * says. */
static void each_bad_option_is_refused_by_its_value(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_raw(&fixture, 100, 8, 8);
    const struct loader_options good = fixture_options(&fixture, 8, 4);
    struct {
        struct loader_options options;
        const char *words[3];
    } cases[32];
    int n = 0;
#define CASE(change, ...)                                                              \
    do {                                                                               \
        const char *said[3] = {__VA_ARGS__};                                           \
        cases[n].options = good;                                                       \
        cases[n].options.change;                                                       \
        memcpy(cases[n++].words, said, sizeof said);                                   \
    } while (0)
    CASE(microbatch = 0, "0 samples");
    CASE(n_microbatches = -1, "-1 microbatches");
    CASE(first = 1, "4 microbatches from 1");
    CASE(first = -1, "from -1");
    CASE(count = 0, "range of 0");
    CASE(count = -1, "range of -1");
    CASE(count = 5, "range of 5", "[0, 4)");
    CASE(n_threads = 0, "0 loader threads");
    CASE(consumers = -1, "-1 threads that take");
    CASE(consumers = 4097, "4097 threads that take", "0 to 4096");
    CASE(prefetch = -1, "-1 microbatches of prefetch");
    CASE(shape[0] = 4, "4 x 8 x 8", "1 to 3 channels");
    CASE(shape[0] = 3, "1 channels", "takes 3");
    CASE(shape[1] = 0, "1 x 0 x 8");
    CASE(shape[2] = 9, "8 x 8", "8 x 9");
    CASE(augment.pad = -1, "pad -1");
    CASE(resize = -1, "resize -1");
    CASE(augment.mixup = -1, "mixup -1");
    CASE(augment.cutmix = NAN, "cutmix nan");
    CASE(augment.repeats = -1, "-1 samples of each record");
    CASE(augment.repeats = 3, "3 samples of each record", "batch of 32");
    CASE(std[0] = 0.0F, "channel 0", "std 0");
    CASE(std[0] = -1.0F, "std -1");
    CASE(std[0] = NAN, "nan");
    CASE(mean[0] = INFINITY, "inf");
#undef CASE
    cases[n].options = fixture_options(&fixture, 1, 4);
    cases[n].options.augment.mixup = 0.5;
    memcpy(cases[n++].words, (const char *[3]){"mixup", "microbatch"},
           sizeof cases[0].words);
    for (int i = 0; i < n; i++)
        assert_refused(&fixture, &cases[i].options, cases[i].words);
    fixture_close(&fixture);
}

static void options_that_fit_are_taken(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    fixture_raw(&fixture, 100, 8, 8);
    const struct loader_options good = fixture_options(&fixture, 8, 4);
    assert_int_equal(loader_create(fixture.pack, &good, &loader), CONVOY_OK);
    loader_destroy(loader);
    fixture_close(&fixture);
}

static void padding_counts_towards_the_crop(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    fixture_raw(&fixture, 100, 8, 8);
    struct loader_options options = fixture_options(&fixture, 8, 4);
    options.augment.pad = 2;
    for (int evaluate = 0; evaluate < 2; evaluate++) {
        options.evaluate = evaluate;
        options.n_microbatches = options.count = evaluate ? 13 : 4;
        options.shape[1] = 13;
        options.shape[2] = 12;
        assert_refused(&fixture, &options,
                       (const char *[]){"8 x 8", "padded by 2", "13 x 12"});
        options.shape[1] = 12;
        assert_int_equal(loader_create(fixture.pack, &options, &loader), CONVOY_OK);
        loader_destroy(loader);
        options.shape[2] = 13;
        assert_refused(&fixture, &options,
                       (const char *[]){"8 x 8", "padded by 2", "12 x 13"});
    }
    fixture_close(&fixture);
}

static void images_have_one_or_three_channels_and_cover_the_crop(void **state)
{
    (void)state;
    struct fixture fixture;
    struct image images[2] = {fixture_noise(8, 8, 1), fixture_noise(8, 8, 2)};
    fixture_png(&fixture, images, 2);
    struct loader_options options = fixture_options(&fixture, 1, 2);
    options.shape[0] = 2;
    options.shape[1] = options.shape[2] = 8;
    assert_refused(&fixture, &options,
                   (const char *[]){fixture.path, "1 or 3 channels", "takes 2"});
    options.shape[0] = 3;
    options.resize = 7;
    assert_refused(&fixture, &options,
                   (const char *[]){"shorter side of 7", "8 x 8", "at least 8"});
    fixture_close(&fixture);
    image_free(&images[0]);
    image_free(&images[1]);
}

static void some_microbatches_are_always_prefetched(void **state)
{
    (void)state;
    const int cases[][4] = {{32, 0, 0, 4}, {64, 0, 1, 4}, {8, 0, 1, 8}, {1, 0, 1, 64},
                            {8, 3, 1, 3},  {32, 0, 9, 9}, {8, 0, 7, 8}, {32, 3, 9, 3}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct loader_options options = {.microbatch = cases[k][0],
                                         .prefetch = cases[k][1],
                                         .consumers = cases[k][2]};
        assert_int_equal(loader_options_prefetch(&options), cases[k][3]);
    }
}

/* A ring of 6 + 3 microbatches, of steps of at least 2, and the step that is begun. */
static void the_ring_reaches_further_with_more_consumers(void **state)
{
    (void)state;
    struct loader_options options = {.microbatch = 8, .prefetch = 6};
    assert_int_equal(loader_steps_ahead(&options, 2), 5);
    options.consumers = 3;
    assert_int_equal(loader_steps_ahead(&options, 2), 6);
    options.consumers = 4;
    assert_int_equal(loader_steps_ahead(&options, 5), 3);
}

/* The arrays of a microbatch are the only ones of so many elements. */
enum { MICROBATCH = 23 };
static uint64_t allocated;
// NOLINTBEGIN(readability-identifier-naming): the linker's --wrap asks for these names
convoy_status __real_mem_alloc_array(size_t n, size_t size, void **out);
convoy_status __wrap_mem_alloc_array(size_t n, size_t size, void **out);
convoy_status __wrap_mem_alloc_array(size_t n, size_t size, void **out)
{
    if (n == MICROBATCH)
        allocated += n * size;
    return __real_mem_alloc_array(n, size, out);
}
// NOLINTEND(readability-identifier-naming)

static void the_bytes_told_are_the_bytes_taken(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_raw(&fixture, 100, 5, 7);
    struct loader_options options = fixture_options(&fixture, MICROBATCH, 4);
    for (int consumers = 0; consumers < 6; consumers++) {
        struct loader *loader = NULL;
        options.consumers = consumers;
        options.prefetch = consumers % 3;
        allocated = 0;
        assert_int_equal(loader_create(fixture.pack, &options, &loader), CONVOY_OK);
        assert_int_equal(loader_bytes(&options), allocated);
        loader_destroy(loader);
    }
    assert_int_equal(allocated, (2 + 5) * MICROBATCH * (5 * 7 * 4 + 4 + 4));
    options.shape[0] = 3;
    options.shape[1] = options.shape[2] = 1 << 16;
    options.microbatch = 1 << 20;
    assert_int_equal(loader_bytes(&options), (uint64_t)7 * ((uint64_t)1 << 20) *
                                                 (((uint64_t)3 << 32) * 4 + 4 + 4));
    options.microbatch = 1 << 30;
    assert_true(loader_bytes(&options) == UINT64_MAX);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_samples_a_step_than_records_are_refused),
        cmocka_unit_test(an_evaluation_that_misses_records_is_refused),
        cmocka_unit_test(each_bad_option_is_refused_by_its_value),
        cmocka_unit_test(options_that_fit_are_taken),
        cmocka_unit_test(padding_counts_towards_the_crop),
        cmocka_unit_test(images_have_one_or_three_channels_and_cover_the_crop),
        cmocka_unit_test(some_microbatches_are_always_prefetched),
        cmocka_unit_test(the_ring_reaches_further_with_more_consumers),
        cmocka_unit_test(the_bytes_told_are_the_bytes_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
