/* Samples whose size depends on the epoch: in each epoch they are those of a loader
 * that has this size only, wherever it starts. */
#include "base/memory.h"
#include "load/loader.h"
#include "unit/load/fixture.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

enum { N_RECORDS = 24, M = 3, N_MICROBATCHES = 4, STEPS_PER_EPOCH = 2, N_EPOCHS = 5 };

static const struct loader_crop crops[] = {{0, 6}, {1, 10}, {3, 4}};
static const int sides[N_EPOCHS] = {6, 10, 10, 4, 4};

static void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s (%s)", convoy_status_text(), convoy_status_where());
}

static struct loader_options options_of(const struct fixture *fixture, bool bf16)
{
    struct loader_options options = fixture_options(fixture, M, N_MICROBATCHES);
    options.shape[1] = options.shape[2] = 10;
    options.mean[0] = 0.13F;
    options.std[0] = 0.31F;
    options.bf16 = bf16;
    options.shuffle = true;
    options.prefetch = 3; /* so slots change their size */
    options.n_threads = 2;
    options.augment = (struct augment){
        .pad = 2, .flip = true, .brightness = 0.4, .contrast = 0.4, .erasing = 0.5};
    return options;
}

/* The next batches of both are the same, images of side. */
static void assert_same_batch(struct loader *a, struct loader *b, size_t sample_bytes)
{
    struct batch x, y;
    ok(loader_next(a, &x));
    ok(loader_next(b, &y));
    assert_int_equal(x.step, y.step);
    assert_int_equal(x.index, y.index);
    assert_int_equal(x.n_skipped, y.n_skipped);
    assert_memory_equal(x.labels, y.labels, M * sizeof *x.labels);
    assert_memory_equal(x.images, y.images, M * sample_bytes);
    loader_release(a, &x);
    loader_release(b, &y);
}

static void check(struct fixture *fixture, struct loader_options options)
{
    struct loader *all = NULL, *one = NULL;
    struct loader_options of_one = options;
    options.crops = crops;
    options.n_crops = sizeof crops / sizeof *crops;
    assert_int_equal(loader_bytes(&options), loader_bytes(&of_one));
    ok(loader_create(fixture->pack, &options, &all));
    for (uint64_t start = 0; start < 4; start += 3) {
        ok(loader_start(all, start));
        for (uint64_t step = start; step < (uint64_t)N_EPOCHS * STEPS_PER_EPOCH;
             step++) {
            const int side = sides[step / STEPS_PER_EPOCH];
            const size_t values = (size_t)side * (size_t)side;
            of_one.shape[1] = of_one.shape[2] = side;
            ok(loader_create(fixture->pack, &of_one, &one));
            ok(loader_start(one, step));
            for (int j = 0; j < N_MICROBATCHES; j++)
                assert_same_batch(all, one, values * (options.bf16 ? 2 : 4));
            loader_destroy(one);
        }
    }
    loader_destroy(all);
}

static void each_epoch_has_its_size(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_raw(&fixture, N_RECORDS, 9, 9);
    check(&fixture, options_of(&fixture, false));
    check(&fixture, options_of(&fixture, true));
    fixture_close(&fixture);
}

/* Zeros of the size of the epoch. */
static void damaged_records_are_left_out_in_every_size(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_raw(&fixture, N_RECORDS, 9, 9);
    fixture_corrupt(&fixture, 7);
    struct loader_options options = options_of(&fixture, false);
    options.skip_bad = true;
    check(&fixture, options);
    fixture_close(&fixture);
}

static void a_size_beyond_the_largest_or_the_records_is_refused(void **state)
{
    struct fixture fixture;
    struct loader *loader = NULL;
    struct loader_crop wrong[] = {{0, 6}, {1, 11}};
    (void)state;
    fixture_raw(&fixture, N_RECORDS, 9, 9);
    struct loader_options options = options_of(&fixture, false);
    options.crops = wrong;
    options.n_crops = 2;
    assert_int_equal(loader_create(fixture.pack, &options, &loader),
                     CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "11 pixels"));
    options.augment.pad = 0;
    wrong[1].side = 10;
    assert_int_equal(loader_create(fixture.pack, &options, &loader),
                     CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "crop of 10 x 10"));
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_epoch_has_its_size),
        cmocka_unit_test(damaged_records_are_left_out_in_every_size),
        cmocka_unit_test(a_size_beyond_the_largest_or_the_records_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
