/* What recipes can name, from the lists of the folders that have it, and with it the
 * public functions that read recipes: recipe/ itself knows neither layers nor
 * optimizers. */
#include "base/memory.h"
#include "comm/exchange_algorithm.h"
#include "layer/layer.h"
#include "net/net.h"
#include "optim/optim.h"
#include "recipe/recipe_catalog.h"
#include "recipe/recipe_keys.h"
#include "setup/net_text.h"

#include <string.h>

#define OPTIM(name) extern const struct optim_kind optim_##name;
#include "optim/optim_list.h"
#undef OPTIM
#define EXCHANGE(name) extern const struct exchange_algorithm exchange_##name;
#include "comm/exchange_list.h"
#undef EXCHANGE

static const struct option_owner *const layers[] = {
#define LAYER(kind) &layer_##kind.about,
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

/* The loss is no layer of the list: what it was told is a key of its own. */
static convoy_status take_loss(convoy_recipe *recipe, const convoy_net *net)
{
    static const char key[] = "loss.label_smoothing";
    const struct node *loss = &net->nodes[net->loss];
    const struct option_owner *owner = &loss->kind->about;
    const int i = recipe_key_find(recipe, key);
    const int j = option_find(owner->options, owner->n_options, strchr(key, '.') + 1);
    char value[OPTION_VALUE_SIZE];
    if (recipe->origins[i])
        return recipe_reject(recipe, key, "is for the program's net to say; remove it");
    option_get(&owner->options[j], loss->attributes, value);
    option_set(recipe_key_at(recipe, i), value, recipe);
    return CONVOY_OK;
}

static void take_shapes(convoy_recipe *recipe, const convoy_net *net)
{
    const struct shape *src = &net->nodes[0].shape;
    recipe->net_shape[0] = (int)src->c;
    recipe->net_shape[1] = (int)src->h;
    recipe->net_shape[2] = (int)src->w;
    if (recipe->model.classes == 0)
        recipe->model.classes = (int)net->nodes[net->logits].shape.c;
    if (recipe_crop_largest(&recipe->data.crop) == 0 && src->h == src->w)
        recipe->data.crop = recipe_crops_of((int)src->h);
}

convoy_status convoy_recipe_load_net(const convoy_net *net, const char *name,
                                     const char *text, const char *const *overrides,
                                     int n_overrides, convoy_recipe **recipe)
{
    convoy_status status = CONVOY_OK;
    convoy_recipe *made = NULL;
    char *network = NULL;
    TRY(net_text(net, &network));
    TRY(recipe_load_network(&catalog, name, text, network, overrides, n_overrides,
                            &made));
    TRY(take_loss(made, net));
    take_shapes(made, net);
    *recipe = made;
    made = NULL;
cleanup:
    mem_free(network);
    convoy_recipe_destroy(made);
    return status;
}

convoy_status convoy_recipe_describe_keys(FILE *stream)
{
    return recipe_describe_keys(&catalog, stream);
}
