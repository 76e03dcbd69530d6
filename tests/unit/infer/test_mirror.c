/* Rows turned around, of both types of samples, and scores of averaged logits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "infer/mirror.h"
#include "infer/score.h"

#include <math.h>

static void rows_are_turned_around_one_by_one(void **state)
{
    float floats[] = {1, 2, 3, 4, 5, 6, 7, 8};
    const float wanted[] = {3, 2, 1, 6, 5, 4, 7, 8};
    uint16_t halves[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const uint16_t wanted_halves[] = {4, 3, 2, 1, 8, 7, 6, 5, 9};
    (void)state;
    mirror_rows(floats, 2, 3, sizeof *floats);
    assert_memory_equal(floats, wanted, sizeof wanted);
    mirror_rows(halves, 2, 4, sizeof *halves);
    assert_memory_equal(halves, wanted_halves, sizeof wanted_halves);
    mirror_rows(halves, 9, 1, sizeof *halves);
    assert_memory_equal(halves, wanted_halves, sizeof wanted_halves);
}

static void means_are_scored(void **state)
{
    float logits[] = {1, 5, 3, 800, 0, 0, 9, 9, 9};
    const float others[] = {3, 1, 1, 600, 0, 2, 9, 9, 9};
    const int32_t labels[] = {2, 0, -1};
    double scores[N_SCORES];
    (void)state;
    mirror_mean(logits, others, 9);
    score_logits(logits, 3, 3, labels, scores); /* {2, 3, 2}, {700, 0, 1} */
    assert_true(fabs(scores[SCORE_LOSS] - log(2 * exp(-1) + 1) - 1) < 1e-12);
    assert_true(scores[SCORE_TOP1] == 1);
    assert_true(scores[SCORE_TOP5] == 2);
    assert_true(scores[SCORE_SAMPLES] == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_turned_around_one_by_one),
        cmocka_unit_test(means_are_scored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
