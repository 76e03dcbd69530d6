/* Recipes are compared key by key, each value as the YAML that it is written as:
 * numbers to the last bit, lists and networks whole. The table of keys says which may
 * differ, and what is chosen by its name, with which others it computes the same.
 */
#include "recipe/recipe_compare.h"

#include "base/memory.h"
#include "recipe/recipe_keys.h"

#include <stdio.h>
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

/* The value of the key path in its text, as one line. other: the same key's text in the
 * other recipe. New; free with mem_free. */
static convoy_status take_value(const char *path, const char *text, const char *other,
                                char **value)
{
    const char *at = value_in(path, text), *of_other = value_in(path, other);
    const char *before = "";
    if (at && of_other) {
        at += strspn(at, " ");
    } else {
        at = text;
        find_difference(&at, &other);
        before = "… ";
        if (!*at)
            at = "nothing more";
    }
    const size_t n = strcspn(at, "\n"), room = strlen(before) + n + 1;
    const convoy_status status = mem_alloc(room, (void **)value);
    if (status == CONVOY_OK)
        snprintf(*value, room, "%s%.*s", before, (int)n, at);
    return status;
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

typedef convoy_status (*visitor)(void *context, const struct recipe_change *change);

static convoy_status compare_key(const convoy_recipe *now, int i,
                                 const convoy_recipe *then, int j, visitor visit,
                                 void *context)
{
    convoy_status status = CONVOY_OK;
    const struct option *key = recipe_key_at(now, i);
    char *is = NULL, *was = NULL, *new_value = NULL, *old_value = NULL;
    if (are_same_choices(now, i, then, j))
        return CONVOY_OK;
    TRY(recipe_key_text(now, i, &is));
    TRY(recipe_key_text(then, j, &was));
    if (strcmp(is, was) == 0)
        goto cleanup;
    TRY(take_value(key->name, is, was, &new_value));
    TRY(take_value(key->name, was, is, &old_value));
    const struct recipe_change change = {key->name, old_value, new_value,
                                         !(key->open & OPTION_NOTED)};
    TRY(visit(context, &change));
cleanup:
    mem_free(is);
    mem_free(was);
    mem_free(new_value);
    mem_free(old_value);
    return status;
}

/* Keys that only one of them has belong to a choice in which they differ, which stands
 * before. */
convoy_status recipe_compare(const convoy_recipe *now, const convoy_recipe *then,
                             convoy_status (*visit)(void *context,
                                                    const struct recipe_change *change),
                             void *context)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < recipe_n_keys(now); i++) {
        const struct option *key = recipe_key_at(now, i);
        const int j = recipe_key_find(then, key->name);
        const bool is_stated = j >= 0 && (now->origins[i] || then->origins[j]);
        if (is_stated && !(key->open & OPTION_MAY_CHANGE))
            TRY(compare_key(now, i, then, j, visit, context));
    }
cleanup:
    return status;
}
