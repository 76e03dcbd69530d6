/* From prefixes of parameters' names to frozen parameters, and to ranges of the arena
 * that an optimizer takes in one call. Neighbours that learn alike share a range, so
 * most nets have few. The longest prefix counts, as for routes. */
#include "train/learning.h"

#include "base/memory.h"

#include <string.h>

static bool begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

convoy_status learning_freeze(convoy_net *net, const convoy_recipe *recipe)
{
    const struct recipe_texts *freeze = &recipe->init.freeze;
    const struct param_store *store = &net->store;
    for (int i = 0; i < freeze->n; i++)
        if (net_freeze(net, freeze->values[i]) != CONVOY_OK)
            return recipe_reject(recipe, "init.freeze", "does not fit: %s",
                                 convoy_status_text());
    int n_frozen = 0;
    for (int i = 0; i < store->n_params; i++)
        n_frozen += store->params[i].frozen;
    if (n_frozen > 0 && n_frozen == store->n_params)
        return recipe_reject(recipe, "init.freeze",
                             "freezes every parameter: nothing is left to learn");
    return CONVOY_OK;
}

static convoy_status check_prefix(const struct param_store *store,
                                  const convoy_recipe *recipe, const char *prefix)
{
    bool fits = false, learns = false;
    for (int i = 0; i < store->n_params; i++) {
        const struct stored_param *p = &store->params[i];
        const bool is_one = begins_with(p->name, prefix);
        fits = fits || is_one;
        learns = learns || (is_one && !p->frozen);
    }
    if (!fits)
        return recipe_reject(recipe, "optimizer.lr_scale",
                             "has '%s', but no parameter of the net begins so; its "
                             "first is '%s'",
                             prefix, store->params[0].name);
    if (!learns)
        return recipe_reject(recipe, "optimizer.lr_scale",
                             "has '%s', but init.freeze freezes all parameters that "
                             "begin so",
                             prefix);
    return CONVOY_OK;
}

static double scale_of(const struct recipe_scales *scales, const char *name)
{
    double factor = 1;
    size_t longest = 0;
    for (int i = 0; i < scales->n; i++) {
        const size_t length = strlen(scales->prefixes[i]);
        if (length > longest && begins_with(name, scales->prefixes[i])) {
            longest = length;
            factor = scales->factors[i];
        }
    }
    return factor;
}

static bool is_same(double a, double b)
{
    return !(a < b || a > b);
}

/* Whether b goes on where a ends and learns as a does. */
static bool continues(const struct update_range *a, const struct update_range *b)
{
    return a->end == b->begin && a->adapts == b->adapts &&
           is_same(a->weight_decay, b->weight_decay) &&
           is_same(a->lr_scale, b->lr_scale);
}

static struct update_range range_of(const struct stored_param *p,
                                    const convoy_recipe *recipe, bool by_tensor)
{
    const struct recipe_optimizer *optimizer = &recipe->optimizer;
    const bool decays = p->param.decay || optimizer->decay_norm_and_bias;
    return (struct update_range){
        .begin = p->offset,
        .end = p->offset + (by_tensor ? p->n_floats : mem_round_up_floats(p->n_floats)),
        .lr_scale = scale_of(&optimizer->lr_scale, p->name),
        .weight_decay = decays ? optimizer->weight_decay : 0,
        .adapts = by_tensor && p->param.decay};
}

convoy_status learning_ranges(const convoy_net *net, const convoy_recipe *recipe,
                              struct update_range **ranges, int *n)
{
    convoy_status status = CONVOY_OK;
    const struct param_store *store = &net->store;
    const struct recipe_scales *scales = &recipe->optimizer.lr_scale;
    const bool by_tensor = update_by_tensor(
        optim_find(recipe->optimizer.kind.owner->name), recipe->optimizer.clip_norm);
    struct update_range *made = NULL;
    int last = -1;
    for (int i = 0; i < scales->n; i++)
        TRY(check_prefix(store, recipe, scales->prefixes[i]));
    TRY(mem_alloc_array((size_t)store->n_params, sizeof *made, (void **)&made));
    for (int i = 0; i < store->n_params; i++) {
        if (store->params[i].frozen)
            continue;
        const struct update_range range =
            range_of(&store->params[i], recipe, by_tensor);
        if (!by_tensor && last >= 0 && continues(&made[last], &range))
            made[last].end = range.end;
        else
            made[++last] = range;
    }
    *ranges = made;
    *n = last + 1;
    made = NULL;
cleanup:
    mem_free(made);
    return status;
}
