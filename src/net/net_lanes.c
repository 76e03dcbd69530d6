/* Copies of a compiled net, one a lane. */
#include "net/net_lanes.h"

#include "base/memory.h"

struct making {
    struct net_lanes *made;
    const struct net_lanes *lender;
};

static const struct compiled *lender_of(const struct making *making, int lane)
{
    const struct net_lanes *lender = making->lender;
    return lender && lane < lender->n ? lender->copies[lane] : NULL;
}

/* A share of the primitives, and this lane's copy. */
static convoy_status make(void *context, int lane)
{
    convoy_status status = CONVOY_OK;
    const struct making *making = context;
    struct net_lanes *made = making->made;
    if (lane > 0)
        TRY(compiled_copy(made->copies[0], lender_of(making, lane),
                          &made->copies[lane]));
    TRY(program_create_primitives(made->copies[0]->program, lane, made->n));
cleanup:
    return status;
}

convoy_status net_lanes_create(struct lanes *lanes, struct compiled *plan,
                               const struct net_lanes *lender, struct net_lanes **out)
{
    convoy_status status = CONVOY_OK;
    struct net_lanes *made = NULL;
    struct making making = {.lender = lender};
    TRY(mem_alloc(sizeof *made, (void **)&made));
    made->lanes = lanes;
    made->n = lanes_n(lanes);
    TRY(mem_alloc_array((size_t)made->n, sizeof(struct compiled *),
                        (void **)&made->copies));
    made->copies[0] = plan;
    plan = NULL;
    making.made = made;
    TRY(compiled_allocate(made->copies[0], lender_of(&making, 0)));
    TRY(lanes_run(lanes, make, &making));
    *out = made;
    made = NULL;
cleanup:
    compiled_destroy(plan);
    net_lanes_destroy(made);
    return status;
}

/* The original last: the others share what it has. */
void net_lanes_destroy(struct net_lanes *net_lanes)
{
    if (!net_lanes)
        return;
    for (int i = net_lanes->n - 1; i >= 0 && net_lanes->copies; i--)
        compiled_destroy(net_lanes->copies[i]);
    mem_free(net_lanes->copies);
    mem_free(net_lanes);
}

static convoy_status prepare(void *context, int lane)
{
    struct net_lanes *net_lanes = context;
    return program_prepare(net_lanes->copies[lane]->program, &net_lanes->n_prepared);
}

convoy_status net_lanes_refresh(struct net_lanes *net_lanes)
{
    if (program_prepared_bytes(net_lanes->copies[0]->program) == 0)
        return CONVOY_OK;
    atomic_store(&net_lanes->n_prepared, 0);
    return lanes_run(net_lanes->lanes, prepare, net_lanes);
}
