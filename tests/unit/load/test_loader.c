/* The sequence of microbatches, whoever prepares it and wherever it starts. */
#include "base/bf16.h"
#include "base/memory.h"
#include "load/loader.h"
#include "unit/load/fixture.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

static void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s (%s)", convoy_status_text(), convoy_status_where());
}

/* Gives rank its range of M microbatches, ranges as even as can be. */
static void take_range(struct loader_options *options, int rank, int size)
{
    int m = options->n_microbatches;
    options->first = m * rank / size;
    options->count = m * (rank + 1) / size - options->first;
}

/* Checks one training batch of a pack of n records against the order, and counts. */
static void count_rows(const struct loader_options *options, const struct batch *batch,
                       uint64_t n, int *seen)
{
    uint64_t steps =
        loader_steps_per_epoch(n, options->microbatch, options->n_microbatches);
    uint32_t *order = NULL;
    ok(loader_order(n, options->seed, batch->step / steps, &order));
    assert_int_equal(batch->n_samples, options->microbatch);
    uint64_t position = (batch->step % steps * (uint64_t)options->n_microbatches +
                         (uint64_t)batch->index) *
                        (uint64_t)options->microbatch;
    for (int row = 0; row < options->microbatch; row++) {
        uint64_t record = fixture_record(options, batch, row);
        assert_int_equal(record, order[position + (uint64_t)row]);
        assert_int_equal(batch->labels[row], fixture_label(record));
        seen[record]++;
    }
    mem_free(order);
}

/* All ranks' batches of n_steps from step on. */
static void count_steps(const struct fixture *fixture, struct loader_options options,
                        int size, uint64_t step, uint64_t n_steps, int *seen)
{
    for (int rank = 0; rank < size; rank++) {
        struct loader *loader = NULL;
        struct batch batch;
        take_range(&options, rank, size);
        ok(loader_create(fixture->pack, &options, &loader));
        ok(loader_start(loader, step));
        for (uint64_t i = 0; i < n_steps * (uint64_t)options.count; i++) {
            ok(loader_next(loader, &batch));
            assert_int_equal(batch.step, step + i / (uint64_t)options.count);
            assert_int_equal(batch.index,
                             options.first + (int)(i % (uint64_t)options.count));
            count_rows(&options, &batch, (uint64_t)fixture->n, seen);
            loader_release(loader, &batch);
        }
        loader_destroy(loader);
    }
}

static void each_sample_comes_once_an_epoch(void **state)
{
    (void)state;
    enum { N = 240 };
    const int sizes[] = {1, 2, 3, 5};
    struct fixture fixture;
    fixture_raw(&fixture, N, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 15);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int threads = 1; threads <= 3; threads += 2) {
            int seen[N] = {0};
            options.n_threads = threads;
            count_steps(&fixture, options, sizes[k], 0, 4, seen);
            for (int i = 0; i < N; i++)
                assert_int_equal(seen[i], 1);
            count_steps(&fixture, options, sizes[k], 4, 8, seen);
            for (int i = 0; i < N; i++)
                assert_int_equal(seen[i], 3);
        }
    fixture_close(&fixture);
}

/* Pearson's statistic over FIXTURE_CLASSES, of how many samples of each a batch has. */
static double unevenness(const int *labels, int n)
{
    int counts[FIXTURE_CLASSES] = {0};
    double sum = 0;
    const double expected = (double)n / FIXTURE_CLASSES;
    for (int i = 0; i < n; i++)
        counts[labels[i]]++;
    for (int c = 0; c < FIXTURE_CLASSES; c++)
        sum += (counts[c] - expected) * (counts[c] - expected) / expected;
    return sum;
}

/* Of a pack sorted by class (here: by tenths of its records), each batch is as mixed as
 * a draw without replacement is. The statistic then has mean d·c and deviation √(2d)·c
 * for d = 9 degrees of freedom and c = (N − n) / (N − 1) = 0.94 of n = 120 of N = 2000;
 * over 64 batches the mean is within 4 deviations. Without shuffling it is over 1000.
 */
static void batches_of_a_sorted_pack_are_mixed(void **state)
{
    (void)state;
    enum { N = 2000, BATCH = 120, N_STEPS = 64 };
    struct fixture fixture;
    double mean[2] = {0};
    fixture_raw(&fixture, N, 4, 4);
    struct loader_options options = fixture_options(&fixture, 20, BATCH / 20);
    for (int shuffle = 0; shuffle < 2; shuffle++) {
        struct loader *loader = NULL;
        options.shuffle = shuffle;
        ok(loader_create(fixture.pack, &options, &loader));
        ok(loader_start(loader, 0));
        for (int step = 0; step < N_STEPS; step++) {
            int labels[BATCH];
            for (int j = 0; j < BATCH / 20; j++) {
                struct batch batch;
                ok(loader_next(loader, &batch));
                for (int row = 0; row < 20; row++)
                    labels[j * 20 + row] = (int)fixture_record(&options, &batch, row) *
                                           FIXTURE_CLASSES / N;
                loader_release(loader, &batch);
            }
            mean[shuffle] += unevenness(labels, BATCH) / N_STEPS;
        }
        loader_destroy(loader);
    }
    const double c = (double)(N - BATCH) / (N - 1);
    assert_true(mean[0] > 500);
    assert_true(fabs(mean[1] - 9 * c) < 4 * sqrt(18.0 / N_STEPS) * c);
    fixture_close(&fixture);
}

static void the_rest_of_an_epoch_differs_from_epoch_to_epoch(void **state)
{
    (void)state;
    enum { N = 250, N_USED = 240, N_EPOCHS = 6 };
    struct fixture fixture;
    int total[N] = {0}, n_missed_somewhere = 0;
    fixture_raw(&fixture, N, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 15);
    for (uint64_t epoch = 0; epoch < N_EPOCHS; epoch++) {
        int seen[N] = {0}, n_seen = 0;
        count_steps(&fixture, options, 1, epoch * 4, 4, seen);
        for (int i = 0; i < N; i++) {
            assert_in_range(seen[i], 0, 1);
            n_seen += seen[i];
            total[i] += seen[i];
        }
        assert_int_equal(n_seen, N_USED);
    }
    for (int i = 0; i < N; i++)
        n_missed_somewhere += total[i] < N_EPOCHS;
    /* 60 places for the missed ones; all of them the same 10 would be a fixed rest. */
    assert_true(n_missed_somewhere > 40);
    fixture_close(&fixture);
}

static void without_shuffle_records_come_in_their_order(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batch;
    fixture_raw(&fixture, 26, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 2);
    options.shuffle = false;
    options.n_threads = 2;
    ok(loader_create(fixture.pack, &options, &loader));
    ok(loader_start(loader, 0));
    for (uint64_t i = 0; i < 12; i++) {
        ok(loader_next(loader, &batch));
        for (int row = 0; row < 4; row++)
            assert_int_equal(fixture_record(&options, &batch, row),
                             i % 6 * 4 + (uint64_t)row);
        loader_release(loader, &batch);
    }
    loader_destroy(loader);
    fixture_close(&fixture);
}

/* What P ranks with so many threads each prepare in n_steps from `step` on. images:
 * [n_steps, M, m, c, h, w], labels: [n_steps, M, m]. */
struct recording {
    uint64_t step, n_steps;
    size_t n_labels, n_values;
    float *images;
    int32_t *labels;
};

static void record_steps(const struct fixture *fixture, struct loader_options options,
                         int size, struct recording *out)
{
    size_t m = (size_t)options.microbatch,
           n_microbatches = (size_t)options.n_microbatches;
    size_t values =
        m * (size_t)(options.shape[0] * options.shape[1] * options.shape[2]);
    out->n_labels = (size_t)out->n_steps * n_microbatches * m;
    out->n_values = (size_t)out->n_steps * n_microbatches * values;
    ok(mem_alloc_array(out->n_values, sizeof(float), (void **)&out->images));
    ok(mem_alloc_array(out->n_labels, sizeof(int32_t), (void **)&out->labels));
    for (int rank = 0; rank < size; rank++) {
        struct loader *loader = NULL;
        struct batch batch;
        take_range(&options, rank, size);
        ok(loader_create(fixture->pack, &options, &loader));
        ok(loader_start(loader, out->step));
        for (uint64_t i = 0; i < out->n_steps * (uint64_t)options.count; i++) {
            ok(loader_next(loader, &batch));
            size_t at =
                (size_t)(batch.step - out->step) * n_microbatches + (size_t)batch.index;
            memcpy(out->images + at * values, batch.images, values * sizeof(float));
            memcpy(out->labels + at * m, batch.labels, m * sizeof(int32_t));
            loader_release(loader, &batch);
        }
        loader_destroy(loader);
    }
}

static void forget(struct recording *recording)
{
    mem_free(recording->images);
    mem_free(recording->labels);
}

static struct loader_options augmented(const struct fixture *fixture)
{
    struct loader_options options = fixture_options(fixture, 3, 6);
    options.shape[1] = options.shape[2] = 10;
    options.mean[0] = 0.13F;
    options.std[0] = 0.31F;
    options.augment = (struct augment){.pad = 2,
                                       .flip = true,
                                       .brightness = 0.4,
                                       .contrast = 0.4,
                                       .erasing = 0.5,
                                       .trivial = true,
                                       .mixup = 0.4,
                                       .cutmix = 1,
                                       .repeats = 2};
    return options;
}

static void batches_do_not_depend_on_threads_prefetch_or_ranks(void **state)
{
    (void)state;
    const int cases[][3] = {{1, 4, 0}, {1, 3, 1}, {3, 1, 2}, {2, 2, 1}, {6, 4, 7}};
    struct fixture fixture;
    fixture_raw(&fixture, 60, 9, 9);
    struct loader_options options = augmented(&fixture);
    struct recording one = {.step = 2, .n_steps = 9};
    record_steps(&fixture, options, 1, &one);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct recording other = {.step = 2, .n_steps = 9};
        options.n_threads = cases[k][1];
        options.max_threads = k % 2 ? 5 : 0;
        options.prefetch = cases[k][2];
        record_steps(&fixture, options, cases[k][0], &other);
        assert_memory_equal(one.images, other.images, one.n_values * sizeof(float));
        assert_memory_equal(one.labels, other.labels, one.n_labels * sizeof(int32_t));
        forget(&other);
    }
    forget(&one);
    fixture_close(&fixture);
}

/* Each epoch draws anew, and another seed is another run. */
static void epochs_and_seeds_differ(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_raw(&fixture, 54, 9, 9);
    struct loader_options options = augmented(&fixture);
    struct recording first = {.step = 0, .n_steps = 3},
                     next = {.step = 3, .n_steps = 3};
    struct recording seeded = {.step = 0, .n_steps = 3};
    record_steps(&fixture, options, 1, &first);
    record_steps(&fixture, options, 1, &next);
    options.seed++;
    record_steps(&fixture, options, 1, &seeded);
    assert_memory_not_equal(first.images, next.images, first.n_values * sizeof(float));
    assert_memory_not_equal(first.images, seeded.images,
                            first.n_values * sizeof(float));
    forget(&first);
    forget(&next);
    forget(&seeded);
    fixture_close(&fixture);
}

/* The same loader, stopped with microbatches held and ready, at steps within and at the
 * edges of epochs, forward and back. */
static void a_restart_at_a_step_equals_running_through(void **state)
{
    (void)state;
    const size_t n_steps = 20;
    const uint64_t starts[] = {5, 6, 3, 0, 17, 17, 9};
    struct fixture fixture;
    struct loader *loader = NULL;
    fixture_raw(&fixture, 60, 9, 9);
    struct loader_options options = augmented(&fixture);
    options.n_threads = 3;
    struct recording through = {.n_steps = n_steps};
    record_steps(&fixture, options, 1, &through);
    size_t values = through.n_values / (n_steps * 6);
    ok(loader_create(fixture.pack, &options, &loader));
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        struct batch batch;
        ok(loader_start(loader, starts[k]));
        for (size_t i = 0; i < 8 + k; i++) {
            ok(loader_next(loader, &batch));
            size_t at = (size_t)starts[k] * 6 + i;
            assert_int_equal(batch.step * 6 + (uint64_t)batch.index, at);
            assert_memory_equal(batch.images, through.images + at * values,
                                values * sizeof(float));
            if (i != 7 + k)
                loader_release(loader, &batch);
        }
    }
    loader_destroy(loader);
    forget(&through);
    fixture_close(&fixture);
}

/* One rank's part of an evaluation; the rows without a sample are checked. */
static void count_evaluation(const struct fixture *fixture,
                             const struct loader_options *options, int *seen)
{
    struct loader *loader = NULL;
    struct batch batch;
    int m = options->microbatch;
    size_t size = (size_t)fixture->height * (size_t)fixture->width;
    ok(loader_create(fixture->pack, options, &loader));
    ok(loader_start(loader, 0));
    for (int i = 0; i < options->count; i++) {
        ok(loader_next(loader, &batch));
        assert_non_null(batch.images);
        assert_int_equal(batch.step, 0);
        assert_int_equal(batch.index, options->first + i);
        int left = fixture->n - batch.index * m;
        assert_int_equal(batch.n_samples, left < 0 ? 0 : left < m ? left : m);
        for (int row = 0; row < batch.n_samples; row++) {
            uint64_t record = fixture_record(options, &batch, row);
            assert_int_equal(record, batch.index * m + row);
            assert_int_equal(batch.labels[row], fixture_label(record));
            seen[record]++;
        }
        for (int row = batch.n_samples; row < m; row++) {
            assert_int_equal(batch.labels[row], -1);
            for (size_t k = 0; k < size; k++)
                assert_true(((const float *)batch.images)[(size_t)row * size + k] ==
                            0.0F);
        }
        loader_release(loader, &batch);
    }
    for (int again = 0; again < 2; again++) {
        ok(loader_next(loader, &batch));
        assert_null(batch.images);
        assert_int_equal(batch.n_samples, 0);
        loader_release(loader, &batch);
    }
    loader_destroy(loader);
}

/* Among the sizes one with ranks that own nothing, and one whose last microbatches lie
 * beyond the last record. */
static void an_evaluation_covers_every_record_once(void **state)
{
    (void)state;
    enum { N = 103 };
    const int cases[][4] = {
        {1, 13, 1, 0}, {3, 13, 2, 0}, {5, 13, 3, 2}, {20, 13, 2, 1}, {4, 15, 1, 3}};
    struct fixture fixture;
    fixture_raw(&fixture, N, 4, 4);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int seen[N] = {0};
        struct loader_options options = fixture_options(&fixture, 8, cases[k][1]);
        options.evaluate = true;
        options.n_threads = cases[k][2];
        options.prefetch = cases[k][3];
        for (int rank = 0; rank < cases[k][0]; rank++) {
            take_range(&options, rank, cases[k][0]);
            count_evaluation(&fixture, &options, seen);
        }
        for (int i = 0; i < N; i++)
            assert_int_equal(seen[i], 1);
    }
    fixture_close(&fixture);
}

/* Rows of a partial microbatch hold zeros also in memory that was used before. */
static void an_evaluation_can_be_repeated(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batch;
    fixture_raw(&fixture, 21, 4, 4);
    struct loader_options options = fixture_options(&fixture, 8, 3);
    options.evaluate = true;
    options.prefetch = 1;
    options.n_threads = 2;
    ok(loader_create(fixture.pack, &options, &loader));
    for (int pass = 0; pass < 4; pass++) {
        int n = 0;
        ok(loader_start(loader, 0));
        for (ok(loader_next(loader, &batch)); batch.images;
             ok(loader_next(loader, &batch))) {
            n += batch.n_samples;
            for (int row = batch.n_samples; row < 8; row++)
                assert_int_equal(fixture_record(&options, &batch, row), 0);
            loader_release(loader, &batch);
        }
        assert_int_equal(n, 21);
    }
    assert_int_equal(loader_start(loader, 1), CONVOY_ERROR_ARGUMENT);
    loader_destroy(loader);
    fixture_close(&fixture);
}

/* All of them, and zeros where a sample is left out. */
static void bf16_samples_are_the_f32_ones_rounded(void **state)
{
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batch;
    (void)state;
    fixture_raw(&fixture, 60, 9, 9);
    struct loader_options options = augmented(&fixture);
    options.augment.mixup = options.augment.cutmix = 0; /* test_loader_mixing.c */
    options.n_threads = 2;
    struct recording through = {.n_steps = 3};
    record_steps(&fixture, options, 1, &through);
    const size_t values = through.n_values / 18;
    const uint64_t f32_bytes = loader_bytes(&options);
    options.bf16 = true;
    assert_true(loader_bytes(&options) < f32_bytes);
    ok(loader_create(fixture.pack, &options, &loader));
    ok(loader_start(loader, 0));
    for (size_t i = 0; i < (size_t)3 * 6; i++) {
        ok(loader_next(loader, &batch));
        const uint16_t *images = batch.images;
        for (size_t k = 0; k < values; k++)
            assert_int_equal(images[k], bf16_from_f32(through.images[i * values + k]));
        loader_release(loader, &batch);
    }
    loader_destroy(loader);
    forget(&through);
    fixture_close(&fixture);
}

/* A training loader that an evaluation in its memory interrupts goes on as if nothing
 * had been. */
static void an_evaluation_borrows_the_memory_of_training(void **state)
{
    (void)state;
    const size_t n_steps = 6;
    struct fixture fixture;
    struct loader *training = NULL, *evaluation = NULL;
    struct batch batch;
    fixture_raw(&fixture, 60, 9, 9);
    struct loader_options options = augmented(&fixture), evaluating = options;
    options.n_threads = 3;
    struct recording through = {.n_steps = n_steps};
    record_steps(&fixture, options, 1, &through);
    const size_t values = through.n_values / (n_steps * 6);
    ok(loader_create(fixture.pack, &options, &training));
    evaluating.evaluate = true;
    evaluating.n_microbatches = evaluating.count = 20;
    evaluating.lender = training;
    ok(loader_create(fixture.pack, &evaluating, &evaluation));
    const float *lent = NULL;
    for (uint64_t step = 0; step < n_steps; step++) {
        ok(loader_start(training, step));
        for (size_t i = 0; i < 6; i++) {
            ok(loader_next(training, &batch));
            lent = batch.slot == 0 ? batch.images : lent;
            assert_memory_equal(batch.images, through.images + (step * 6 + i) * values,
                                values * sizeof(float));
            loader_release(training, &batch);
        }
        int n = 0;
        ok(loader_start(evaluation, 0));
        assert_int_equal(loader_next(training, &batch), CONVOY_ERROR_ARGUMENT);
        for (ok(loader_next(evaluation, &batch)); batch.images;
             ok(loader_next(evaluation, &batch))) {
            n += batch.n_samples;
            if (batch.slot == 0)
                assert_ptr_equal(batch.images, lent);
            loader_release(evaluation, &batch);
        }
        assert_int_equal(n, 60);
        loader_stop(evaluation);
    }
    loader_destroy(evaluation);
    loader_destroy(training);
    forget(&through);
    fixture_close(&fixture);
}

/* A lender with too little to lend lends nothing. */
static void a_larger_evaluation_has_memory_of_its_own(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *training = NULL, *evaluation = NULL;
    struct batch batch, held;
    fixture_raw(&fixture, 60, 9, 9);
    struct loader_options options = augmented(&fixture), evaluating = options;
    ok(loader_create(fixture.pack, &options, &training));
    evaluating.evaluate = true;
    evaluating.n_microbatches = evaluating.count = 15;
    evaluating.microbatch = 4;
    evaluating.lender = training;
    ok(loader_create(fixture.pack, &evaluating, &evaluation));
    ok(loader_start(training, 0));
    ok(loader_next(training, &held));
    ok(loader_start(evaluation, 0));
    ok(loader_next(evaluation, &batch));
    assert_ptr_not_equal(batch.images, held.images);
    ok(loader_next(training, &batch)); /* nobody stopped it */
    loader_destroy(evaluation);
    loader_destroy(training);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sample_comes_once_an_epoch),
        cmocka_unit_test(batches_of_a_sorted_pack_are_mixed),
        cmocka_unit_test(the_rest_of_an_epoch_differs_from_epoch_to_epoch),
        cmocka_unit_test(without_shuffle_records_come_in_their_order),
        cmocka_unit_test(batches_do_not_depend_on_threads_prefetch_or_ranks),
        cmocka_unit_test(epochs_and_seeds_differ),
        cmocka_unit_test(a_restart_at_a_step_equals_running_through),
        cmocka_unit_test(an_evaluation_covers_every_record_once),
        cmocka_unit_test(an_evaluation_can_be_repeated),
        cmocka_unit_test(bf16_samples_are_the_f32_ones_rounded),
        cmocka_unit_test(an_evaluation_borrows_the_memory_of_training),
        cmocka_unit_test(a_larger_evaluation_has_memory_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
