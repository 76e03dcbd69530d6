/* Philox against the known answers of its authors (Random123's kat_vectors), and what
 * is made of its words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"

#include <math.h>
#include <string.h>

static void blocks_are_philox_4x32_10(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rng rng;
        uint32_t out[4];
        memcpy(rng.key, cases[i].key, sizeof rng.key);
        memcpy(rng.counter, cases[i].counter + 1, sizeof rng.counter);
        rng_block(&rng, cases[i].counter[0], out);
        assert_memory_equal(out, cases[i].expected, sizeof out);
        assert_int_equal(rng_word(&rng, 4 * (uint64_t)cases[i].counter[0] + 2), out[2]);
    }
}

static void every_part_of_the_key_makes_another_stream(void **state)
{
    (void)state;
    const struct rng streams[] = {
        rng_stream(1, RNG_AUGMENT, 2, 3),
        rng_stream(2, RNG_AUGMENT, 2, 3),
        rng_stream(UINT64_C(1) << 32 | 1, RNG_AUGMENT, 2, 3),
        rng_stream(1, RNG_DROPOUT, 2, 3),
        rng_stream(1, RNG_AUGMENT, 3, 3),
        rng_stream(1, RNG_AUGMENT, 2, 4),
        rng_stream(1, RNG_AUGMENT, 3, 2),
    };
    enum { N = sizeof streams / sizeof *streams };
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++)
            assert_true(rng_word(&streams[i], 0) != rng_word(&streams[j], 0));
}

static void units_lie_from_0_to_below_1(void **state)
{
    (void)state;
    enum { N = 100000 };
    const struct rng rng = rng_stream(7, RNG_INIT, 0, 0);
    double sum = 0, squares = 0, normals = 0, normal_squares = 0;
    for (uint64_t i = 0; i < N; i++) {
        const double unit = rng_unit(&rng, i), normal = rng_normal(&rng, i);
        assert_true(unit >= 0 && unit < 1 && isfinite(normal));
        sum += unit;
        squares += unit * unit;
        normals += normal;
        normal_squares += normal * normal;
    }
    /* Within five standard errors. */
    assert_true(fabs(sum / N - 0.5) < 5 * 0.289 / sqrt(N));
    assert_true(fabs(squares / N - 1.0 / 3) < 5 * 0.298 / sqrt(N));
    assert_true(fabs(normals / N) < 5 / sqrt(N));
    assert_true(fabs(normal_squares / N - 1) < 5 * sqrt(2.0 / N));
    assert_true(rng_to_unit(0) == 0);
    assert_true(rng_to_unit(UINT32_MAX) < 1);
}

static void each_order_of_four_is_as_likely(void **state)
{
    (void)state;
    enum { N = 24000, ORDERS = 256 };
    int counts[ORDERS] = {0}, n_seen = 0;
    double chi_square = 0;
    for (uint64_t i = 0; i < N; i++) {
        uint32_t order[4];
        const struct rng rng = rng_stream(3, RNG_PERMUTATION, i, 0);
        rng_permutation(&rng, 4, order);
        counts[order[0] << 6 | order[1] << 4 | order[2] << 2 | order[3]]++;
    }
    for (int i = 0; i < ORDERS; i++)
        if (counts[i] > 0) {
            n_seen++;
            chi_square += pow(counts[i] - N / 24.0, 2) / (N / 24.0);
        }
    assert_int_equal(n_seen, 24);
    assert_true(chi_square < 49.7); /* 23 degrees of freedom, p = 0.001 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_philox_4x32_10),
        cmocka_unit_test(every_part_of_the_key_makes_another_stream),
        cmocka_unit_test(units_lie_from_0_to_below_1),
        cmocka_unit_test(each_order_of_four_is_as_likely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
