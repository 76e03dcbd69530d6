/* Which classes and records a pack is made of: by name, by index and by number. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "pack/pack.h"
#include "pack/subset.h"
#include "support/idx_file.h"

#include <stdio.h>

enum { N = 12 };

/* Record i has label i % 4 and 10 + i bytes. */
static struct source_item describe(const void *source, uint64_t i)
{
    (void)source;
    return (struct source_item){.label = (int32_t)(i % 4), .n_bytes = 10 + i};
}

static const struct source_kind counted = {.name = "counted", .describe = describe};

static const char *const animals[] = {"cat", "dog", "emu", "fox"};

static const struct source_facts facts = {.shape = {1, 2, 5},
                                          .n_records = N,
                                          .n_bytes = N * 10 + N * (N - 1) / 2,
                                          .class_names = animals,
                                          .n_classes = 4};

static convoy_status choose(const struct source_facts *all, const char *classes,
                            uint64_t max_per_class, struct subset *subset)
{
    const convoy_pack_options options = {.classes = classes,
                                         .max_per_class = max_per_class};
    *subset = (struct subset){.keep = NULL};
    return subset_choose(&counted, NULL, "zoo", all, &options, subset);
}

static void without_options_everything_stays(void **state)
{
    struct subset subset = {.keep = NULL};
    (void)state;
    assert_int_equal(subset_choose(&counted, NULL, "zoo", &facts, NULL, &subset),
                     CONVOY_OK);
    for (int i = 0; i < N; i++)
        assert_true(subset.keep[i]);
    for (int c = 0; c < 4; c++) {
        assert_int_equal(subset.labels[c], c);
        assert_string_equal(subset.class_names[c], animals[c]);
    }
    assert_int_equal(subset.facts.n_records, N);
    assert_int_equal(subset.facts.n_bytes, facts.n_bytes);
    assert_memory_equal(subset.facts.shape, facts.shape, sizeof facts.shape);
    subset_free(&subset);
    subset_free(&subset);
}

static void classes_are_named_or_numbered_and_keep_their_order(void **state)
{
    /* kept: one digit a class, 1 where it stays */
    const struct {
        const char *list, *kept;
    } cases[] = {{"1", "0100"},       {"dog", "0100"},     {"3,1", "0101"},
                 {"fox,dog", "0101"}, {"1-2", "0110"},     {"0-3", "1111"},
                 {"2-2", "0010"},     {"cat,2-3", "1011"}, {"0,0,cat", "1000"},
                 {"003", "0001"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct subset subset;
        int n = 0;
        if (choose(&facts, cases[i].list, 0, &subset) != CONVOY_OK)
            fail_msg("%s: %s", cases[i].list, convoy_status_text());
        for (int c = 0; c < 4; c++) {
            const bool kept = cases[i].kept[c] == '1';
            assert_int_equal(subset.labels[c], kept ? n : -1);
            if (kept)
                assert_string_equal(subset.class_names[n++], animals[c]);
        }
        assert_int_equal(subset.facts.n_classes, n);
        assert_int_equal(subset.facts.n_records, 3 * n);
        subset_free(&subset);
    }
}

static void the_first_records_of_each_class_stay(void **state)
{
    struct subset subset;
    (void)state;
    assert_int_equal(choose(&facts, "dog,fox", 2, &subset), CONVOY_OK);
    uint64_t n_bytes = 0;
    for (uint64_t i = 0; i < N; i++) {
        assert_int_equal(subset.keep[i], i == 1 || i == 3 || i == 5 || i == 7);
        n_bytes += subset.keep[i] ? 10 + i : 0;
    }
    assert_int_equal(subset.facts.n_records, 4);
    assert_int_equal(subset.facts.n_bytes, n_bytes);
    subset_free(&subset);
    assert_int_equal(choose(&facts, NULL, 100, &subset), CONVOY_OK);
    assert_int_equal(subset.facts.n_records, N);
    subset_free(&subset);
}

static void lists_that_fit_nothing_are_refused(void **state)
{
    static const struct {
        const char *list, *text;
    } cases[] = {
        {"cow",
         "'cow' is neither a name nor an index; zoo has the classes 0 to 3: cat, "
         "dog, emu, fox"},
        {"4", "'4' is neither"},
        {"", "'' is neither"},
        {"1,,2", "'' is neither"},
        {"1,", "'' is neither"},
        {"-1", "'-1' is neither"},
        {"1-", "'1-' is neither"},
        {"1-2-3", "'1-2-3' is neither"},
        {" 1", "' 1' is neither"},
        {"1 ", "'1 ' is neither"},
        {"0-4", "'0-4' is no range"},
        {"2-1", "'2-1' is no range"},
        {"Cat", "'Cat' is neither"},
        {"99999999999999999999", "'99999999999999999999' is neither"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct subset subset;
        assert_int_equal(choose(&facts, cases[i].list, 0, &subset),
                         CONVOY_ERROR_ARGUMENT);
        if (!strstr(convoy_status_text(), cases[i].text))
            fail_msg("no '%s' in '%s'", cases[i].text, convoy_status_text());
        subset_free(&subset);
    }
}

static void classes_without_records_are_refused_where_nothing_else_is_left(void **state)
{
    static const char *const names[] = {"0", "1", "2", "3", "4"};
    struct source_facts five = facts;
    struct subset subset;
    (void)state;
    five.class_names = names;
    five.n_classes = 5;
    assert_int_equal(choose(&five, "4", 0, &subset), CONVOY_ERROR_ARGUMENT);
    assert_non_null(
        strstr(convoy_status_text(), "zoo: has no records of the classes '4'"));
    subset_free(&subset);
    assert_int_equal(choose(&five, "3-4", 0, &subset), CONVOY_OK);
    assert_int_equal(subset.facts.n_classes, 2);
    subset_free(&subset);
}

static void a_name_that_is_another_index_is_refused(void **state)
{
    static const char *const names[] = {"0", "1", "10", "2"};
    struct source_facts sorted = facts;
    struct subset subset;
    (void)state;
    sorted.class_names = names;
    assert_int_equal(choose(&sorted, "2", 0, &subset), CONVOY_ERROR_ARGUMENT);
    if (!strstr(convoy_status_text(), "name of class 3 and the index of class '10'"))
        fail_msg("%s", convoy_status_text());
    subset_free(&subset);
    assert_int_equal(choose(&sorted, "2-2,1", 0, &subset), CONVOY_OK);
    assert_string_equal(subset.class_names[1], "10");
    subset_free(&subset);
    assert_int_equal(choose(&sorted, "10", 0, &subset), CONVOY_OK);
    assert_string_equal(subset.class_names[0], "10");
    subset_free(&subset);
}

static void a_name_counts_before_a_range(void **state)
{
    static const char *const names[] = {"0-1", "1-300", "emu", "fox"};
    struct source_facts ages = facts;
    struct subset subset;
    (void)state;
    ages.class_names = names;
    assert_int_equal(choose(&ages, "0-1", 0, &subset), CONVOY_OK);
    assert_int_equal(subset.facts.n_classes, 1);
    subset_free(&subset);
    assert_int_equal(choose(&ages, "1-300,2-3", 0, &subset), CONVOY_OK);
    assert_int_equal(subset.facts.n_classes, 3);
    subset_free(&subset);
}

/* A pack of part of an IDX set holds that part's images, under new labels. */
static void a_pack_holds_the_chosen_records_in_their_order(void **state)
{
    char folder[SCRATCH_PATH];
    const convoy_pack_options options = {.classes = "1,4", .max_per_class = 2};
    convoy_pack *pack = NULL;
    void *buffer = NULL;
    size_t capacity = 0;
    struct pack_record record;
    /* Of labels i * 3 % 5 = 0 3 1 4 2 0 3 1 4 2 0 3 1 …: */
    static const int records[] = {2, 3, 7, 8}, labels[] = {0, 1, 0, 1};
    (void)state;
    assert_int_equal(scratch_make(folder), 0);
    assert_int_equal(idx_write_set(folder, 25, 6, 5, 5), 0);
    if (convoy_pack_create(scratch_path(folder, "train-images-idx3-ubyte"),
                           scratch_path(folder, "part.h5"), &options) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    assert_int_equal(convoy_pack_open(scratch_path(folder, "part.h5"), &pack),
                     CONVOY_OK);
    assert_int_equal(convoy_pack_describe(pack)->n_records, 4);
    assert_int_equal(convoy_pack_describe(pack)->n_bytes, 4 * 30);
    assert_int_equal(convoy_pack_describe(pack)->n_classes, 2);
    assert_string_equal(convoy_pack_class_name(pack, 0), "1");
    assert_string_equal(convoy_pack_class_name(pack, 1), "4");
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(pack_read(pack, i, &buffer, &capacity, &record), CONVOY_OK);
        assert_int_equal(record.label, labels[i]);
        assert_int_equal(record.n_bytes, 30);
        for (int k = 0; k < 30; k++) {
            const int at = records[i] * 30 + k;
            assert_int_equal(record.bytes[k], (uint8_t)(at * 7 + at / 256));
        }
    }
    mem_free(buffer);
    convoy_pack_close(pack);
    assert_int_equal(scratch_remove(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_options_everything_stays),
        cmocka_unit_test(classes_are_named_or_numbered_and_keep_their_order),
        cmocka_unit_test(the_first_records_of_each_class_stay),
        cmocka_unit_test(lists_that_fit_nothing_are_refused),
        cmocka_unit_test(
            classes_without_records_are_refused_where_nothing_else_is_left),
        cmocka_unit_test(a_name_that_is_another_index_is_refused),
        cmocka_unit_test(a_name_counts_before_a_range),
        cmocka_unit_test(a_pack_holds_the_chosen_records_in_their_order),
    };
    return cmocka_run_group_tests_name("subset", tests, NULL, NULL);
}
