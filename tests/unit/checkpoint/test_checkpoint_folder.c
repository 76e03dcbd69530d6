/* Finding the newest whole checkpoint, and removing old ones. */
#include "unit/checkpoint/checkpoint_support.h"

#include "base/file.h"
#include "h5/h5.h"

#include <hdf5.h>
#include <unistd.h>

static char folder[SCRATCH_PATH];

static int make_folder(void **state)
{
    (void)state;
    return scratch_make(folder);
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

static const char *step_path(uint64_t step)
{
    char name[CHECKPOINT_NAME_SIZE];
    checkpoint_name(step, name);
    return scratch_path(folder, name);
}

static void make_step(uint64_t step)
{
    struct sample s;
    sample_init(&s);
    s.contents.facts.step = step;
    sample_write(&s, step_path(step));
}

static void assert_newest(uint64_t step, int n_skipped)
{
    struct checkpoint *checkpoint = NULL;
    struct checkpoint_skipped skipped;
    assert_int_equal(checkpoint_newest(folder, &skipped, &checkpoint), CONVOY_OK);
    assert_non_null(checkpoint);
    assert_int_equal(checkpoint_describe(checkpoint)->step, step);
    assert_int_equal(skipped.n, n_skipped);
    checkpoint_close(checkpoint);
}

static void names_have_eight_digits_or_more(void **state)
{
    (void)state;
    char name[CHECKPOINT_NAME_SIZE];
    checkpoint_name(120, name);
    assert_string_equal(name, "step-00000120.h5");
    checkpoint_name(12345678901U, name);
    assert_string_equal(name, "step-12345678901.h5");
    checkpoint_name(UINT64_MAX, name);
    assert_string_equal(name, "step-18446744073709551615.h5");
}

static void without_checkpoints_there_is_no_newest(void **state)
{
    (void)state;
    struct checkpoint *checkpoint = NULL;
    struct checkpoint_skipped skipped = {.n = 9};
    assert_int_equal(checkpoint_newest(folder, &skipped, &checkpoint), CONVOY_OK);
    assert_null(checkpoint);
    assert_int_equal(skipped.n, 0);
    assert_int_equal(
        checkpoint_newest(scratch_path(folder, "none"), &skipped, &checkpoint),
        CONVOY_OK);
    assert_null(checkpoint);
}

static void the_highest_step_is_the_newest(void **state)
{
    (void)state;
    make_step(100000000); /* nine digits: sorts before the others as text */
    make_step(99999999);
    make_step(5);
    assert_newest(100000000, 0);
}

static void other_names_are_not_looked_at(void **state)
{
    (void)state;
    static const char *const names[] = {
        "step-7.h5",         "step-000000099.h5", "step-00000099.h5.tmp",
        "step-00000099.h5x", "xstep-00000099.h5", "step--0000099.h5",
        "step-+0000099.h5",  "step- 0000099.h5"};
    make_step(3);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        sample_make(scratch_path(folder, names[i]));
    assert_newest(3, 0);
}

static void damaged_checkpoints_are_skipped_and_counted(void **state)
{
    (void)state;
    make_step(10);
    make_step(20);
    make_step(30);
    make_step(40);
    struct sample s;
    sample_init(&s);
    flip_byte(step_path(40), find_bytes(step_path(40), s.weight, sizeof s.weight));
    cut_file(step_path(30), 700);
    struct checkpoint *checkpoint = NULL;
    struct checkpoint_skipped skipped;
    assert_int_equal(checkpoint_newest(folder, &skipped, &checkpoint), CONVOY_OK);
    assert_int_equal(checkpoint_describe(checkpoint)->step, 20);
    assert_int_equal(skipped.n, 2);
    assert_non_null(strstr(skipped.why, "step-00000040.h5: is damaged"));
    checkpoint_close(checkpoint);
}

static void with_only_damaged_ones_there_is_none(void **state)
{
    (void)state;
    make_step(10);
    cut_file(step_path(10), 10);
    struct checkpoint *checkpoint = NULL;
    struct checkpoint_skipped skipped;
    assert_int_equal(checkpoint_newest(folder, &skipped, &checkpoint), CONVOY_OK);
    assert_null(checkpoint);
    assert_int_equal(skipped.n, 1);
}

static void a_checkpoint_of_a_newer_format_is_not_passed_over(void **state)
{
    (void)state;
    make_step(10);
    struct h5_file *file = NULL;
    assert_int_equal(h5_create(step_path(20), &file), CONVOY_OK);
    assert_int_equal(h5_write_text(file, "/", "convoy_file", "checkpoint"), CONVOY_OK);
    assert_int_equal(h5_write_i64(file, "/", "format_version", CHECKPOINT_VERSION + 1),
                     CONVOY_OK);
    assert_int_equal(h5_finish(file), CONVOY_OK);
    h5_close(file);
    struct checkpoint *checkpoint = NULL;
    struct checkpoint_skipped skipped;
    assert_fails(checkpoint_newest(folder, &skipped, &checkpoint),
                 CONVOY_ERROR_UNSUPPORTED, "step-00000020.h5: was written by convoy");
    assert_null(checkpoint);
}

/* What the system cannot read now may be whole. */
static void an_error_of_the_system_is_not_passed_over(void **state)
{
    (void)state;
    make_step(10);
    assert_int_equal(symlink("step-00000020.h5", step_path(20)), 0);
    struct checkpoint *checkpoint = NULL;
    struct checkpoint_skipped skipped;
    assert_fails(checkpoint_newest(folder, &skipped, &checkpoint), CONVOY_ERROR_IO,
                 "step-00000020.h5: cannot open");
    assert_null(checkpoint);
    assert_int_equal(symlink("nothing", scratch_path(folder, "gone")), 0);
    assert_int_equal(
        checkpoint_newest(scratch_path(folder, "gone"), &skipped, &checkpoint),
        CONVOY_OK);
    assert_int_equal(symlink("loop", scratch_path(folder, "loop")), 0);
    assert_fails(checkpoint_newest(scratch_path(folder, "loop"), &skipped, &checkpoint),
                 CONVOY_ERROR_IO, "loop: cannot open the folder");
}

/* A file of kilobytes with a hole of 8 TiB in it, where the array "params/hole" is. */
static bool add_hole(const char *path)
{
    const hsize_t claimed = (hsize_t)1 << 41;
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(1, &claimed, NULL);
    H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(list, H5D_FILL_TIME_NEVER);
    hid_t array = H5Dcreate2(file, "params/hole", H5T_IEEE_F32LE, space, H5P_DEFAULT,
                             list, H5P_DEFAULT);
    H5Dclose(array);
    H5Sclose(space);
    H5Pclose(list);
    return H5Fclose(file) >= 0 && array >= 0;
}

static void what_no_memory_can_hold_is_the_files_fault(void **state)
{
    (void)state;
    struct checkpoint *checkpoint = NULL;
    struct checkpoint_skipped skipped;
    make_step(10);
    make_step(20);
    if (!add_hole(step_path(20))) {
        print_message("this file system has no files with holes of 8 TiB\n");
        skip();
    }
    assert_int_equal(checkpoint_newest(folder, &skipped, &checkpoint), CONVOY_OK);
    assert_int_equal(checkpoint_describe(checkpoint)->step, 10);
    assert_int_equal(skipped.n, 1);
    assert_non_null(strstr(skipped.why, "step-00000020.h5: claims 2199023255"));
    checkpoint_close(checkpoint);
}

static void states_that_diverged_are_passed_over(void **state)
{
    (void)state;
    struct sample s;
    char name[CHECKPOINT_NAME_SIZE];
    make_step(10);
    sample_init(&s);
    s.bias[1] = (float)(1.0 / 0.0);
    sample_write(&s, step_path(20));
    assert_newest(10, 1);
    checkpoint_diverged_name(30, name);
    assert_string_equal(name, "diverged-00000030.h5");
    sample_make(scratch_path(folder, name));
    checkpoint_diverged_name(5, name);
    sample_make(scratch_path(folder, name));
    assert_newest(10, 2);
    assert_int_equal(checkpoint_prune(folder, 30, 1, NULL, NULL), CONVOY_OK);
    assert_true(file_exists(scratch_path(folder, "diverged-00000005.h5")));
    assert_int_equal(checkpoint_prune_diverged(folder, 30, NULL), CONVOY_OK);
    assert_false(file_exists(scratch_path(folder, "diverged-00000005.h5")));
    assert_true(file_exists(scratch_path(folder, "diverged-00000030.h5")));
}

static void the_last_step_is_that_of_a_name(void **state)
{
    (void)state;
    bool any = true;
    uint64_t step = 9;
    assert_int_equal(checkpoint_last_step(folder, &any, &step), CONVOY_OK);
    assert_false(any);
    make_step(10);
    assert_int_equal(scratch_write(step_path(20), "x", 1), 0);
    assert_int_equal(checkpoint_last_step(folder, &any, &step), CONVOY_OK);
    assert_true(any);
    assert_int_equal(step, 20);
}

static void pruning_keeps_the_newest(void **state)
{
    (void)state;
    for (uint64_t step = 1; step <= 5; step++)
        assert_int_equal(scratch_write(step_path(step * 10), "x", 1), 0);
    assert_int_equal(scratch_write(scratch_path(folder, "notes.h5"), "x", 1), 0);
    assert_int_equal(checkpoint_prune(folder, 50, 5, NULL, NULL), CONVOY_OK);
    assert_true(file_exists(step_path(10)));
    assert_int_equal(checkpoint_prune(folder, 50, 2, NULL, NULL), CONVOY_OK);
    assert_false(file_exists(step_path(10)));
    assert_false(file_exists(step_path(30)));
    assert_true(file_exists(step_path(40)));
    assert_true(file_exists(step_path(50)));
    assert_true(file_exists(scratch_path(folder, "notes.h5")));
}

static void pruning_spares_the_best(void **state)
{
    (void)state;
    const uint64_t best = 20;
    for (uint64_t step = 1; step <= 5; step++)
        assert_int_equal(scratch_write(step_path(step * 10), "x", 1), 0);
    assert_int_equal(checkpoint_prune(folder, 50, 1, &best, NULL), CONVOY_OK);
    assert_false(file_exists(step_path(10)));
    assert_true(file_exists(step_path(20)));
    assert_false(file_exists(step_path(40)));
    assert_true(file_exists(step_path(50)));
}

static void pruning_leaves_and_does_not_count_later_ones(void **state)
{
    (void)state;
    for (uint64_t step = 1; step <= 4; step++)
        assert_int_equal(scratch_write(step_path(step * 10), "x", 1), 0);
    assert_int_equal(checkpoint_prune(folder, 25, 1, NULL, NULL), CONVOY_OK);
    assert_false(file_exists(step_path(10)));
    assert_true(file_exists(step_path(20)));
    assert_true(file_exists(step_path(30)));
    assert_true(file_exists(step_path(40)));
}

static void pruning_removes_what_interrupted_writes_left(void **state)
{
    (void)state;
    assert_int_equal(scratch_write(step_path(20), "x", 1), 0);
    const char *old = scratch_path(folder, "step-00000010.h5.tmp");
    const char *newer = scratch_path(folder, "step-00000030.h5.tmp");
    assert_int_equal(scratch_write(old, "x", 1), 0);
    assert_int_equal(scratch_write(newer, "x", 1), 0);
    assert_int_equal(checkpoint_prune(folder, 20, 1, NULL, NULL), CONVOY_OK);
    assert_false(file_exists(old));
    assert_true(file_exists(newer));
    assert_fails(checkpoint_prune(scratch_path(folder, "none"), 20, 1, NULL, NULL),
                 CONVOY_ERROR_IO, "none: cannot open the folder");
}

#define IN_FOLDER(test)                                                                \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_eight_digits_or_more),
        IN_FOLDER(without_checkpoints_there_is_no_newest),
        IN_FOLDER(the_highest_step_is_the_newest),
        IN_FOLDER(other_names_are_not_looked_at),
        IN_FOLDER(damaged_checkpoints_are_skipped_and_counted),
        IN_FOLDER(with_only_damaged_ones_there_is_none),
        IN_FOLDER(a_checkpoint_of_a_newer_format_is_not_passed_over),
        IN_FOLDER(an_error_of_the_system_is_not_passed_over),
        IN_FOLDER(what_no_memory_can_hold_is_the_files_fault),
        IN_FOLDER(states_that_diverged_are_passed_over),
        IN_FOLDER(the_last_step_is_that_of_a_name),
        IN_FOLDER(pruning_keeps_the_newest),
        IN_FOLDER(pruning_spares_the_best),
        IN_FOLDER(pruning_leaves_and_does_not_count_later_ones),
        IN_FOLDER(pruning_removes_what_interrupted_writes_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
