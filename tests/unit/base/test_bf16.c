/* bf16 against its definition: every value there and back, and what lies between. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bf16.h"

#include <math.h>

static void every_value_comes_back(void **state)
{
    (void)state;
    for (uint32_t v = 0; v <= UINT16_MAX; v++) {
        const float f = bf16_to_f32((uint16_t)v);
        if (isnan(f))
            assert_true(isnan(bf16_to_f32(bf16_from_f32(f))));
        else
            assert_int_equal(bf16_from_f32(f), v);
    }
}

/* Of two neighbours and what lies between them; also beyond the largest, to infinity.
 */
static void rounds_to_the_nearest_and_to_even(void **state)
{
    (void)state;
    for (uint32_t v = 0; v < 0x7f80; v++) {
        const double below = (double)bf16_to_f32((uint16_t)v);
        const double above =
            v == 0x7f7f ? ldexp(1, 128) : (double)bf16_to_f32((uint16_t)(v + 1));
        const float middle = (float)((below + above) / 2);
        const uint16_t even = (uint16_t)(v + (v & 1));
        assert_int_equal(bf16_from_f32(middle), even);
        assert_int_equal(bf16_from_f32(-middle), even | 0x8000);
        assert_int_equal(bf16_from_f32(nextafterf(middle, 0)), v);
        assert_int_equal(bf16_from_f32(nextafterf(middle, INFINITY)), v + 1);
    }
}

static void a_nan_stays_one(void **state)
{
    static const uint32_t nans[] = {0x7f800001, 0x7fffffff, 0xff800001, 0xffffffff};
    (void)state;
    for (size_t i = 0; i < sizeof nans / sizeof *nans; i++) {
        float f;
        memcpy(&f, &nans[i], sizeof f);
        assert_true(isnan(bf16_to_f32(bf16_from_f32(f))));
    }
}

static void arrays_are_converted_value_by_value(void **state)
{
    enum { N = 37 };
    float from[N];
    uint16_t to[N + 1];
    (void)state;
    for (int i = 0; i < N; i++)
        from[i] = (float)(i - 11) / 7;
    to[N] = 12345;
    bf16_from_floats(to, from, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(to[i], bf16_from_f32(from[i]));
    assert_int_equal(to[N], 12345);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_comes_back),
        cmocka_unit_test(rounds_to_the_nearest_and_to_even),
        cmocka_unit_test(a_nan_stays_one),
        cmocka_unit_test(arrays_are_converted_value_by_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
