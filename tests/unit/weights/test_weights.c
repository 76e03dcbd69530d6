/* Hashes, comparisons and descriptions of weight files. */
#include "unit/checkpoint/checkpoint_support.h"

#include <convoy/weights.h>

#include <math.h>

static char folder[SCRATCH_PATH];
static struct sample s; /* the one that a test changes */

static int set_up(void **state)
{
    (void)state;
    sample_init(&s);
    return scratch_make(folder);
}

static int tear_down(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

/* The hash of s as it is now. */
static void hash_of_sample(char hex[33])
{
    const char *path = scratch_path(folder, "hash.h5");
    sample_write(&s, path);
    if (convoy_weights_hash(path, false, hex) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

static void the_hash_is_of_parameters_and_buffers_only(void **state)
{
    (void)state;
    char usual[33], hex[33];
    hash_of_sample(usual);
    assert_int_equal(strspn(usual, "0123456789abcdef"), 32);
    s.contents.facts.step = 5;
    s.contents.facts.recipe = "other";
    s.contents.n_slots = 0;
    hash_of_sample(hex);
    assert_string_equal(hex, usual);
    struct tensor_view first = s.params[0]; /* another order is the same weights */
    s.params[0] = s.params[1];
    s.params[1] = first;
    hash_of_sample(hex);
    assert_string_equal(hex, usual);
}

static void any_change_of_weights_changes_the_hash(void **state)
{
    (void)state;
    char usual[33], hex[33];
    hash_of_sample(usual);
    s.weight[SAMPLE_WEIGHT - 1] = nextafterf(s.weight[SAMPLE_WEIGHT - 1], 0);
    hash_of_sample(hex);
    assert_string_not_equal(hex, usual);
    sample_init(&s);
    s.mean[1] = -s.mean[1];
    hash_of_sample(hex);
    assert_string_not_equal(hex, usual);
    sample_init(&s);
    s.weight[0] = -0.0F; /* was 0 */
    hash_of_sample(hex);
    assert_string_not_equal(hex, usual);
    sample_init(&s);
    s.params[1].name = "conv1.biaz";
    hash_of_sample(hex);
    assert_string_not_equal(hex, usual);
    sample_init(&s);
    s.params[0].dims[0] = 3;
    s.params[0].dims[1] = 2;
    hash_of_sample(hex);
    assert_string_not_equal(hex, usual);
    sample_init(&s);
    s.contents.n_buffers = 0;
    hash_of_sample(hex);
    assert_string_not_equal(hex, usual);
}

/* A known file keeps its hash: people compare hashes of different versions of convoy.
 */
static void the_hash_of_known_weights_stays(void **state)
{
    (void)state;
    char hex[33];
    hash_of_sample(hex);
    assert_string_equal(hex, "df419d5bad9ac6e83fde3e5418be0123");
}

static void damaged_and_foreign_files_have_no_hash(void **state)
{
    (void)state;
    char hex[33] = "untouched";
    const char *path = scratch_path(folder, "bad.h5");
    sample_write(&s, path);
    flip_byte(path, find_bytes(path, s.weight, sizeof s.weight) + 100);
    assert_fails(convoy_weights_hash(path, false, hex), CONVOY_ERROR_FORMAT,
                 "bad.h5: is damaged");
    assert_int_equal(scratch_write(path, "hello", 5), 0);
    assert_fails(convoy_weights_hash(path, false, hex), CONVOY_ERROR_FORMAT, "bad.h5");
    assert_string_equal(hex, "untouched");
}

struct seen {
    int n, n_equal;
    char names[8][64], why[8][256];
    double max_abs[8], max_rel[8];
};

static void note(void *context, const convoy_weights_difference *found)
{
    struct seen *seen = context;
    int i = seen->n++;
    assert_in_range(i, 0, 7);
    seen->n_equal += found->equal;
    snprintf(seen->names[i], sizeof seen->names[i], "%s", found->name);
    snprintf(seen->why[i], sizeof seen->why[i], "%s", found->why ? found->why : "");
    seen->max_abs[i] = found->max_abs;
    seen->max_rel[i] = found->max_rel;
}

/* Compares the usual sample, a.h5, with s, b.h5. */
static bool compare(struct seen *seen)
{
    const char *a = scratch_path(folder, "a.h5"), *b = scratch_path(folder, "b.h5");
    bool equal = false;
    memset(seen, 0, sizeof *seen);
    sample_make(a);
    sample_write(&s, b);
    if (convoy_weights_diff(a, b, false, note, seen, &equal) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return equal;
}

static void equal_weights_have_no_difference(void **state)
{
    (void)state;
    struct seen seen;
    s.contents.n_slots = 0;
    s.contents.facts.step = 1;
    assert_true(compare(&seen));
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.n_equal, 3);
    assert_string_equal(seen.names[0], "buffers/bn1.running_mean");
    assert_string_equal(seen.names[1], "params/conv1.bias");
    assert_string_equal(seen.names[2], "params/conv1.weight");
    for (int i = 0; i < 3; i++)
        assert_true(seen.max_abs[i] == 0 && seen.max_rel[i] == 0);
}

static void the_largest_difference_of_a_tensor_is_found(void **state)
{
    (void)state;
    struct seen seen;
    s.bias[0] = 100.5F;  /* was 100 */
    s.bias[1] = 103;     /* was 101 */
    s.weight[0] = 0.25F; /* was 0 */
    assert_false(compare(&seen));
    assert_int_equal(seen.n_equal, 1);
    assert_true(seen.max_abs[1] == 2);
    assert_true(fabs(seen.max_rel[1] - 2.0 / 103) < 1e-15);
    assert_true(seen.max_abs[2] == 0.25);
    assert_true(seen.max_rel[2] == 1);
    assert_true(seen.max_abs[0] == 0);
}

static void signs_of_zero_and_no_numbers_are_differences(void **state)
{
    (void)state;
    struct seen seen;
    s.weight[0] = -0.0F;
    s.bias[1] = NAN;
    s.mean[0] = INFINITY;
    assert_false(compare(&seen));
    assert_int_equal(seen.n_equal, 0);
    assert_true(isinf(seen.max_abs[0]) && isinf(seen.max_rel[0]));
    assert_true(isinf(seen.max_abs[1]) && isinf(seen.max_rel[1]));
    assert_true(seen.max_abs[2] == 0 && seen.max_rel[2] == 0);
}

static void tensors_of_one_file_only_are_differences(void **state)
{
    (void)state;
    struct seen seen;
    s.params[1].name = "conv2.bias";
    assert_false(compare(&seen));
    assert_int_equal(seen.n, 4);
    assert_int_equal(seen.n_equal, 2);
    assert_string_equal(seen.names[1], "params/conv1.bias");
    assert_non_null(strstr(seen.why[1], "only in "));
    assert_non_null(strstr(seen.why[1], "/a.h5"));
    assert_string_equal(seen.names[3], "params/conv2.bias");
    assert_non_null(strstr(seen.why[3], "/b.h5"));
    sample_init(&s);
    s.contents.n_buffers = 0;
    assert_false(compare(&seen));
    assert_int_equal(seen.n, 3);
    assert_string_equal(seen.names[0], "buffers/bn1.running_mean");
}

static void other_shapes_are_differences(void **state)
{
    (void)state;
    struct seen seen;
    s.params[0].dims[0] = 3;
    s.params[0].dims[1] = 2;
    assert_false(compare(&seen));
    assert_int_equal(seen.n, 3);
    assert_string_equal(seen.why[2], "shapes [2, 3, 5, 5] and [3, 2, 5, 5]");
}

static void only_our_files_are_recognised(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "file.h5");
    sample_write(&s, path);
    assert_true(convoy_weights_recognise(path));
    assert_int_equal(scratch_write(path, "hello", 5), 0);
    assert_false(convoy_weights_recognise(path));
    assert_false(convoy_weights_recognise(folder));
    assert_false(convoy_weights_recognise(scratch_path(folder, "none.h5")));
}

static void a_description_has_facts_shapes_and_the_number_of_parameters(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n = 0;
    const char *path = scratch_path(folder, "describe.h5");
    sample_write(&s, path);
    FILE *stream = open_memstream(&text, &n);
    assert_non_null(stream);
    assert_int_equal(convoy_weights_describe(path, stream), CONVOY_OK);
    assert_int_equal(fclose(stream), 0);
    assert_non_null(strstr(text, "\nstep: 120\n"));
    assert_non_null(strstr(text, "\nmodel: lenet\n"));
    assert_non_null(strstr(text, "\nrecipe:\n  model:\n    name: \"lenet\"\n"));
    assert_non_null(strstr(text, "\n  params/conv1.weight [2, 3, 5, 5]\n"));
    assert_non_null(strstr(text, "\ntensors: 5\n"));
    assert_non_null(strstr(text, "\nparameters: 152\n"));
    free(text);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_hash_is_of_parameters_and_buffers_only),
        IN_FOLDER(any_change_of_weights_changes_the_hash),
        IN_FOLDER(the_hash_of_known_weights_stays),
        IN_FOLDER(damaged_and_foreign_files_have_no_hash),
        IN_FOLDER(equal_weights_have_no_difference),
        IN_FOLDER(the_largest_difference_of_a_tensor_is_found),
        IN_FOLDER(signs_of_zero_and_no_numbers_are_differences),
        IN_FOLDER(tensors_of_one_file_only_are_differences),
        IN_FOLDER(other_shapes_are_differences),
        IN_FOLDER(only_our_files_are_recognised),
        IN_FOLDER(a_description_has_facts_shapes_and_the_number_of_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
