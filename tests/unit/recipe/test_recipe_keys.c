/* The table of keys. */
#include "unit/recipe/recipe_support.h"

#include "base/file.h"
#include "base/memory.h"
#include "layer/layer.h"
#include "recipe/recipe_catalog.h"
#include "recipe/recipe_keys.h"

#include <stdlib.h>

static void every_key_is_found_by_its_path(void **state)
{
    const convoy_recipe *recipe = *state;
    for (int i = 0; i < recipe_n_keys(recipe); i++) {
        const char *path = recipe_key_at(recipe, i)->name;
        assert_int_equal(recipe_key_find(recipe, path), i);
        assert_false(recipe_is_section(recipe, path));
        assert_true(strlen(path) < 64);
    }
    assert_int_equal(recipe_key_find(recipe, "model"), -1);
    assert_int_equal(recipe_key_find(recipe, "model.nam"), -1);
    assert_int_equal(recipe_key_find(recipe, ""), -1);
}

static void sections_are_known(void **state)
{
    const convoy_recipe *recipe = *state;
    assert_true(recipe_is_section(recipe, "model"));
    assert_true(recipe_is_section(recipe, "data.augment"));
    assert_false(recipe_is_section(recipe, "mode"));
    assert_false(recipe_is_section(recipe, ""));
    assert_false(recipe_is_section(recipe, "data."));
}

/* A section that is left and entered again would be written twice. */
static void keys_of_a_section_stand_together(void **state)
{
    const convoy_recipe *recipe = *state;
    char done[64][64];
    int n_done = 0;
    for (int i = 0; i < recipe_n_keys(recipe); i++) {
        char section[64] = "";
        const char *path = recipe_key_at(recipe, i)->name, *dot = strrchr(path, '.');
        memcpy(section, path, dot ? (size_t)(dot - path) : 0);
        if (n_done > 0 && strcmp(done[n_done - 1], section) == 0)
            continue;
        for (int j = 0; *section && j < n_done; j++)
            assert_string_not_equal(done[j], section);
        memcpy(done[n_done++], section, sizeof section);
    }
}

static void misspelt_keys_have_the_nearest(void **state)
{
    const convoy_recipe *recipe = *state;
    static const struct {
        const char *path, *nearest;
    } cases[] = {
        {"optimzer.momentum", "optimizer.momentum"},
        {"optimizer.momentun", "optimizer.momentum"},
        {"momentum", "optimizer.momentum"},
        {"model.momentum", "optimizer.momentum"},
        {"modle.name", "model.name"},
        {"sede", "seed"},
        {"data.augmnet", "data.augment"},
        {"data.flip", "data.augment.flip"},
        {"epochs", "schedule.epochs"},
        {"batchsize", "batch.size"},
        {"optimizer.weight-decay", "optimizer.weight_decay"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char nearest[RECIPE_PATH_SIZE];
        recipe_nearest(recipe, cases[i].path, nearest);
        assert_string_equal(nearest, cases[i].nearest);
    }
}

static void any_text_has_a_nearest_key(void **state)
{
    const convoy_recipe *recipe = *state;
    char path[1000], nearest[RECIPE_PATH_SIZE] = "";
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    recipe_nearest(recipe, path, nearest);
    assert_true(recipe_key_find(recipe, nearest) >= 0 ||
                recipe_is_section(recipe, nearest));
    recipe_nearest(recipe, "", nearest);
    assert_true(recipe_key_find(recipe, nearest) >= 0 ||
                recipe_is_section(recipe, nearest));
}

/* Lines of text that begin so, and those of them that end so, too. */
static int count_lines(const char *text, const char *begin, const char *help,
                       int *n_with_help)
{
    int n = 0;
    *n_with_help = 0;
    for (const char *line = text; (line = strstr(line, begin)); line++) {
        const char *end = strchr(line + 1, '\n');
        *n_with_help += strncmp(end - strlen(help), help, strlen(help)) == 0;
        n++;
    }
    return n;
}

/* How many owners have an option by this key's name; 1 of other keys. */
static int count_owners(const convoy_recipe *recipe, const char *key)
{
    const char *section = "optimizer.";
    int n = 0;
    if (strncmp(key, section, strlen(section)) != 0)
        return 1;
    for (int i = 0; recipe->catalog->optimizers[i]; i++) {
        const struct option_owner *owner = recipe->catalog->optimizers[i];
        n += option_find(owner->options, owner->n_options, key + strlen(section)) >= 0;
    }
    return n > 0 ? n : 1;
}

static void the_table_for_people_has_every_key(void **state)
{
    const convoy_recipe *recipe = *state;
    char *text = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&text, &n);
    assert_non_null(stream);
    assert_int_equal(convoy_recipe_describe_keys(stream), CONVOY_OK);
    assert_int_equal(fclose(stream), 0);
    for (int i = 0; i < recipe_n_keys(recipe); i++) {
        const struct option *key = recipe_key_at(recipe, i);
        char begin[RECIPE_PATH_SIZE + 2];
        snprintf(begin, sizeof begin, "\n%s ", key->name);
        int n_with_help;
        assert_int_equal(count_lines(text, begin, key->help, &n_with_help),
                         count_owners(recipe, key->name));
        assert_true(n_with_help > 0);
    }
    assert_non_null(
        strstr(text, "\nexchange.algorithm            auto|direct|two-level|native"));
    assert_non_null(strstr(text, "sgd: momentum\n"));
    assert_non_null(strstr(text, "lars: momentum\n"));
    const char *layers = strstr(text, "\n\nLAYERS FOR network\n");
    assert_non_null(layers);
    for (int i = 0; layer_kinds[i]; i++) {
        const struct option_owner *kind = &layer_kinds[i]->about;
        char row[128];
        snprintf(row, sizeof row, "\n%-77s %s\n", kind->name, kind->help);
        if (kind->is_loss)
            assert_null(strstr(layers, row));
        else
            assert_non_null(strstr(layers, row));
        for (int j = 0; j < kind->n_options && !kind->is_loss; j++)
            assert_non_null(strstr(layers, kind->options[j].help));
    }
    assert_non_null(strstr(
        layers, "  kernel                      integer                           "
                "(required)    height and width of the window\n"));
    assert_non_null(
        strstr(text, "constant|step|cosine|polynomial|linear|one_cycle  cosine "));
    assert_non_null(strstr(text, "text                              (required)"));
    free(text);
}

/* The row of the key path in the documentation's tables: "| `path` | default | resume |
 * text". *end: behind it. NULL: there is none. */
static char *find_row(char *document, const char *path, const char **end)
{
    char begin[RECIPE_PATH_SIZE + 8];
    snprintf(begin, sizeof begin, "\n| `%s` | ", path);
    char *row = strstr(document, begin);
    if (!row)
        return NULL;
    *end = strchr(row + 1, '\n');
    return row + strlen(begin);
}

/* Whether the third column of the row is one of these words. */
static bool has_resume(const char *row)
{
    static const char *const words[] = {"| any |", "| noted |", "| same |"};
    const char *end = strchr(row + 1, '\n'), *third = row + 1;
    for (int i = 0; i < 2 && third; i++)
        third = strchr(third + 1, '|');
    for (size_t i = 0; third && third < end && i < sizeof words / sizeof *words; i++)
        if (strncmp(third, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

static void assert_documented(const convoy_recipe *recipe, char *document)
{
    for (int i = 0; i < recipe_n_keys(recipe); i++) {
        const struct option *key = recipe_key_at(recipe, i);
        const char *end = NULL;
        char expected[16], *row = find_row(document, key->name, &end);
        if (!row)
            fail_msg("%s has no row", key->name);
        snprintf(expected, sizeof expected, " | %s | ", recipe_key_resume(key));
        const char *found = strstr(row, " | ");
        if (!found || found > end || strncmp(found, expected, strlen(expected)) != 0)
            fail_msg("%s: is not '%s'", key->name, recipe_key_resume(key));
    }
}

static int count_rows(const char *document)
{
    int n = 0;
    for (const char *row = document; (row = strstr(row, "\n| `")); row++)
        n += has_resume(row);
    return n;
}

/* "| `optimizer.momentum` | `0.9` | same | `lars`: " */
static void assert_options_documented(const struct option_owner *owner,
                                      const char *document)
{
    for (int i = 0; i < owner->n_options; i++) {
        char begin[256];
        snprintf(begin, sizeof begin,
                 "\n| `optimizer.%s` | `%s` | same | `%s`: ", owner->options[i].name,
                 owner->options[i].default_text, owner->name);
        if (!strstr(document, begin))
            fail_msg("no row begins %s", begin);
    }
}

static void the_documentation_says_what_a_run_goes_on_with(void **state)
{
    const convoy_recipe *recipe = *state;
    const struct option_owner *const *owner = recipe->catalog->optimizers;
    char *document = NULL;
    size_t n = 0;
    int n_keys = recipe_n_keys(recipe) - (*owner)->n_options; /* the chosen one's */
    assert_int_equal(file_read_all(DOCUMENT, &document, &n), CONVOY_OK);
    assert_documented(recipe, document);
    for (; *owner; owner++) {
        assert_options_documented(*owner, document);
        n_keys += (*owner)->n_options;
    }
    assert_int_equal(count_rows(document), n_keys);
    mem_free(document);
}

static int load_minimal(void **state)
{
    *state = load_with("");
    return 0;
}

static int destroy(void **state)
{
    convoy_recipe_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_found_by_its_path),
        cmocka_unit_test(sections_are_known),
        cmocka_unit_test(keys_of_a_section_stand_together),
        cmocka_unit_test(misspelt_keys_have_the_nearest),
        cmocka_unit_test(any_text_has_a_nearest_key),
        cmocka_unit_test(the_table_for_people_has_every_key),
        cmocka_unit_test(the_documentation_says_what_a_run_goes_on_with),
    };
    return cmocka_run_group_tests(tests, load_minimal, destroy);
}
