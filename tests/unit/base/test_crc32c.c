/* CRC-32C against its published check value and RFC 3720's examples. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/crc32c.h"

#include <string.h>

static void sums_are_as_published(void **state)
{
    (void)state;
    uint8_t bytes[32];
    assert_int_equal(crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(crc32c("", 0), 0);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc32c(bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crc32c(bytes, sizeof bytes), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(bytes, sizeof bytes), 0x46dd794e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums_are_as_published)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
