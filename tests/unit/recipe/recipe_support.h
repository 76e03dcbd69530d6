/* Shared by the tests of recipes: loading a text, and what must not load. */
#ifndef RECIPE_SUPPORT_H
#define RECIPE_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "recipe/recipe.h"

#include <string.h>

#define MINIMAL "model: {name: lenet}\ndata: {train: t.h5}\n"

/* The recipe MINIMAL and, from line 3, more. */
static inline convoy_recipe *load_with(const char *more)
{
    char text[4096];
    convoy_recipe *recipe = NULL;
    snprintf(text, sizeof text, "%s%s", MINIMAL, more);
    if (convoy_recipe_load_text("r.yaml", text, NULL, 0, &recipe) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return recipe;
}

static inline convoy_recipe *load_set(const char *override)
{
    convoy_recipe *recipe = NULL;
    if (convoy_recipe_load_text("r.yaml", MINIMAL, &override, 1, &recipe) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return recipe;
}

/* The whole message, on one line, and nothing handed out. */
static inline void assert_refused(const char *text, const char *const *overrides,
                                  int n_overrides, const char *message)
{
    convoy_recipe *recipe = NULL;
    convoy_status status =
        convoy_recipe_load_text("r.yaml", text, overrides, n_overrides, &recipe);
    assert_int_not_equal(status, CONVOY_OK);
    assert_null(recipe);
    assert_string_equal(convoy_status_text(), message);
    assert_null(strchr(convoy_status_text(), '\n'));
}

static inline void assert_refuses(const char *text, const char *message)
{
    assert_refused(text, NULL, 0, message);
}

/* As assert_refuses for MINIMAL and, from line 3, more. */
static inline void assert_refuses_with(const char *more, const char *message)
{
    char text[4096];
    snprintf(text, sizeof text, "%s%s", MINIMAL, more);
    assert_refuses(text, message);
}

static inline void assert_refuses_set(const char *override, const char *message)
{
    assert_refused(MINIMAL, &override, 1, message);
}

#endif
