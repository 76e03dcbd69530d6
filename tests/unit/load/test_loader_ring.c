/* The ring between threads and consumer: errors, starting, stopping, holding. */
#include "base/memory.h"
#include "load/loader.h"
#include "unit/load/fixture.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <string.h>
#include <time.h>

static void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s (%s)", convoy_status_text(), convoy_status_where());
}

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Records 50 and 53 are bad, both in microbatch 6 of 8 samples: the first is reported,
 * by whichever thread it was met. */
static void a_bad_record_is_reported_at_its_microbatch(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batch;
    fixture_raw(&fixture, 100, 4, 5);
    fixture_corrupt(&fixture, 53);
    fixture_corrupt(&fixture, 50);
    struct loader_options options = fixture_options(&fixture, 8, 13);
    options.evaluate = true;
    options.n_threads = 4;
    ok(loader_create(fixture.pack, &options, &loader));
    for (int pass = 0; pass < 10; pass++) {
        ok(loader_start(loader, 0));
        for (int i = 0; i < 6; i++) {
            ok(loader_next(loader, &batch));
            assert_int_equal(batch.index, i);
            loader_release(loader, &batch);
        }
        for (int again = 0; again < 2; again++) {
            convoy_status_clear();
            assert_int_equal(loader_next(loader, &batch), CONVOY_ERROR_FORMAT);
            assert_int_equal(batch.index, 5);
            assert_non_null(strstr(convoy_status_text(), fixture.path));
            assert_non_null(strstr(convoy_status_text(), "record 50"));
        }
    }
    loader_destroy(loader);
    fixture_close(&fixture);
}

static void a_bad_record_can_be_left_out(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_raw(&fixture, 100, 4, 5);
    fixture_corrupt(&fixture, 53);
    fixture_corrupt(&fixture, 50);
    struct loader_options options = fixture_options(&fixture, 8, 13);
    options.evaluate = true;
    options.skip_bad = true;
    for (int threads = 1; threads < 5; threads++) {
        struct loader *loader = NULL;
        struct batch batch;
        options.n_threads = threads;
        ok(loader_create(fixture.pack, &options, &loader));
        ok(loader_start(loader, 0));
        for (int i = 0; i < 13; i++) {
            ok(loader_next(loader, &batch));
            assert_int_equal(batch.n_skipped, i == 6 ? 2 : 0);
            assert_int_equal(batch.first_skipped, i == 6 ? 50 : 0);
            for (int row = 0; row < batch.n_samples; row++) {
                const int record = 8 * i + row;
                const bool bad = record == 50 || record == 53;
                assert_int_equal(batch.labels[row],
                                 bad ? -1 : fixture_label((uint64_t)record));
                for (int k = 0; k < 20 && bad; k++)
                    assert_true(((const float *)batch.images)[row * 20 + k] == 0.0F);
            }
            loader_release(loader, &batch);
        }
        loader_destroy(loader);
    }
    fixture_close(&fixture);
}

/* Reads like pack_read, slowly. */
static convoy_status read_slowly(void *context, uint64_t step, int row, uint64_t record,
                                 void **buffer, size_t *capacity,
                                 struct pack_record *read)
{
    (void)step;
    (void)row;
    pause_ms(1);
    return pack_read(context, record, buffer, capacity, read);
}

static void threads_are_added_up_to_the_limit_while_the_consumer_waits(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batch;
    fixture_raw(&fixture, 60, 4, 4);
    const struct record_reader reader = {read_slowly, fixture.pack, false};
    struct loader_options options = fixture_options(&fixture, 4, 15);
    options.prefetch = 1;
    options.max_threads = 3;
    options.reader = &reader;
    ok(loader_create(fixture.pack, &options, &loader));
    assert_int_equal(loader_threads(loader), 1);
    for (int run = 0; run < 2; run++) {
        ok(loader_start(loader, 0));
        for (int i = 0; i < 60; i++) {
            ok(loader_next(loader, &batch));
            assert_int_equal(batch.index, i % 15);
            loader_release(loader, &batch);
        }
        assert_int_equal(loader_threads(loader), 3);
    }
    loader_destroy(loader);
    fixture_close(&fixture);
}

/* Notes which steps it is asked for. */
struct gate {
    convoy_pack *pack;
    _Atomic uint64_t highest;
    atomic_int wrong; /* reads of another row than the loader's order says */
    uint32_t *order;
};

static convoy_status read_fed(void *context, uint64_t step, int row, uint64_t record,
                              void **buffer, size_t *capacity, struct pack_record *read)
{
    struct gate *gate = context;
    uint64_t seen = atomic_load(&gate->highest);
    while (step > seen && !atomic_compare_exchange_weak(&gate->highest, &seen, step))
        ;
    if (gate->order[step * 12 + 4 + (uint64_t)row] != record)
        atomic_fetch_add(&gate->wrong, 1);
    return pack_read(gate->pack, record, buffer, capacity, read);
}

/* Steps of 3 microbatches of 4, of which this rank has the last two. */
static void a_step_is_read_only_after_it_was_fed(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batch;
    struct gate gate = {0};
    fixture_raw(&fixture, 60, 4, 4);
    const struct record_reader reader = {read_fed, &gate, true};
    struct loader_options options = fixture_options(&fixture, 4, 3);
    options.first = 1;
    options.count = 2;
    options.n_threads = 3;
    options.reader = &reader;
    gate.pack = fixture.pack;
    ok(loader_order(60, options.seed, 0, &gate.order));
    ok(loader_create(fixture.pack, &options, &loader));
    for (uint64_t first = 0; first < 2; first++) {
        atomic_store(&gate.highest, 0);
        ok(loader_start(loader, first));
        for (uint64_t step = first; step < 5; step++) {
            loader_feed(loader, step + 1);
            for (int j = 1; j < 3; j++) {
                ok(loader_next(loader, &batch));
                assert_int_equal(batch.step, step);
                assert_int_equal(batch.index, j);
                loader_release(loader, &batch);
            }
            pause_ms(2);
            assert_int_equal(atomic_load(&gate.highest), step);
        }
    }
    loader_destroy(loader);
    assert_int_equal(atomic_load(&gate.wrong), 0);
    mem_free(gate.order);
    fixture_close(&fixture);
}

static void destroy_does_not_wait_for_the_consumer(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_raw(&fixture, 100, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 2);
    options.n_threads = 4;
    options.prefetch = 1;
    for (int n_taken = 0; n_taken <= 2; n_taken++) {
        struct loader *loader = NULL;
        struct batch batch;
        ok(loader_create(fixture.pack, &options, &loader));
        ok(loader_start(loader, 0));
        for (int i = 0; i < n_taken; i++)
            ok(loader_next(loader, &batch));
        /* Time for the ring to fill and for all threads to wait. */
        pause_ms(20);
        loader_destroy(loader);
    }
    fixture_close(&fixture);
}

static void a_loader_can_be_destroyed_at_any_moment(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_raw(&fixture, 100, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 2);
    options.n_threads = 3;
    loader_destroy(NULL);
    for (int i = 0; i < 40; i++) {
        struct loader *loader = NULL;
        ok(loader_create(fixture.pack, &options, &loader));
        for (int k = 0; k < i % 4; k++)
            ok(loader_start(loader, (uint64_t)i * (uint64_t)k));
        loader_destroy(loader);
    }
    fixture_close(&fixture);
}

static void microbatches_may_be_released_in_any_order(void **state)
{
    (void)state;
    enum { HELD = 3 };
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batches[HELD];
    int seen[120] = {0};
    fixture_raw(&fixture, 120, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 3);
    options.n_threads = 2;
    options.prefetch = HELD - 1;
    ok(loader_create(fixture.pack, &options, &loader));
    ok(loader_start(loader, 0));
    for (int step = 0; step < 10; step++) {
        for (int i = 0; i < HELD; i++)
            ok(loader_next(loader, &batches[i]));
        for (int i = 0; i < HELD; i++)
            for (int row = 0; row < 4; row++)
                seen[fixture_record(&options, &batches[i], row)]++;
        loader_release(loader, &batches[(step + 1) % HELD]);
        loader_release(loader, &batches[step % HELD]);
        loader_release(loader, &batches[(step + 2) % HELD]);
    }
    for (int i = 0; i < 120; i++)
        assert_int_equal(seen[i], 1);
    loader_destroy(loader);
    fixture_close(&fixture);
}

static void holding_too_many_is_an_error_not_a_hang(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch first, second, third;
    fixture_raw(&fixture, 100, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 2);
    options.prefetch = 1;
    ok(loader_create(fixture.pack, &options, &loader));
    ok(loader_start(loader, 0));
    ok(loader_next(loader, &first));
    ok(loader_next(loader, &second));
    assert_int_equal(loader_next(loader, &third), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "all 2 microbatches"));
    for (int i = 2; i < 9; i++) { /* the first is held all along */
        loader_release(loader, &second);
        ok(loader_next(loader, &second));
        assert_int_equal(second.step, i / 2);
        assert_int_equal(second.index, i % 2);
        assert_int_equal(loader_next(loader, &third), CONVOY_ERROR_ARGUMENT);
    }
    loader_destroy(loader);
    fixture_close(&fixture);
}

static void nothing_comes_before_the_start(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batch;
    fixture_raw(&fixture, 100, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 2);
    ok(loader_create(fixture.pack, &options, &loader));
    assert_int_equal(loader_next(loader, &batch), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "not started"));
    loader_destroy(loader);
    fixture_close(&fixture);
}

/* More ranks than microbatches: the threads of this one have nothing to lay out. */
static void a_rank_without_microbatches_is_done_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batch;
    fixture_raw(&fixture, 7, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 2);
    options.evaluate = true;
    options.count = 0;
    options.n_threads = 2;
    ok(loader_create(fixture.pack, &options, &loader));
    ok(loader_start(loader, 0));
    pause_ms(10);
    ok(loader_next(loader, &batch));
    assert_null(batch.images);
    assert_int_equal(batch.n_samples, 0);
    loader_destroy(loader);
    fixture_close(&fixture);
}

/* A held microbatch is left alone, and its memory comes round again. */
static void a_ring_of_fixed_memory_serves_all_microbatches(void **state)
{
    (void)state;
    enum { PREFETCH = 2 };
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batch, held;
    const float *places[PREFETCH + 1] = {NULL};
    int n_places = 0;
    fixture_raw(&fixture, 100, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 2);
    options.prefetch = PREFETCH;
    options.n_threads = 2;
    ok(loader_create(fixture.pack, &options, &loader));
    ok(loader_start(loader, 0));
    for (int i = 0; i < 100; i++) {
        ok(loader_next(loader, &batch));
        assert_int_equal((uintptr_t)batch.images % MEM_ALIGNMENT, 0);
        int k = 0;
        while (k < n_places && places[k] != batch.images)
            k++;
        if (k == n_places) {
            assert_true(n_places <= PREFETCH);
            places[n_places++] = batch.images;
        }
        loader_release(loader, &batch);
    }
    ok(loader_next(loader, &held));
    uint64_t record = fixture_record(&options, &held, 3);
    for (int i = 0; i < PREFETCH; i++)
        ok(loader_next(loader, &batch));
    pause_ms(5);
    assert_int_equal(fixture_record(&options, &held, 3), record);
    loader_destroy(loader);
    fixture_close(&fixture);
}

static void the_wait_is_told_once(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batch;
    double waited_s = 0.0;
    fixture_raw(&fixture, 400, 40, 40);
    struct loader_options options = fixture_options(&fixture, 100, 4);
    ok(loader_create(fixture.pack, &options, &loader));
    ok(loader_start(loader, 0));
    /* The consumer overtakes the one thread at some of these. */
    for (int i = 0; i < 200; i++) {
        ok(loader_next(loader, &batch));
        loader_release(loader, &batch);
    }
    waited_s = loader_waited_s(loader);
    assert_true(waited_s > 0.0);
    assert_true(loader_waited_s(loader) == 0.0);
    loader_destroy(loader);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_record_is_reported_at_its_microbatch),
        cmocka_unit_test(a_bad_record_can_be_left_out),
        cmocka_unit_test(threads_are_added_up_to_the_limit_while_the_consumer_waits),
        cmocka_unit_test(a_step_is_read_only_after_it_was_fed),
        cmocka_unit_test(destroy_does_not_wait_for_the_consumer),
        cmocka_unit_test(a_loader_can_be_destroyed_at_any_moment),
        cmocka_unit_test(microbatches_may_be_released_in_any_order),
        cmocka_unit_test(holding_too_many_is_an_error_not_a_hang),
        cmocka_unit_test(nothing_comes_before_the_start),
        cmocka_unit_test(a_rank_without_microbatches_is_done_at_once),
        cmocka_unit_test(a_ring_of_fixed_memory_serves_all_microbatches),
        cmocka_unit_test(the_wait_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
