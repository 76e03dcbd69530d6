/* Memory descriptors and reorders: what the helpers say of plain, blocked and
 * channels-last layouts, for either generation of oneDNN. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onednn/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct dnn dnn;

static void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        print_error("%s (%s)\n", convoy_status_text(), convoy_status_where());
    assert_int_equal(status, CONVOY_OK);
}

static void the_version_is_the_loaded_librarys(void **state)
{
    (void)state;
    char text[32];
    int major = 0, minor = 0, patch = 0;
    dnn_version(text);
    assert_int_equal(sscanf(text, "%d.%d.%d", &major, &minor, &patch), 3);
    assert_int_equal(major, DNNL_VERSION_MAJOR);
    assert_string_equal(dnn_status_text(dnnl_unimplemented), "not implemented");
}

static void a_descriptor_tells_its_dims_type_and_bytes(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 5, 3, 4};
    int64_t found[DNN_MAX_DIMS];
    struct dnn_md md = {0}, copy = {0}, bytes = {0};
    assert_null(dnn_md_ref(&md));
    assert_int_equal(dnn_md_bytes(dnn_md_ref(&md)), 0);
    ok(dnn_md_make_plain(4, dims, dnnl_f32, &md));
    assert_int_equal(dnn_md_dims(dnn_md_ref(&md), found), 4);
    assert_memory_equal(found, dims, sizeof dims);
    assert_int_equal(dnn_md_dims(dnn_md_ref(&md), NULL), 4);
    assert_int_equal(dnn_md_type(dnn_md_ref(&md)), dnnl_f32);
    assert_int_equal(dnn_md_bytes(dnn_md_ref(&md)), 2 * 5 * 3 * 4 * 4);
    ok(dnn_md_copy(dnn_md_ref(&md), &copy));
    dnn_md_free(&md);
    assert_int_equal(dnn_md_bytes(dnn_md_ref(&copy)), 2 * 5 * 3 * 4 * 4);
    ok(dnn_md_make_plain(1, dims, dnnl_u8, &bytes));
    assert_int_equal(dnn_md_type(dnn_md_ref(&bytes)), dnnl_u8);
    assert_false(dnn_md_same(dnn_md_ref(&bytes), dnn_md_ref(&copy)));
    dnn_md_free(&copy);
    dnn_md_free(&bytes);
    dnn_md_free(&bytes); /* a freed one is none */
}

struct layout {
    int n_dims;
    int64_t dims[DNN_MAX_DIMS];
    dnnl_format_tag_t tag;
    bool plain, sample_major;
};

static void plain_and_sample_major_layouts_are_told_from_others(void **state)
{
    (void)state;
    const struct layout layouts[] = {
        {4, {3, 5, 2, 4}, dnnl_abcd, true, true},
        {4, {3, 5, 2, 4}, dnnl_acdb, false, true},
        {4, {3, 5, 2, 4}, dnnl_aBcd8b, false, true}, /* 5 channels padded to 8 */
        {4, {3, 24, 2, 4}, dnnl_aBcd8b, false, true},
        {4, {3, 20, 2, 4}, dnnl_aBcd16b, false, true},
        {4, {3, 5, 2, 4}, dnnl_bcda, false, false},
        {4, {3, 20, 2, 4}, dnnl_ABcd16b16a, false, false},
        {4, {16, 16, 2, 4}, dnnl_ABcd16b16a, false, false},
        {2, {3, 5}, dnnl_ab, true, true},
        {2, {3, 5}, dnnl_ba, false, false},
        {1, {7}, dnnl_a, true, true},
        {5, {2, 3, 4, 5, 6}, dnnl_abcde, true, true},
    };
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        const struct layout *l = &layouts[i];
        struct dnn_md md = {0};
        ok(dnn_md_make(l->n_dims, l->dims, dnnl_f32, l->tag, &md));
        if (dnn_md_is_plain(dnn_md_ref(&md)) != l->plain ||
            dnn_md_is_sample_major(dnn_md_ref(&md)) != l->sample_major) {
            print_error("layout %d: plain %d, sample-major %d\n", (int)i,
                        dnn_md_is_plain(dnn_md_ref(&md)),
                        dnn_md_is_sample_major(dnn_md_ref(&md)));
            fail();
        }
        dnn_md_free(&md);
    }
}

/* What sample-major promises: bytes of sample i are the i-th equal part. */
static void samples_of_sample_major_layouts_are_ranges(void **state)
{
    (void)state;
    const dnnl_format_tag_t tags[] = {dnnl_abcd, dnnl_acdb, dnnl_aBcd8b};
    enum { N = 3, SAMPLE = 5 * 2 * 4 };
    const int64_t dims[] = {N, 5, 2, 4};
    struct dnn_md plain = {0};
    float values[N * SAMPLE];
    for (int i = 0; i < N * SAMPLE; i++) {
        int sample = i / SAMPLE;
        values[i] = (float)(sample + 1);
    }
    ok(dnn_md_make_plain(4, dims, dnnl_f32, &plain));
    for (int t = 0; t < 3; t++) {
        struct dnn_md md = {0};
        ok(dnn_md_make(4, dims, dnnl_f32, tags[t], &md));
        size_t n = dnn_md_bytes(dnn_md_ref(&md)) / sizeof(float);
        float *out = calloc(n, sizeof *out);
        assert_non_null(out);
        ok(dnn_reorder_now(&dnn, dnn_md_ref(&plain), values, dnn_md_ref(&md), out));
        for (size_t i = 0; i < n; i++) {
            size_t sample = i / (n / N);
            assert_true(out[i] == 0 || out[i] == (float)(sample + 1));
        }
        free(out);
        dnn_md_free(&md);
    }
    dnn_md_free(&plain);
}

static void reorders_there_and_back_are_exact(void **state)
{
    (void)state;
    const dnnl_format_tag_t tags[] = {dnnl_acdb, dnnl_aBcd8b, dnnl_aBcd16b, dnnl_bcda};
    enum { VALUES = 2 * 5 * 3 * 4 };
    const int64_t dims[] = {2, 5, 3, 4};
    struct dnn_md plain = {0};
    float values[VALUES], back[VALUES];
    for (int i = 0; i < VALUES; i++)
        values[i] = (float)(i + 1) / 7;
    ok(dnn_md_make_plain(4, dims, dnnl_f32, &plain));
    for (int t = 0; t < 4; t++) {
        struct dnn_md md = {0};
        ok(dnn_md_make(4, dims, dnnl_f32, tags[t], &md));
        size_t n = dnn_md_bytes(dnn_md_ref(&md)) / sizeof(float), n_zero = 0;
        int n_moved = 0;
        float *out = malloc(n * sizeof *out);
        assert_non_null(out);
        memset(out, 0xff, n * sizeof *out);
        memset(back, 0, sizeof back);
        ok(dnn_reorder_now(&dnn, dnn_md_ref(&plain), values, dnn_md_ref(&md), out));
        for (size_t i = 0; i < n; i++)
            n_zero += out[i] == 0;
        assert_int_equal(n_zero, n - VALUES); /* padding is written, as zeros */
        for (int i = 0; i < VALUES; i++)
            n_moved += out[i] != values[i];
        assert_true(n_moved > 0);
        ok(dnn_reorder_now(&dnn, dnn_md_ref(&md), out, dnn_md_ref(&plain), back));
        assert_memory_equal(values, back, sizeof values);
        free(out);
        dnn_md_free(&md);
    }
    dnn_md_free(&plain);
}

static void parts_and_other_shapes_show_the_same_memory(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 3, 1, 2}, part_dims[] = {2, 2, 1, 2};
    const int64_t part_at[] = {0, 1, 0, 0}, flat_dims[] = {2, 6};
    const float values[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const float expected[] = {2, 3, 4, 5, 8, 9, 10, 11};
    float out[8] = {0};
    struct dnn_md whole = {0}, part = {0}, plain = {0}, flat = {0}, none = {0};
    ok(dnn_md_make_plain(4, dims, dnnl_f32, &whole));
    ok(dnn_md_submemory(dnn_md_ref(&whole), part_dims, part_at, &part));
    ok(dnn_md_make_plain(4, part_dims, dnnl_f32, &plain));
    ok(dnn_reorder_now(&dnn, dnn_md_ref(&part), values, dnn_md_ref(&plain), out));
    assert_memory_equal(out, expected, sizeof out);
    assert_false(dnn_md_is_plain(dnn_md_ref(&part)));
    ok(dnn_md_reshape(dnn_md_ref(&whole), 2, flat_dims, &flat));
    assert_true(dnn_md_is_plain(dnn_md_ref(&flat)));
    assert_int_equal(dnn_md_bytes(dnn_md_ref(&flat)), sizeof values);
    /* 2 x 5 values are not 2 x 6. */
    const int64_t wrong[] = {2, 5};
    assert_int_equal(dnn_md_reshape(dnn_md_ref(&whole), 2, wrong, &none),
                     CONVOY_ERROR_LIBRARY);
    assert_non_null(strstr(convoy_status_text(), "invalid arguments"));
    assert_false(none.set);
    dnn_md_free(&whole);
    dnn_md_free(&part);
    dnn_md_free(&plain);
    dnn_md_free(&flat);
}

static void blocks_of_channels_are_not_cut(void **state)
{
    (void)state;
    const int64_t dims[] = {1, 16, 2, 2}, part_dims[] = {1, 8, 2, 2};
    const int64_t at_block[] = {0, 8, 0, 0}, within[] = {0, 4, 0, 0};
    struct dnn_md whole = {0}, part = {0}, none = {0};
    ok(dnn_md_make(4, dims, dnnl_f32, dnnl_aBcd8b, &whole));
    ok(dnn_md_submemory(dnn_md_ref(&whole), part_dims, at_block, &part));
    assert_true(dnn_md_submemory(dnn_md_ref(&whole), part_dims, within, &none) !=
                CONVOY_OK);
    assert_false(none.set);
    dnn_md_free(&whole);
    dnn_md_free(&part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_is_the_loaded_librarys),
        cmocka_unit_test(a_descriptor_tells_its_dims_type_and_bytes),
        cmocka_unit_test(plain_and_sample_major_layouts_are_told_from_others),
        cmocka_unit_test(samples_of_sample_major_layouts_are_ranges),
        cmocka_unit_test(reorders_there_and_back_are_exact),
        cmocka_unit_test(parts_and_other_shapes_show_the_same_memory),
        cmocka_unit_test(blocks_of_channels_are_not_cut),
    };
    if (dnn_create(&dnn) != CONVOY_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dnn_destroy(&dnn);
    return failed;
}
