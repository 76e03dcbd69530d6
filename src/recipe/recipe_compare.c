/* Recipes are compared key by key, each value as the YAML that it is written as:
 * numbers to the last bit, lists and networks whole. The table of keys says which may
 * differ, and what is chosen by its name, with which others it computes the same.
 */
#include "recipe/recipe_compare.h"

#include "base/memory.h"
#include "recipe/recipe_keys.h"

#include <string.h>

/* Where the value of the key path begins in its text; NULL: it takes several lines. */
static const char *value_in(const char *path, const char *text)
{
    const char *dot = strrchr(path, '.'), *name = dot ? dot + 1 : path;
    const size_t n = strlen(text);
    const char *line = text;
    for (size_t i = 0; i + 1 < n; i++)
        if (text[i] == '\n')
            line = text + i + 1;
    line += strspn(line, " ");
    if (strncmp(line, name, strlen(name)) != 0 || line[strlen(name)] != ':')
        return NULL;
    return line + strlen(name) + 1;
}

/* Moves both texts to the first lines in which they differ, behind their spaces. */
static void find_difference(const char **a, const char **b)
{
    for (;;) {
        const size_t n = strcspn(*a, "\n"), m = strcspn(*b, "\n");
        if (n == 0 || n != m || strncmp(*a, *b, n) != 0)
            break;
        *a += n + 1;
        *b += m + 1;
    }
    *a += strspn(*a, " ");
    *b += strspn(*b, " ");
}

/* A line of text; at its end, words for it. */
static int line_of(const char **text)
{
    if (!**text)
        *text = "nothing more";
    return (int)strcspn(*text, "\n");
}

static convoy_status refuse(const char *path, const char *now, const char *then,
                            const char *where)
{
    static const char advice[] = "going on would not give the same weights; give "
                                 "another --out to start anew, or "
                                 "--resume FILE to go on with the change";
    const char *is = value_in(path, now), *was = value_in(path, then);
    if (!is || !was) {
        find_difference(&now, &then);
        const int n = line_of(&now), m = line_of(&then);
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "the recipe's '%s' says '%.*s' where the run was begun with "
                    "'%.*s' (%s): %s",
                    path, n, now, m, then, where, advice);
    }
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "the recipe says '%s:%.*s', but the run was begun with '%s:%.*s' (%s): "
                "%s",
                path, (int)strcspn(is, "\n"), is, path, (int)strcspn(was, "\n"), was,
                where, advice);
}

static const struct option_owner *owner_of(const convoy_recipe *recipe, int i)
{
    const char *at = (const char *)recipe + recipe_key_at(recipe, i)->offset;
    return ((const struct recipe_choice *)(const void *)at)->owner;
}

/* Choices whose results are the same. */
static bool are_same_choices(const convoy_recipe *now, int i, const convoy_recipe *then,
                             int j)
{
    if (recipe_key_at(now, i)->type != OPTION_OWNER)
        return false;
    const char *is = owner_of(now, i)->same, *was = owner_of(then, j)->same;
    return is && was && strcmp(is, was) == 0;
}

static convoy_status compare_key(const convoy_recipe *now, int i,
                                 const convoy_recipe *then, int j, const char *where)
{
    convoy_status status = CONVOY_OK;
    char *is = NULL, *was = NULL;
    if (are_same_choices(now, i, then, j))
        return CONVOY_OK;
    TRY(recipe_key_text(now, i, &is));
    TRY(recipe_key_text(then, j, &was));
    if (strcmp(is, was) != 0)
        TRY(refuse(recipe_key_at(now, i)->name, is, was, where));
cleanup:
    mem_free(is);
    mem_free(was);
    return status;
}

/* Keys that only one of them has belong to a choice in which they differ, which stands
 * before. */
convoy_status recipe_compare(const convoy_recipe *now, const convoy_recipe *then,
                             const char *where)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < recipe_n_keys(now); i++) {
        const struct option *key = recipe_key_at(now, i);
        const int j = recipe_key_find(then, key->name);
        const bool is_stated = j >= 0 && (now->origins[i] || then->origins[j]);
        if (is_stated && !(key->open & OPTION_MAY_CHANGE))
            TRY(compare_key(now, i, then, j, where));
    }
cleanup:
    return status;
}
