/* Networks of recipes: the input is what stands below "network:". */
#include "fuzz/fuzz.h"

#include "fuzz/nets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head[] = "data: {train: t.h5}\nmodel: {classes: 10}\nnetwork:\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(sizeof head + size);
    convoy_recipe *recipe = NULL;
    fuzz_expect(text, "no memory");
    memcpy(text, head, sizeof head - 1);
    memcpy(text + sizeof head - 1, data, size);
    text[sizeof head - 1 + size] = '\0';
    if (convoy_recipe_load_text("network.yaml", text, NULL, 0, &recipe) == CONVOY_OK)
        fuzz_net(recipe);
    convoy_recipe_destroy(recipe);
    free(text);
    return 0;
}
