/* A plane is a sample of one channel: so each of several meets the same kernel, and
 * nothing mixes them. The net ends in a squared error, since every net ends in a loss;
 * without a target it costs nothing. */
#include "see/window_net.h"

#include "base/limits.h"
#include "see/squared_error.h"

#include <inttypes.h>

/* A net is planned before it takes memory: a large image says what it would need. */
static convoy_status check_memory(const struct compiled *plan)
{
    const uint64_t needed = program_arena_bytes(plan->program);
    const uint64_t left = limits_memory_left();
    if (left == 0 || needed < left)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_MEMORY,
                "so large an input needs %" PRIu64 " MiB of memory, here are %" PRIu64
                " left",
                needed >> 20, left >> 20);
}

static convoy_status build(const struct window_net_options *o, struct window_net *made)
{
    convoy_status status = CONVOY_OK;
    const struct squared_error error = {.target = o->target};
    int64_t shape[3];
    TRY(convoy_net_create(1, o->rows, o->columns, &made->net));
    const convoy_node input = convoy_net_input(made->net);
    const convoy_node x = net_add(made->net, o->kind, 1, &input, "window", o->told);
    net_add(made->net, &squared_error_layer, 1, &x, "error", &error);
    TRY(convoy_net_check(made->net));
    convoy_net_shape(made->net, x, shape);
    made->rows = (int)shape[1];
    made->columns = (int)shape[2];
cleanup:
    return status;
}

convoy_status window_net_create(const struct window_net_options *o,
                                struct window_net *made)
{
    convoy_status status = CONVOY_OK;
    const struct compile_options compiling = {
        .n = o->n, .type = dnnl_f32, .training = o->target != NULL};
    TRY(build(o, made));
    TRY(net_plan(made->net, &compiling, &made->compiled));
    TRY(check_memory(made->compiled));
    TRY(compiled_allocate(made->compiled, NULL));
    TRY(program_create_primitives(made->compiled->program, 0, 1));
cleanup:
    return status;
}

void window_net_free(struct window_net *made)
{
    compiled_destroy(made->compiled);
    convoy_net_destroy(made->net);
    *made = (struct window_net){0};
}

convoy_status window_net_set_weight(struct window_net *made, const float *weight)
{
    struct param_store *store = &made->net->store;
    return param_store_set(store, &made->net->dnn, 0, weight, store->param_data);
}

convoy_status window_net_weight(const struct window_net *made, float *weight)
{
    const struct param_store *store = &made->net->store;
    return param_store_get(store, &made->net->dnn, 0, store->param_data, weight);
}
