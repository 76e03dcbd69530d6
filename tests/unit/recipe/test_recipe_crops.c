/* data.crop: its three forms, the sizes that come of them, and what is refused. */
#include "unit/recipe/recipe_support.h"

#include "base/memory.h"

#include <math.h>

static void assert_crops(const char *value, int n, const int *crops)
{
    char set[256];
    snprintf(set, sizeof set, "data.crop=%s", value);
    convoy_recipe *r = load_set(set);
    for (int epoch = 0; epoch < n; epoch++)
        assert_int_equal(recipe_crop_at(&r->data.crop, (uint64_t)epoch), crops[epoch]);
    convoy_recipe_destroy(r);
}

static void a_size_holds_from_its_epoch_on(void **state)
{
    (void)state;
    const int one[] = {160, 160, 160}, two[] = {160, 160, 192, 192},
              three[] = {64, 32, 32, 96, 96};
    assert_crops("160", 3, one);
    assert_crops("[{epoch: 0, crop: 160}]", 3, one);
    assert_crops("[{epoch: 0, crop: 160}, {crop: 192, epoch: 2}]", 4, two);
    assert_crops("[{epoch: 0, crop: 64}, {epoch: 1, crop: 32}, {epoch: 3, crop: 96}]",
                 5, three);
}

/* ffcv's get_resolution, word for word: np.interp, and np.round, whose halves go to the
 * even number. */
static int ffcv(int epoch, int from, int to, int begin, int end)
{
    if (epoch <= begin)
        return from;
    if (epoch >= end)
        return to;
    const double slope = (double)(to - from) / (end - begin);
    return (int)nearbyint((slope * (epoch - begin) + from) / 32) * 32;
}

static void a_ramp_is_that_of_ffcv(void **state)
{
    (void)state;
    static const int ramps[][4] = {
        {160, 192, 6, 13}, {160, 192, 35, 76}, {160, 192, 6, 12}, {128, 224, 0, 16},
        {224, 128, 3, 11}, {96, 256, 5, 9},    {64, 192, 0, 1},   {160, 160, 2, 5}};
    for (size_t i = 0; i < sizeof ramps / sizeof *ramps; i++) {
        const int *r = ramps[i];
        char value[128];
        int crops[90];
        for (int epoch = 0; epoch < 90; epoch++)
            crops[epoch] = ffcv(epoch, r[0], r[1], r[2], r[3]);
        snprintf(value, sizeof value, "{from: %d, to: %d, begin: %d, end: %d}", r[0],
                 r[1], r[2], r[3]);
        assert_crops(value, 90, crops);
    }
    const int by_four[] = {20, 20, 24, 28, 28};
    assert_crops("{from: 20, to: 28, begin: 1, end: 3, round: 4}", 5, by_four);
}

static void largest_and_last_are_found(void **state)
{
    (void)state;
    convoy_recipe *r = load_set(
        "data.crop=[{epoch: 0, crop: 64}, {epoch: 1, crop: 96}, {epoch: 3, crop: 32}]");
    assert_int_equal(recipe_crop_largest(&r->data.crop), 96);
    assert_int_equal(recipe_crop_last(&r->data.crop), 32);
    convoy_recipe_destroy(r);
}

static void each_form_is_written_as_it_was(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "crop: 160\n", "crop: [{epoch: 0, crop: 160}, {epoch: 24, crop: 192}]\n",
        "crop: {from: 160, to: 192, begin: 6, end: 12, round: 32}\n"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char set[128], *text = NULL;
        snprintf(set, sizeof set, "data.crop=%.*s",
                 (int)strcspn(strchr(forms[i], ' ') + 1, "\n"),
                 strchr(forms[i], ' ') + 1);
        convoy_recipe *r = load_set(set);
        assert_int_equal(recipe_text(r, &text), CONVOY_OK);
        assert_non_null(strstr(text, forms[i]));
        mem_free(text);
        convoy_recipe_destroy(r);
    }
}

static void what_is_no_crop_is_refused(void **state)
{
    (void)state;
    static const char forms[] = "an integer at least 1 and at most 65536, or 0, or "
                                "[{epoch: E, crop: N}, ...], or "
                                "{from: N, to: N, begin: E, end: E, round: N}";
    static const char *const no_form[][2] = {
        {"big", "is 'big'"},           {"-1", "is '-1'"},
        {"0.5", "is '0.5'"},           {"70000", "is '70000'"},
        {"[]", "is a list"},           {"[160]", "entry 1 is '160'"},
        {"[[1]]", "entry 1 is a list"}};
    static const char *const others[][2] = {
        {"[{epoch: 0}]", " entry 1 lacks 'crop', expected {epoch: E, crop: N}"},
        {"[{epoch: 0, size: 4}]", " entry 1 has 'size', expected {epoch: E, crop: N}"},
        {"[{epoch: 0, epoch: 1, crop: 2}]",
         " entry 1 has twice 'epoch', expected {epoch: E, crop: N}"},
        {"[{epoch: 0, crop: 0}]",
         ": 'crop' is '0', expected an integer from 1 to 65536"},
        {"[{epoch: 0.5, crop: 9}]",
         ": 'epoch' is '0.5', expected an integer from 0 to 1048576"},
        {"[{epoch: 1, crop: 9}]",
         " begins at epoch 1, expected 0: epochs count from 0"},
        {"[{epoch: 0, crop: 9}, {epoch: 0, crop: 8}]",
         " has epoch 0 after 0, expected ascending epochs"},
        {"{from: 160, to: 192, begin: 6}",
         " lacks 'end', expected {from: N, to: N, begin: E, end: E, round: N}"},
        {"{from: 160, to: 190, begin: 6, end: 9}",
         " goes from 160 to 190 in multiples of 32, of which 190 is none; set 'round' "
         "to "
         "a divisor of both"},
        {"{from: 160, to: 192, begin: 6, end: 6}",
         " begins at epoch 6 and ends at 6, expected a later end"},
        {"{from: 10, to: 40, begin: 0, end: 30, round: 1}",
         " has more than 16 sizes, the most there can be: each needs a net of its own; "
         "name fewer, or make a ramp's round larger"}};
    char set[128], message[512];
    for (size_t i = 0; i < sizeof no_form / sizeof *no_form; i++) {
        snprintf(set, sizeof set, "data.crop=%s", no_form[i][0]);
        snprintf(message, sizeof message, "--set %s: key 'data.crop' %s, expected %s",
                 set, no_form[i][1], forms);
        assert_refuses_set(set, message);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(set, sizeof set, "data.crop=%s", others[i][0]);
        snprintf(message, sizeof message, "--set %s: key 'data.crop'%s", set,
                 others[i][1]);
        assert_refuses_set(set, message);
    }
}

static void a_size_that_no_epoch_has_is_refused(void **state)
{
    (void)state;
    const char *const list[] = {
        "data.crop=[{epoch: 0, crop: 160}, {epoch: 24, crop: 192}]",
        "schedule.epochs=24"};
    const char *const ramp[] = {"data.crop={from: 64, to: 96, begin: 2, end: 9}",
                                "schedule.epochs=6"};
    const char *const rounded_up[] = {ramp[0], "schedule.epochs=7"};
    convoy_recipe *r = load_set(list[0]);
    convoy_recipe_destroy(r);
    assert_int_equal(convoy_recipe_load_text("r.yaml", MINIMAL, rounded_up, 2, &r),
                     CONVOY_OK);
    assert_int_equal(recipe_crop_at(&r->data.crop, 5), 64);
    assert_int_equal(recipe_crop_at(&r->data.crop, 6), 96);
    convoy_recipe_destroy(r);
    assert_refused(
        MINIMAL, list, 2,
        "--set data.crop=[{epoch: 0, crop: 160}, {epoch: 24, crop: 192}]: key "
        "'data.crop' does not fit: data.crop is 192 from epoch 24 on, but with "
        "schedule.epochs 24 the last epoch is 23 (they count from 0); train "
        "longer or take data.crop's last entry away");
    assert_refused(
        MINIMAL, ramp, 2,
        "--set data.crop={from: 64, to: 96, begin: 2, end: 9}: key 'data.crop' "
        "does not fit: data.crop is 96 from epoch 6 on, but with "
        "schedule.epochs 6 the last epoch is 5 (they count from 0); train "
        "longer or take data.crop's end earlier");
}

static void no_crop_is_larger_than_what_it_is_cut_out_of(void **state)
{
    (void)state;
    const char *const train[] = {"data.resize=180", "data.crop=[{epoch: 0, crop: 160}, "
                                                    "{epoch: 2, crop: 192}]"};
    const char *const val[] = {"data.resize=256", "data.val_crop=288"};
    assert_refused(MINIMAL, train, 2,
                   "--set data.resize=180: key 'data.resize' does not fit: data.resize "
                   "180 is less than data.crop 192; set data.resize to at least 192, "
                   "or lower data.crop");
    assert_refused(
        MINIMAL, val, 2,
        "--set data.val_crop=288: key 'data.val_crop' does not fit: "
        "data.val_crop 288 is more than data.resize 256, the shorter side of "
        "what it is cut out of; set data.resize to at least 288");
}

static void resize_has_a_second_name(void **state)
{
    (void)state;
    convoy_recipe *r = load_set("data.val_resize=232");
    assert_int_equal(r->data.resize, 232);
    convoy_recipe_destroy(r);
    assert_refuses("model: {name: lenet}\n"
                   "data:\n"
                   "  train: t.h5\n"
                   "  val_resize: 232\n"
                   "  resize: 256\n",
                   "r.yaml:5: key 'data.resize' is another name of one that is there "
                   "already (r.yaml:4); remove one of the two");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_holds_from_its_epoch_on),
        cmocka_unit_test(a_ramp_is_that_of_ffcv),
        cmocka_unit_test(largest_and_last_are_found),
        cmocka_unit_test(each_form_is_written_as_it_was),
        cmocka_unit_test(what_is_no_crop_is_refused),
        cmocka_unit_test(a_size_that_no_epoch_has_is_refused),
        cmocka_unit_test(resize_has_a_second_name),
        cmocka_unit_test(no_crop_is_larger_than_what_it_is_cut_out_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
