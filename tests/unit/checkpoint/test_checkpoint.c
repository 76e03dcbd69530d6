/* One checkpoint: what goes in comes out, and damage shows. */
#include "unit/checkpoint/checkpoint_support.h"

#include "base/file.h"
#include "checkpoint/checkpoint_facts.h"
#include "h5/h5.h"

#include <dirent.h>

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

static void facts_come_back(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "facts.h5");
    sample_make(path);
    struct checkpoint *checkpoint = open_whole(path);
    const struct checkpoint_facts *found = checkpoint_describe(checkpoint);
    assert_int_equal(found->step, 120);
    assert_int_equal(found->steps_per_epoch, 40);
    assert_string_equal(found->recipe, "model:\n  name: \"lenet\"\n");
    assert_string_equal(found->model, "lenet");
    assert_int_equal(found->classes, 3);
    assert_int_equal(found->input_shape[0], 1);
    assert_int_equal(found->input_shape[1], 28);
    assert_int_equal(found->input_shape[2], 30);
    assert_int_equal(found->n_class_names, 3);
    assert_string_equal(found->class_names[2], "œuf");
    assert_string_equal(found->train_pack, "00112233445566778899aabbccddeeff");
    assert_string_equal(found->val_pack, "");
    assert_int_equal(found->microbatch, 8);
    assert_int_equal(found->n_microbatches, 4);
    assert_int_equal(found->threads, 2);
    assert_string_equal(found->isa, "avx2");
    assert_string_equal(found->convoy_version, "0.1.0");
    assert_string_equal(found->onednn_version, "2.6.3");
    assert_string_equal(found->mpi_version, "Open MPI 4.1");
    assert_string_equal(found->hdf5_version, "1.10.8");
    assert_string_equal(found->onednn_isa, "avx2, f32 computed as mode 1");
    assert_string_equal(found->changes, "step 80: schedule.epochs: 3 -> 4\n"
                                        "step 90: seed: 1 -> 2\n");
    assert_string_equal(checkpoint_path(checkpoint), path);
    checkpoint_close(checkpoint);
}

static void tensors_come_back_to_the_last_bit(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "tensors.h5");
    static struct sample s, read;
    sample_init(&s);
    s.weight[3] = -0.0F;
    s.weight[4] = 1e-45F;
    s.bias[0] = (float)(0.0 / 0.0 * -1.0);
    sample_write(&s, path);
    sample_init(&read);
    memset(read.weight, 1, sizeof read.weight);
    memset(read.bias, 1, sizeof read.bias);
    memset(read.mean, 1, sizeof read.mean);
    memset(read.weight_momentum, 1, sizeof read.weight_momentum);
    memset(read.bias_momentum, 1, sizeof read.bias_momentum);
    struct checkpoint *checkpoint = open_whole(path);
    assert_int_equal(checkpoint_read(checkpoint, "params", read.params, 2), CONVOY_OK);
    assert_int_equal(checkpoint_read(checkpoint, "buffers", read.buffers, 1),
                     CONVOY_OK);
    assert_int_equal(
        checkpoint_read(checkpoint, "optimizer/momentum", read.momentum, 2), CONVOY_OK);
    checkpoint_close(checkpoint);
    assert_memory_equal(read.weight, s.weight, sizeof s.weight);
    assert_memory_equal(read.bias, s.bias, sizeof s.bias);
    assert_memory_equal(read.mean, s.mean, sizeof s.mean);
    assert_memory_equal(read.weight_momentum, s.weight_momentum,
                        sizeof s.weight_momentum);
    assert_memory_equal(read.bias_momentum, s.bias_momentum, sizeof s.bias_momentum);
}

static void tensors_are_listed_by_their_paths(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "buffers/bn1.running_mean", "optimizer/momentum/conv1.bias",
        "optimizer/momentum/conv1.weight", "params/conv1.bias", "params/conv1.weight"};
    const char *path = scratch_path(folder, "list.h5");
    sample_make(path);
    struct checkpoint *checkpoint = open_whole(path);
    size_t n = 0;
    const struct tensor_view *tensors = checkpoint_tensors(checkpoint, &n);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(tensors[i].name, expected[i]);
    char shape[CHECKPOINT_SHAPE_SIZE];
    checkpoint_shape_text(&tensors[4], shape);
    assert_string_equal(shape, "[2, 3, 5, 5]");
    float bias[SAMPLE_BIAS];
    assert_int_equal(checkpoint_read_values(checkpoint, 3, bias), CONVOY_OK);
    assert_true(bias[0] == 100 && bias[1] == 101);
    checkpoint_close(checkpoint);
}

static void a_checkpoint_may_hold_next_to_nothing(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "bare.h5");
    struct checkpoint_contents contents = {.facts = {.step = 7}};
    assert_int_equal(checkpoint_write(path, &contents), CONVOY_OK);
    struct checkpoint *checkpoint = open_whole(path);
    size_t n = 1;
    checkpoint_tensors(checkpoint, &n);
    assert_int_equal(n, 0);
    assert_int_equal(checkpoint_describe(checkpoint)->step, 7);
    assert_string_equal(checkpoint_describe(checkpoint)->recipe, "");
    assert_int_equal(checkpoint_describe(checkpoint)->n_class_names, 0);
    assert_int_equal(checkpoint_read(checkpoint, "buffers", NULL, 0), CONVOY_OK);
    checkpoint_close(checkpoint);
    checkpoint_close(NULL);
}

static void a_tensor_of_another_shape_names_both_shapes(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "shape.h5");
    sample_make(path);
    struct sample s;
    sample_init(&s);
    struct checkpoint *checkpoint = open_whole(path);
    s.params[0].dims[1] = 5;
    s.params[0].dims[2] = 3;
    assert_fails(
        checkpoint_read(checkpoint, "params", s.params, 2), CONVOY_ERROR_FORMAT,
        "shape.h5: params/conv1.weight has the shape [2, 3, 5, 5], expected [2, 5, "
        "3, 5]");
    sample_init(&s);
    s.params[1].n_dims = 2;
    s.params[1].dims[1] = 1;
    assert_fails(checkpoint_read(checkpoint, "params", s.params, 2),
                 CONVOY_ERROR_FORMAT,
                 "params/conv1.bias has the shape [2], expected [2, 1]");
    checkpoint_close(checkpoint);
}

static void missing_and_extra_tensors_are_named(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "names.h5");
    sample_make(path);
    struct sample s;
    sample_init(&s);
    struct checkpoint *checkpoint = open_whole(path);
    assert_fails(checkpoint_read(checkpoint, "params", s.params, 1),
                 CONVOY_ERROR_FORMAT,
                 "names.h5: holds params/conv1.bias, which the model does not have");
    s.buffers[0].name = "bn1.running_var";
    assert_fails(
        checkpoint_read(checkpoint, "optimizer/velocity", s.momentum, 2),
        CONVOY_ERROR_FORMAT,
        "names.h5: has no tensor optimizer/velocity/conv1.weight, which the model "
        "needs");
    struct tensor_view more[3] = {s.params[0], s.params[1], s.params[1]};
    more[2].name = "conv2.bias";
    assert_fails(checkpoint_read(checkpoint, "params", more, 3), CONVOY_ERROR_FORMAT,
                 "has no tensor params/conv2.bias");
    checkpoint_close(checkpoint);
}

static void a_flipped_bit_of_a_value_is_found(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "value.h5");
    struct sample s;
    sample_init(&s);
    sample_write(&s, path);
    flip_byte(path, find_bytes(path, s.weight, sizeof s.weight) + sizeof s.weight / 2);
    struct checkpoint *checkpoint = NULL;
    assert_fails(checkpoint_open(path, &checkpoint), CONVOY_ERROR_FORMAT,
                 "value.h5: is damaged: its contents have the hash");
    assert_null(checkpoint);
}

static void a_flipped_bit_of_the_optimizers_state_is_found(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "slot.h5");
    struct sample s;
    sample_init(&s);
    sample_write(&s, path);
    flip_byte(path, find_bytes(path, s.weight_momentum, sizeof s.weight_momentum) + 8);
    struct checkpoint *checkpoint = NULL;
    assert_fails(checkpoint_open(path, &checkpoint), CONVOY_ERROR_FORMAT, "is damaged");
}

static void flipped_bits_of_facts_are_found(void **state)
{
    (void)state;
    static const char *const texts[] = {"Open MPI 4.1", "name: \"lenet\"",
                                        "00112233445566778899aabbccddeeff", "dog"};
    const char *path = scratch_path(folder, "fact.h5");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        sample_make(path);
        flip_byte(path, find_bytes(path, texts[i], strlen(texts[i])));
        struct checkpoint *checkpoint = NULL;
        assert_fails(checkpoint_open(path, &checkpoint), CONVOY_ERROR_FORMAT,
                     "damaged");
    }
}

/* Damage anywhere is an error or changes nothing that the file says. */
static void no_flipped_bit_is_taken_for_other_contents(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "any.h5");
    sample_make(path);
    struct checkpoint *checkpoint = open_whole(path);
    char hash[33];
    snprintf(hash, sizeof hash, "%s", checkpoint_content_hash(checkpoint));
    checkpoint_close(checkpoint);
    size_t size = 0;
    free(scratch_read(path, &size));
    for (size_t at = 0; at < size; at += 37) {
        checkpoint = NULL;
        flip_byte(path, at);
        if (checkpoint_open(path, &checkpoint) == CONVOY_OK)
            assert_string_equal(checkpoint_content_hash(checkpoint), hash);
        checkpoint_close(checkpoint);
        flip_byte(path, at);
    }
    checkpoint_close(open_whole(path));
}

static void truncated_files_are_refused(void **state)
{
    (void)state;
    static const size_t left[] = {0, 1, 100, 2000, 5000};
    const char *path = scratch_path(folder, "cut.h5");
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        sample_make(path);
        cut_file(path, left[i]);
        struct checkpoint *checkpoint = NULL;
        assert_fails(checkpoint_open(path, &checkpoint), CONVOY_ERROR_FORMAT,
                     "cut.h5: ");
        assert_null(checkpoint);
    }
}

/* A file with these attributes and nothing else. */
static void write_kind(const char *path, const char *kind, int64_t version)
{
    struct h5_file *file = NULL;
    assert_int_equal(h5_create(path, &file), CONVOY_OK);
    if (kind)
        assert_int_equal(h5_write_text(file, "/", "convoy_file", kind), CONVOY_OK);
    assert_int_equal(h5_write_i64(file, "/", "format_version", version), CONVOY_OK);
    assert_int_equal(h5_finish(file), CONVOY_OK);
    h5_close(file);
}

static void files_of_other_kinds_and_versions_are_refused(void **state)
{
    (void)state;
    struct checkpoint *checkpoint = NULL;
    const char *path = scratch_path(folder, "other.h5");
    write_kind(path, NULL, 1);
    assert_fails(checkpoint_open(path, &checkpoint), CONVOY_ERROR_FORMAT,
                 "other.h5: is no convoy checkpoint or is damaged");
    write_kind(path, "pack", 1);
    assert_fails(checkpoint_open(path, &checkpoint), CONVOY_ERROR_FORMAT,
                 "other.h5: is no checkpoint: its convoy_file is 'pack'");
    write_kind(path, "checkpoint", CHECKPOINT_VERSION + 1);
    assert_fails(
        checkpoint_open(path, &checkpoint), CONVOY_ERROR_UNSUPPORTED,
        "other.h5: was written by convoy of an unknown version, format version");
    write_kind(path, "checkpoint", 0);
    assert_fails(checkpoint_open(path, &checkpoint), CONVOY_ERROR_FORMAT,
                 "format version 0 does not exist");
    write_kind(path, "checkpoint", 1);
    assert_fails(checkpoint_open(path, &checkpoint), CONVOY_ERROR_FORMAT,
                 "damaged checkpoint: ");
    assert_non_null(
        strstr(convoy_status_text(), "other.h5: /: has no attribute 'step'"));
    assert_fails(checkpoint_open(scratch_path(folder, "none.h5"), &checkpoint),
                 CONVOY_ERROR_IO, "none.h5");
}

/* As a convoy with more facts would write it. */
static void a_newer_file_is_refused_by_its_writers_name(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "newer.h5");
    struct h5_file *file = NULL;
    struct checkpoint *checkpoint = NULL;
    char expected[128];
    assert_int_equal(h5_create(path, &file), CONVOY_OK);
    assert_int_equal(h5_write_text(file, "/", "convoy_file", "checkpoint"), CONVOY_OK);
    assert_int_equal(h5_write_i64(file, "/", "format_version", CHECKPOINT_VERSION + 1),
                     CONVOY_OK);
    assert_int_equal(h5_write_text(file, "/", "convoy_version", "9.8.7"), CONVOY_OK);
    assert_int_equal(h5_write_i64(file, "/", "a_new_fact", 1), CONVOY_OK);
    assert_int_equal(h5_finish(file), CONVOY_OK);
    h5_close(file);
    snprintf(expected, sizeof expected,
             "newer.h5: was written by convoy 9.8.7, format version %d;",
             CHECKPOINT_VERSION + 1);
    assert_fails(checkpoint_open(path, &checkpoint), CONVOY_ERROR_UNSUPPORTED,
                 expected);
}

static void hash_facts(const struct checkpoint_facts *facts, int version, char hex[33])
{
    struct hash *hash = NULL;
    assert_int_equal(hash_create(&hash), CONVOY_OK);
    checkpoint_facts_hash(hash, facts, version);
    hash_hex(hash, hex);
    hash_destroy(hash);
}

/* All of today's facts are newer than version 0: a file of it has none. */
static void
facts_that_a_version_does_not_have_are_not_written_read_or_hashed(void **state)
{
    (void)state;
    struct checkpoint_facts facts;
    struct checkpoint_owned_facts old = {0}, damaged = {0};
    struct h5_file *file = NULL;
    char of_read[33], of_other[33];
    bool has = true;
    sample_facts(&facts);
    assert_int_equal(h5_create(scratch_path(folder, "old.h5"), &file), CONVOY_OK);
    assert_int_equal(checkpoint_facts_write(file, &facts, 0), CONVOY_OK);
    assert_int_equal(h5_has_attribute(file, "/", "step", &has), CONVOY_OK);
    assert_false(has);
    assert_int_equal(checkpoint_facts_read(file, 0, &old), CONVOY_OK);
    assert_int_equal(old.facts.step, 0);
    assert_string_equal(old.facts.isa, "");
    assert_int_equal(old.facts.n_class_names, 3);
    hash_facts(&old.facts, 0, of_read);
    hash_facts(&facts, 0, of_other);
    assert_string_equal(of_read, of_other);
    hash_facts(&facts, 1, of_other);
    assert_string_not_equal(of_read, of_other);
    assert_fails(checkpoint_facts_read(file, 1, &damaged), CONVOY_ERROR_FORMAT,
                 "has no attribute 'step'");
    checkpoint_facts_free(&old);
    checkpoint_facts_free(&damaged);
    h5_close(file);
}

/* tests/cli/golden has whole files of it. */
static void facts_of_version_1_have_no_changes(void **state)
{
    (void)state;
    struct checkpoint_facts facts;
    struct checkpoint_owned_facts old = {0};
    struct h5_file *file = NULL;
    char of_read[33], of_written[33], of_today[33];
    bool has = true;
    sample_facts(&facts);
    assert_int_equal(h5_create(scratch_path(folder, "one.h5"), &file), CONVOY_OK);
    assert_int_equal(checkpoint_facts_write(file, &facts, 1), CONVOY_OK);
    assert_int_equal(h5_has_attribute(file, "/", "onednn_isa", &has), CONVOY_OK);
    assert_false(has);
    assert_int_equal(checkpoint_facts_read(file, 1, &old), CONVOY_OK);
    assert_string_equal(old.facts.hdf5_version, "1.10.8");
    assert_string_equal(old.facts.onednn_isa, "");
    assert_string_equal(old.facts.changes, "");
    hash_facts(&old.facts, 1, of_read);
    hash_facts(&facts, 1, of_written);
    hash_facts(&facts, 2, of_today);
    assert_string_equal(of_read, of_written);
    assert_string_not_equal(of_read, of_today);
    checkpoint_facts_free(&old);
    h5_close(file);
}

static void values_that_are_not_finite_are_counted(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "nan.h5");
    static struct sample s;
    struct checkpoint *checkpoint = NULL;
    sample_init(&s);
    s.mean[1] = (float)(0.0 / 0.0 * -1.0);
    s.weight[7] = s.weight[8] = (float)(1.0 / 0.0);
    s.weight_momentum[3] = s.mean[1]; /* no weight */
    sample_write(&s, path);
    assert_int_equal(checkpoint_load(path, &checkpoint), CONVOY_OK);
    assert_fails(checkpoint_check_finite(checkpoint), CONVOY_ERROR_FORMAT,
                 "nan.h5: 3 of its weights are not finite, the first in "
                 "buffers/bn1.running_mean");
    checkpoint_forget_values(checkpoint);
    assert_int_equal(checkpoint_check_finite(checkpoint), CONVOY_OK);
    float mean[SAMPLE_MEAN] = {0};
    assert_int_equal(checkpoint_read_values(checkpoint, 0, mean), CONVOY_OK);
    assert_true(mean[0] == 300);
    checkpoint_close(checkpoint);
}

static void assert_no_temporary_files(void)
{
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));)
        assert_null(strstr(entry->d_name, ".tmp"));
    closedir(directory);
}

static void writing_leaves_only_the_final_file(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "final.h5");
    sample_make(path);
    sample_make(path);
    assert_true(file_exists(path));
    assert_no_temporary_files();
}

static void a_failed_write_keeps_the_old_file(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "kept.h5");
    sample_make(path);
    struct sample s;
    sample_init(&s);
    s.contents.facts.step = 121;
    s.params[1].name = s.params[0].name; /* twice: HDF5 refuses */
    assert_int_not_equal(checkpoint_write(path, &s.contents), CONVOY_OK);
    assert_no_temporary_files();
    struct checkpoint *checkpoint = open_whole(path);
    assert_int_equal(checkpoint_describe(checkpoint)->step, 120);
    checkpoint_close(checkpoint);
    assert_fails(checkpoint_write(scratch_path(folder, "none/x.h5"), &s.contents),
                 CONVOY_ERROR_IO, "none/x.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_come_back),
        cmocka_unit_test(tensors_come_back_to_the_last_bit),
        cmocka_unit_test(tensors_are_listed_by_their_paths),
        cmocka_unit_test(a_checkpoint_may_hold_next_to_nothing),
        cmocka_unit_test(a_tensor_of_another_shape_names_both_shapes),
        cmocka_unit_test(missing_and_extra_tensors_are_named),
        cmocka_unit_test(a_flipped_bit_of_a_value_is_found),
        cmocka_unit_test(a_flipped_bit_of_the_optimizers_state_is_found),
        cmocka_unit_test(flipped_bits_of_facts_are_found),
        cmocka_unit_test(no_flipped_bit_is_taken_for_other_contents),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(files_of_other_kinds_and_versions_are_refused),
        cmocka_unit_test(a_newer_file_is_refused_by_its_writers_name),
        cmocka_unit_test(
            facts_that_a_version_does_not_have_are_not_written_read_or_hashed),
        cmocka_unit_test(facts_of_version_1_have_no_changes),
        cmocka_unit_test(values_that_are_not_finite_are_counted),
        cmocka_unit_test(writing_leaves_only_the_final_file),
        cmocka_unit_test(a_failed_write_keeps_the_old_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
