/* The energy of a run, where the machine tells it (base/energy.h): one rank of each
 * node reads it, now and then so that counters which begin anew are noticed, and ranks
 * add up when a line is due. Of nodes that do not tell nothing is guessed. */
#include "train/run.h"

#include "base/clock.h"
#include "comm/gather.h"
#include "comm/world.h"

#include <stdlib.h>

/* Far less than it takes to count around. */
static const double sample_every_s = 30;

void run_energy_begin(struct run *run)
{
    struct run_energy *e = &run->energy;
    *e = (struct run_energy){.begun_s = clock_now_s()};
    if (run->world->node_rank == 0)
        energy_begin(&e->own, getenv("CONVOY_POWERCAP"));
}

void run_energy_step(struct run *run)
{
    struct energy *own = &run->energy.own;
    if (own->n > 0 && clock_now_s() - own->sampled_s > sample_every_s)
        energy_sample(own);
}

convoy_status run_energy_sum(struct run *run)
{
    convoy_status status = CONVOY_OK;
    struct run_energy *e = &run->energy;
    energy_sample(&e->own);
    double sums[] = {e->own.n > 0 ? e->own.joules : 0, e->own.n > 0};
    TRY(gather_sums(run->world, sums, 2));
    e->nodes = (uint64_t)sums[1];
    e->joules = sums[0];
    e->seconds = clock_now_s() - e->begun_s;
cleanup:
    return status;
}

void run_energy_take(struct run *run, double *joules, uint64_t *nodes)
{
    struct run_energy *e = &run->energy;
    const bool are_same = e->told_nodes == 0 || e->told_nodes == e->nodes;
    *joules = e->joules - e->told_joules;
    *nodes = are_same ? e->nodes : 0;
    e->told_joules = e->joules;
    e->told_nodes = e->nodes;
}

void run_energy_end(struct run *run)
{
    energy_end(&run->energy.own);
}
