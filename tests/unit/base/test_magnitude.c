/* Whether values are below a limit, at every place of vectors of many lengths. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/magnitude.h"
#include "base/memory.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const size_t lengths[] = {0, 1, 2, 15, 16, 17, 1000, 16384, 16385, 200001};
enum { N_LENGTHS = sizeof lengths / sizeof *lengths, MOST = 200001 };

static float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void only_finite_values_are_below_infinity(void **state)
{
    (void)state;
    static const float finite[] = {0, -0.0F, 1, -1, FLT_MAX, -FLT_MAX, FLT_MIN, 1e-45F};
    const float others[] = {INFINITY, -INFINITY,           NAN,
                            -NAN,     of_bits(0x7f800001), of_bits(0xffffffff)};
    for (size_t i = 0; i < sizeof finite / sizeof *finite; i++)
        assert_true(magnitudes_below(&finite[i], 1, INFINITY));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(magnitudes_below(&others[i], 1, INFINITY));
}

static void the_limit_is_not_below_itself(void **state)
{
    (void)state;
    static const float limits[] = {FLT_MAX, 1, 1e-30F, FLT_MIN};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const float limit = limits[i];
        const float values[] = {
            limit, -limit, nextafterf(limit, 0), -nextafterf(limit, 0), 2 * limit, NAN};
        const bool below[] = {false, false, true, true, false, false};
        for (size_t v = 0; v < sizeof below / sizeof *below; v++)
            assert_int_equal(magnitudes_below(&values[v], 1, limit), below[v]);
    }
}

static void one_value_is_found_anywhere(void **state)
{
    (void)state;
    float *values = NULL;
    assert_int_equal(mem_alloc_array(MOST, sizeof *values, (void **)&values),
                     CONVOY_OK);
    for (size_t i = 0; i < MOST; i++)
        values[i] = i % 2 ? 3.0F : -3.0F;
    for (int l = 0; l < N_LENGTHS; l++) {
        const size_t n = lengths[l], step = n / 37 + 1;
        assert_true(magnitudes_below(values, n, 3.5F));
        for (size_t at = 0; at < n; at += step) {
            const float kept = values[at];
            values[at] = NAN;
            assert_false(magnitudes_below(values, n, 3.5F));
            values[at] = -4;
            assert_false(magnitudes_below(values, n, 3.5F));
            values[at] = kept;
        }
        if (n < MOST) { /* what lies behind is not looked at */
            const float kept = values[n];
            values[n] = NAN;
            assert_true(magnitudes_below(values, n, 3.5F));
            values[n] = kept;
        }
    }
    mem_free(values);
}

static void bf16_values_are_judged_as_floats(void **state)
{
    (void)state;
    static const uint16_t values[] = {0x0000, 0x8000, 0x3f80, 0xbf80, 0x7f7f,
                                      0xff7f, 0x7f80, 0xff80, 0x7f81, 0xffff};
    const size_t n = sizeof values / sizeof *values;
    for (size_t i = 0; i < n; i++) {
        const float value = of_bits((uint32_t)values[i] << 16);
        assert_int_equal(magnitudes_below_bf16(&values[i], 1, INFINITY),
                         isfinite(value) != 0);
        assert_int_equal(magnitudes_below_bf16(&values[i], 1, 1.5F),
                         fabsf(value) < 1.5F);
    }
    assert_true(magnitudes_below_bf16(values, 6, INFINITY));
    assert_false(magnitudes_below_bf16(values, n, INFINITY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_finite_values_are_below_infinity),
        cmocka_unit_test(the_limit_is_not_below_itself),
        cmocka_unit_test(one_value_is_found_anywhere),
        cmocka_unit_test(bf16_values_are_judged_as_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
