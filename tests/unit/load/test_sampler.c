/* Orders of epochs: permutations, each its own, without favourites. */
#include "base/memory.h"
#include "load/loader.h"
#include "load/sampler.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static uint32_t *order_of(uint64_t n, uint64_t seed, uint64_t epoch)
{
    uint32_t *order = NULL;
    assert_int_equal(loader_order(n, seed, epoch, &order), CONVOY_OK);
    return order;
}

static void an_order_is_a_permutation(void **state)
{
    (void)state;
    const uint64_t sizes[] = {1, 2, 3, 5, 8, 31, 64, 1000, 4097, 65537};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint64_t n = sizes[s];
        uint32_t *order = order_of(n, 3, 1);
        uint8_t *seen = NULL;
        assert_int_equal(mem_alloc(n, (void **)&seen), CONVOY_OK);
        for (uint64_t i = 0; i < n; i++) {
            assert_true(order[i] < n);
            assert_int_equal(seen[order[i]]++, 0);
        }
        mem_free(seen);
        mem_free(order);
    }
}

static void an_order_belongs_to_its_seed_and_epoch(void **state)
{
    (void)state;
    enum { N = 500 };
    uint32_t *order = order_of(N, 3, 7);
    uint32_t *same = order_of(N, 3, 7);
    assert_memory_equal(order, same, N * sizeof *order);
    const uint64_t others[][2] = {{3, 8}, {4, 7}, {7, 3}, {3, 7 + (1ULL << 32)}};
    for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
        uint32_t *other = order_of(N, others[k][0], others[k][1]);
        int equal = 0;
        for (int i = 0; i < N; i++)
            equal += order[i] == other[i];
        /* One fixed point is expected of two unrelated permutations. */
        assert_true(equal < 8);
        mem_free(other);
    }
    mem_free(same);
    mem_free(order);
}

/* Pearson's statistic of (position, record) counts, (n - 1)^2 degrees of freedom: mean
 * 361, standard deviation 27. A shift by one or an exchange that skips itself lies far
 * outside of five deviations. */
static void every_record_is_as_likely_at_every_position(void **state)
{
    (void)state;
    enum { N = 20, N_EPOCHS = 4000 };
    int counts[N][N] = {{0}};
    uint32_t order[N];
    for (uint64_t epoch = 0; epoch < N_EPOCHS; epoch++) {
        sampler_order(N, 11, epoch, order);
        for (int i = 0; i < N; i++)
            counts[i][order[i]]++;
    }
    const double expected = (double)N_EPOCHS / N;
    double chi2 = 0.0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            chi2 += (counts[i][j] - expected) * (counts[i][j] - expected) / expected;
    assert_true(chi2 > 361 - 5 * 27);
    assert_true(chi2 < 361 + 5 * 27);
}

/* Which of two neighbours comes first, and how far apart they are, is open. */
static void neighbours_are_scattered(void **state)
{
    (void)state;
    enum { N = 20000 };
    uint32_t *order = order_of(N, 2, 0);
    int rising = 0, close = 0;
    for (int i = 1; i < N; i++) {
        int64_t gap = (int64_t)order[i] - order[i - 1];
        rising += gap > 0;
        close += gap >= -10 && gap <= 10;
    }
    /* Rising: half, deviation sqrt(N / 12) = 41. Close: 20 expected. */
    assert_in_range(rising, N / 2 - 205, N / 2 + 205);
    assert_in_range(close, 1, 45);
    mem_free(order);
}

static void a_sampler_hands_out_slices_of_the_orders(void **state)
{
    (void)state;
    enum { N = 100, SLICE = 7 };
    struct sampler *sampler = NULL;
    uint32_t got[SLICE];
    assert_int_equal(sampler_create(N, 9, true, &sampler), CONVOY_OK);
    const uint64_t epochs[] = {0, 0, 1, 5, 4, 0};
    for (size_t k = 0; k < sizeof epochs / sizeof *epochs; k++) {
        uint32_t *order = order_of(N, 9, epochs[k]);
        for (uint64_t first = 0; first + SLICE <= N; first += 31) {
            sampler_records(sampler, epochs[k], first, SLICE, got);
            assert_memory_equal(got, order + first, sizeof got);
        }
        mem_free(order);
    }
    sampler_destroy(sampler);
    sampler_destroy(NULL);
}

static void without_shuffle_positions_are_records(void **state)
{
    (void)state;
    struct sampler *sampler = NULL;
    uint32_t got[3];
    assert_int_equal(sampler_create(100, 9, false, &sampler), CONVOY_OK);
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        sampler_records(sampler, epoch, 97, 3, got);
        assert_int_equal(got[0], 97);
        assert_int_equal(got[1], 98);
        assert_int_equal(got[2], 99);
    }
    sampler_destroy(sampler);
}

static void more_records_than_an_order_can_number_are_refused(void **state)
{
    (void)state;
    uint32_t *order = NULL;
    assert_int_equal(loader_order(1ULL << 32, 1, 0, &order), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "4294967296"));
    assert_null(order);
}

static void an_epoch_has_only_whole_steps(void **state)
{
    (void)state;
    assert_int_equal(loader_steps_per_epoch(1281167, 32, 8), 5004);
    assert_int_equal(loader_steps_per_epoch(256, 32, 8), 1);
    assert_int_equal(loader_steps_per_epoch(255, 32, 8), 0);
    assert_int_equal(loader_steps_per_epoch(100, 0, 8), 0);
    assert_int_equal(loader_steps_per_epoch(100, 8, -1), 0);
    assert_int_equal(loader_steps_per_epoch(1ULL << 40, 1 << 20, 1 << 15), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_is_a_permutation),
        cmocka_unit_test(an_order_belongs_to_its_seed_and_epoch),
        cmocka_unit_test(every_record_is_as_likely_at_every_position),
        cmocka_unit_test(neighbours_are_scattered),
        cmocka_unit_test(a_sampler_hands_out_slices_of_the_orders),
        cmocka_unit_test(without_shuffle_positions_are_records),
        cmocka_unit_test(more_records_than_an_order_can_number_are_refused),
        cmocka_unit_test(an_epoch_has_only_whole_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
