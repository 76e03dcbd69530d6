/* What is looked at in every step is one number a microbatch, set while its gradients
 * are made: each layer's are read once more as soon as they are there (magnitude.h).
 * What is below limit in every one of M microbatches cannot overflow in their sum, in
 * whatever order it is made. */
#include "train/guard.h"

#include "base/magnitude.h"
#include "base/memory.h"
#include "base/text.h"
#include "comm/tree.h"
#include "train/trainer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

/* Steps of a life whose cause is looked for, though they are left out: it costs one
 * more microbatch, and the loader starts anew. */
enum { MOST_EXPLAINED = 10 };

convoy_status guard_init(struct guard *guard, int n_microbatches)
{
    *guard = (struct guard){.limit = FLT_MAX / 2 / (float)n_microbatches,
                            .n_microbatches = n_microbatches};
    return mem_alloc_array((size_t)n_microbatches * GUARD_TOLD, sizeof *guard->told,
                           (void **)&guard->told);
}

void guard_fini(struct guard *guard)
{
    mem_free(guard->told);
    guard->told = NULL;
}

size_t guard_leaf_floats(const convoy_net *net)
{
    return GUARD_HEAD + net_leaf_floats(net);
}

struct guard_watch guard_watch(const struct guard *guard, const convoy_net *net,
                               float *leaf)
{
    return (struct guard_watch){.guard = guard,
                                .leaf = leaf,
                                .n_grads = net_param_floats(net),
                                .n = net_leaf_floats(net),
                                .from = net_param_floats(net)};
}

void guard_watch_from(struct guard_watch *watch, size_t from)
{
    if (from >= watch->from)
        return;
    if (!magnitudes_below(watch->leaf + GUARD_HEAD + from, watch->from - from,
                          watch->guard->limit))
        watch->is_bad = true;
    watch->from = from;
}

void guard_watch_end(struct guard_watch *watch, int microbatch)
{
    guard_watch_from(watch, 0);
    if (!magnitudes_below(watch->leaf + GUARD_HEAD + watch->n_grads,
                          watch->n - watch->n_grads, watch->guard->limit))
        watch->is_bad = true;
    watch->leaf[0] = watch->is_bad ? 1 : 0;
    watch->guard->told[(size_t)microbatch * GUARD_TOLD + GUARD_BAD] = watch->is_bad;
}

bool guard_allows(const struct guard *guard, const struct leaf_sum *sum)
{
    float room[1];
    return guard->is_loss_finite && *leaf_sum_values(sum, 0, 1, room) == 0;
}

static bool is_bad(const convoy_trainer *t, int microbatch)
{
    const size_t j = (size_t)microbatch;
    return !isfinite(t->shared[j * N_SHARED + SCORE_LOSS]) ||
           t->guard.told[j * GUARD_TOLD + GUARD_BAD] > 0;
}

/* The first of them, and how many there are. */
static int find_bad(const convoy_trainer *t, int *n)
{
    int first = 0;
    *n = 0;
    for (int j = t->n_microbatches - 1; j >= 0; j--) {
        if (!is_bad(t, j))
            continue;
        first = j;
        ++*n;
    }
    return first;
}

/* "the loss is infinite at step 12", and, of a step whose cause was looked for, why. */
static void describe(const convoy_trainer *t, const convoy_step_result *result,
                     int microbatch, bool is_explained, char *text, size_t size)
{
    const char *what = isnan(result->loss)       ? "the loss is not a number"
                       : !isfinite(result->loss) ? "the loss is infinite"
                                                 : "a gradient is no finite number";
    snprintf(text, size, "%s at step %llu", what, (unsigned long long)t->step + 1);
    if (is_explained)
        guard_append_cause(t, microbatch, text, size);
}

/* Stops where the recipe says so, or too many have been left out. */
static convoy_status refuse(convoy_trainer *t, const convoy_step_result *result)
{
    struct guard *g = &t->guard;
    const bool stops = t->recipe->guard.on_nonfinite == RECIPE_NONFINITE_STOP;
    if (!stops)
        text_append(g->text, sizeof g->text, "; the %d steps before it were left out",
                    GUARD_MOST_IN_A_ROW);
    text_append(g->text, sizeof g->text,
                ". No weight was changed by it. Lower schedule.lr (now %g) or lengthen "
                "schedule.warmup_epochs, or see what these records hold%s",
                result->lr,
                stops ? "; guard.on_nonfinite: skip leaves such a step out" : "");
    g->is_stopped = true;
    return convoy_world_agree(t->world, FAIL(CONVOY_ERROR_ARGUMENT, "%s", g->text));
}

convoy_status guard_end_step(convoy_trainer *t, bool is_taken,
                             convoy_step_result *result)
{
    convoy_status status = CONVOY_OK;
    struct guard *g = &t->guard;
    result->left_out = NULL;
    if (is_taken) {
        g->n_in_a_row = 0;
        return CONVOY_OK;
    }
    const bool refuses = t->recipe->guard.on_nonfinite == RECIPE_NONFINITE_STOP ||
                         g->n_in_a_row == GUARD_MOST_IN_A_ROW;
    const bool explains = refuses || g->n_explained < MOST_EXPLAINED;
    TRY(exchange_share(t->world, g->told, g->n_microbatches, GUARD_TOLD));
    int n_bad;
    const int microbatch = find_bad(t, &n_bad);
    if (explains)
        TRY(guard_find_cause(t, microbatch));
    g->n_explained += explains;
    describe(t, result, microbatch, explains, g->text, sizeof g->text);
    if (n_bad > 1)
        text_append(g->text, sizeof g->text, "; %d of its microbatches are so", n_bad);
    if (refuses)
        return refuse(t, result);
    g->n_in_a_row++;
    text_append(g->text, sizeof g->text, ": the step is left out");
    result->left_out = g->text;
cleanup:
    return status;
}
