/* What recipes can name, from the lists of the folders that have it, and with it the
 * public functions that read recipes: recipe/ itself knows neither layers nor
 * optimizers. */
#include "comm/exchange_algorithm.h"
#include "layer/layer.h"
#include "optim/optim.h"
#include "recipe/recipe_catalog.h"

#define OPTIM(name) extern const struct optim_kind optim_##name;
#include "optim/optim_list.h"
#undef OPTIM
#define EXCHANGE(name) extern const struct exchange_algorithm exchange_##name;
#include "comm/exchange_list.h"
#undef EXCHANGE

static const struct option_owner *const layers[] = {
#define LAYER(kind) &layer_##kind.owner,
#include "layer/layer_list.h"
#undef LAYER
    NULL};

static const struct option_owner *const optimizers[] = {
#define OPTIM(name) &optim_##name.about,
#include "optim/optim_list.h"
#undef OPTIM
    NULL};

static const struct option_owner *const exchanges[] = {&exchange_auto,
#define EXCHANGE(name) &exchange_##name.about,
#include "comm/exchange_list.h"
#undef EXCHANGE
                                                       NULL};

static const struct recipe_catalog catalog = {layers, optimizers, exchanges};

convoy_status convoy_recipe_load(const char *path, const char *const *overrides,
                                 int n_overrides, convoy_recipe **recipe)
{
    return recipe_load(&catalog, path, overrides, n_overrides, recipe);
}

convoy_status convoy_recipe_load_text(const char *name, const char *text,
                                      const char *const *overrides, int n_overrides,
                                      convoy_recipe **recipe)
{
    return recipe_load_text(&catalog, name, text, overrides, n_overrides, recipe);
}

convoy_status convoy_recipe_describe_keys(FILE *stream)
{
    return recipe_describe_keys(&catalog, stream);
}
