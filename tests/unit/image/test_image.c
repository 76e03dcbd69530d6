/* Which decoder a file goes to, and what is refused before one is asked. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/picture.h"

#include <string.h>

static void assert_fails(convoy_status found, convoy_status expected, const char *text)
{
    assert_int_equal(found, expected);
    if (!strstr(convoy_status_text(), text))
        fail_msg("'%s' is not in '%s'", text, convoy_status_text());
}

static void the_type_comes_from_the_first_bytes(void **state)
{
    (void)state;
    const uint8_t jpeg[] = {0xff, 0xd8, 0xff, 0xe0};
    const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    assert_int_equal(image_sniff(jpeg, sizeof jpeg), IMAGE_JPEG);
    assert_int_equal(image_sniff(png, sizeof png), IMAGE_PNG);
    assert_int_equal(image_sniff(jpeg, 2), IMAGE_UNKNOWN);
    assert_int_equal(image_sniff(png, 7), IMAGE_UNKNOWN);
    assert_int_equal(image_sniff(png, 0), IMAGE_UNKNOWN);
    assert_int_equal(image_sniff((const uint8_t *)"GIF89a..", 8), IMAGE_UNKNOWN);
}

static void other_bytes_are_no_image(void **state)
{
    (void)state;
    struct image out = {0};
    int w = 0, h = 0;
    assert_fails(image_decode((const uint8_t *)"hello", 5, 3, &out),
                 CONVOY_ERROR_FORMAT, "neither a JPEG nor a PNG");
    assert_fails(image_probe((const uint8_t *)"", 0, &w, &h), CONVOY_ERROR_FORMAT,
                 "0 bytes that are neither");
    assert_null(out.pixels);
}

static void two_channels_cannot_be_asked_for(void **state)
{
    (void)state;
    struct image out = {0};
    const uint8_t jpeg[] = {0xff, 0xd8, 0xff, 0xe0};
    assert_fails(image_decode(jpeg, sizeof jpeg, 2, &out), CONVOY_ERROR_ARGUMENT,
                 "1 or 3 channels, not to 2");
}

static void one_image_serves_many_sizes(void **state)
{
    (void)state;
    static const int sizes[][2] = {{5, 3}, {64, 48}, {7, 9}, {65, 49}};
    struct image out = {0};
    for (int i = 0; i < 4; i++) {
        struct image picture = picture_make(sizes[i][0], sizes[i][1], 3, i);
        uint8_t *bytes = NULL;
        size_t n = 0;
        assert_int_equal(image_encode_png(&picture, &bytes, &n), CONVOY_OK);
        assert_int_equal(image_decode(bytes, n, 3, &out), CONVOY_OK);
        assert_int_equal(picture_distance(&out, &picture), 0);
        mem_free(bytes);
        image_free(&picture);
    }
    image_free(&out);
    assert_null(out.pixels);
    image_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_type_comes_from_the_first_bytes),
        cmocka_unit_test(other_bytes_are_no_image),
        cmocka_unit_test(two_channels_cannot_be_asked_for),
        cmocka_unit_test(one_image_serves_many_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
