/* Several samples of a record, and microbatches whose samples are mixed. */
#include "base/bf16.h"
#include "base/memory.h"
#include "load/loader_ring.h"
#include "unit/load/sample_support.h"

#include <string.h>

enum { N = 60, SIDE = 8, M = 4, N_MICROBATCHES = 6, VALUES = SIDE * SIDE };

/* A microbatch of a loader with these options, copied. */
struct taken {
    float images[M * VALUES];
    uint16_t rounded[M * VALUES];
    int32_t labels[M], partners[M];
    float shares[M];
    uint32_t records[M];
    int n_skipped;
};

static void take(const struct loader *loader, const struct batch *batch,
                 struct taken *to)
{
    if (loader->options.bf16)
        memcpy(to->rounded, batch->images, sizeof to->rounded);
    else
        memcpy(to->images, batch->images, sizeof to->images);
    memcpy(to->labels, batch->labels, sizeof to->labels);
    memcpy(to->records, batch->records, sizeof to->records);
    if (batch->partners)
        memcpy(to->partners, batch->partners, sizeof to->partners);
    if (batch->shares)
        memcpy(to->shares, batch->shares, sizeof to->shares);
    to->n_skipped = batch->n_skipped;
}

/* All microbatches of n_steps. */
static struct taken *run(const struct fixture *fixture,
                         const struct loader_options *options, int n_steps)
{
    struct loader *loader = NULL;
    struct taken *taken = NULL;
    struct batch batch;
    const int n = n_steps * N_MICROBATCHES;
    ok(mem_alloc_array((size_t)n, sizeof *taken, (void **)&taken));
    ok(loader_create(fixture->pack, options, &loader));
    ok(loader_start(loader, 0));
    for (int i = 0; i < n; i++) {
        ok(loader_next(loader, &batch));
        assert_int_equal(batch.partners != NULL, mixing_is_on(&options->augment));
        take(loader, &batch, &taken[i]);
        loader_release(loader, &batch);
    }
    loader_destroy(loader);
    return taken;
}

static struct loader_options options_of(const struct fixture *fixture)
{
    struct loader_options options = fixture_options(fixture, M, N_MICROBATCHES);
    options.shuffle = true;
    options.n_threads = 2;
    options.augment.flip = true;
    options.augment.trivial = true;
    return options;
}

static bool is_same(const float *a, const float *b)
{
    for (int i = 0; i < VALUES; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

/* Of a step's 24 places the first 8 have 8 records, the next 8 the same ones again. */
static void records_repeat_and_each_sample_has_its_own_draws(void **state)
{
    (void)state;
    enum { REPEATS = 3, STEPS = 3, DIFFERENT = M * N_MICROBATCHES / REPEATS };
    struct fixture fixture;
    struct sample_rules rules;
    struct sample_buffers buffers = {0};
    uint32_t *order = NULL;
    float wanted[VALUES];
    int n_alike = 0;
    fixture_raw(&fixture, N, SIDE, SIDE);
    struct loader_options options = options_of(&fixture);
    options.augment.repeats = REPEATS;
    struct taken *taken = run(&fixture, &options, STEPS);
    ok(loader_order(N, options.seed, 0, &order));
    ok(sample_rules_init(fixture.pack, &options, &rules));
    ok(sample_buffers_init(&buffers));
    /* Two steps an epoch, as without repeats: the third is of the next. */
    for (int i = 0; i < 2 * M * N_MICROBATCHES; i++) {
        const int step = i / (M * N_MICROBATCHES), place = i % (M * N_MICROBATCHES);
        const uint32_t record = order[step * DIFFERENT + place % DIFFERENT];
        const struct taken *of = &taken[i / M];
        struct pack_record read;
        assert_int_equal(of->records[i % M], record);
        ok(pack_read(fixture.pack, record, &buffers.record, &buffers.capacity, &read));
        ok(sample_make_of(&rules, &buffers, 0,
                          augment_sample(record, place / DIFFERENT), &read, wanted));
        assert_memory_equal(of->images + (ptrdiff_t)(i % M) * VALUES, wanted,
                            sizeof wanted);
        if (place >= DIFFERENT) /* it was there, one round before */
            n_alike +=
                is_same(taken[(i - DIFFERENT) / M].images + (ptrdiff_t)(i % M) * VALUES,
                        wanted);
    }
    assert_true(n_alike < 2 * M * N_MICROBATCHES / 4);
    /* A message names the record, whichever of its samples it is about. */
    assert_int_equal(sample_make_of(&rules, &buffers, 0, augment_sample(7, 2),
                                    &(struct pack_record){0}, wanted),
                     CONVOY_ERROR_FORMAT);
    assert_non_null(strstr(convoy_status_text(), "record 7:"));
    sample_buffers_fini(&buffers);
    mem_free(order);
    mem_free(taken);
    fixture_close(&fixture);
}

/* The loader mixes what it makes without, as mixing.c says, in either order. */
static void a_microbatch_is_mixed_by_its_number_in_the_epoch(void **state)
{
    (void)state;
    enum { STEPS = 4, PER_EPOCH = 2 * N_MICROBATCHES };
    struct fixture fixture;
    fixture_raw(&fixture, N, SIDE, SIDE);
    struct loader_options options = options_of(&fixture);
    struct taken *plain = run(&fixture, &options, STEPS);
    options.augment.mixup = 0.5;
    options.augment.cutmix = 1;
    struct taken *mixed = run(&fixture, &options, STEPS);
    for (int i = 0; i < STEPS * N_MICROBATCHES; i++) {
        struct taken *p = &plain[i];
        const struct mixing_rows rows = {M,         1,         SIDE,        SIDE,
                                         p->images, p->labels, p->partners, p->shares};
        const struct mixing mixing =
            mixing_draw(&options.augment, options.seed, (uint64_t)i / PER_EPOCH,
                        (uint64_t)i % PER_EPOCH, SIDE, SIDE);
        mixing_apply(&mixing, &rows);
        assert_memory_equal(mixed[i].images, p->images, sizeof p->images);
        assert_memory_equal(mixed[i].labels, p->labels, sizeof p->labels);
        assert_memory_equal(mixed[i].partners, p->partners, sizeof p->partners);
        assert_memory_equal(mixed[i].shares, p->shares, sizeof p->shares);
    }
    mem_free(plain);
    mem_free(mixed);
    fixture_close(&fixture);
}

static void mixed_samples_are_rounded_to_bf16_once(void **state)
{
    (void)state;
    struct fixture fixture;
    uint16_t wanted[M * VALUES];
    fixture_raw(&fixture, N, SIDE, SIDE);
    struct loader_options options = options_of(&fixture);
    options.augment.mixup = 0.5;
    const uint64_t bytes = loader_bytes(&options);
    struct taken *whole = run(&fixture, &options, 2);
    options.bf16 = true;
    assert_int_equal(loader_bytes(&options), bytes);
    struct taken *rounded = run(&fixture, &options, 2);
    for (int i = 0; i < 2 * N_MICROBATCHES; i++) {
        bf16_from_floats(wanted, whole[i].images, sizeof wanted / sizeof *wanted);
        assert_memory_equal(rounded[i].rounded, wanted, sizeof wanted);
    }
    options.augment.mixup = 0;
    assert_true(loader_bytes(&options) < bytes);
    mem_free(whole);
    mem_free(rounded);
    fixture_close(&fixture);
}

/* Its row stays empty, and the next one whole. */
static void a_damaged_record_has_no_part_in_mixing(void **state)
{
    (void)state;
    struct fixture fixture;
    int n_found = 0;
    fixture_raw(&fixture, N, SIDE, SIDE);
    fixture_corrupt(&fixture, 17);
    struct loader_options options = options_of(&fixture);
    options.shuffle = false;
    options.skip_bad = true;
    struct taken *plain = run(&fixture, &options, 2);
    options.augment.mixup = 0.5;
    struct taken *mixed = run(&fixture, &options, 2);
    for (int i = 0; i < 2 * N_MICROBATCHES; i++)
        for (int row = 0; row < M; row++) {
            const int before = (row + M - 1) % M;
            const bool alone = plain[i].labels[row] < 0 || plain[i].labels[before] < 0;
            const ptrdiff_t at = (ptrdiff_t)row * VALUES;
            assert_int_equal(plain[i].n_skipped, mixed[i].n_skipped);
            if (!alone)
                continue;
            assert_memory_equal(mixed[i].images + at, plain[i].images + at,
                                VALUES * sizeof(float));
            assert_int_equal(mixed[i].labels[row], plain[i].labels[row]);
            assert_true(mixed[i].shares[row] == 1.0F);
            n_found++;
        }
    assert_int_equal(n_found, 2);
    mem_free(plain);
    mem_free(mixed);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_repeat_and_each_sample_has_its_own_draws),
        cmocka_unit_test(a_microbatch_is_mixed_by_its_number_in_the_epoch),
        cmocka_unit_test(mixed_samples_are_rounded_to_bf16_once),
        cmocka_unit_test(a_damaged_record_has_no_part_in_mixing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
