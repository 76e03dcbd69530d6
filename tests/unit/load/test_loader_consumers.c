/* Several threads that take microbatches of one loader at the same time. */
#include "base/clock.h"
#include "base/cpus.h"
#include "base/memory.h"
#include "load/loader_ring.h"
#include "unit/load/fixture.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

enum { MAX_CONSUMERS = 6, TEXT_SIZE = 512 };

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

/* What consumers share, and what came. images: [n_steps, M, m, c, h, w], labels:
 * [n_steps, M, m], n_taken: [n_steps, M]. */
struct take {
    struct loader *loader;
    const struct loader_options *options;
    uint64_t step;
    size_t n, n_values; /* microbatches; values of each */
    float *images;
    int32_t *labels;
    atomic_int *n_taken;
    atomic_int left; /* calls of loader_next */
};

/* One consumer, and how it ended. */
struct consumer {
    struct take *take;
    pthread_t thread;
    int n_batches, n_ends;
    convoy_status status;
    char text[TEXT_SIZE];
};

static void note(struct take *take, const struct batch *batch)
{
    const size_t m = (size_t)take->options->microbatch;
    const size_t at =
        (size_t)(batch->step - take->step) * (size_t)take->options->n_microbatches +
        (size_t)batch->index;
    if (at >= take->n)
        return;
    memcpy(take->images + at * take->n_values, batch->images,
           take->n_values * sizeof(float));
    memcpy(take->labels + at * m, batch->labels, m * sizeof(int32_t));
    atomic_fetch_add(&take->n_taken[at], 1);
}

/* Takes microbatches until they fail or all calls are made. */
static void *consume(void *argument)
{
    struct consumer *self = argument;
    struct take *take = self->take;
    struct batch batch;
    while (self->status == CONVOY_OK && atomic_fetch_sub(&take->left, 1) > 0) {
        self->status = loader_next(take->loader, &batch);
        if (self->status != CONVOY_OK) {
            snprintf(self->text, sizeof self->text, "%s", convoy_status_text());
        } else if (!batch.images) {
            self->n_ends++;
        } else {
            self->n_batches++;
            note(take, &batch);
            loader_release(take->loader, &batch);
        }
    }
    return NULL;
}

static void take_init(struct take *take, const struct loader_options *options,
                      size_t n_steps)
{
    const int *shape = options->shape;
    const size_t m = (size_t)options->microbatch;
    *take = (struct take){.options = options,
                          .n = n_steps * (size_t)options->n_microbatches,
                          .n_values = m * (size_t)(shape[0] * shape[1] * shape[2])};
    ok(mem_alloc_array(take->n * take->n_values, sizeof(float),
                       (void **)&take->images));
    ok(mem_alloc_array(take->n * m, sizeof(int32_t), (void **)&take->labels));
    void *n_taken = NULL;
    ok(mem_alloc_array(take->n, sizeof *take->n_taken, &n_taken));
    take->n_taken = n_taken;
}

static void take_fini(struct take *take)
{
    mem_free(take->images);
    mem_free(take->labels);
    mem_free(take->n_taken);
}

/* n_calls of loader_next by n consumers, which are done afterwards. */
static void run_consumers(struct take *take, struct consumer *consumers, int n,
                          int n_calls)
{
    atomic_store(&take->left, n_calls);
    for (int i = 0; i < n; i++) {
        consumers[i] = (struct consumer){.take = take};
        assert_int_equal(
            pthread_create(&consumers[i].thread, NULL, consume, &consumers[i]), 0);
    }
    for (int i = 0; i < n; i++)
        assert_int_equal(pthread_join(consumers[i].thread, NULL), 0);
}

/* Steps from take->step on, with a loader of their own. */
static void take_steps(const struct fixture *fixture, struct take *take)
{
    struct consumer consumers[MAX_CONSUMERS];
    const int n = take->options->consumers;
    ok(loader_create(fixture->pack, take->options, &take->loader));
    ok(loader_start(take->loader, take->step));
    run_consumers(take, consumers, n, (int)take->n);
    for (int i = 0; i < n; i++)
        if (consumers[i].status != CONVOY_OK)
            fail_msg("consumer %d: %s", i, consumers[i].text);
    loader_destroy(take->loader);
}

static void consumers_together_take_what_one_takes(void **state)
{
    (void)state;
    enum { N_STEPS = 9 };
    /* consumers, threads, most threads, prefetch */
    const int cases[][4] = {
        {1, 3, 0, 0}, {2, 1, 0, 0}, {3, 2, 5, 1}, {6, 4, 0, 2}, {5, 1, 4, 7}};
    struct fixture fixture;
    struct take one, several;
    fixture_raw(&fixture, 60, 9, 9);
    struct loader_options options = fixture_options(&fixture, 3, 6);
    options.augment = (struct augment){.pad = 2, .flip = true, .brightness = 0.4};
    options.consumers = 1;
    take_init(&one, &options, N_STEPS);
    one.step = 2;
    take_steps(&fixture, &one);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        options.consumers = cases[k][0];
        options.n_threads = cases[k][1];
        options.max_threads = cases[k][2];
        options.prefetch = cases[k][3];
        take_init(&several, &options, N_STEPS);
        several.step = 2;
        take_steps(&fixture, &several);
        for (size_t i = 0; i < several.n; i++)
            assert_int_equal(several.n_taken[i], 1);
        assert_memory_equal(one.images, several.images,
                            one.n * one.n_values * sizeof(float));
        assert_memory_equal(one.labels, several.labels, one.n * 3 * sizeof(int32_t));
        take_fini(&several);
    }
    take_fini(&one);
    fixture_close(&fixture);
}

/* The one that holds is this thread. With one slot for each number modulo the ring's
 * size, the others would come to stand after the first round. */
static void a_consumer_that_holds_its_microbatch_stops_nobody(void **state)
{
    (void)state;
    enum { N_STEPS = 40 };
    struct fixture fixture;
    struct take take;
    struct batch held;
    struct consumer others[2];
    fixture_raw(&fixture, 60, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 3);
    options.consumers = 3;
    options.prefetch = 1;
    take_init(&take, &options, N_STEPS);
    ok(loader_create(fixture.pack, &options, &take.loader));
    ok(loader_start(take.loader, 0));
    ok(loader_next(take.loader, &held));
    const uint64_t record = fixture_record(&options, &held, 3);
    run_consumers(&take, others, 2, (int)take.n - 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(others[i].status, CONVOY_OK);
    assert_int_equal(take.n_taken[0], 0);
    for (size_t i = 1; i < take.n; i++)
        assert_int_equal(take.n_taken[i], 1);
    assert_int_equal(fixture_record(&options, &held, 3), record);
    loader_destroy(take.loader);
    take_fini(&take);
    fixture_close(&fixture);
}

/* 13 microbatches and two ends for each of three consumers. */
static void each_consumer_sees_the_end_of_an_evaluation(void **state)
{
    (void)state;
    struct fixture fixture;
    struct take take;
    fixture_raw(&fixture, 100, 4, 4);
    struct loader_options options = fixture_options(&fixture, 8, 13);
    options.evaluate = true;
    options.consumers = 3;
    options.prefetch = 1;
    options.n_threads = 2;
    take_init(&take, &options, 1);
    ok(loader_create(fixture.pack, &options, &take.loader));
    for (int pass = 1; pass <= 20; pass++) {
        struct consumer consumers[3];
        int n_batches = 0, n_ends = 0;
        ok(loader_start(take.loader, 0));
        run_consumers(&take, consumers, 3, 13 + 6);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(consumers[i].status, CONVOY_OK);
            n_batches += consumers[i].n_batches;
            n_ends += consumers[i].n_ends;
        }
        assert_int_equal(n_batches, 13);
        assert_int_equal(n_ends, 6);
        for (size_t i = 0; i < take.n; i++)
            assert_int_equal(take.n_taken[i], pass);
    }
    loader_destroy(take.loader);
    take_fini(&take);
    fixture_close(&fixture);
}

/* How many threads are within loader_next. */
static int n_asking(struct loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    const int n = loader->n_asking;
    pthread_mutex_unlock(&loader->mutex);
    return n;
}

/* A reader that reads a record only when so many consumers are within loader_next. */
struct gate {
    const convoy_pack *pack;
    uint64_t record;
    atomic_int n_asking;
    struct loader *loader;
};

static convoy_status read_when_asked(void *context, uint64_t step, int row,
                                     uint64_t record, void **buffer, size_t *capacity,
                                     struct pack_record *read)
{
    struct gate *gate = context;
    (void)step;
    (void)row;
    while (record == gate->record && n_asking(gate->loader) < gate->n_asking)
        pause_ms(1);
    return pack_read(gate->pack, record, buffer, capacity, read);
}

/* Record 50 of microbatch 6 is bad, and found so while all consumers wait for it. */
static void all_consumers_that_wait_for_a_bad_record_are_told(void **state)
{
    (void)state;
    struct fixture fixture;
    struct take take;
    struct consumer consumers[3];
    struct gate gate = {.record = 50, .n_asking = 3};
    const struct record_reader reader = {read_when_asked, &gate, false};
    fixture_raw(&fixture, 100, 4, 5);
    fixture_corrupt(&fixture, 50);
    struct loader_options options = fixture_options(&fixture, 8, 3);
    options.shuffle = false;
    options.consumers = 3;
    options.n_threads = 2;
    options.reader = &reader;
    gate.pack = fixture.pack;
    take_init(&take, &options, 4);
    ok(loader_create(fixture.pack, &options, &take.loader));
    gate.loader = take.loader;
    for (int pass = 1; pass <= 10; pass++) {
        ok(loader_start(take.loader, 0));
        run_consumers(&take, consumers, 3, 1000);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(consumers[i].status, CONVOY_ERROR_FORMAT);
            assert_non_null(strstr(consumers[i].text, fixture.path));
            assert_non_null(strstr(consumers[i].text, "record 50"));
        }
        for (size_t i = 0; i < take.n; i++)
            assert_int_equal(take.n_taken[i], i < 6 ? pass : 0);
    }
    /* The step behind it, from the same loader, which also reads ahead. */
    gate.n_asking = 0;
    ok(loader_start(take.loader, 3));
    run_consumers(&take, consumers, 3, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(consumers[i].status, CONVOY_OK);
    for (size_t i = 9; i < 12; i++)
        assert_int_equal(take.n_taken[i], 1);
    loader_destroy(take.loader);
    take_fini(&take);
    fixture_close(&fixture);
}

/* A ring of three, all held by this thread. */
static void who_could_get_a_microbatch_waits_and_who_cannot_is_told(void **state)
{
    (void)state;
    struct fixture fixture;
    struct take take;
    struct batch held[3], more;
    struct consumer other = {.take = &take};
    fixture_raw(&fixture, 60, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 3);
    options.consumers = 2;
    options.prefetch = 1;
    take_init(&take, &options, 2);
    take.left = 1;
    ok(loader_create(fixture.pack, &options, &take.loader));
    ok(loader_start(take.loader, 0));
    for (int i = 0; i < 3; i++)
        ok(loader_next(take.loader, &held[i]));
    assert_int_equal(pthread_create(&other.thread, NULL, consume, &other), 0);
    while (n_asking(take.loader) == 0)
        pause_ms(1);
    assert_int_equal(loader_next(take.loader, &more), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "all 3 microbatches"));
    loader_release(take.loader, &held[1]);
    assert_int_equal(pthread_join(other.thread, NULL), 0);
    assert_int_equal(other.status, CONVOY_OK);
    assert_int_equal(take.n_taken[3], 1);
    loader_destroy(take.loader);
    take_fini(&take);
    fixture_close(&fixture);
}

/* Two consumers that waited 15 s together in 1000 s waited 0.75 % of them; with 25 s it
 * is more than the one percent that is allowed. */
static void waiting_is_a_mean_over_consumers(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batch;
    fixture_raw(&fixture, 60, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 3);
    options.consumers = 2;
    options.max_threads = 2;
    ok(loader_create(fixture.pack, &options, &loader));
    ok(loader_start(loader, 0));
    for (int i = 0; i < 2 * loader->n_slots; i++) {
        /* No window ends before the ones below. */
        loader->waiting = (struct ring_waiting){.end = UINT64_MAX};
        ok(loader_next(loader, &batch));
        loader_release(loader, &batch);
    }
    for (int pass = 0; pass < 2; pass++) {
        loader->waiting =
            (struct ring_waiting){loader->next, clock_now_s() - 1000, pass ? 25 : 15};
        ok(loader_next(loader, &batch));
        loader_release(loader, &batch);
        assert_int_equal(loader_threads(loader), pass ? 2 : 1);
    }
    loader_waited_s(loader);
    loader->waited_s = 6;
    assert_true(loader_waited_s(loader) == 3);
    assert_true(loader_waited_s(loader) == 0);
    loader_destroy(loader);
    fixture_close(&fixture);
}

/* A reader that is slow, so that threads are added, and notes where it runs. */
struct places {
    const convoy_pack *pack;
    cpu_set_t expected;
    atomic_int n_elsewhere;
};

static convoy_status read_and_note_place(void *context, uint64_t step, int row,
                                         uint64_t record, void **buffer,
                                         size_t *capacity, struct pack_record *read)
{
    struct places *places = context;
    cpu_set_t mask;
    (void)step;
    (void)row;
    if (sched_getaffinity(0, sizeof mask, &mask) != 0 ||
        !CPU_EQUAL(&mask, &places->expected))
        atomic_fetch_add(&places->n_elsewhere, 1);
    pause_ms(1);
    return pack_read(places->pack, record, buffer, capacity, read);
}

static void *consume_pinned(void *argument)
{
    struct consumer *self = argument;
    cpu_set_t mask, one;
    cpus_mask(&mask);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &mask))
            CPU_SET(cpu, &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    return consume(self);
}

static void threads_added_for_a_pinned_consumer_are_not_pinned(void **state)
{
    (void)state;
    struct fixture fixture;
    struct take take;
    struct consumer consumer = {.take = &take};
    struct places places = {0};
    const struct record_reader reader = {read_and_note_place, &places, false};
    if (cpus_allowed() < 2)
        skip();
    cpus_mask(&places.expected);
    fixture_raw(&fixture, 60, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 15);
    options.prefetch = 1;
    options.max_threads = 3;
    options.reader = &reader;
    places.pack = fixture.pack;
    take_init(&take, &options, 4);
    take.left = (int)take.n;
    ok(loader_create(fixture.pack, &options, &take.loader));
    ok(loader_start(take.loader, 0));
    assert_int_equal(pthread_create(&consumer.thread, NULL, consume_pinned, &consumer),
                     0);
    assert_int_equal(pthread_join(consumer.thread, NULL), 0);
    assert_int_equal(consumer.status, CONVOY_OK);
    assert_int_equal(loader_threads(take.loader), 3);
    assert_int_equal(places.n_elsewhere, 0);
    loader_destroy(take.loader);
    take_fini(&take);
    fixture_close(&fixture);
}

/* A reader whose two threads wait for each other, so that each is seen. */
struct meeting {
    const convoy_pack *pack;
    const struct loader_places *places;
    atomic_int seen[2]; /* reads at the first place, and at the others */
    atomic_int n_elsewhere;
};

static convoy_status read_together(void *context, uint64_t step, int row,
                                   uint64_t record, void **buffer, size_t *capacity,
                                   struct pack_record *read)
{
    struct meeting *m = context;
    cpu_set_t mask;
    (void)step;
    (void)row;
    sched_getaffinity(0, sizeof mask, &mask);
    if (CPU_EQUAL(&mask, &m->places->first))
        atomic_fetch_add(&m->seen[0], 1);
    else if (CPU_EQUAL(&mask, &m->places->others))
        atomic_fetch_add(&m->seen[1], 1);
    else
        atomic_fetch_add(&m->n_elsewhere, 1);
    for (int ms = 0; ms < 10000 && !(m->seen[0] && m->seen[1]); ms++)
        pause_ms(1);
    return pack_read(m->pack, record, buffer, capacity, read);
}

static void threads_are_where_they_were_put(void **state)
{
    (void)state;
    struct fixture fixture;
    struct loader *loader = NULL;
    struct batch batch;
    struct loader_places places = {.n = 1};
    struct meeting meeting = {.places = &places};
    const struct record_reader reader = {read_together, &meeting, false};
    if (cpus_allowed() < 2)
        skip();
    cpus_mask(&places.others);
    for (size_t cpu = 0; CPU_COUNT(&places.first) == 0; cpu++)
        if (CPU_ISSET(cpu, &places.others))
            CPU_SET(cpu, &places.first);
    fixture_raw(&fixture, 8, 4, 4);
    struct loader_options options = fixture_options(&fixture, 4, 2);
    options.n_threads = 2;
    options.reader = &reader;
    options.places = &places;
    meeting.pack = fixture.pack;
    ok(loader_create(fixture.pack, &options, &loader));
    ok(loader_start(loader, 0));
    ok(loader_next(loader, &batch));
    assert_true(meeting.seen[0] > 0 && meeting.seen[1] > 0);
    assert_int_equal(meeting.n_elsewhere, 0);
    loader_destroy(loader);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(consumers_together_take_what_one_takes),
        cmocka_unit_test(a_consumer_that_holds_its_microbatch_stops_nobody),
        cmocka_unit_test(each_consumer_sees_the_end_of_an_evaluation),
        cmocka_unit_test(all_consumers_that_wait_for_a_bad_record_are_told),
        cmocka_unit_test(who_could_get_a_microbatch_waits_and_who_cannot_is_told),
        cmocka_unit_test(waiting_is_a_mean_over_consumers),
        cmocka_unit_test(threads_added_for_a_pinned_consumer_are_not_pinned),
        cmocka_unit_test(threads_are_where_they_were_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
