/* Recipes, with overrides behind them (each after a 0), and the nets that they
 * describe. What is taken can be written, reads back, and writes the same text again.
 */
#include "fuzz/fuzz.h"

#include "base/memory.h"
#include "fuzz/nets.h"
#include "recipe/recipe.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_OVERRIDES = 4 };

static void write_and_read(const convoy_recipe *recipe)
{
    char *text = NULL, *again = NULL;
    convoy_recipe *copy = NULL;
    fuzz_expect(recipe_text(recipe, &text) == CONVOY_OK, "not written");
    fuzz_expect(convoy_recipe_load_text("written.yaml", text, NULL, 0, &copy) ==
                    CONVOY_OK,
                "a written recipe that is not read");
    fuzz_expect(recipe_text(copy, &again) == CONVOY_OK, "not written again");
    fuzz_expect(strcmp(text, again) == 0, "a written recipe reads as another one");
    convoy_recipe_destroy(copy);
    mem_free(text);
    mem_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    const char *overrides[MAX_OVERRIDES];
    convoy_recipe *recipe = NULL;
    int n = 0;
    for (size_t at = strlen(text); at < size && n < MAX_OVERRIDES; n++) {
        overrides[n] = text + at + 1;
        at += 1 + strlen(overrides[n]);
    }
    if (convoy_recipe_load_text("recipe.yaml", text, overrides, n, &recipe) ==
        CONVOY_OK) {
        write_and_read(recipe);
        fuzz_net(recipe);
    }
    convoy_recipe_destroy(recipe);
    free(text);
    return 0;
}
